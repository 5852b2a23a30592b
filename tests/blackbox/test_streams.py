# SPDX-License-Identifier: BSD-3-Clause
"""Streams over real connections: reads that wait, also for streams of several shards, the errors
that end a wait of a group, and a queue that consumers of a group work off, nothing twice."""
import threading
import time

import pytest

from lib.check import arity, check, eventually, info
from lib.resp import SLOW, Error

pytestmark = pytest.mark.few

NO_GROUP = "NOGROUP No such key '%s' or consumer group 'g' in XREADGROUP with GROUP option"
WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
KEYS = ["stream:%d" % i for i in range(8)]  # on all shards


def blocked(c, count):
    """Waits until that many clients are blocked."""
    eventually(lambda: info(c, "clients")["blocked_clients"] == str(count))


def test_replies_of_both_protocols(both):
    check(both, ("XADD s 1-1 a 1 b 2", b"1-1"), ("XADD s 2-* a x", b"2-0"), ("XLEN s", 2),
          ("XRANGE s - +", [[b"1-1", [b"a", b"1", b"b", b"2"]], [b"2-0", [b"a", b"x"]]]),
          ("XREAD STREAMS s 2-0", None), ("XRANGE s - + COUNT 0", None),
          ("XADD s 3", arity("xadd")),
          ("XGROUP CREATE s g 0", "OK"), ("XPENDING s g", [0, None, None, None]))
    read = both("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">")
    entries = [[b"1-1", [b"a", b"1", b"b", b"2"]]]
    assert read == ({b"s": entries} if both.resp == 3 else [[b"s", entries]])
    groups = both("XINFO", "GROUPS", "s")[0]
    if both.resp == 2:
        groups = dict(zip(groups[::2], groups[1::2]))
    assert groups == {b"name": b"g", b"consumers": 1, b"pending": 1, b"last-delivered-id": b"1-1",
                      b"entries-read": 1, b"lag": 1}
    check(both, ("XACK s g 1-1 2-0", 1), ("TYPE s", "stream"), ("OBJECT ENCODING s", b"stream"))


def test_ids_of_the_clock_grow(c):
    ids = [c("XADD", "s", "*", "n", i).split(b"-") for i in range(300)]
    numbers = [(int(ms), int(seq)) for ms, seq in ids]
    assert numbers == sorted(set(numbers))
    assert abs(numbers[0][0] / 1000 - time.time()) < 60
    future = 4102444800000
    assert c("XADD", "s", "%d-7" % future, "n", 1) == b"%d-7" % future
    assert c("XADD", "s", "*", "n", 1) == b"%d-8" % future


def test_reads_wait_for_any_of_their_streams(c, connect):
    for key in KEYS[:4]:
        c("XADD", key, "5-0", "old", "entry")
    for key in (KEYS[1], KEYS[6]):
        reader = connect()
        reader.send("XREAD", "BLOCK", 0, "STREAMS", *KEYS, *["$"] * len(KEYS))
        blocked(c, 1)
        assert c("XADD", key, "6-0", "new", "entry") == b"6-0"
        assert reader.read() == [[key.encode(), [[b"6-0", [b"new", b"entry"]]]]]
    reader = connect()
    started = time.monotonic()
    assert reader("XREAD", "BLOCK", 50, "STREAMS", *KEYS, *["$"] * len(KEYS)) is None
    assert 0.049 <= time.monotonic() - started < 2 * SLOW
    check(c, ("MULTI", "OK"), ("XREAD BLOCK 0 STREAMS nope $", "QUEUED"), ("EXEC", [None]))


def test_all_readers_get_all(c, connect):
    readers = [connect() for _ in range(4)]
    for count, reader in enumerate(readers, 1):
        reader.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
        blocked(c, count)
    c("MULTI")
    c("XADD", "s", "1-1", "n", 1)
    c("XADD", "s", "1-2", "n", 2)
    c("EXEC")
    for reader in readers:
        assert reader.read() == [[b"s", [[b"1-1", [b"n", b"1"]], [b"1-2", [b"n", b"2"]]]]]


def test_what_ends_a_wait_of_a_group(c, connect):
    for key in KEYS[:2]:
        for how, error in ((("DEL", key), NO_GROUP % key), (("SET", key, "x"), WRONG_TYPE),
                           (("XGROUP", "DESTROY", key, "g"), NO_GROUP % key),
                           (("RENAME", key, "elsewhere"), NO_GROUP % key)):
            assert c("XGROUP", "CREATE", key, "g", "$", "MKSTREAM") == "OK"
            reader = connect()
            reader.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", key, ">")
            blocked(c, 1)
            c(*how)
            assert reader.read() == Error(error), how
            blocked(c, 0)
            c("DEL", key)


def test_acknowledging_wakes_nobody(c, connect):
    """What Redis does not count as a change of the key leaves WATCH alone."""
    c("XADD", "s", "1-1", "f", "v")
    c("XGROUP", "CREATE", "s", "g", 0)
    other = connect()
    check(c, ("WATCH s", "OK"))
    check(other, ("XREADGROUP GROUP g c STREAMS s >", [[b"s", [[b"1-1", [b"f", b"v"]]]]]),
          ("XACK s g 1-1", 1), ("XGROUP SETID s g 0", "OK"), ("XGROUP DESTROY s g", 1))
    check(c, ("MULTI", "OK"), ("XLEN s", "QUEUED"), ("EXEC", [1]), ("WATCH s", "OK"))
    check(other, ("XDEL s 1-1", 1))
    check(c, ("MULTI", "OK"), ("XLEN s", "QUEUED"), ("EXEC", None))


class Consumer(threading.Thread):
    """Takes entries of a group until it is told to stop."""

    def __init__(self, client, name):
        super().__init__()
        self.client, self.name_in_group, self.taken, self.error = client, name, [], None

    def run(self):
        try:
            while self.take():
                pass
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def take(self):
        """Takes what is there; false at the end."""
        for _, entries in self.client("XREADGROUP", "GROUP", "g", self.name_in_group, "COUNT", 5,
                                      "BLOCK", 0, "STREAMS", "jobs", ">"):
            for entry_id, (_, value) in entries:
                assert self.client("XACK", "jobs", "g", entry_id) == 1
                if value == b"stop":
                    return False
                self.taken.append(int(value))
        return True


def test_a_group_delivers_each_entry_once(c, connect):
    consumers = [Consumer(connect(timeout=30 * SLOW), "c%d" % i) for i in range(5)]
    assert c("XGROUP", "CREATE", "jobs", "g", "$", "MKSTREAM") == "OK"
    for consumer in consumers:
        consumer.start()
    producer = connect()
    for first in range(0, 2000, 50):
        producer.pipeline([("XADD", "jobs", "*", "n", n) for n in range(first, first + 50)])
    eventually(lambda: sum(len(consumer.taken) for consumer in consumers) == 2000, seconds=20)
    while any(consumer.is_alive() for consumer in consumers):
        c("XADD", "jobs", "*", "n", "stop")
        time.sleep(0.01)
    for consumer in consumers:
        consumer.join()
        assert consumer.error is None
        assert consumer.taken == sorted(consumer.taken)
    assert sorted(n for consumer in consumers for n in consumer.taken) == list(range(2000))
    assert c("XPENDING", "jobs", "g") == [0, None, None, None]
    assert int(info(c, "clients")["blocked_clients"]) == 0


def test_large_streams_are_trimmed_and_freed(c, config):
    """Nodes go whole, and memory comes back."""
    config("stream-node-max-entries", "100")
    before = int(info(c, "memory")["used_memory"])
    for first in range(1, 100001, 1000):
        c.pipeline([("XADD", "s", "%d-1" % n, "temperature", n % 40, "unit", "celsius")
                    for n in range(first, first + 1000)])
    held = c("MEMORY", "USAGE", "s")
    assert abs(int(info(c, "memory")["used_memory"]) - before - held) < 2 << 20
    assert c("XTRIM", "s", "MAXLEN", "~", 500, "LIMIT", 0) == 99500
    assert c("XTRIM", "s", "MAXLEN", 37) == 463
    check(c, ("XLEN s", 37), ("XRANGE s - + COUNT 1",
                              [[b"99964-1", [b"temperature", b"4", b"unit", b"celsius"]]]))
    assert c("MEMORY", "USAGE", "s") < held / 100
    assert c("DEL", "s") == 1
    eventually(lambda: int(info(c, "memory")["used_memory"]) - before < 1 << 20)
