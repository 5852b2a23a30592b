# SPDX-License-Identifier: BSD-3-Clause
"""Sets over real connections: shapes in both protocols, keys on several shards, thresholds that are
settings, and sets that are large."""
from lib.check import SYNTAX, arity, check, eventually, info
from lib.resp import Error

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")


def members(reply):
    """A set reply of either protocol; nothing may come twice."""
    assert len(set(reply)) == len(reply)
    return set(reply)


def numbers(first, last):
    """The texts of first .. last - 1."""
    return {b"%d" % i for i in range(first, last)}


def test_replies_of_both_protocols(both):
    check(both, ("SADD s a", 1), ("SADD s a b c", 2), ("SISMEMBER s a", 1), ("SISMEMBER s x", 0),
          ("SMISMEMBER s a x", [1, 0]), ("SCARD s", 3), ("SREM s a x", 1), ("SMOVE s t b", 1),
          ("SPOP s", b"c"), ("EXISTS s", 0), ("SPOP s", None), ("SRANDMEMBER s", None),
          ("SRANDMEMBER s 2", []), ("SRANDMEMBER t", b"b"), ("SRANDMEMBER t -2", [b"b", b"b"]),
          ("SSCAN t 0", [b"0", [b"b"]]), ("SADD", arity("sadd")), ("SPOP t 1 2", SYNTAX),
          ("TYPE t", "set"))
    for command in ("SMEMBERS t", "SINTER t", "SUNION t none", "SDIFF t none", "SPOP t 3"):
        reply = both(*command.split())
        assert isinstance(reply, set if both.resp == 3 else list), command
        assert members(reply) == {b"b"}


def test_algebra_over_keys_anywhere(c):
    keys = ["set:%d" % i for i in range(12)]
    for i, key in enumerate(keys):
        assert c("SADD", key, "common", "x%d" % i, *range(i, i + 3)) == 5
    assert members(c("SINTER", *keys)) == {b"common"}
    assert c("SINTERCARD", 12, *keys, "LIMIT", 5) == 1
    everything = {b"common"} | {b"x%d" % i for i in range(12)} | numbers(0, 14)
    assert members(c("SUNION", *keys)) == everything
    assert members(c("SDIFF", *keys)) == {b"x0", b"0"}
    assert c("SUNIONSTORE", "dest", *keys) == len(everything)
    assert members(c("SMEMBERS", "dest")) == everything
    assert c("SDIFFSTORE", "dest", "dest", *keys[1:]) == 2
    assert c("SINTERSTORE", keys[0], "dest", keys[0]) == 2
    assert members(c("SMEMBERS", keys[0])) == {b"x0", b"0"}
    assert c("SET", "string", "x") == "OK"
    assert c("SINTER", "none", "string", *keys) == WRONG_TYPE
    assert c("SMOVE", keys[1], "string", "common") == WRONG_TYPE
    for key in keys[2:]:
        assert c("SMOVE", key, "common", "common") == 1
        assert c("SISMEMBER", key, "common") == 0
    assert members(c("SMEMBERS", "common")) == {b"common"}


def test_several_sets_change_at_once(c, connect):
    """A member moves to and fro between two keys: no reader sees it in both or in neither."""
    reader = connect()
    assert c("SADD", "left", "token") == 1
    for _ in range(100):
        c.send("SMOVE", "left", "right", "token")
        reader.send("SUNION", "left", "right")
        c.send("SMOVE", "right", "left", "token")
        reader.send("SINTERCARD", 2, "left", "right")
        assert [c.read(), c.read()] == [1, 1]
        assert [reader.read(), reader.read()] == [[b"token"], 0]


def test_thresholds_are_settings(c, config):
    def encoding(key, *words):
        c("DEL", key)
        assert c("SADD", key, *words) == len(words)
        return c("OBJECT", "ENCODING", key)

    assert encoding("s", *range(512)) == b"intset"
    assert encoding("s", *range(513)) == b"hashtable"
    assert encoding("s", *("m%d" % i for i in range(128))) == b"listpack"
    assert encoding("s", *("m%d" % i for i in range(129))) == b"hashtable"
    assert encoding("s", "x" * 64) == b"listpack"
    assert encoding("s", "x" * 65) == b"hashtable"
    assert config("set-max-intset-entries", "4", "set-max-listpack-entries", "3",
                  "set-max-listpack-value", "2") == "OK"
    assert encoding("s", *range(4)) == b"intset"
    assert c("SADD", "s", "5") == 1
    assert c("OBJECT", "ENCODING", "s") == b"hashtable"
    assert encoding("s", "a", "b", "c") == b"listpack"
    assert encoding("s", "a", "b", "c", "d") == b"hashtable"
    assert encoding("s", "ab") == b"listpack"
    assert encoding("s", "abc") == b"hashtable"


def test_scanning_while_a_set_grows_and_shrinks(c):
    stay = {b"stay:%d" % i for i in range(2000)}
    c.pipeline([("SADD", "s", word) for word in stay])
    seen, cursor, step = set(), b"0", 0
    while True:
        cursor, found = c("SSCAN", "s", cursor, "COUNT", 50)
        seen.update(found)
        words = ["go:%d" % i for i in range(step % 8 * 500, (step % 8 + 1) * 500)]
        c("SADD" if step % 16 < 8 else "SREM", "s", *words)
        step += 1
        if cursor == b"0":
            break
    assert seen >= stay
    assert step < 1000
    _, found = c("SSCAN", "s", 0, "MATCH", "stay:199?", "COUNT", 100000)
    assert set(found) == {b"stay:%d" % i for i in range(1990, 2000)}


def test_a_large_set_and_its_memory(c, connect, is_torc):
    count, per_member = 30000, 40 if is_torc else 80
    before = int(info(c, "memory")["used_memory_dataset"])
    worker = connect()
    words = ["member:%d" % i for i in range(count)]
    assert worker("SADD", "s", *words) == count
    assert count * 16 < c("MEMORY", "USAGE", "s") < count * per_member
    assert worker("SMISMEMBER", "s", *words) == [1] * count
    popped = members(worker("SPOP", "s", count // 2))
    assert worker("SCARD", "s") == count - len(popped) == count // 2
    assert not popped & members(worker("SMEMBERS", "s"))
    chosen = members(worker("SRANDMEMBER", "s", 1000))
    assert len(chosen) == 1000 and not chosen & popped
    assert len(members(worker("SPOP", "s", count))) == count // 2
    assert c("EXISTS", "s") == 0
    worker.close()
    eventually(lambda: int(info(c, "memory")["used_memory_dataset"]) < before + count * 4)


def test_watched_and_queued(c, connect):
    other = connect()
    check(c, ("SADD s a b", 2), ("WATCH s", "OK"))
    assert other("SADD", "s", "a") == 0  # nothing changed
    check(c, ("MULTI", "OK"), ("SPOP s 2", "QUEUED"), ("SUNIONSTORE t s none", "QUEUED"))
    assert [len(r) if isinstance(r, list) else r for r in c("EXEC")] == [2, 0]
    check(c, ("SADD s a b", 2), ("WATCH s", "OK"))
    assert other("SPOP", "s") in (b"a", b"b")
    check(c, ("MULTI", "OK"), ("SCARD s", "QUEUED"), ("EXEC", None))
