# SPDX-License-Identifier: BSD-3-Clause
"""What a server holds, read back by ordinary commands, and some of everything to fill it with.

Both work with torc and with stock Redis of 7.0 and later, so that what one of them wrote can be
compared with what the other has read.
"""
import random

from .resp import Error

SPREAD = 16  # keys of each kind, so that every shard of a few has some


def fill(client, seed=1, databases=(0, 1, 9)):
    """Keys of every type on both sides of the compact encodings' limits; some with an expiry."""
    rng = random.Random(seed)
    far_ms = (int(client("TIME")[0]) + 100000) * 1000
    for db in databases:
        commands = [("SELECT", db)]
        for i in range(SPREAD):
            commands += one_of_each(rng, i)
            for kind in rng.sample(("int", "text", "list", "set", "hash", "zset", "stream"), 2):
                commands.append(("PEXPIREAT", "%s:%d" % (kind, i), far_ms + i))
        for command, reply in zip(commands, client.pipeline(commands)):
            assert not isinstance(reply, Error), (command, reply)
    assert client("SELECT", 0) == "OK"


def one_of_each(rng, i):
    """The commands that make the i-th key of each kind."""
    size = rng.choice((1, 3, 200))
    names = ["member:%d" % rng.randrange(10 ** 9) for _ in range(size)]
    stream = "stream:%d" % i
    yield "SET", "int:%d" % i, rng.randrange(-10 ** 12, 10 ** 12)
    yield "SET", "text:%d" % i, "x%d" % i * rng.choice((1, 10, 3000))
    yield "SET", b"odd\x00\xff\r\n%d" % i, bytes(rng.randrange(256) for _ in range(40))
    yield ("RPUSH", "list:%d" % i, *names, i, "y" * rng.choice((1, 100, 9000)))
    yield ("SADD", "intset:%d" % i, *[rng.randrange(10 ** 6) for _ in range(size)])
    yield ("SADD", "set:%d" % i, *names)
    yield ("HSET", "hash:%d" % i, *[word for name in names for word in (name, "v" + name)])
    yield ("ZADD", "zset:%d" % i, *[word for name in names for word in (rng.random() * 100, name)])
    yield ("PFADD", "hll:%d" % i, *names)
    for n in range(size):
        yield "XADD", stream, "%d-%d" % (n + 1, i), "field", n, "other", names[n]
    yield "XGROUP", "CREATE", stream, "group", "0"
    yield "XREADGROUP", "GROUP", "group", "alice", "COUNT", 2, "STREAMS", stream, ">"
    yield "XDEL", stream, "1-%d" % i


def stream_of(client, key):
    """A stream with its groups, without what depends on the time of asking."""
    groups = []
    for group in client("XINFO", "GROUPS", key):
        name = group[group.index(b"name") + 1]
        pending = [row[:2] + row[3:] for row in client("XPENDING", key, name, "-", "+", 10000)]
        consumers = [one[1] for one in client("XINFO", "CONSUMERS", key, name)]
        groups.append((group, pending, consumers))
    return client("XRANGE", key, "-", "+"), client("XINFO", "STREAM", key)[-2:], groups


def value_of(client, kind, key):
    """A key's value; for sets and hashes in one order."""
    if kind == "string":
        return client("GET", key)
    if kind == "list":
        return client("LRANGE", key, 0, -1)
    if kind == "set":
        return sorted(client("SMEMBERS", key))
    if kind == "hash":
        flat = client("HGETALL", key)
        return sorted(zip(flat[::2], flat[1::2]))
    if kind == "zset":
        flat = client("ZRANGE", key, 0, -1, "WITHSCORES")
        return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2])]
    return stream_of(client, key)


def read_all(client, databases=16):
    """All that the server holds: (database, key) to (type, expiry, value)."""
    everything = {}
    for db in range(databases):
        assert client("SELECT", db) == "OK"
        for key in client("KEYS", "*"):
            kind = client("TYPE", key)
            everything[db, key] = (kind, client("PEXPIRETIME", key), value_of(client, kind, key))
    assert client("SELECT", 0) == "OK"
    return everything
