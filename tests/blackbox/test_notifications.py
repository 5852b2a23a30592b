# SPDX-License-Identifier: BSD-3-Clause
"""Keyspace notifications: which events are told, to whom, in which order; over all shards.

That every command tells what Redis's tells is tests/differential's (--events).
"""
import time

import pytest

from lib.resp import Error


class Ear:
    """A client that is subscribed to events."""

    def __init__(self, server, *patterns):
        self.client = server.client()
        self.client("PSUBSCRIBE", *patterns)
        for _ in patterns[1:]:
            self.client.read()

    def hear(self, count):
        """The next events: (channel, what)."""
        return [tuple(self.client.read()[2:]) for _ in range(count)]

    def is_silent(self):
        return self.client.is_silent(0.2)


@pytest.fixture(name="ear")
def ear_fixture(server, c):
    c("CONFIG", "SET", "notify-keyspace-events", "KEA")
    yield Ear(server, "__key*__:*")
    c("CONFIG", "SET", "notify-keyspace-events", "")


def both(key, event):
    return [(b"__keyspace@0__:" + key, event), (b"__keyevent@0__:" + event, key)]


@pytest.mark.parametrize("given, shown", [
    ("", ""), ("KEA", "AKE"), ("AKE", "AKE"), ("g$lshzxetdKE", "AKE"), ("Kx", "xK"),
    ("KEAmn", "AnKEm"), ("KnE", "nKE"), ("lll", "l")])
def test_classes_are_shown_in_redis_order(c, given, shown):
    assert c("CONFIG", "SET", "notify-keyspace-events", given) == "OK"
    assert c("CONFIG", "GET", "notify-keyspace-events")[1] == shown.encode()
    c("CONFIG", "SET", "notify-keyspace-events", "")


def test_unknown_class(c):
    assert c("CONFIG", "SET", "notify-keyspace-events", "KEy") == Error(
        "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
        "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")


def test_nothing_is_told_unless_asked_for(server, c):
    for classes in ("", "KE", "A"):
        c("CONFIG", "SET", "notify-keyspace-events", classes)
        ear = Ear(server, "*")
        c("SET", "k", "v")
        assert ear.is_silent()


def test_by_key_by_event_or_both(server, c):
    ear = Ear(server, "__key*__:*")
    c("CONFIG", "SET", "notify-keyspace-events", "KA")
    c("SET", "k", "v")
    assert ear.hear(1) == both(b"k", b"set")[:1]
    c("CONFIG", "SET", "notify-keyspace-events", "EA")
    c("SET", "k", "v")
    assert ear.hear(1) == both(b"k", b"set")[1:]
    c("CONFIG", "SET", "notify-keyspace-events", "KE$")
    c("LPUSH", "list", "v")
    c("SET", "k", "v")
    assert ear.hear(2) == both(b"k", b"set")
    c("CONFIG", "SET", "notify-keyspace-events", "")


def test_channels_by_name(server, c):
    """A subscription to one channel hears of its key, or event, on whichever shard it happens."""
    c("CONFIG", "SET", "notify-keyspace-events", "KEA")
    keys = [b"key:%d" % i for i in range(40)]
    ear = server.client()
    for channel in [b"__keyspace@0__:" + key for key in keys] + [b"__keyevent@0__:del"]:
        ear("SUBSCRIBE", channel)
    assert c("PUBSUB", "NUMSUB", "__keyevent@0__:del", "__keyspace@0__:key:7") == [
        b"__keyevent@0__:del", 1, b"__keyspace@0__:key:7", 1]
    assert sorted(c("PUBSUB", "CHANNELS", "__key*")) == sorted(
        [b"__keyspace@0__:" + key for key in keys] + [b"__keyevent@0__:del"])
    assert b"pubsub_channels:41" in c("INFO", "stats")
    assert c("PUBLISH", "__keyspace@0__:key:7", "by hand") == 1
    assert ear.read() == [b"message", b"__keyspace@0__:key:7", b"by hand"]
    for key in keys:
        c("SET", key, "v")
        c("DEL", key)
        assert [ear.read() for _ in range(3)] == [
            [b"message", b"__keyspace@0__:" + key, b"set"],
            [b"message", b"__keyspace@0__:" + key, b"del"],
            [b"message", b"__keyevent@0__:del", key]]
    ear("UNSUBSCRIBE", "__keyevent@0__:del")
    c("DEL", keys[0])
    assert ear.is_silent(0.1)
    c("CONFIG", "SET", "notify-keyspace-events", "")


def test_order_over_many_clients(server, c, ear):
    """Each key's events come in the order in which its value changed, whoever changed it."""
    clients = [server.client() for _ in range(8)]
    keys = [b"order:%d" % i for i in range(16)]
    rounds = 25
    for step in range(rounds):
        for i, one in enumerate(clients):
            for key in keys[i % 2::2]:
                one.send("RPUSH" if (step + i) % 2 else "SADD", key + b"rs"[(step + i) % 2:][:1],
                         "x%d" % i)
    answers = [[one.read() for _ in range(rounds * 8)] for one in clients]
    assert not any(isinstance(a, Error) for of_one in answers for a in of_one)
    lengths = {}
    deadline = time.monotonic() + 10
    pushes = sum(c("LLEN", key + b"s") for key in keys)
    while sum(lengths.values()) < pushes and time.monotonic() < deadline:
        channel, what = ear.hear(1)[0]
        if what == b"rpush" and channel.startswith(b"__keyspace"):
            lengths[channel] = lengths.get(channel, 0) + 1
    assert lengths == {b"__keyspace@0__:" + k + b"s": c("LLEN", k + b"s")
                       for k in keys if c("LLEN", k + b"s")}


