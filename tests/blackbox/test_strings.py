# SPDX-License-Identifier: BSD-3-Clause
"""String commands: every option, edge and error text."""
import pytest

from lib.check import NOT_FLOAT, NOT_INTEGER, SYNTAX, arity, check
from lib.resp import Error

MAX = "9223372036854775807"
MIN = "-9223372036854775808"
OVERFLOW = Error("ERR increment or decrement would overflow")


def invalid_expire(name):
    return Error("ERR invalid expire time in '%s' command" % name)


def test_set_and_get(both):
    check(both, ("GET a", None), ("SET a 1", "OK"), ("GET a", b"1"), (["SET", "a", ""], "OK"),
          ("GET a", b""), (["SET", b"\x00\xff", b"\r\n\x00"], "OK"),
          (["GET", b"\x00\xff"], b"\r\n\x00"),
          (["SET", "", "empty key"], "OK"), (["GET", ""], b"empty key"))


def test_set_conditions(both):
    check(both, ("SET a 1 XX", None), ("SET a 1 NX", "OK"), ("SET a 2 nx", None),
          ("SET a 3 xx", "OK"),
          ("GET a", b"3"), ("SET a 4 GET", b"3"), ("SET b 1 GET", None), ("GET b", b"1"),
          ("SET a 5 NX GET", b"4"), ("GET a", b"4"), ("SET new 5 NX GET", None), ("GET new", b"5"),
          ("SET none 5 XX GET", None), ("EXISTS none", 0), ("SET a 6 XX GET", b"4"),
          ("GET a", b"6"))


@pytest.mark.parametrize("options, ttl", [
    ("EX 100", 100), ("PX 100000", 100), ("ex 100 nx", 100), ("XX", None), ("px 100000 GET", 100)])
def test_set_expiry(c, options, ttl):
    reply = c("SET", "a", "1", *options.split())
    if ttl is None:
        assert reply is None
    else:
        assert reply == (None if "GET" in options else "OK")
        assert ttl - 1 <= c("TTL", "a") <= ttl


def test_set_absolute_expiry_and_keepttl(c):
    check(c, ("SET a 1 EXAT 33177117420", "OK"), ("EXPIRETIME a", 33177117420),
          ("SET a 2 KEEPTTL", "OK"),
          ("EXPIRETIME a", 33177117420), ("SET a 3 PXAT 33177117420123", "OK"),
          ("PEXPIRETIME a", 33177117420123), ("SET a 4", "OK"), ("TTL a", -1),
          ("SET b 1 PXAT 1", "OK"), ("GET b", None), ("EXISTS b", 0))


@pytest.mark.parametrize("options, error", [
    ("NX XX", SYNTAX), ("EX", SYNTAX), ("EX 10 PX 10", SYNTAX), ("EX 10 KEEPTTL", SYNTAX),
    ("BOGUS", SYNTAX),
    ("PERSIST", SYNTAX), ("EX abc", NOT_INTEGER), ("EX 1.5", NOT_INTEGER),
    ("EX 0", invalid_expire("set")),
    ("EX -1", invalid_expire("set")), ("PX 0", invalid_expire("set")),
    ("EXAT -5", invalid_expire("set")),
    ("EX 9223372036854775807", invalid_expire("set")), ("PX 9223372036854775807",
                                                        invalid_expire("set")),
    ("EXAT 9223372036854775807", invalid_expire("set")), ("EX 9223372036854776",
                                                          invalid_expire("set")),
    ("NX EX", SYNTAX), ("KEEPTTL EX 5", SYNTAX), ("KEEPTTL KEEPTTL BOGUS", SYNTAX),
])
def test_set_errors(c, options, error):
    check(c, ("SET a old", "OK"), ("SET a 1 " + options, error), ("GET a", b"old"))


