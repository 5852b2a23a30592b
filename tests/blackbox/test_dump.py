# SPDX-License-Identifier: BSD-3-Clause
"""DUMP and RESTORE: options and error texts, every type there and back, stock Redis both ways."""
import contextlib
import os
import shutil

import pytest

from lib.check import NOT_INTEGER, SYNTAX, arity, check
from lib.content import fill, read_all
from lib.resp import Error
from lib.server import Server, redis_version

ORACLE = os.environ.get("TORC_ORACLE") or shutil.which("redis-server")
WRONG = Error("ERR DUMP payload version or checksum are wrong")
BUSY = Error("BUSYKEY Target key name already exists.")


def dump_all(client, databases=16):
    """All keys: (database, key) to (absolute expiry or 0, payload)."""
    dumped = {}
    for db in range(databases):
        client("SELECT", db)
        keys = client("KEYS", "*")
        payloads = client.pipeline([("DUMP", key) for key in keys])
        times = client.pipeline([("PEXPIRETIME", key) for key in keys])
        for key, payload, at_ms in zip(keys, payloads, times):
            assert isinstance(payload, bytes), (key, payload)
            dumped[db, key] = (max(at_ms, 0), payload)
    client("SELECT", 0)
    return dumped


def restore_all(client, dumped):
    """The keys again."""
    client("FLUSHALL")
    for (db, key), (at_ms, payload) in dumped.items():
        replies = client.pipeline([("SELECT", db),
                                   ("RESTORE", key, at_ms, payload, "ABSTTL")])
        assert replies == ["OK", "OK"], (key, payload, replies)
    client("SELECT", 0)


def test_words(both):
    c = both
    c("SET", "k", "value")
    payload = c("DUMP", "k")
    check(c, ("DUMP none", None), ("DUMP", arity("dump")), ("DUMP k k", arity("dump")),
          ("RESTORE k 0", arity("restore")), ("RESTORE k 0 x", BUSY), ("RESTORE r 0 x", WRONG),
          ("RESTORE r 0 x BOGUS", SYNTAX), ("RESTORE r x y", NOT_INTEGER),
          ("RESTORE r -1 y", Error("ERR Invalid TTL value, must be >= 0")),
          ("RESTORE r 0 y FREQ 256", Error("ERR Invalid FREQ value, must be >= 0 and <= 255")),
          ("RESTORE r 0 y IDLETIME -1", Error("ERR Invalid IDLETIME value, must be >= 0")))
    assert c("RESTORE", "r", "0", payload) == "OK"
    assert c("RESTORE", "r", "100000", payload, "replace", "IdleTime", "70") == "OK"
    assert c("OBJECT", "IDLETIME", "r") in (70, 71)
    assert 99000 < c("PTTL", "r") <= 100000
    assert c("RESTORE", "r", "1", payload, "REPLACE", "ABSTTL") == "OK"
    assert c("EXISTS", "r") == 0
    assert c("RESTORE-ASKING", "r", "0", payload) == "OK"
    assert c("GET", "r") == b"value"
    assert c("RESTORE", "r", "0", payload[:-1] + bytes([payload[-1] ^ 1]), "REPLACE") == WRONG


def test_there_and_back(c):
    fill(c, databases=(0, 3))
    before = read_all(c)
    restore_all(c, dump_all(c))
    assert read_all(c) == before


def test_in_multi_and_over_shards(c):
    """A key is dumped and another one restored in one transaction."""
    c("RPUSH", "list", *range(300))
    payload = c("DUMP", "list")
    keys = ["copy:%d" % i for i in range(20)]
    assert c("MULTI") == "OK"
    for key in keys:
        c("RESTORE", key, 0, payload)
    c("DUMP", "copy:7")
    assert c("EXEC") == ["OK"] * 20 + [payload]
    assert all(c("LRANGE", key, 0, -1) == c("LRANGE", "list", 0, -1) for key in keys)


def test_restore_serves_who_waits(connect):
    c, waiting = connect(), connect()
    c("RPUSH", "list", "a", "b")
    payload = c("DUMP", "list")
    waiting.send("BLPOP", "target", "5")
    while c("INFO", "clients").count(b"blocked_clients:1") == 0:
        pass
    assert c("RESTORE", "target", 0, payload) == "OK"
    assert waiting.read() == [b"target", b"a"]
    assert c("LRANGE", "target", 0, -1) == [b"b"]


@pytest.fixture(scope="module")
def oracle():
    """A stock Redis."""
    if not ORACLE or redis_version(ORACLE) is None:
        pytest.skip("needs a redis-server")
    with contextlib.closing(contextlib.ExitStack()) as stack:
        server = Server({}, binary=ORACLE)
        stack.callback(server.stop)
        yield server


@pytest.mark.torc_only
def test_from_redis(c, oracle):
    with oracle.client() as redis:
        redis("FLUSHALL")
        fill(redis, seed=2, databases=(0,))
        restore_all(c, dump_all(redis, 1))
        assert read_all(c, 1) == read_all(redis, 1)
        for key in ("int:1", "intset:1", "hash:1", "zset:1"):
            assert c("OBJECT", "ENCODING", key) == redis("OBJECT", "ENCODING", key)


@pytest.mark.torc_only
def test_to_redis(c, config, oracle):
    version = 10 if redis_version(ORACLE) < (7, 2) else 11
    assert config("rdb-version", version) == "OK"
    fill(c, seed=3, databases=(0,))
    with oracle.client() as redis:
        restore_all(redis, dump_all(c, 1))
        assert read_all(redis, 1) == read_all(c, 1)


@pytest.mark.torc_only
def test_fields_that_expire(c, config):
    c("HSET", "hash", "a", 1, "b", 2)
    c("HEXPIRE", "hash", 1000, "FIELDS", 1, "a")
    payload = c("DUMP", "hash")
    assert payload[-10] == 12
    assert c("RESTORE", "copy", 0, payload) == "OK"
    assert c("HEXPIRETIME", "copy", "FIELDS", 2, "a", "b") == \
        c("HEXPIRETIME", "hash", "FIELDS", 2, "a", "b")
    assert config("rdb-version", 11) == "OK"
    assert c("DUMP", "hash") == Error("ERR hash field expiration cannot be expressed in RDB "
                                      "version 11 (rdb-version)")
