# SPDX-License-Identifier: BSD-3-Clause
"""maxmemory: the limit holds while many write, policies choose the right keys, writes are refused
when nothing can go, and all of it over any number of shards.

Limits are set above what the server uses when it is empty, which differs from server to server.
"""
import random
import threading
import time

import pytest

from lib.resp import Error

pytestmark = pytest.mark.few

OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
MB = 1 << 20
POLICIES = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
            "volatile-random", "volatile-ttl"]


def info(c, section="all"):
    """INFO as a dictionary of texts."""
    lines = c("INFO", section).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def used(c):
    """used_memory."""
    return int(info(c, "memory")["used_memory"])


def fill(c, keys, size=1000, *options, prefix="key"):
    """SET so many keys; the replies that are not OK."""
    value = b"v" * size
    bad = []
    for first in range(0, keys, 500):
        numbers = range(first, min(first + 500, keys))
        replies = c.pipeline([("SET", "%s:%d" % (prefix, n), value, *options) for n in numbers])
        bad += [r for r in replies if r != "OK"]
    return bad


def wait_until(condition, seconds=20):
    """Waits for what goes on in the background; fails when it never comes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def limited(start):
    """A function that starts a server with so many bytes of room above what it uses empty."""
    def start_limited(room=8 * MB, policy="allkeys-lru", **options):
        server = start(maxmemory_policy=policy, **options)
        with server.client() as c:
            limit = used(c) + room
            assert c("CONFIG", "SET", "maxmemory", limit) == "OK"
        return server, limit
    return start_limited


# ---- the limit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_limit_holds_while_many_write(limited, policy):
    server, limit = limited(policy=policy)
    options = ("EX", "1000") if policy.startswith("volatile") else ()
    problems, highest, stop = [], [0], threading.Event()

    def write(seed):
        rng = random.Random(seed)
        with server.client(timeout=30) as c:
            for _ in range(60):
                batch = []
                for _ in range(50):
                    # Half of all go to one hash slot, hence to one shard.
                    name = "{hot}:%d" if rng.random() < 0.5 else "key:%d"
                    value = b"x" * rng.choice([1, 30, 300, 3000])
                    batch.append(("SET", name % rng.randrange(50000), value, *options))
                problems.extend(r for r in c.pipeline(batch) if r != "OK")

    def watch():
        with server.client() as c:
            while not stop.is_set():
                highest[0] = max(highest[0], used(c))

    watcher = threading.Thread(target=watch)
    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in [watcher, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    watcher.join()
    assert not problems
    assert highest[0] <= limit * 1.01 + 6 * 60000  # and what six clients have under way
    with server.client() as c:
        stats = info(c)
        assert int(stats["evicted_keys"]) > 1000
        assert int(stats["maxmemory"]) == limit and stats["maxmemory_policy"] == policy
        assert c("DBSIZE") > 1000  # and it did not throw everything away
        assert used(c) > limit * 0.9


def test_one_shard_may_hold_nearly_everything(limited):
    server, limit = limited()
    with server.client(timeout=30) as c:
        assert not fill(c, 20000, 1000, prefix="{cold}")
        assert used(c) > limit * 0.9
        before = c("DBSIZE")
        # Other shards get writes: what gives way is the longest unused, wherever it is.
        time.sleep(4.1)
        rng = random.Random(1)
        for _ in range(40):
            batch = [("SET", "new:%d" % rng.randrange(2000), b"y" * 1000) for _ in range(50)]
            assert set(c.pipeline(batch)) == {"OK"}
            assert used(c) <= limit * 1.01
        cold = len([k for k in c("KEYS", "{cold}*")])
        new = len([k for k in c("KEYS", "new:*")])
        assert new > 950  # of about 1270 different ones
        # Not as many as have come: buffers that were given back meanwhile made room, too.
        assert 0 < cold < before - 100


def test_lowering_the_limit_evicts_at_once(limited):
    server, limit = limited(room=16 * MB)
    with server.client(timeout=30) as c:
        assert not fill(c, 14000)
        lower = limit - 10 * MB
        assert c("CONFIG", "SET", "maxmemory", lower) == "OK"
        assert c("SET", "a", "b") == "OK"  # writes go on meanwhile
        wait_until(lambda: used(c) <= lower * 1.01)
        assert c("DBSIZE") > 1000
        assert int(info(c)["evicted_keys"]) > 5000
        assert c("CONFIG", "SET", "maxmemory", 0) == "OK"
        assert not fill(c, 16000)
        assert used(c) > limit - MB


def test_large_values_make_room_for_each_other(limited):
    server, limit = limited(room=20 * MB)
    with server.client(timeout=30) as c:
        for i in range(200):
            assert c("SET", "big:%d" % (i % 60), b"z" * (500000 + i)) == "OK"
            assert used(c) <= limit * 1.01 + 3 * 500000  # what is in buffers on its way
        assert c("DBSIZE") > 15


def test_flushing_makes_room_at_once(limited):
    server, _ = limited(policy="noeviction")
    with server.client(timeout=30) as c:
        assert OOM in fill(c, 12000)
        assert c("FLUSHALL") == "OK"
        assert not fill(c, 3000)
        assert int(info(c)["evicted_keys"]) == 0


# ---- refusing ------------------------------------------------------------------------------------


def full(c):
    """Fills until a write is refused."""
    assert OOM in fill(c, 20000)
    # The buffers of the pipeline go back later: the limit follows, so that memory stays full.
    assert c("CONFIG", "SET", "maxmemory", int(info(c)["maxmemory"]) - MB) == "OK"
    assert c("SET", "one", "more") == OOM


def test_noeviction_refuses_writes_only(limited):
    server, limit = limited(policy="noeviction")
    with server.client() as c:
        full(c)
        assert used(c) <= limit * 1.01
        for command in ("SET key:1 x", "APPEND key:1 x", "INCR n", "MSET key:1 x key:2 y",
                        "SETRANGE key:1 0 x", "SETBIT key:1 0 1", "COPY key:1 new", "GETSET a b",
                        "BITOP NOT d key:1", "BITFIELD key:1 SET u8 0 1"):
            assert c(*command.split()) == OOM, command
        assert c("GET", "key:1") == b"v" * 1000
        assert c("EXPIRE", "key:1", "100") == 1
        assert c("GETEX", "key:1", "PERSIST") == b"v" * 1000
        assert c("RENAME", "key:1", "key:one") == "OK"
        assert c("DEL", "key:one") == 1
        assert c("PING") == "PONG"
        errors = info(c)
        assert errors["errorstat_OOM"].startswith("count=")
        assert "rejected_calls=0" not in errors["cmdstat_append"]
        assert c("UNLINK", *("key:%d" % n for n in range(100, 4100))) == 4000
        wait_until(lambda: c("SET", "one", "more") == "OK")


def test_a_pipeline_may_make_room_first(limited):
    server, _ = limited(policy="noeviction")
    with server.client() as c:
        full(c)
        names = ["key:%d" % n for n in range(0, 4000)]
        replies = c.pipeline([("DEL", name) for name in names] + [("SET", "one", "more")] * 20)
        assert replies[-20:] == ["OK"] * 20


@pytest.mark.parametrize("policy", [p for p in POLICIES if p.startswith("volatile")])
def test_volatile_policies_with_nothing_volatile(limited, policy):
    server, _ = limited(policy=policy)
    with server.client() as c:
        full(c)
        keys = c("DBSIZE")
        assert c("EXPIRE", "key:0", "1000") == 1  # now there is one that may go
        assert c("SET", "one", "more") in ("OK", OOM)
        wait_until(lambda: c("EXISTS", "key:0") == 0)
        assert c("DBSIZE") in (keys - 1, keys)
        assert int(info(c)["evicted_keys"]) == 1


def test_refusal_in_multi(limited):
    server, _ = limited(policy="noeviction")
    with server.client() as c, server.client() as other:
        full(c)
        # A command that is refused while it is queued spoils the block; so does any other, as
        # the queue takes memory, too.
        assert c("MULTI") == "OK"
        assert c("SET", "a", "1") == OOM
        assert c("EXEC") == Error(
            "EXECABORT Transaction discarded because of previous errors.")
        assert c("MULTI") == "OK"
        assert c("GET", "key:1") == OOM
        assert c("DISCARD") == "OK"
        # Memory fills up between queueing and EXEC.
        limit = int(info(c)["maxmemory"])
        assert other("CONFIG", "SET", "maxmemory", limit + 4 * MB) == "OK"
        assert c("MULTI") == "OK"
        assert c("SET", "key:1", "1") == "QUEUED"
        assert other("CONFIG", "SET", "maxmemory", limit - MB) == "OK"
        assert c("EXEC") == Error("EXECABORT Transaction discarded because of: OOM command not "
                                  "allowed when used memory > 'maxmemory'.")
        assert c("GET", "key:1") == b"v" * 1000
        # A block that takes no memory is executed.
        assert other("CONFIG", "SET", "maxmemory", limit + 4 * MB) == "OK"
        assert c("MULTI") == "OK"
        assert c("DEL", "key:1", "key:2", "key:3") == "QUEUED"
        assert other("CONFIG", "SET", "maxmemory", limit - MB) == "OK"
        assert c("EXEC") == [3]


# ---- which keys go -------------------------------------------------------------------------------


def test_lru_keeps_what_is_used(limited):
    server, _ = limited(policy="allkeys-lru", maxmemory_samples=10)
    with server.client(timeout=30) as c:
        assert not fill(c, 2000, prefix="used")
        assert not fill(c, 4000, prefix="idle")
        time.sleep(2.1)  # LRU time is in seconds
        for _ in range(3):
            c.pipeline([("GET", "used:%d" % n) for n in range(2000)])
        assert not fill(c, 4000, prefix="new")
        left = sum(c.pipeline([("EXISTS", "used:%d" % n) for n in range(2000)]))
        idle = sum(c.pipeline([("EXISTS", "idle:%d" % n) for n in range(4000)]))
        assert left > 1900
        assert idle < 2500


def test_lfu_keeps_what_is_used_often(limited):
    server, _ = limited(policy="allkeys-lfu", lfu_log_factor=0)
    with server.client(timeout=30) as c:
        assert not fill(c, 2000, prefix="often")
        for _ in range(20):
            c.pipeline([("GET", "often:%d" % n) for n in range(2000)])
        assert c("OBJECT", "FREQ", "often:1") >= 20
        assert not fill(c, 12000, prefix="once")
        left = sum(c.pipeline([("EXISTS", "often:%d" % n) for n in range(2000)]))
        assert left > 1900


def test_ttl_removes_the_first_to_expire(limited):
    server, _ = limited(policy="volatile-ttl", maxmemory_samples=10)
    with server.client(timeout=30) as c:
        assert not fill(c, 3000, 1000, "EX", "100", prefix="soon")
        assert not fill(c, 3000, 1000, "EX", "10000", prefix="late")
        assert not fill(c, 500, 1000, prefix="never")
        assert not fill(c, 2500, 1000, "EX", "20000", prefix="later")
        assert sum(c.pipeline([("EXISTS", "late:%d" % n) for n in range(3000)])) > 2900
        assert sum(c.pipeline([("EXISTS", "soon:%d" % n) for n in range(3000)])) < 2400
        assert sum(c.pipeline([("EXISTS", "never:%d" % n) for n in range(500)])) == 500


def test_object_answers_by_policy(limited):
    server, _ = limited(policy="allkeys-lru")
    with server.client() as c:
        assert c("SET", "k", "v") == "OK"
        assert c("OBJECT", "IDLETIME", "k") in (0, 1)
        assert c("OBJECT", "FREQ", "k") == Error(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please "
            "note that when switching between policies at runtime LRU and LFU data will take "
            "some time to adjust.")
        assert c("CONFIG", "SET", "maxmemory-policy", "volatile-lfu") == "OK"
        assert c("SET", "fresh", "v") == "OK"
        assert c("OBJECT", "FREQ", "fresh") == 5
        assert c("OBJECT", "IDLETIME", "k") == Error(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that "
            "when switching between policies at runtime LRU and LFU data will take some time to "
            "adjust.")


# ---- transactions --------------------------------------------------------------------------------


def test_watch_sees_an_eviction(limited):
    server, _ = limited(policy="volatile-lru")
    with server.client() as c, server.client(timeout=30) as other:
        assert c("SET", "watched", "v", "EX", "1000") == "OK"
        assert c("SET", "kept", "v") == "OK"
        assert c("WATCH", "watched", "kept") == "OK"
        fill(other, 12000)  # refused in the end, when nothing volatile is left
        assert other("EXISTS", "watched") == 0
        assert other("CONFIG", "SET", "maxmemory", 0) == "OK"
        assert c("MULTI") == "OK"
        assert c("SET", "kept", "changed") == "QUEUED"
        assert c("EXEC") is None
        assert c("GET", "kept") == b"v"


def test_transactions_go_on_while_memory_is_full(limited):
    server, limit = limited(policy="allkeys-random")
    stop, problems = threading.Event(), []

    def press():
        with server.client(timeout=30) as c:
            rng = random.Random(5)
            while not stop.is_set():
                batch = [("SET", "p:%d" % rng.randrange(30000), b"x" * 700) for _ in range(50)]
                problems.extend(r for r in c.pipeline(batch) if r != "OK")

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with server.client(timeout=30) as c:
            for i in range(150):
                a, b = "t:%d" % i, "u:%d" % i
                assert c("MSET", a, i, b, i) == "OK"
                # Both were written at once; later either may have been evicted, not changed.
                for value in c("MGET", a, b):
                    assert value in (None, str(i).encode())
                replies = c.pipeline([("MULTI",), ("SET", a, "1"), ("INCR", a), ("SET", b, "5"),
                                      ("INCRBY", b, "5"), ("GET", a), ("EXEC",)])
                assert replies[-1] == ["OK", 2, "OK", 10, b"2"]
                assert used(c) <= limit * 1.01
    finally:
        stop.set()
        thread.join()
    assert not problems


# ---- settings and figures ------------------------------------------------------------------------


def test_settings_from_file_and_command_line(start):
    server = start(config="maxmemory 100mb\nmaxmemory-policy allkeys-lfu\nmaxmemory-samples 7\n"
                          "maxmemory-eviction-tenacity 20\n")
    with server.client(protocol=3) as c:
        assert c("CONFIG", "GET", "maxmemory*")[b"maxmemory"] == str(100 * MB).encode()
        assert c("CONFIG", "GET", "maxmemory-samples") == {b"maxmemory-samples": b"7"}
        assert c("CONFIG", "GET", "maxmemory-eviction-tenacity") == {
            b"maxmemory-eviction-tenacity": b"20"}
    server = start(maxmemory="64mb")
    with server.client() as c:
        assert c("CONFIG", "GET", "maxmemory") == [b"maxmemory", str(64 * MB).encode()]
        assert c("CONFIG", "SET", "maxmemory", "1gb") == "OK"
        assert c("CONFIG", "GET", "maxmemory") == [b"maxmemory", str(1024 * MB).encode()]
        fields = info(c, "memory")
        assert fields["maxmemory_human"] == "1.00G"
        assert fields["maxmemory_policy"] == "noeviction"


def test_time_over_the_limit_is_counted(limited):
    server, limit = limited(policy="noeviction")
    with server.client() as c:
        stats = info(c)
        assert stats["current_eviction_exceeded_time"] == "0"
        assert not fill(c, 4000)
        assert c("CONFIG", "SET", "maxmemory", limit - 6 * MB) == "OK"
        c("SET", "a", "b")
        time.sleep(0.3)
        stats = info(c)
        assert int(stats["current_eviction_exceeded_time"]) > 50
        assert (int(stats["total_eviction_exceeded_time"])
                >= int(stats["current_eviction_exceeded_time"]))
        assert c("CONFIG", "SET", "maxmemory", 0) == "OK"
        wait_until(lambda: info(c)["current_eviction_exceeded_time"] == "0")
        assert int(info(c)["total_eviction_exceeded_time"]) > 50
        assert c("CONFIG", "RESETSTAT") == "OK"
        assert info(c)["total_eviction_exceeded_time"] == "0"
