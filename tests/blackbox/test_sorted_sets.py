# SPDX-License-Identifier: BSD-3-Clause
"""Sorted sets over real connections: shapes in both protocols, keys on several shards, thresholds
that are settings, and sorted sets that are large."""
import random

from lib.check import NOT_FLOAT, SYNTAX, arity, check, eventually, info
from lib.resp import Double, Error

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")


def score(client, text):
    """A score as this protocol answers with it."""
    return Double(text.encode()) if client.resp == 3 else text.encode()


def pairs(client, *items):
    """Members with scores as this protocol answers with them: member, score, ..."""
    each = [[m.encode(), score(client, s)] for m, s in zip(items[::2], items[1::2])]
    return each if client.resp == 3 else [part for pair in each for part in pair]


def test_replies_of_both_protocols(both):
    def s(text):
        return score(both, text)

    check(both, ("ZADD z 1 a 2.5 b inf c", 3), ("ZADD z CH 2 a 3 d", 2), ("ZCARD z", 4),
          ("ZSCORE z b", s("2.5")), ("ZSCORE z x", None), ("ZMSCORE z c x", [s("inf"), None]),
          ("ZINCRBY z 0.1 a", s("2.1")), ("ZADD z INCR NX 1 a", None),
          ("ZRANK z b", 1), ("ZREVRANK z b WITHSCORE", [2, s("2.5")]), ("ZRANK z x", None),
          ("ZRANGE z 0 1", [b"a", b"b"]),
          ("ZRANGE z 0 1 WITHSCORES", pairs(both, "a", "2.1", "b", "2.5")),
          ("ZRANGE z (inf 0 BYSCORE REV LIMIT 0 1 WITHSCORES", pairs(both, "d", "3")),
          ("ZUNION 2 z none WITHSCORES WEIGHTS 2 1 AGGREGATE MAX",
           pairs(both, "a", "4.2", "b", "5", "d", "6", "c", "inf")),
          ("ZRANDMEMBER none -5 WITHSCORES", []), ("ZRANDMEMBER none", None),
          ("ZSCAN z 0 MATCH [ab]", [b"0", [b"a", b"2.1", b"b", b"2.5"]]),
          ("ZPOPMIN z", [b"a", s("2.1")]), ("ZPOPMAX z 1", pairs(both, "c", "inf")),
          ("ZMPOP 2 none z MIN", [b"z", [[b"b", s("2.5")]]]), ("ZMPOP 1 none MAX", None),
          ("BZPOPMAX none z 0", [b"z", b"d", s("3")]), ("EXISTS z", 0), ("ZPOPMIN z", []),
          ("ZADD z x a", NOT_FLOAT), ("ZADD z 1", arity("zadd")), ("ZADD z 1 a 2", SYNTAX),
          ("SET t x", "OK"), ("ZADD t 1 a", WRONG_TYPE), ("ZUNION 2 z t", WRONG_TYPE))


def test_algebra_over_keys_anywhere(c):
    keys = ["zset:%d" % i for i in range(12)]
    for i, key in enumerate(keys):
        assert c("ZADD", key, 1, "common", i, "x%d" % i) == 2
    assert c("SADD", "plain", "common", "x3") == 2
    assert c("ZINTER", 13, *keys, "plain", "WITHSCORES") == [b"common", b"13"]
    assert c("ZINTERCARD", 12, *keys) == 1
    assert c("ZUNIONSTORE", "dest", 13, "plain", *keys) == 13
    assert c("ZRANGE", "dest", -3, -1, "WITHSCORES") == \
        [b"x10", b"10", b"x11", b"11", b"common", b"13"]
    assert c("ZDIFFSTORE", "dest", 3, "dest", "plain", keys[5]) == 10
    assert c("ZRANGESTORE", keys[0], "dest", 0, 2) == 3
    assert c("ZRANGE", keys[0], 0, -1) == [b"x0", b"x1", b"x2"]
    assert c("ZINTERSTORE", "dest", 2, "dest", "none") == 0
    assert c("EXISTS", "dest") == 0


