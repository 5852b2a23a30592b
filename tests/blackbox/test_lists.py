# SPDX-License-Identifier: BSD-3-Clause
"""Lists as clients see them: replies, encodings, moves between shards, and waiting."""
import threading
import time

import pytest

from lib.check import check, eventually, info
from lib.resp import Error

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
FAR = ["k%d" % i for i in range(12)]  # on all shards


def blocked(c, count):
    """Waits until that many clients are blocked."""
    eventually(lambda: info(c, "clients")["blocked_clients"] == str(count))


def test_one_list(both):
    check(both, ("RPUSH l a b c", 3), ("LPUSH l 1 2", 5),
          ("LRANGE l 0 -1", [b"2", b"1", b"a", b"b", b"c"]), ("LPOP l", b"2"),
          ("RPOP l 2", [b"c", b"b"]), ("LINDEX l -1", b"a"), ("LSET l 0 -7", "OK"),
          ("LINSERT l BEFORE a x", 3), ("LPOS l a", 2), ("LREM l 0 x", 1), ("LTRIM l 0 0", "OK"),
          ("LRANGE l 0 -1", [b"-7"]), ("LPOP l 0", []), ("LPOP l 9", [b"-7"]), ("LPOP l", None),
          ("RPOP l 1", None), ("EXISTS l", 0), ("SET s 1", "OK"), ("LPUSH s 1", WRONG_TYPE))


def test_any_bytes(c):
    items = [b"", b"\x00\r\n", b"0", b"-1", b"00", b"9223372036854775807", b"9223372036854775808",
             b"x" * 63, b"y" * 64, b"z" * 4096, bytes(range(256)) * 500]
    assert c("RPUSH", "l", *items) == len(items)
    assert c("LRANGE", "l", 0, -1) == items
    assert [c("LINDEX", "l", i) for i in range(len(items))] == items
    assert [c("LPOS", "l", item) for item in items] == list(range(len(items)))
    assert c("LPOP", "l", 100) == items


@pytest.mark.parametrize("size, depth", [(-2, 0), (-1, 1), (3, 0), (16, 2)])
def test_long_list(c, config, size, depth):
    config("list-max-listpack-size", str(size), "list-compress-depth", str(depth))
    items = [b"item:%05d" % i for i in range(3000)]
    for i in range(0, 3000, 100):
        c("RPUSH", "l", *items[i:i + 100])
    check(c, ("OBJECT ENCODING l", b"quicklist"), ("LLEN l", 3000))
    assert c("LRANGE", "l", 0, -1) == items
    assert c("LRANGE", "l", 1234, 1333) == items[1234:1334]
    assert c("LINDEX", "l", -1000) == items[2000]
    c("LSET", "l", 1500, "new")
    c("LINSERT", "l", "AFTER", "new", "newer")
    assert c("LRANGE", "l", 1499, 1502) == [items[1499], b"new", b"newer", items[1501]]
    c("LREM", "l", 1, "new")
    c("LREM", "l", -1, "newer")
    assert c("LTRIM", "l", 100, -101) == "OK"
    assert c("LRANGE", "l", 0, -1) == items[100:1500] + items[1501:2900]
    assert c("COPY", "l", "copy") == 1
    assert c("LPOP", "l", 3000) == c("LRANGE", "copy", 0, -1)


def test_back_to_a_listpack(c, config):
    config("list-max-listpack-size", "4")
    check(c, ("RPUSH l 1 2 3 4", 4), ("OBJECT ENCODING l", b"listpack"), ("RPUSH l 5", 5),
          ("OBJECT ENCODING l", b"quicklist"), ("RPOP l 2", [b"5", b"4"]),
          ("OBJECT ENCODING l", b"quicklist"), ("LPOP l", b"1"),
          ("OBJECT ENCODING l", b"listpack"))


