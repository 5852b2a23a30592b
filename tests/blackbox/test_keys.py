# SPDX-License-Identifier: BSD-3-Clause
"""Generic key commands, databases and SCAN, on keys of any shard."""
import time

import pytest

from lib.check import NO_KEY, NOT_INTEGER, SYNTAX, arity, check
from lib.resp import Error

DB_RANGE = Error("ERR DB index is out of range")
SAME_OBJECTS = Error("ERR source and destination objects are the same")
INVALID_CURSOR = Error("ERR invalid cursor")


def scan_all(client, *options):
    """All keys of a full iteration, duplicates included."""
    cursor, keys = b"0", []
    for _ in range(100000):
        cursor, found = client("SCAN", cursor, *options)
        keys += found
        if cursor == b"0":
            return keys
    raise AssertionError("SCAN does not end")


def test_del_unlink_exists_touch(both):
    names = ["k%d" % i for i in range(20)]
    assert both("MSET", *[x for name in names for x in (name, "v")]) == "OK"
    check(both, (["EXISTS"] + names, 20), ("EXISTS k1 k1 none", 2),
          (["TOUCH"] + names + ["none"], 20),
          (["DEL"] + names[:10] + ["none", "k0"], 10), ("DBSIZE", 10), (["UNLINK"] + names, 10),
          ("DBSIZE", 0),
          ("DEL", arity("del")), ("EXISTS", arity("exists")), ("TYPE none", "none"),
          ("SET a 1", "OK"),
          ("TYPE a", "string"))


@pytest.mark.parametrize("pattern, expected", [
    ("*", "a aa ab b1 b2 b[ c*d"), ("a*", "a aa ab"), ("?", "a"), ("b[12]", "b1 b2"),
    ("b[^1]", "b2 b["),
    ("b[0-9]", "b1 b2"), ("c\\*d", "c*d"), ("*[b]", "ab"), ("b\\[", "b["), ("zzz", ""), ("a", "a"),
    ("**", "a aa ab b1 b2 b[ c*d"),
    ("[a-c]?", "aa ab b1 b2 b["), ("[c-a]?", "aa ab b1 b2 b["), ("b[1", "b1"), ("", "")])
def test_keys_patterns(c, pattern, expected):
    for name in ("a", "aa", "ab", "b1", "b2", "b[", "c*d"):
        c("SET", name, "1")
    expected = sorted(x.encode() for x in expected.split())
    assert sorted(c("KEYS", pattern)) == expected
    assert sorted(scan_all(c, "MATCH", pattern)) == expected


def test_randomkey(c):
    check(c, ("RANDOMKEY", None), ("MSET a 1 b 1 c 1 d 1", "OK"))
    assert {c("RANDOMKEY") for _ in range(400)} == {b"a", b"b", b"c", b"d"}


def test_rename(both):
    check(both, ("RENAME none a", NO_KEY), ("RENAMENX none a", NO_KEY),
          ("RENAME none none", NO_KEY))
    for i in range(30):
        source, target = "s%d" % i, "t%d" % (i * 7)
        check(both, (["SET", source, i, "EXAT", "33177117420"], "OK"),
              (["SET", target, "old", "EX", 5], "OK"),
              (["RENAMENX", source, target], 0), (["RENAME", source, target], "OK"),
              (["EXISTS", source], 0),
              (["GET", target], b"%d" % i), (["EXPIRETIME", target], 33177117420),
              (["RENAMENX", target, source], 1), (["RENAME", source, source], "OK"),
              (["RENAMENX", source, source], 0), (["EXPIRETIME", source], 33177117420))
    assert both("DBSIZE") == 30


def test_copy(both):
    check(both, ("COPY none a", 0), ("SET a 1 EXAT 33177117420", "OK"))
    for i in range(30):
        target = "t%d" % i
        check(both, (["COPY", "a", target], 1), (["GET", target], b"1"),
              (["EXPIRETIME", target], 33177117420),
              (["COPY", "a", target], 0), (["SET", target, "x"], "OK"),
              (["COPY", "a", target, "REPLACE"], 1),
              (["GET", target], b"1"), (["APPEND", target, "2"], 2), ("GET a", b"1"))
    check(both, ("COPY a a", SAME_OBJECTS), ("COPY a a DB 1", 1), ("COPY a b DB 1 REPLACE", 1),
          ("COPY a b DB 16", DB_RANGE), ("COPY a b DB -1", DB_RANGE),
          ("COPY a b DB x", NOT_INTEGER),
          ("COPY a b BOGUS", SYNTAX), ("COPY a b DB", SYNTAX), ("COPY a b DB 1 DB 2 REPLACE", 1),
          ("SELECT 1", "OK"), ("GET b", b"1"), ("DBSIZE", 2), ("SELECT 2", "OK"), ("DBSIZE", 1))


def test_move(both):
    check(both, ("MOVE none 1", 0), ("SET a 1 EXAT 33177117420", "OK"), ("MOVE a 1", 1),
          ("EXISTS a", 0),
          ("SELECT 1", "OK"), ("GET a", b"1"), ("EXPIRETIME a", 33177117420),
          ("MOVE a 1", SAME_OBJECTS),
          ("MOVE a 16", DB_RANGE), ("MOVE a -1", DB_RANGE),
          ("MOVE a x", NOT_INTEGER), ("SELECT 0", "OK"), ("SET a 2", "OK"), ("MOVE a 1", 0),
          ("GET a", b"2"))


