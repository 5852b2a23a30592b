# SPDX-License-Identifier: BSD-3-Clause
"""Time to live: setting it, its conditions, lazy and active expiry."""
import time

import pytest

from lib.check import NOT_INTEGER, arity, check, eventually, info
from lib.resp import SLOW, Error

pytestmark = pytest.mark.few

FAR = 33177117420


def invalid(name):
    return Error("ERR invalid expire time in '%s' command" % name)


def test_ttl_family(both):
    check(both, ("TTL none", -2), ("PTTL none", -2), ("EXPIRETIME none", -2),
          ("PEXPIRETIME none", -2),
          ("SET a 1", "OK"), ("TTL a", -1), ("PTTL a", -1), ("EXPIRETIME a", -1),
          ("PEXPIRETIME a", -1),
          ("EXPIREAT a %d" % FAR, 1), ("EXPIRETIME a", FAR), ("PEXPIRETIME a", FAR * 1000),
          ("PEXPIREAT a %d" % (FAR * 1000 + 7), 1), ("PEXPIRETIME a", FAR * 1000 + 7),
          ("EXPIRETIME a", FAR),
          ("PERSIST a", 1), ("PERSIST a", 0), ("PERSIST none", 0), ("EXPIRE none 10", 0),
          ("EXPIRE a 100", 1))
    assert 99 <= both("TTL", "a") <= 100
    assert both("PEXPIRE", "a", "50500") == 1
    assert 50000 <= both("PTTL", "a") <= 50500
    assert both("TTL", "a") in (50, 51)


@pytest.mark.parametrize("name, value", [("EXPIRE", 0), ("EXPIRE", -1), ("PEXPIRE", 0),
                                         ("EXPIREAT", 1),
                                         ("PEXPIREAT", 1), ("EXPIREAT", -5), ("EXPIREAT", 0)])
def test_expiry_in_the_past_deletes(c, name, value):
    check(c, ("SET a 1", "OK"), ([name, "a", value], 1), ("EXISTS a", 0), ("DBSIZE", 0))


@pytest.mark.parametrize("options, start, value, changed", [
    ("NX", None, 100, 1), ("NX", 200, 100, 0), ("XX", None, 100, 0), ("XX", 200, 100, 1),
    ("GT", None, 100, 0), ("GT", 200, 100, 0), ("GT", 100, 200, 1), ("GT", 100, 100, 0),
    ("LT", None, 100, 1), ("LT", 200, 100, 1), ("LT", 100, 200, 0), ("LT", 100, 100, 0),
    ("XX GT", 100, 200, 1), ("XX LT", None, 100, 0), ("gt", 100, 200, 1), ("LT XX", 200, 100, 1),
    ("XX GT", None, 200, 0), ("LT", 100, -FAR + 1, 1)])
def test_expire_conditions(c, options, start, value, changed):
    for name, base, unit in (("EXPIREAT", FAR, 1000), ("PEXPIREAT", FAR * 1000, 1)):
        check(c, ("SET a 1", "OK"))
        if start is not None:
            check(c, ([name, "a", base + start], 1))
        assert c(name, "a", base + value if value > 0 else 1, *options.split()) == changed
        final = value if changed else start
        if final is None:
            expected = -1
        else:
            expected = -2 if final < 0 else (base + final) * unit
        assert c("PEXPIRETIME", "a") == expected


def test_expire_errors(c):
    together = Error("ERR NX and XX, GT or LT options at the same time are not compatible")
    check(c, ("SET a 1", "OK"), ("EXPIRE a x", NOT_INTEGER), ("EXPIRE a 1.5", NOT_INTEGER),
          ("EXPIRE a", arity("expire")), ("EXPIRE a 10 NX XX", together),
          ("EXPIRE a 10 NX GT", together),
          ("EXPIRE a 10 NX LT", together),
          ("EXPIRE a 10 GT LT", Error("ERR GT and LT options at the same time are not compatible")),
          ("EXPIRE a 10 BOGUS", Error("ERR Unsupported option BOGUS")),
          ("EXPIRE a 10 nx bogus", Error("ERR Unsupported option bogus")),
          ("EXPIRE a 9223372036854775807", invalid("expire")),
          ("EXPIRE a -9223372036854775808", invalid("expire")),
          ("PEXPIRE a 9223372036854775807", invalid("pexpire")),
          ("EXPIREAT a 9223372036854775807", invalid("expireat")),
          ("EXPIRE a 9223372036854775", invalid("expire")), ("TTL a", -1),
          ("PEXPIREAT a 9223372036854775807", 1), ("PEXPIRETIME a", 9223372036854775807))