def test_set_drops_expiry(c):
    check(c, ("SET a 1 EX 100", "OK"), ("APPEND a 2", 2))
    assert c("TTL", "a") > 90
    check(c, ("INCR a", 13))
    assert c("TTL", "a") > 90
    check(c, ("SETRANGE a 0 9", 2), ("GETSET a 5", b"93"), ("TTL a", -1), ("MSET a 1", "OK"))


def test_setnx_setex_psetex(c):
    check(c, ("SETNX a 1", 1), ("SETNX a 2", 0), ("GET a", b"1"), ("SETEX a 100 5", "OK"),
          ("GET a", b"5"))
    assert 99 <= c("TTL", "a") <= 100
    check(c, ("PSETEX a 100000 6", "OK"), ("GET a", b"6"))
    assert 99000 <= c("PTTL", "a") <= 100000
    check(c, ("SETEX a 0 x", invalid_expire("setex")), ("SETEX a -1 x", invalid_expire("setex")),
          ("PSETEX a 0 x", invalid_expire("psetex")), ("SETEX a x x", NOT_INTEGER),
          ("SETEX a 9223372036854775 x", invalid_expire("setex")),
          ("SETEX a 10", arity("setex")), ("GET a", b"6"))


def test_getset_getdel(both):
    check(both, ("GETSET a 1", None), ("GETSET a 2", b"1"), ("GETDEL a", b"2"), ("GETDEL a", None),
          ("EXISTS a", 0), ("GETDEL", arity("getdel")))


def test_getex(c):
    check(c, ("GETEX a", None), ("SET a 1", "OK"), ("GETEX a EX 100", b"1"))
    assert 99 <= c("TTL", "a") <= 100
    check(c, ("GETEX a PERSIST", b"1"), ("TTL a", -1), ("GETEX a PXAT 33177117420123", b"1"),
          ("PEXPIRETIME a", 33177117420123), ("GETEX a", b"1"), ("PEXPIRETIME a", 33177117420123),
          ("GETEX a EXAT 33177117420", b"1"), ("EXPIRETIME a", 33177117420),
          ("GETEX a EX 0", invalid_expire("getex")), ("GETEX a EX x", NOT_INTEGER),
          ("GETEX a BOGUS", SYNTAX), ("GETEX a EX 5 PERSIST", SYNTAX), ("GETEX a KEEPTTL", SYNTAX),
          ("GETEX a NX", SYNTAX), ("GETEX a EX", SYNTAX), ("GETEX none EX 0", None),
          ("GETEX a EXAT 1", b"1"), ("EXISTS a", 0))


def test_mset_mget(both):
    check(both, ("MSET a 1 b 2 c 3 a 4", "OK"), ("MGET a b c d", [b"4", b"2", b"3", None]),
          ("MSET a", arity("mset")), ("MSET a 1 b", arity("mset")), ("MGET", arity("mget")),
          ("MSETNX d 1 e 2", 1), ("MSETNX e 3 f 4", 0), ("EXISTS f", 0), ("MGET d e", [b"1", b"2"]),
          ("MSETNX f 1 g", arity("msetnx")), ("MSETNX h 1 h 2", 1), ("GET h", b"2"),
          ("MGET a a", [b"4", b"4"]))


def test_mset_over_many_keys(c):
    pairs = []
    for i in range(1000):
        pairs += ["k%d" % i, i]
    assert c("MSET", *pairs) == "OK"
    assert c("MGET", *pairs[::2]) == [b"%d" % i for i in range(1000)]
    assert c("MSETNX", "new", 1, "k500", 1) == 0
    assert c("DBSIZE") == 1000


def test_append_strlen(both):
    check(both, ("STRLEN a", 0), ("APPEND a hello", 5), (["APPEND", "a", " world"], 11),
          (["APPEND", "a", ""], 11), ("GET a", b"hello world"), ("STRLEN a", 11),
          ("SET n 12", "OK"),
          ("APPEND n 3", 3), ("INCR n", 124), ("STRLEN n", 3), (["APPEND", "e", ""], 0),
          ("EXISTS e", 1))


