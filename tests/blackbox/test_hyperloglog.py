# SPDX-License-Identifier: BSD-3-Clause
"""HyperLogLog over real sockets: keys on any shard, values that clients set, transactions."""
import pytest

from lib.check import arity, check
from lib.resp import Error

NOT_ONE = Error("WRONGTYPE Key is not a valid HyperLogLog string value.")
CORRUPT = Error("INVALIDOBJ Corrupted HLL object detected")
EMPTY = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff"


def test_adding_and_counting(both):
    check(both, ("PFADD k", 1), ("PFADD k", 0), ("GET k", EMPTY), ("PFADD k a b c a", 1),
          ("PFADD k a", 0), ("PFCOUNT k", 3), ("PFCOUNT none", 0), ("PFCOUNT k none", 3),
          ("TYPE k", "string"), ("OBJECT ENCODING k", b"raw"), ("PFADD", arity("pfadd")),
          ("PFCOUNT", arity("pfcount")), ("PFDEBUG ENCODING k", "sparse"),
          ("PFDEBUG DECODE none", Error("ERR The specified key does not exist")),
          ("PFSELFTEST", "OK"),
          ("PFMERGE alone", "OK"), ("GET alone", EMPTY))


def test_estimates_stay_near_the_truth(c):
    for count in (50, 1000, 5000, 20000):
        for start in range(0, count, 500):
            names = ["%d-%d" % (count, i) for i in range(start, min(start + 500, count))]
            c("PFADD", "k%d" % count, *names)
        assert abs(c("PFCOUNT", "k%d" % count) - count) <= count * 0.03
    assert abs(c("PFCOUNT", "k50", "k1000", "k5000", "k20000") - 26050) <= 26050 * 0.03
    assert c("PFMERGE", "all", "k50", "k1000", "k5000", "k20000") == "OK"
    assert c("PFCOUNT", "all") == c("PFCOUNT", "k50", "k1000", "k5000", "k20000")
    assert c("STRLEN", "all") == 12304 and c("STRLEN", "k50") < 300


def test_values_are_strings(c):
    c("PFADD", "k", *["e%d" % i for i in range(100)])
    value = c("GET", "k")
    check(c, (("SET", "copy", value), "OK"), ("PFCOUNT copy", c("PFCOUNT", "k")),
          ("PFADD copy e1 e2 e3", 0), ("SET s text", "OK"), ("PFADD s a", NOT_ONE),
          ("PFMERGE k s", NOT_ONE), (("SET", "s", value[:-1]), "OK"), ("PFCOUNT s", CORRUPT),
          ("PFMERGE k s", CORRUPT), ("LPUSH l a", 1),
          ("PFCOUNT l", Error("WRONGTYPE Operation against a key holding the wrong kind of value")))


def test_adding_nothing_new_leaves_a_raw_string(c):
    """Redis looks for room before it knows whether it needs any, and OBJECT ENCODING shows it."""
    check(c, ("PFADD h x", 1), ("OBJECT ENCODING h", b"raw"))
    value = c("GET", "h")
    for words, encoding in (("PFADD h x", b"raw"), ("PFADD h", b"raw"), ("PFADD h y", b"raw"),
                            ("PFCOUNT h h", b"embstr")):
        check(c, (("SET", "h", value), "OK"), ("OBJECT ENCODING h", b"embstr"))
        c(*words.split())
        assert c("OBJECT", "ENCODING", "h") == encoding, words


@pytest.mark.parametrize("count", [20, 3000])
def test_counting_touches_watchers_once(connect, count):
    # The kept estimate is part of the value: the first PFCOUNT changes it, as in Redis.
    a, b = connect(), connect()
    a("PFADD", "k", *["e%d" % i for i in range(count)])
    for expected in (None, ["PONG"]):
        assert a("WATCH", "k") == "OK"
        b("PFCOUNT", "k")
        assert a("MULTI") == "OK" and a("PING") == "QUEUED"
        assert a("EXEC") == expected


def test_in_a_transaction(c):
    keys = ["key%d" % i for i in range(8)]
    assert c("MULTI") == "OK"
    for key in keys:
        assert c("PFADD", key, key) == "QUEUED"
    c("PFMERGE", "all", *keys)
    c("PFCOUNT", "all")
    c("PFCOUNT", *keys)
    assert c("EXEC") == [1] * 8 + ["OK", 8, 8]
