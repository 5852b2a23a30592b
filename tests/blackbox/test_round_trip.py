# SPDX-License-Identifier: BSD-3-Clause
"""Snapshots there and back: random keyspaces of all types, saved by torc, loaded and saved by stock
Redis, loaded by torc with another number of shards; all three must hold the same.

$TORC_ROUND_TRIPS (default 1) keyspaces for each numbers of shards; $TORC_DIFFERENTIAL_SEED picks
others. The keyspaces are made by the commands of the differential test.
"""
import os
import pathlib
import random
import shutil
import sys

import pytest

from lib.check import eventually, info
from lib.content import fill, read_all
from lib.resp import Error
from lib.server import Server, redis_version

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "differential"))

from generator import CONNECTIONS, Generator  # noqa: E402

ORACLE = os.environ.get("TORC_ORACLE") or shutil.which("redis-server")
TRIPS = int(os.environ.get("TORC_ROUND_TRIPS", "1"))
SEED = int(os.environ.get("TORC_DIFFERENTIAL_SEED", "1"))
FAMILIES = ["strings", "keys", "lists", "sets", "hashes", "zsets", "streams", "others"]
COMMANDS = 4000
DATABASES = 16
SOON_MS = 3600 * 1000

pytestmark = [pytest.mark.torc_only,
              pytest.mark.skipif(not ORACLE or redis_version(ORACLE) is None,
                                 reason="needs a redis-server")]


def send_random_commands(server, seed):
    """The batches of a differential stream; whatever is answered."""
    clients = [server.client(timeout=60) for _ in range(CONNECTIONS)]
    generator, sent = Generator(seed, 50, FAMILIES), 0
    for step in generator.steps():
        if step[0] != "batch":
            continue
        clients[step[1]].pipeline([args for args, _ in step[2]])
        sent += len(step[2])
        if sent >= COMMANDS and not any(generator.in_multi):
            break
    for client in clients:
        client.close()


def make_large_values(client, rng):
    """Values that are written in several steps."""
    count = 5000 + rng.randrange(3000)
    names = ["element:%d" % rng.randrange(10 ** 9) for _ in range(count)]
    commands = [("SELECT", rng.randrange(DATABASES)),
                ("RPUSH", "large:list", *names), ("SADD", "large:set", *names),
                ("HSET", "large:hash", *[word for name in names for word in (name, name * 2)]),
                ("ZADD", "large:zset", *[word for name in names for word in (rng.random(), name)]),
                ("SET", "large:text", "".join(names[:3000] * rng.randrange(1, 9))),
                ("SET", "large:noise", rng.randbytes(300000 + rng.randrange(300000))),
                ("SADD", "large:integers", *[rng.randrange(10 ** 12) for _ in range(count)]),
                ("HSET", "large:field", "a", rng.randbytes(100000), "b", "x" * 200000),
                ("RPUSH", "large:items", "x" * 100000, rng.randbytes(70000), "end")]
    commands += [("XADD", "large:stream", "%d-%d" % (i + 1, i), "f", name, "g", i)
                 for i, name in enumerate(names[:5000])]
    commands += [("XGROUP", "CREATE", "large:stream", "group", 0),
                 ("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 3000, "STREAMS",
                  "large:stream", ">")]
    for command, reply in zip(commands, client.pipeline(commands)):
        assert not isinstance(reply, Error), (command[:2], reply)


def keep_all(client):
    """Nothing is going to expire while the servers are compared."""
    for db in range(DATABASES):
        assert client("SELECT", db) == "OK"
        keys = client("KEYS", "*")
        for key, left in zip(keys, client.pipeline([("PTTL", key) for key in keys])):
            if 0 <= left < SOON_MS:
                client("PERSIST", key)


def without_counts(content):
    """The same without what version 9 does not hold: a group's entries-read and lag."""
    return {place: (kind, at_ms, (value[0], value[1], [(group[:8], *rest) for group, *rest
                                                       in value[2]]))
            if kind == "stream" else (kind, at_ms, value)
            for place, (kind, at_ms, value) in content.items()}


def read_loaded(client):
    """What a server holds that may still be loading."""
    eventually(lambda: info(client, "persistence")["loading"] == "0", 60)
    return read_all(client)


def differences(expected, found, version):
    """Some of the keys that are not the same in both."""
    if version == 9:
        expected, found = without_counts(expected), without_counts(found)
    return [(key, expected.get(key), found.get(key)) for key in sorted({*expected, *found})
            if expected.get(key) != found.get(key)][:3]


@pytest.mark.parametrize("shards, back", [(1, 4), (4, 2)])
@pytest.mark.parametrize("trip", range(TRIPS))
def test_from_torc_to_redis_and_back(trip, shards, back, tmp_path):
    seed = SEED * 1000 + trip * 10 + shards
    rng = random.Random(seed)
    version = rng.choice((9, 10, 11) if redis_version(ORACLE) >= (7, 2) else (9, 10))
    options = {"dir": str(tmp_path), "shards": shards, "rdb-version": version,
               "rdbcompression": rng.choice(("yes", "no")),
               "list-compress-depth": rng.choice((0, 1, 3)),
               "list-max-listpack-size": rng.choice((-2, -1, 5)),
               "hash-max-listpack-entries": rng.choice((0, 20, 512))}
    torc = Server(options)
    try:
        send_random_commands(torc, seed)
        with torc.client(timeout=60) as client:
            fill(client, seed)
            make_large_values(client, rng)
            keep_all(client)
            expected = read_all(client)
            assert client("SAVE") == "OK"
    finally:
        torc.stop()
    assert len(expected) > 500
    redis = Server({"dir": str(tmp_path)}, binary=ORACLE)
    try:
        with redis.client(timeout=60) as client:
            assert differences(expected, read_loaded(client), version) == [], options
            assert client("SAVE") == "OK"
    finally:
        redis.stop()
    torc = Server({"dir": str(tmp_path), "shards": back})
    try:
        with torc.client(timeout=60) as client:
            assert differences(expected, read_loaded(client), version) == [], options
    finally:
        torc.stop()