def test_select_and_swapdb(both, connect):
    other = connect()
    check(other, ("SELECT 1", "OK"), ("SET only1 x", "OK"))
    check(both, ("SET only0 x", "OK"), ("SELECT 15", "OK"), ("DBSIZE", 0), ("SELECT 16", DB_RANGE),
          ("SELECT -1", DB_RANGE), ("SELECT x", NOT_INTEGER), ("SELECT 0", "OK"),
          ("SWAPDB 0 1", "OK"), ("GET only1", b"x"), ("EXISTS only0", 0), ("SWAPDB 0 0", "OK"),
          ("SWAPDB 0 16", DB_RANGE), ("SWAPDB x 1", Error("ERR invalid first DB index")),
          ("SWAPDB 0 x", Error("ERR invalid second DB index")))
    check(other, ("GET only0", b"x"), ("EXISTS only1", 0))


def test_swapdb_of_many_keys(c):
    c("MSET", *[x for i in range(2000) for x in ("k%d" % i, i)])
    check(c, ("SWAPDB 0 5", "OK"), ("DBSIZE", 0), ("SELECT 5", "OK"), ("DBSIZE", 2000))
    assert c("MGET", *["k%d" % i for i in range(2000)]) == [b"%d" % i for i in range(2000)]


def test_flush(both):
    for words in ([], ["ASYNC"], ["SYNC"], ["async"]):
        both("SELECT", "3")
        both("SET", "c", "1")
        both("SELECT", "0")
        both("MSET", *[x for i in range(100) for x in ("k%d" % i, i)])
        check(both, (["FLUSHDB"] + words, "OK"), ("DBSIZE", 0), ("SELECT 3", "OK"), ("DBSIZE", 1),
              ("SELECT 0", "OK"), ("SET a 1", "OK"), (["FLUSHALL"] + words, "OK"), ("DBSIZE", 0),
              ("SELECT 3", "OK"), ("DBSIZE", 0))
    check(both, ("FLUSHALL BOGUS", SYNTAX), ("FLUSHDB ASYNC SYNC", SYNTAX))


def test_object(both):
    check(both, ("OBJECT ENCODING none", None), ("OBJECT REFCOUNT none", None),
          ("OBJECT IDLETIME none", None),
          ("OBJECT FREQ none", None), ("SET a abc", "OK"), ("OBJECT REFCOUNT a", 1),
          ("OBJECT IDLETIME a", 0),
          ("OBJECT FREQ a",
           Error("ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                                  "Please note that when switching between policies at "
                                  "runtime LRU and LFU data "
                                  "will take some time to adjust.")))
    text = both("OBJECT", "HELP")
    assert text[0] == "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert "HELP" in text and all(isinstance(line, str) for line in text)


def test_scan_returns_everything(c):
    expected = {b"key:%d" % i for i in range(3000)}
    c("MSET", *[x for name in expected for x in (name, "1")])
    for options in ([], ["COUNT", "1"], ["COUNT", "100"], ["COUNT", "100000"], ["TYPE", "string"],
                    ["MATCH", "key:*", "COUNT", "50"]):
        assert set(scan_all(c, *options)) == expected
    assert scan_all(c, "TYPE", "list") == []
    assert set(scan_all(c, "MATCH", "key:1?", "COUNT", "500")) == {b"key:%d" % i for i in range(10,
                                                                                                20)}


def test_scan_on_empty_and_cursors_are_strings(both):
    assert scan_all(both) == []
    both("SET", "a", "1")
    assert scan_all(both) == [b"a"]
    assert isinstance(both("SCAN", "0")[0], bytes)


def test_scan_skips_expired_keys(c):
    c("MSET", *[x for i in range(50) for x in ("keep%d" % i, "1")])
    c.pipeline([("SET", "gone%d" % i, "1", "PX", "1") for i in range(50)])
    time.sleep(0.01)
    assert set(scan_all(c)) == {b"keep%d" % i for i in range(50)}


def test_scan_errors(c):
    check(c, ("SCAN x", INVALID_CURSOR), ("SCAN 1.5", INVALID_CURSOR), ("SCAN 0 COUNT 0", SYNTAX),
          ("SCAN 0 COUNT -1", SYNTAX), ("SCAN 0 COUNT x", NOT_INTEGER), ("SCAN 0 MATCH", SYNTAX),
          ("SCAN 0 BOGUS", SYNTAX), ("SCAN 0 BOGUS x", SYNTAX), ("SCAN", arity("scan")))


def test_scan_while_the_table_grows_and_shrinks(c):
    stable = {b"stable:%d" % i for i in range(500)}
    c("MSET", *[x for name in stable for x in (name, "1")])
    seen, cursor, round_number = set(), b"0", 0
    while True:
        cursor, found = c("SCAN", cursor, "COUNT", "10")
        seen.update(found)
        if cursor == b"0":
            break
        round_number += 1
        names = ["extra:%d:%d" % (round_number // 20, i) for i in range(400)]
        if round_number % 40 == 1:
            c("MSET", *[x for name in names for x in (name, "1")])
        elif round_number % 40 == 21:
            c("DEL", *["extra:%d:%d" % (round_number // 20 - 1, i) for i in range(400)])
        assert round_number < 10000
    assert stable <= seen


def test_databases_are_apart(c, connect):
    other = connect()
    other("SELECT", "1")
    check(c, ("SET k zero", "OK"))
    check(other, ("GET k", None), ("SET k one", "OK"))
    check(c, ("GET k", b"zero"), ("DEL k", 1))
    check(other, ("GET k", b"one"))


def test_hash_tags(c):
    names = ["{user}:%d" % i for i in range(50)]
    check(c, (["MSET"] + [x for name in names for x in (name, "1")], "OK"),
          (["EXISTS"] + names, 50),
          ("RENAME {user}:0 {other}:0", "OK"), (["DEL"] + names, 49), ("DBSIZE", 1))
