# SPDX-License-Identifier: BSD-3-Clause
"""Hashes over real connections: shapes in both protocols, thresholds that are settings, fields that
expire and are removed, hashes that are large, and a hash that several connections change."""
import time

import pytest

from lib.check import arity, check, eventually, info
from lib.resp import Error

pytestmark = pytest.mark.few

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")


def pairs(reply):
    """HGETALL's reply as a dictionary, in either protocol."""
    if isinstance(reply, dict):
        return reply
    assert len(reply) % 2 == 0
    return dict(zip(reply[::2], reply[1::2]))


def test_replies_of_both_protocols(both):
    check(both, ("HSET h a 1 b two", 2), ("HGET h a", b"1"), ("HGET h x", None),
          ("HMGET h b x", [b"two", None]), ("HLEN h", 2), ("HEXISTS h a", 1), ("HSTRLEN h b", 3),
          ("HKEYS h", [b"a", b"b"]), ("HVALS h", [b"1", b"two"]), ("HSETNX h a 2", 0),
          ("HINCRBY h a 41", 42), ("HINCRBYFLOAT h a 0.5", b"42.5"), ("HMSET h c 3", "OK"),
          ("HSCAN h 0 MATCH c", [b"0", [b"c", b"3"]]), ("HSCAN h 0 MATCH c NOVALUES",
                                                        [b"0", [b"c"]]),
          ("HDEL h b x c", 2), ("HRANDFIELD h", b"a"), ("HRANDFIELD h -2", [b"a", b"a"]),
          ("HSET h x", arity("hset")), ("SET s x", "OK"), ("HGET s x", WRONG_TYPE))
    reply = both("HGETALL", "h")
    assert isinstance(reply, dict if both.resp == 3 else list)
    assert pairs(reply) == {b"a": b"42.5"}
    expected = [[b"a", b"42.5"]] if both.resp == 3 else [b"a", b"42.5"]
    assert both("HRANDFIELD", "h", 1, "WITHVALUES") == expected
    assert not both("HGETALL", "none")


def test_thresholds_are_settings(c):
    assert c("CONFIG", "GET", "hash-max-listpack-entries")[1] == b"512"
    for name, value in (("hash-max-listpack-entries", "3"), ("hash-max-listpack-value", "5")):
        assert c("CONFIG", "SET", name, value) == "OK"
    try:
        check(c, ("HSET a 1 1 2 2 3 3", 3), ("OBJECT ENCODING a", b"listpack"),
              ("HEXPIRE a 100 FIELDS 1 2", [1]), ("OBJECT ENCODING a", b"listpackex"),
              ("HSET a 4 4", 1), ("OBJECT ENCODING a", b"hashtable"),
              ("HTTL a FIELDS 2 1 2", [-1, 100]), ("HSET b 1 54321", 1),
              ("OBJECT ENCODING b", b"listpack"), ("HSET b 1 654321", 0),
              ("OBJECT ENCODING b", b"hashtable"), ("HGETALL b", [b"1", b"654321"]))
    finally:
        c("CONFIG", "SET", "hash-max-listpack-entries", "512")
        c("CONFIG", "SET", "hash-max-listpack-value", "64")


@pytest.mark.torc_only
def test_fields_expire(c):
    before = int(info(c, "stats")["expired_subkeys"])
    for i in range(20):
        assert c("HSET", "h%d" % i, "stays", 1, "goes", 2, "later", 3) == 3
        assert c("HPEXPIRE", "h%d" % i, 50, "FIELDS", 1, "goes") == [1]
        assert c("HEXPIRE", "h%d" % i, 1000, "FIELDS", 1, "later") == [1]
    assert c("HSETEX", "all", "PX", 50, "FIELDS", 2, "a", 1, "b", 2) == 1
    assert c("SET", "string", 1, "EX", 1000) == "OK"
    assert "expires=1," in info(c, "keyspace")["db0"]
    time.sleep(0.06)
    for i in range(20):
        assert pairs(c("HGETALL", "h%d" % i)) == {b"stays": b"1", b"later": b"3"}
        assert c("HGET", "h%d" % i, "goes") is None
    assert not c("HGETALL", "all")
    eventually(lambda: all(c("HLEN", "h%d" % i) == 2 for i in range(20)))
    eventually(lambda: c("EXISTS", "all") == 0)
    assert int(info(c, "stats")["expired_subkeys"]) - before == 22
    check(c, ("HTTL h3 FIELDS 3 stays goes later", [-1, -2, 1000]),
          ("HGETEX h3 PERSIST FIELDS 1 later", [b"3"]), ("HTTL h3 FIELDS 1 later", [-1]),
          ("HGETDEL h3 FIELDS 2 later stays", [b"3", b"1"]), ("EXISTS h3", 0))


@pytest.mark.torc_only
def test_a_large_hash_whose_fields_expire(c):
    count = 30000
    for start in range(0, count, 500):
        words = [w for i in range(start, start + 500) for w in ("field:%d" % i, i)]
        assert c("HSETEX", "big", "PX", 1500, "FIELDS", 500, *words) == 1
        assert c("HSET", "big", *[w for i in range(500) for w in ("s%d" % (start + i), i)]) == 500
    assert c("HLEN", "big") == 2 * count
    seen, cursor = set(), b"0"
    while True:
        cursor, found = c("HSCAN", "big", cursor, "MATCH", "s*", "COUNT", 1000, "NOVALUES")
        seen.update(found)
        if cursor == b"0":
            break
    assert len(seen) == count
    eventually(lambda: c("HLEN", "big") == count, seconds=20)
    assert c("HGET", "big", "field:7") is None
    assert c("HGET", "big", "s7") == b"7"
    assert len(c("HRANDFIELD", "big", 1000)) == 1000


def test_increments_of_several_connections(c, connect):
    connections = [connect() for _ in range(4)]
    for _ in range(50):
        for other in connections:
            other.send("HINCRBY", "counters", "a", 1)
            other.send("HINCRBYFLOAT", "counters", "b", "0.5")
        for other in connections:
            other.read()
            other.read()
    assert c("HMGET", "counters", "a", "b") == [b"200", b"100"]


@pytest.mark.torc_only
def test_watched_hash_whose_field_expires(c, connect):
    other = connect()
    assert other("HSETEX", "h", "PX", 30, "FIELDS", 1, "a", 1) == 1
    assert other("HSET", "h", "b", 2) == 1
    assert c("WATCH", "h") == "OK"
    eventually(lambda: other("HLEN", "h") == 1)
    assert c("MULTI") == "OK"
    assert c("HGET", "h", "b") == "QUEUED"
    assert c("EXEC") is None