@pytest.mark.parametrize("start, end, expected", [
    (0, 3, b"Hell"), (0, -1, b"Hello World"), (-4, -1, b"orld"), (5, 3, b""),
    (0, 5000, b"Hello World"),
    (-5000, 10000, b"Hello World"), (0, -5000, b"H"), (-1, -100, b""), (11, 20, b""),
    (10, 20, b"d"),
    (-100, -50, b"H"), (int(MIN), int(MAX), b"Hello World")])
def test_getrange(c, start, end, expected):
    c("SET", "a", "Hello World")
    assert c("GETRANGE", "a", start, end) == expected
    assert c("SUBSTR", "a", start, end) == expected


def test_getrange_edges(c):
    check(c, ("GETRANGE none 0 -1", b""), ("SET n 12345", "OK"), ("GETRANGE n 1 2", b"23"),
          ("GETRANGE n x 2", NOT_INTEGER), ("GETRANGE none x y", NOT_INTEGER),
          ("GETRANGE n 0", arity("getrange")))


def test_setrange(c):
    check(c, (["SETRANGE", "a", 0, ""], 0), ("EXISTS a", 0), ("SETRANGE a 3 xy", 5),
          ("GET a", b"\0\0\0xy"),
          ("SETRANGE a 0 abc", 5), ("GET a", b"abcxy"), (["SETRANGE", "a", 100, ""], 5),
          ("SET n 1234", "OK"), ("SETRANGE n 1 99", 4), ("GET n", b"1994"), ("INCR n", 1995),
          ("SETRANGE a -1 x", Error("ERR offset is out of range")), ("SETRANGE a x x", NOT_INTEGER))


def test_incr_family(both):
    check(both, ("INCR a", 1), ("INCRBY a 41", 42), ("DECR a", 41), ("DECRBY a 1", 40),
          ("GET a", b"40"),
          ("INCRBY a -50", -10), ("DECRBY a -20", 10), ("SET s abc", "OK"), ("INCR s", NOT_INTEGER),
          ("INCRBY a x", NOT_INTEGER), (["INCRBY", "a", "1 "], NOT_INTEGER),
          ("INCRBY a 1.5", NOT_INTEGER),
          (["INCRBY", "a", ""], NOT_INTEGER), (["SET", "s", " 1"], "OK"), ("INCR s", NOT_INTEGER),
          ("SET s 01", "OK"), ("INCR s", NOT_INTEGER), ("SET s +1", "OK"), ("INCR s", NOT_INTEGER),
          ("SET s -0", "OK"), ("INCR s", NOT_INTEGER))


def test_incr_overflow(c):
    check(c, ("SET a " + MAX, "OK"), ("INCR a", OVERFLOW), ("GET a", MAX.encode()),
          ("DECR a", int(MAX) - 1),
          ("SET a " + MIN, "OK"), ("DECR a", OVERFLOW), ("INCRBY a " + MIN, OVERFLOW),
          ("DECRBY a " + MIN, Error("ERR decrement would overflow")), ("INCRBY a " + MAX, -1),
          ("SET a 9223372036854775808", "OK"), ("INCR a", NOT_INTEGER),
          ("INCRBY a 9223372036854775808", NOT_INTEGER))


@pytest.mark.parametrize("value, increment, expected", [
    ("1", "0.25", b"1.25"), ("1.5", "1.5", b"3"), ("3.0e3", "200", b"3200"),
    ("5.0e3", "2.0e2", b"5200"),
    ("10.50", "0.1", b"10.6"), ("1", "-1.1", b"-0.1"), ("0", "1e17", b"100000000000000000"),
    ("17179869184", "1.5", b"17179869185.5"), ("1", "1e-10", b"1.0000000001")])
def test_incrbyfloat(c, value, increment, expected):
    c("SET", "a", value)
    assert c("INCRBYFLOAT", "a", increment) == expected
    assert c("GET", "a") == expected