def test_thresholds_are_settings(c, config):
    def encoding(*words):
        c("DEL", "z")
        assert c("ZADD", "z", *words) == len(words) // 2
        return c("OBJECT", "ENCODING", "z")

    def numbered(count):
        return [word for i in range(count) for word in (i, "m%d" % i)]

    assert encoding(*numbered(128)) == b"listpack"
    assert encoding(*numbered(129)) == b"skiplist"
    assert encoding(1, "x" * 64) == b"listpack"
    assert encoding(1, "x" * 65) == b"skiplist"
    assert config("zset-max-listpack-entries", "3", "zset-max-listpack-value", "2") == "OK"
    assert encoding(*numbered(3)) == b"listpack"
    assert encoding(*numbered(4)) == b"skiplist"
    assert encoding(1, "abc") == b"skiplist"
    assert c("ZADD", "z", 1, "a", 1, "b") == 2
    assert c("ZREM", "z", "abc") == 1
    assert c("OBJECT", "ENCODING", "z") == b"skiplist"
    assert c("ZUNIONSTORE", "z", 1, "z") == 2
    assert c("OBJECT", "ENCODING", "z") == b"listpack"


def settled_memory(c):
    """used_memory, once what others left has been freed."""
    seen = [-1]

    def same():
        seen.append(int(info(c, "memory")["used_memory"]))
        return abs(seen[-1] - seen[-2]) < 10_000

    eventually(same, step=0.05)
    return seen[-1]


def test_a_large_one(c):
    rng = random.Random(7)
    scores = [rng.uniform(-1e6, 1e6) for _ in range(20000)]
    before = settled_memory(c)
    for start in range(0, len(scores), 500):
        words = [w for i in range(start, start + 500) for w in (repr(scores[i]), "member:%06d" % i)]
        assert c("ZADD", "big", *words) == 500
    used = int(info(c, "memory")["used_memory"]) - before
    assert abs(used - c("MEMORY", "USAGE", "big")) < 300_000
    assert used < 62 * len(scores)
    ordered = sorted(range(len(scores)), key=lambda i: scores[i])
    names = [b"member:%06d" % i for i in ordered]
    assert c("ZRANGE", "big", 0, -1) == names
    assert c("ZREVRANGE", "big", 5000, 5009) == names[::-1][5000:5010]
    for _ in range(200):
        low, high = sorted(rng.sample(range(len(names)), 2))
        bounds = (repr(scores[ordered[low]]), "(" + repr(scores[ordered[high]]))
        assert c("ZCOUNT", "big", *bounds) == high - low
        assert c("ZRANGEBYSCORE", "big", *bounds, "LIMIT", 0, 3) == names[low:min(low + 3, high)]
        assert c("ZRANK", "big", names[low]) == low
    assert c("ZREMRANGEBYRANK", "big", 1000, 18999) == 18000
    assert c("ZRANGE", "big", 0, -1) == names[:1000] + names[19000:]
    assert len(set(c("ZRANDMEMBER", "big", 1500))) == 1500
    assert c("UNLINK", "big") == 1
    eventually(lambda: int(info(c, "memory")["used_memory"]) - before < 300_000)


def test_random_members_differ_from_anywhere(c, connect):
    """Whatever shard the key and the client are on, chance is chance."""
    for i in range(8):
        assert c("ZADD", "r%d" % i, *[w for j in range(100) for w in (j, "m%d" % j)]) == 100
    for _ in range(4):
        client = connect()
        for i in range(8):
            drawn = {client("ZRANDMEMBER", "r%d" % i) for _ in range(40)}
            assert len(drawn) > 15
            for _ in range(40):
                client.send("ZRANDMEMBER", "r%d" % i)
            assert len({client.read() for _ in range(40)}) > 15
