# SPDX-License-Identifier: BSD-3-Clause
"""DEBUG's subcommands that look at keys: they see all shards at one moment and change nothing."""
import pytest

from lib.check import NO_KEY, arity, check
from lib.resp import Error

NOTHING = "0" * 40


def values(client, *keys):
    """DEBUG DIGEST-VALUE of the keys; each must look like a digest."""
    digests = client("DEBUG", "DIGEST-VALUE", *keys)
    assert all(len(d) == 40 and int(d, 16) >= 0 for d in digests)
    return digests


@pytest.mark.torc_only
def test_digest(c, start):
    other = start(shards=3)
    with other.client() as c2:
        check(c, ("DEBUG DIGEST", NOTHING))
        for client in (c, c2):
            for i in range(200):
                client("SET", "k%d" % i, "v%d" % i)
            client("PEXPIREAT", "k7", "4000000000000")
            client("SELECT", "3")
            client("SET", "k1", "x")
        assert c("DEBUG", "DIGEST") == c2("DEBUG", "DIGEST")
        seen = {c("DEBUG", "DIGEST")}
        for command in ("SET k1 y", "MOVE k1 4", "SELECT 0", "SET k2 V2", "PERSIST k7",
                        "RENAME k3 K"):
            c(*command.split())
            if not command.startswith("SELECT"):
                seen.add(c("DEBUG", "DIGEST"))
        assert len(seen) == 6
        check(c, ("FLUSHALL", "OK"), ("DEBUG DIGEST", NOTHING))


@pytest.mark.torc_only
def test_digest_value(both):
    both("MSET", "a", "1", "b", "1", "c", "2", "a2", "01")
    a, b, c, a2, none = values(both, "a", "b", "c", "a2", "none")
    assert a == b and none == NOTHING and len({a, c, a2, none}) == 4
    both("EXPIRE", "b", "100")
    assert values(both, "b")[0] != a
    both("RENAME", "a", "z")
    assert values(both, "z", "a", "z") == [a, NOTHING, a]
    check(both, ("DEBUG DIGEST-VALUE", []))


@pytest.mark.torc_only
def test_tables(both):
    both("MSET", *[word for i in range(100) for word in ("k%d" % i, "v")])
    text = both("DEBUG", "HTSTATS", "0").decode()
    entries = [int(line.split()[1]) for line in text.splitlines() if line.startswith(" entries:")]
    assert sum(entries) == 100
    check(both, ("DEBUG HTSTATS 16", Error("ERR Out of range database")),
          ("DEBUG HTSTATS x", Error("ERR value is not an integer or out of range")),
          ("DEBUG HTSTATS-KEY none", NO_KEY),
          ("DEBUG HTSTATS-KEY k1", Error("ERR The value stored at the specified key is not "
                                         "represented using an hash table")))


@pytest.mark.torc_only
def test_values(both):
    both("RPUSH", "l", "12", "abc", "")
    assert both("DEBUG", "LISTPACK", "l") == \
        b"16 bytes, 3 elements\n0: integer 12\n1: 3 bytes abc\n2: 0 bytes \n"
    check(both, ("DEBUG LISTPACK none", NO_KEY), ("SET s x", "OK"),
          ("DEBUG LISTPACK s", Error("ERR Not a listpack encoded object.")))
    assert "encoding:listpack serializedlength:" in both("DEBUG", "OBJECT", "l")
    both("RPUSH", "q", *["x" * 100] * 300)
    text = both("DEBUG", "OBJECT", "q")
    assert "encoding:quicklist" in text and " ql_nodes:4 ql_avg_node:75.00 " in text
    both("SADD", "t", *["m%d" % i for i in range(200)])
    assert b"elements: 200" in both("DEBUG", "HTSTATS-KEY", "t")
    copies = []
    for key, add in (("l", "RPUSH"), ("s2", "SADD"), ("h", "HSET"), ("z", "ZADD"), ("x", "XADD")):
        words = {"HSET": "f v", "ZADD": "1 m", "XADD": "1-1 f v"}.get(add, "a b")
        both(add, key, *words.split())
        both("COPY", key, key + "copy")
        one, two = values(both, key, key + "copy")
        assert one == two != NOTHING
        copies.append(one)
        both(add, key + "copy", *{"ZADD": "2 m", "HSET": "g w", "XADD": "1-2 f v"}.get(
            add, "c").split())
        assert values(both, key)[0] == one != values(both, key + "copy")[0]
    assert len(set(copies)) == len(copies)


@pytest.mark.torc_only
def test_refusals(c):
    check(c, ("DEBUG", arity("debug")), ("DEBUG STRINGMATCH-LEN a*c abbc", 1),
          ("DEBUG STRINGMATCH-LEN a*c abbd", 0), ("DEBUG QUICKLIST-PACKED-THRESHOLD 100b", "OK"),
          ("DEBUG QUICKLIST-PACKED-THRESHOLD 1gb", "OK"))
    assert "Unknown subcommand" in c("DEBUG", "OBJECT") or "unknown" in c("DEBUG", "OBJECT")
    check(c, ("MULTI", "OK"), ("DEBUG DIGEST", "QUEUED"), ("DEBUG OBJECT a", "QUEUED"),
          ("EXEC", [Error("ERR DEBUG on keys is not allowed inside MULTI")] * 2))


@pytest.mark.torc_only
def test_plain_nodes(c):
    check(c, ("CONFIG SET list-max-listpack-size 3", "OK"))
    for size, nodes in (("20b", 3), ("0", 2)):
        c("DEL", "p")
        check(c, ("DEBUG QUICKLIST-PACKED-THRESHOLD " + size, "OK"),
              ("RPUSH p a b %s c" % ("x" * 20), 4), ("LINDEX p 2", b"x" * 20))
        assert " ql_nodes:%d " % nodes in c("DEBUG", "OBJECT", "p")
    check(c, ("CONFIG SET list-max-listpack-size -2", "OK"),
          ("DEBUG QUICKLIST-PACKED-THRESHOLD 5gb",
           Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")))