def test_transactions_and_commands_over_shards(c, ear):
    keys = [b"t:%d" % i for i in range(12)]
    for command in ("MULTI", *[("SET", key, "1") for key in keys], "EXEC"):
        c(*([command] if isinstance(command, str) else command))
    assert sorted(ear.hear(24)) == sorted(e for key in keys for e in both(key, b"set"))
    c("MSET", *[word for key in keys for word in (key, "2")])
    assert sorted(ear.hear(24)) == sorted(e for key in keys for e in both(key, b"set"))
    c("RENAME", keys[0], "elsewhere")
    assert ear.hear(4) == both(keys[0], b"rename_from") + both(b"elsewhere", b"rename_to")
    c("RPUSH", "from", "a")
    c("LMOVE", "from", "to", "LEFT", "RIGHT")
    assert ear.hear(8) == (both(b"from", b"rpush") + both(b"to", b"rpush") + both(b"from", b"lpop")
                           + both(b"from", b"del"))
    c("DEL", *keys)
    assert sorted(ear.hear(22)) == sorted(e for key in keys[1:] for e in both(key, b"del"))
    c("FLUSHALL")
    assert ear.is_silent()


def test_served_clients_are_told_of(server, c, ear):
    waiting = server.client()
    waiting.send("BLMOVE", "source", "target", "LEFT", "LEFT", "0")
    while b"blocked_clients:1" not in c("INFO", "clients"):
        time.sleep(0.01)
    c("RPUSH", "source", "x")
    assert ear.hear(8) == (both(b"source", b"rpush") + both(b"target", b"lpush")
                           + both(b"source", b"lpop") + both(b"source", b"del"))
    assert waiting.read() == b"x"


def test_expiry(server, c):
    c("CONFIG", "SET", "notify-keyspace-events", "Ex")
    ear = Ear(server, "__keyevent@*__:expired")
    names = {b"soon:%d" % i for i in range(30)}
    for name in names:
        c("SET", name, "v", "PX", "40")
    assert {key for _, key in ear.hear(30)} == names  # nobody has asked for them
    c("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    c("SET", "late", "v", "PX", "1")
    assert ear.is_silent()
    assert c("GET", "late") is None
    assert ear.hear(1) == [(b"__keyevent@0__:expired", b"late")]
    c("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    c("CONFIG", "SET", "notify-keyspace-events", "Eh")
    c("HSET", "hash", "field", "v", "other", "v")
    c("HPEXPIRE", "hash", "30", "FIELDS", "1", "field")
    other = Ear(server, "__keyevent@*__:hexpired")
    assert other.hear(1) == [(b"__keyevent@0__:hexpired", b"hash")]
    c("CONFIG", "SET", "notify-keyspace-events", "")


def test_eviction(server, c):
    c("CONFIG", "SET", "notify-keyspace-events", "Ee")
    ear = Ear(server, "__keyevent@*__:evicted")
    c("CONFIG", "RESETSTAT")
    c("SET", "old", "x" * 1000)
    used = int(c("INFO", "memory").split(b"used_memory:")[1].split(b"\r")[0])
    c("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", str(used + 500000))
    for i in range(20000):  # as many as it takes: memory of other tests may still come back
        c("SET", "e:%d" % i, "x" * 1000)
        if i % 100 == 0 and b"evicted_keys:0" not in c("INFO", "stats"):
            break
    c("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
    channel, key = ear.hear(1)[0]
    assert channel == b"__keyevent@0__:evicted"
    assert c("EXISTS", key) == 0
    c("CONFIG", "SET", "notify-keyspace-events", "")


def test_new_and_missed_keys(server, c):
    c("CONFIG", "SET", "notify-keyspace-events", "Knm")
    ear = Ear(server, "__keyspace@0__:*")
    c("GET", "k")
    c("SET", "k", "1")
    c("SET", "k", "2")
    c("COPY", "k", "l")
    c("RENAME", "k", "l")
    told = [(b"k", b"keymiss"), (b"k", b"new"), (b"l", b"new"), (b"l", b"new")]
    assert ear.hear(4) == [(b"__keyspace@0__:" + key, event) for key, event in told]
    assert ear.is_silent()
    c("CONFIG", "SET", "notify-keyspace-events", "")


def test_database_is_named(server, c, ear):
    c("SELECT", "3")
    c("SET", "k", "v")
    c("MOVE", "k", "5")
    assert ear.hear(6) == [
        (b"__keyspace@3__:k", b"set"), (b"__keyevent@3__:set", b"k"),
        (b"__keyspace@3__:k", b"move_from"), (b"__keyevent@3__:move_from", b"k"),
        (b"__keyspace@5__:k", b"move_to"), (b"__keyevent@5__:move_to", b"k")]
    c("SELECT", "0")


def test_a_listener_that_cannot_keep_up_does_not_cost_memory_without_bound(server, c):
    """Events wait for who delivers them; a client that does not read is closed by its limit."""
    c("CONFIG", "SET", "notify-keyspace-events", "KEA")
    limit = c("CONFIG", "GET", "client-output-buffer-limit")[1]
    c("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    deaf = Ear(server, "__key*__:*")
    value = "v" * 10
    for _ in range(40):
        c.pipeline([("SET", "%08d" % i + "k" * 500, value) for i in range(500)])
    deaf.client.wait_closed(20)
    assert c("PING") == "PONG"
    c("CONFIG", "SET", "client-output-buffer-limit", limit)
    c("CONFIG", "SET", "notify-keyspace-events", "")