def test_lazy_expiry_in_every_command(c):
    names = ["GET", "STRLEN", "TTL", "EXISTS", "TYPE", "PERSIST", "GETDEL", "GETEX", "TOUCH"]
    replies = [None, 0, -2, 0, "none", 0, None, None, 0]
    try:
        assert c("DEBUG", "SET-ACTIVE-EXPIRE", "0") == "OK"
        c.pipeline([("SET", "k" + name, "v", "PX", "5") for name in names])
        time.sleep(0.02)
        for name, reply in zip(names, replies):
            assert c(name, "k" + name) == reply, name
        c.pipeline([("SET", "s%d" % i, "7", "PX", "5") for i in range(5)])
        time.sleep(0.02)
        check(c, ("SET s0 new KEEPTTL", "OK"), ("TTL s0", -1), ("APPEND s1 x", 1), ("INCR s2", 1),
              ("SETNX s3 x", 1), ("RENAME s4 x", Error("ERR no such key")))
    finally:
        assert c("DEBUG", "SET-ACTIVE-EXPIRE", "1") == "OK"


def test_active_expiry(c):
    c.pipeline([("SET", "k%d" % i, "v", "PX", "30") for i in range(1000)])
    assert c("DBSIZE") > 0
    eventually(lambda: c("DBSIZE") == 0, 3)
    assert int(info(c, "stats")["expired_keys"]) >= 1000


def test_set_active_expire_off(c):
    try:
        assert c("DEBUG", "SET-ACTIVE-EXPIRE", "0") == "OK"
        c.pipeline([("SET", "k%d" % i, "v", "PX", "5") for i in range(100)])
        time.sleep(0.3)
        assert c("DBSIZE") == 100
        assert c("KEYS", "*") == []
    finally:
        assert c("DEBUG", "SET-ACTIVE-EXPIRE", "1") == "OK"
    eventually(lambda: c("DBSIZE") == 0, 3)


def test_many_keys_that_expire_at_once(c, connect):
    count = 100000
    at = int(time.time() * 1000) + 1500
    value = "v" * 20
    for start in range(0, count, 10000):
        replies = c.pipeline([("SET", "k%d" % i, value, "PXAT", at) for i in range(start,
                                                                                   start + 10000)])
        assert set(replies) == {"OK"}
    if time.time() * 1000 < at:
        assert c("DBSIZE") == count
    time.sleep(max(0, at / 1000 - time.time()))
    pinger, worst, end = connect(), 0, time.monotonic() + 3 * SLOW
    while time.monotonic() < end:
        started = time.monotonic()
        size = pinger("DBSIZE")
        worst = max(worst, time.monotonic() - started)
        if size == 0:
            break
        time.sleep(0.001)
    assert pinger("DBSIZE") == 0
    assert worst < 0.25 * SLOW, "a command waited %.3f s" % worst


def test_expires_are_counted(c):
    check(c, ("MSET a 1 b 2", "OK"), ("EXPIRE a 100", 1))
    keyspace = info(c, "keyspace")["db0"]
    assert keyspace.startswith("keys=2,expires=1,avg_ttl=")
    check(c, ("PERSIST a", 1))
    assert info(c, "keyspace")["db0"].startswith("keys=2,expires=0,avg_ttl=0")


def test_overwriting_renewing_and_moving_expiries(c):
    c.pipeline([("SET", "k%d" % i, "v", "PX", "50") for i in range(100)])
    c.pipeline([("PERSIST", "k%d" % i) for i in range(0, 100, 4)])
    c.pipeline([("SET", "k%d" % i, "v") for i in range(1, 100, 4)])
    c.pipeline([("EXPIRE", "k%d" % i, "1000") for i in range(2, 100, 4)])
    eventually(lambda: c("DBSIZE") == 75, 3)
    assert c("EXISTS", *["k%d" % i for i in range(100)]) == 75