def test_incrbyfloat_errors(both):
    check(both, ("INCRBYFLOAT none 1.5", b"1.5"), ("SET a abc", "OK"),
          ("INCRBYFLOAT a 1", NOT_FLOAT),
          ("SET a 1", "OK"), ("INCRBYFLOAT a abc", NOT_FLOAT),
          (["INCRBYFLOAT", "a", ""], NOT_FLOAT),
          (["INCRBYFLOAT", "a", " 1"], NOT_FLOAT), (["SET", "b", "1 "], "OK"),
          ("INCRBYFLOAT b 1", NOT_FLOAT),
          ("INCRBYFLOAT a nan", NOT_FLOAT), ("INCRBYFLOAT a inf",
                                             Error("ERR increment would produce NaN or Infinity")),
          ("GET a", b"1"))


def test_lcs(c):
    c("MSET", "a", "ohmytext", "b", "mynewtext")
    check(c, ("LCS a b", b"mytext"), ("LCS a b LEN", 6), ("LCS none b", b""), ("LCS none b LEN", 0),
          ("LCS a b IDX", [b"matches", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len", 6]),
          ("LCS a b IDX MINMATCHLEN 4", [b"matches", [[[4, 7], [5, 8]]], b"len", 6]),
          ("LCS a b idx minmatchlen 4 withmatchlen", [b"matches", [[[4, 7], [5, 8], 4]], b"len",
                                                      6]),
          ("LCS a b IDX LEN",
           Error("ERR If you want both the length and indexes, please just use IDX.")),
          ("LCS a b BOGUS", SYNTAX), ("LCS a b MINMATCHLEN", SYNTAX),
          ("LCS a b MINMATCHLEN x", NOT_INTEGER),
          ("LCS none none IDX", [b"matches", [], b"len", 0]), ("LCS a", arity("lcs")))


def test_lcs_resp3(c3):
    c3("MSET", "a", "ohmytext", "b", "mynewtext")
    check(c3, ("LCS a b IDX", {b"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len": 6}))


@pytest.mark.parametrize("value, encoding", [
    ("1", b"int"), (MAX, b"int"), (MIN, b"int"), ("9223372036854775808", b"embstr"),
    ("01", b"embstr"),
    ("", b"embstr"), ("x" * 44, b"embstr"), ("x" * 45, b"raw"), ("1.5", b"embstr"),
    ("1" * 21, b"embstr")])
def test_encodings(c, value, encoding):
    c("SET", "a", value)
    assert c("OBJECT", "ENCODING", "a") == encoding


def test_encodings_after_changes(c):
    check(c, ("SET a 1", "OK"), ("APPEND a 2", 2), ("OBJECT ENCODING a", b"raw"), ("INCR a", 13),
          ("OBJECT ENCODING a", b"int"), ("INCRBYFLOAT a 0.5", b"13.5"),
          ("OBJECT ENCODING a", b"embstr"),
          ("SETRANGE a 0 9", 4), ("OBJECT ENCODING a", b"raw"), ("SETBIT a 0 0", 0),
          ("GETSET a 5", b"93.5"),
          ("OBJECT ENCODING a", b"int"), ("COPY a b", 1), ("OBJECT ENCODING b", b"int"))


def test_values_survive_growth(c):
    commands = [("SET", "key:%d" % i, "v%d" % i * (1 + i % 30)) for i in range(20000)]
    assert set(c.pipeline(commands)) == {"OK"}
    replies = c.pipeline([("GET", "key:%d" % i) for i in range(20000)])
    assert replies == [b"v%d" % i * (1 + i % 30) for i in range(20000)]
    assert c("DBSIZE") == 20000
    assert c.pipeline([("DEL", "key:%d" % i) for i in range(0, 20000, 2)]) == [1] * 10000
    replies = c.pipeline([("EXISTS", "key:%d" % i) for i in range(20000)])
    assert replies == [0, 1] * 10000