def test_moves_over_shards(c):
    """An item goes round all keys, wherever they are, and comes back."""
    for key in FAR:
        c("RPUSH", key, "own:" + key)
    for source, destination in zip(FAR, FAR[1:] + FAR[:1]):
        assert c("LMOVE", source, destination, "RIGHT", "LEFT") is not None
    assert sum(c("LLEN", key) for key in FAR) == len(FAR)
    for source, destination in zip(FAR, FAR[1:]):
        while c("RPOPLPUSH", source, destination) is not None:
            pass
    assert sorted(c("LRANGE", FAR[-1], 0, -1)) == sorted(b"own:" + key.encode() for key in FAR)
    assert c("LMPOP", len(FAR), *FAR, "LEFT", "COUNT", 99)[0] == FAR[-1].encode()


def test_nothing_waits_in_multi(c):
    check(c, ("MULTI", "OK"), ("BLPOP a 0", "QUEUED"), ("BLMPOP 0 1 a LEFT", "QUEUED"),
          ("BLMOVE a b LEFT LEFT 0", "QUEUED"), ("RPUSH a 1", "QUEUED"), ("BRPOP a 0", "QUEUED"),
          ("EXEC", [None, None, None, 1, [b"a", b"1"]]))


def test_waiting_in_turn(c, connect):
    """First come, first served, on a key of any shard; what nobody waits for stays."""
    for key in FAR[:4]:
        waiters = [connect() for _ in range(3)]
        for count, waiter in enumerate(waiters, 1):
            waiter.send("BLPOP", "nope", key, 0)
            blocked(c, count)
        c("RPUSH", key, "1", "2", "3", "4")
        assert [w.read() for w in waiters] == [[key.encode(), b"%d" % i] for i in (1, 2, 3)]
        assert c("LRANGE", key, 0, -1) == [b"4"]


def test_waiting_moves(c, connect):
    """BLMOVE and BRPOPLPUSH between all pairs of shards, one waking the next."""
    for source, destination in zip(FAR, FAR[1:]):
        first, second = connect(), connect()
        second.send("BRPOPLPUSH", destination, "end", 0)
        blocked(c, 1)
        first.send("BLMOVE", source, destination, "LEFT", "RIGHT", 0)
        blocked(c, 2)
        c("RPUSH", source, source)
        assert first.read() == source.encode()
        assert second.read() == source.encode()
        assert c("EXISTS", source, destination) == 0
    assert c("LLEN", "end") == len(FAR) - 1


def test_waiting_ends(c, connect):
    waiter = connect()
    start = time.monotonic()
    assert waiter("BLPOP", "a", "b", 0.1) is None
    assert waiter("BLMPOP", 0.1, 2, "a", "b", "LEFT") is None
    assert time.monotonic() - start >= 0.2
    waiter.send("BRPOP", "a", 0)
    blocked(c, 1)
    check(c, ("SET a 1", "OK"), ("DEL a", 1), ("RPUSH a x y", 2))
    assert waiter.read() == [b"a", b"y"]
    waiter.send("BLMOVE", "b", "s", "LEFT", "LEFT", 0)
    blocked(c, 1)
    check(c, ("SET s 1", "OK"), ("RPUSH b x", 1), ("LLEN b", 1))
    assert waiter.read() == WRONG_TYPE


def test_no_item_lost_or_doubled(c, connect):
    """Many takers on many keys: each item comes out exactly once."""
    takers, per_key, taken, lock = 6, 40, [], threading.Lock()

    def take():
        client = connect()
        while True:
            reply = client("BLPOP", *FAR, "stop", 10)
            if reply is None or reply[0] == b"stop":
                return
            with lock:
                taken.append(reply[1])

    threads = [threading.Thread(target=take) for _ in range(takers)]
    for thread in threads:
        thread.start()
    for i in range(per_key):
        c.pipeline([["RPUSH", key, "%s-%d" % (key, i)] for key in FAR])
    eventually(lambda: len(taken) == len(FAR) * per_key)
    c("RPUSH", "stop", *range(takers))
    for thread in threads:
        thread.join()
    assert len(set(taken)) == len(taken) == len(FAR) * per_key
