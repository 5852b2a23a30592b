# SPDX-License-Identifier: BSD-3-Clause
"""Commands that wait: timeouts, order, and what happens to keys meanwhile.

The keys of one test are on different shards where that matters. test_queues.py has the load.
"""
import contextlib
import select
import time

import pytest

from lib.resp import SLOW, ConnectionClosed, Error

pytestmark = pytest.mark.few

WRONG_TYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
KEYS = ["key:%d" % i for i in range(8)]

# Every command that waits, for keys k1 and k2 where it takes several; {t} is its timeout.
WAITING = ["BLPOP k1 k2 {t}", "BRPOP k1 k2 {t}", "BLMOVE k1 d LEFT RIGHT {t}",
           "BRPOPLPUSH k1 d {t}", "BLMPOP {t} 2 k1 k2 LEFT COUNT 2", "BZPOPMIN k1 k2 {t}",
           "BZPOPMAX k1 k2 {t}", "BZMPOP {t} 2 k1 k2 MIN COUNT 2"]
READING = ["XREAD BLOCK {ms} STREAMS k1 k2 $ $",
           "XREADGROUP GROUP g c BLOCK {ms} STREAMS k1 k2 > >"]


def blocked(c):
    """How many clients wait, as INFO says."""
    text = c("INFO", "clients").decode()
    return int(text.split("blocked_clients:")[1].split("\r\n")[0])


def wait_blocked(c, count):
    """Returns once so many clients wait."""
    end = time.monotonic() + 10 * SLOW
    while blocked(c) != count:
        assert time.monotonic() < end, "%d wait instead of %d" % (blocked(c), count)
        time.sleep(0.002)


@pytest.fixture
def waiter(c, connect):
    """A function that sends a command on a new connection and returns once it waits."""
    count = [0]

    def start(text, protocol=2):
        client = connect(protocol=protocol, timeout=20.0)
        client.send(*text.split())
        count[0] += 1
        wait_blocked(c, count[0])
        return client

    def answered():
        count[0] -= 1

    start.answered = answered
    return start


def first_to_answer(clients):
    """The one of waiting clients that is answered."""
    ready, _, _ = select.select([client.sock for client in clients], [], [], 20 * SLOW)
    assert len(ready) == 1
    return next(client for client in clients if client.sock is ready[0])


def reply_of(waiter, client):
    """What a waiting client is answered in the end."""
    reply = client.read()
    waiter.answered()
    return reply


def make_groups(c):
    for key in ("k1", "k2"):
        assert c("XGROUP", "CREATE", key, "g", "$", "MKSTREAM") == "OK"


# Timeouts.

@pytest.mark.parametrize("text", WAITING + READING, ids=lambda text: text.split()[0])
@pytest.mark.parametrize("seconds", [0.001, 0.05])
def test_timeouts_are_not_early(both, text, seconds):
    if text in READING:
        make_groups(both)
    words = text.format(t=seconds, ms=int(seconds * 1000)).split()
    start = time.monotonic()
    reply = both(*words)
    took = time.monotonic() - start
    assert reply is None
    assert took >= seconds
    assert took < 5 * SLOW  # it ends at all; how soon depends on the machine


@pytest.mark.parametrize("text, at_once", [
    *zip(WAITING, ("*-1", "*-1", "$-1", "$-1", "*-1", "*-1", "*-1", "*-1")),
    (READING[0], "*-1")], ids=lambda text: text.split()[0])
def test_what_a_timeout_is_answered(c, c3, text, at_once):
    """In RESP2, BLMOVE inside MULTI has another null than one that has waited."""
    words = text.format(t=0.01, ms=10).split()
    assert c.raw(*words) == b"*-1\r\n" and c3.raw(*words) == b"_\r\n"
    c("MULTI")
    c(*words)
    assert c.raw("EXEC") == b"*1\r\n%s\r\n" % at_once.encode()


@pytest.mark.parametrize("text", WAITING, ids=lambda text: text.split()[0])
@pytest.mark.parametrize("timeout, error", [
    ("-1", "ERR timeout is negative"), ("-0.01", "ERR timeout is negative"),
    ("x", "ERR timeout is not a float or out of range"),
    ("", "ERR timeout is not a float or out of range"),
    ("nan", "ERR timeout is not a float or out of range"),
    ("1e300", "ERR timeout is out of range"), ("inf", "ERR timeout is out of range")])
def test_wrong_timeouts(c, text, timeout, error):
    words = [timeout if word == "{t}" else word for word in text.split()]
    assert c(*words) == Error(error)


def test_many_timeouts_of_many_connections(c, connect):
    """Each ends by itself, none before its time."""
    clients = [connect() for _ in range(40)]
    start = time.monotonic()
    for i, client in enumerate(clients):
        client.send("BLPOP", KEYS[i % 8], KEYS[(i + 3) % 8], "%.3f" % (0.02 + 0.003 * (i % 10)))
    for i, client in enumerate(clients):
        assert client.read() is None
        assert time.monotonic() - start >= 0.02 + 0.003 * (i % 10)
    assert blocked(c) == 0
    assert c("RPUSH", KEYS[0], "x") == 1  # nobody is left that would take it
    assert c("LLEN", KEYS[0]) == 1


# Being served.

def test_what_is_there_is_taken_at_once(both):
    both("RPUSH", "l", "a", "b", "c", "d", "e", "f", "g")
    both("ZADD", "z", 1, "one", 2, "two", 3, "three")
    assert both("BLPOP", "none", "l", 0) == [b"l", b"a"]
    assert both("BRPOP", "none", "l", 0) == [b"l", b"g"]
    assert both("BLMOVE", "l", "d", "LEFT", "RIGHT", 0) == b"b"
    assert both("BRPOPLPUSH", "l", "d", 0) == b"f"
    assert both("BLMPOP", 0, 2, "none", "l", "RIGHT", "COUNT", 2) == [b"l", [b"e", b"d"]]
    assert both("LRANGE", "d", 0, -1) == [b"f", b"b"]
    one = 1.0 if both.resp == 3 else b"1"
    assert both("BZPOPMIN", "none", "z", 0) == [b"z", b"one", one]
    three = 3.0 if both.resp == 3 else b"3"
    assert both("BZPOPMAX", "none", "z", 0) == [b"z", b"three", three]
    two = 2.0 if both.resp == 3 else b"2"
    assert both("BZMPOP", 0, 2, "none", "z", "MIN") == [b"z", [[b"two", two]]]


@pytest.mark.parametrize("text, give, expected", [
    ("BLPOP k1 k2 0", "RPUSH k2 a b", [b"k2", b"a"]),
    ("BRPOP k1 k2 0", "RPUSH k2 a b", [b"k2", b"b"]),
    ("BLMOVE k2 d RIGHT LEFT 0", "RPUSH k2 a b", b"b"),
    ("BRPOPLPUSH k2 d 0", "RPUSH k2 a b", b"b"),
    ("BLMPOP 0 2 k1 k2 LEFT COUNT 5", "RPUSH k2 a b", [b"k2", [b"a", b"b"]]),
    ("BZPOPMIN k1 k2 0", "ZADD k2 1 a 2 b", [b"k2", b"a", b"1"]),
    ("BZPOPMAX k1 k2 0", "ZADD k2 1 a 2 b", [b"k2", b"b", b"2"]),
    ("BZMPOP 0 2 k1 k2 MAX COUNT 5", "ZADD k2 1 a 2 b",
     [b"k2", [[b"b", b"2"], [b"a", b"1"]]]),
    ("XREAD BLOCK 0 STREAMS k1 k2 $ $", "XADD k2 1-1 f v",
     [[b"k2", [[b"1-1", [b"f", b"v"]]]]])])
def test_a_waiting_client_is_served(c, waiter, text, give, expected):
    client = waiter(text)
    assert not isinstance(c(*give.split()), Error)
    assert client.read() == expected
    assert client("PING") == "PONG"
    assert blocked(c) == 0


def test_replies_come_in_the_order_of_the_pipeline(c, connect):
    client = connect()
    client.send_raw(b"SET a 1\r\nBLPOP k1 k2 0\r\nGET a\r\nBLPOP k1 0\r\nPING\r\n")
    wait_blocked(c, 1)
    assert client.read() == "OK" and client.is_silent(0.02)
    c("SET", "a", "2")
    c("RPUSH", "k2", "x")
    assert client.read() == [b"k2", b"x"] and client.read() == b"2"
    assert client.is_silent(0.02)
    c("RPUSH", "k1", "y")
    assert client.read() == [b"k1", b"y"] and client.read() == "PONG"


def test_first_come_first_served_per_key(c, waiter):
    clients = [waiter("BLPOP k1 0") for _ in range(6)]
    assert c("RPUSH", "k1", "0", "1", "2") == 3
    for i in range(3):
        assert reply_of(waiter, clients[i]) == [b"k1", b"%d" % i]
    assert c("RPUSH", "k1", "3") == 1 and c("RPUSH", "k1", "4", "5", "6") == 3
    for i in range(3, 6):
        assert reply_of(waiter, clients[i]) == [b"k1", b"%d" % i]
    assert c("LRANGE", "k1", 0, -1) == [b"6"]


def test_first_come_first_served_over_several_keys(c, waiter):
    """Who waits for many keys is in each key's queue."""
    first = waiter("BLPOP %s 0" % " ".join(KEYS))
    others = [waiter("BLPOP %s 0" % key) for key in KEYS]
    last = waiter("BLPOP %s 0" % " ".join(reversed(KEYS)))
    c("RPUSH", KEYS[5], "a")
    assert reply_of(waiter, first) == [KEYS[5].encode(), b"a"]
    for key, client in zip(KEYS, others):
        c("RPUSH", key, "b")
        assert reply_of(waiter, client) == [key.encode(), b"b"]
    c("RPUSH", KEYS[2], "c")
    assert reply_of(waiter, last) == [KEYS[2].encode(), b"c"]


def test_one_client_takes_one_element_of_all_its_keys(c, waiter):
    for attempt in range(20):
        client = waiter("BLPOP %s 0" % " ".join(KEYS))
        assert c.pipeline([("RPUSH", key, "x") for key in KEYS]) == [1] * 8
        assert reply_of(waiter, client)[1] == b"x"
        assert sum(c("LLEN", key) for key in KEYS) == 7, attempt
        c("DEL", *KEYS)
        client.close()


def test_different_commands_wait_for_one_key(c, waiter):
    pop, move, many = (waiter("BLPOP k1 0"), waiter("BLMOVE k1 d LEFT RIGHT 0"),
                       waiter("BLMPOP 0 2 k2 k1 RIGHT COUNT 2"))
    c("RPUSH", "k1", "a", "b", "c", "d", "e")
    assert pop.read() == [b"k1", b"a"] and move.read() == b"b"
    assert many.read() == [b"k1", [b"e", b"d"]]
    assert c("LRANGE", "k1", 0, -1) == [b"c"] and c("LRANGE", "d", 0, -1) == [b"b"]


def test_what_is_moved_serves_the_next(c, waiter):
    third = waiter("BLPOP k3 0")
    second = waiter("BLMOVE k2 k3 LEFT LEFT 0")
    first = waiter("BRPOPLPUSH k1 k2 0")
    c("RPUSH", "k1", "x")
    assert first.read() == second.read() == b"x"
    assert third.read() == [b"k3", b"x"]
    assert c("EXISTS", "k1", "k2", "k3") == 0


def test_a_circle_of_moves_ends(c, waiter):
    one, two = waiter("BLMOVE k1 k2 LEFT RIGHT 0"), waiter("BLMOVE k2 k1 LEFT RIGHT 0")
    c("RPUSH", "k1", "x")
    assert one.read() == two.read() == b"x"
    assert c("LRANGE", "k1", 0, -1) == [b"x"] and c("EXISTS", "k2") == 0


def test_a_list_moved_onto_itself(c, waiter):
    client = waiter("BLMOVE k1 k1 LEFT RIGHT 0")
    c("RPUSH", "k1", "a", "b")
    assert client.read() == b"a" and c("LRANGE", "k1", 0, -1) == [b"b", b"a"]


def test_a_destination_of_another_type(c, waiter):
    """The error is the waiting client's; the element is the next one's."""
    c("SET", "d", "text")
    client, next_one = waiter("BLMOVE k1 d LEFT LEFT 0"), waiter("BLPOP k1 0")
    c("RPUSH", "k1", "x")
    assert client.read() == WRONG_TYPE
    assert next_one.read() == [b"k1", b"x"]
    assert c("GET", "d") == b"text"


# What happens to keys meanwhile.

def test_another_type_does_not_serve(c, waiter):
    client = waiter("BLPOP k1 k2 0")
    for text in ("SET k1 v", "DEL k1", "ZADD k1 1 m", "DEL k1", "HSET k2 f v", "SADD k1 m"):
        c(*text.split())
    assert client.is_silent(0.03) and blocked(c) == 1
    c("DEL", "k1")
    c("RPUSH", "k1", "x")
    assert client.read() == [b"k1", b"x"]


def test_gone_before_it_is_looked_at(c, waiter):
    client = waiter("BLPOP k1 k2 0")
    for words in (("MULTI",), ("RPUSH", "k1", "a"), ("DEL", "k1"), ("RPUSH", "k2", "b"),
                  ("SET", "k2", "text"), ("EXEC",)):
        c(*words)
    assert client.is_silent(0.03) and blocked(c) == 1
    c("DEL", "k2")
    for words in (("MULTI",), ("RPUSH", "k2", "a"), ("DEL", "k2"), ("RPUSH", "k2", "b", "c"),
                  ("EXEC",)):
        c(*words)
    assert client.read() == [b"k2", b"b"] and c("LRANGE", "k2", 0, -1) == [b"c"]


def test_a_transaction_is_whole_before_anyone_is_served(c, waiter):
    clients = [waiter("BLPOP k1 k2 0"), waiter("BLPOP k2 k1 0")]
    for words in (("MULTI",), ("RPUSH", "k2", "a"), ("RPUSH", "k1", "b"), ("LLEN", "k2"),
                  ("LPUSH", "k2", "c"), ("EXEC",)):
        reply = c(*words)
    assert reply == [1, 1, 1, 2]
    # k2 was touched first: who came first for it gets what is then in front of k2, or k1's.
    found = sorted(client.read() for client in clients)
    left = c("LRANGE", "k1", 0, -1) + c("LRANGE", "k2", 0, -1)
    assert sorted([item for _, item in found] + left) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("text", [
    "RENAME other k1", "RENAMENX other k1", "COPY other k1", "LMOVE other k1 LEFT LEFT",
    "RPOPLPUSH other k1", "SORT other ALPHA STORE k1", "LINSERT none BEFORE x y"])
def test_lists_that_come_by_other_ways(c, waiter, text):
    c("RPUSH", "other", "x")
    client = waiter("BLPOP k1 0")
    c(*text.split())
    if text.startswith("LINSERT"):
        assert client.is_silent(0.02)
        c("RPUSH", "k1", "x")
    assert client.read() == [b"k1", b"x"]


@pytest.mark.parametrize("text", ["ZUNIONSTORE k1 1 other", "ZINTERSTORE k1 1 other",
                                  "ZRANGESTORE k1 other 0 -1", "ZDIFFSTORE k1 1 other",
                                  "ZINCRBY k1 5 x", "RENAME other k1"])
def test_sorted_sets_that_come_by_other_ways(c, waiter, text):
    c("ZADD", "other", 5, "x")
    client = waiter("BZPOPMIN k1 0")
    assert not isinstance(c(*text.split()), Error)
    assert client.read() == [b"k1", b"x", b"5"]


@pytest.mark.parametrize("text", ["BLMPOP 0 0", "BZMPOP 0 0", "BLMPOP 0 none"])
def test_many_words_that_name_no_key(both, text):
    reply = both(*text.split(), *["k"] * 300)
    assert reply == Error("ERR numkeys should be greater than 0")
    assert both("XREAD", *["k"] * 300) == Error("ERR syntax error")


def test_a_stream_that_is_named_twice(c, waiter):
    for reader in ("XREAD BLOCK 0 STREAMS k1 k1 9-9 $", "XREAD BLOCK 0 STREAMS k1 k1 $ 9-9"):
        c("DEL", "k1")
        client = waiter(reader)
        c("XADD", "k1", "1-1", "f", "v")
        assert reply_of(waiter, client) == [[b"k1", [[b"1-1", [b"f", b"v"]]]]]


def test_groups_and_consumers_have_any_name(both):
    for key in KEYS:
        both("XADD", key, "1-1", "f", "v")
        both("XGROUP", "CREATE", key, "streams", "0")
        words = ["XREADGROUP", "COUNT", "1", "GROUP", "streams", "streams", "STREAMS", key, ">"]
        assert both("COMMAND", "GETKEYS", *words) == [key.encode()]
        entries = [[b"1-1", [b"f", b"v"]]]
        assert both(*words) in ([[key.encode(), entries]], {key.encode(): entries})


def test_databases_are_apart(c, waiter):
    client = waiter("BLPOP k1 0")
    c("SELECT", 1)
    c("RPUSH", "k1", "elsewhere")
    assert client.is_silent(0.03)
    assert c("MOVE", "k1", 0) == 1
    assert client.read() == [b"k1", b"elsewhere"]
    c("SELECT", 0)


def test_swapped_databases_serve(c, waiter):
    client = waiter("BLPOP k1 0")
    c("SELECT", 1)
    c("RPUSH", "k1", "x")
    assert c("SWAPDB", 0, 1) == "OK"
    assert client.read() == [b"k1", b"x"]
    c("SELECT", 0)


# Streams.

def test_group_readers_whose_group_or_key_goes(c, waiter):
    """A reader does not wait for what cannot come any more."""
    gone = Error("NOGROUP No such key 'k1' or consumer group 'g' in XREADGROUP with GROUP option")
    for text, error in (("XGROUP DESTROY k1 g", gone), ("DEL k1", gone), ("SET k1 v", WRONG_TYPE),
                        ("FLUSHALL", None)):
        c("FLUSHALL")
        make_groups(c)
        client = waiter("XREADGROUP GROUP g c BLOCK 0 STREAMS k2 k1 > >")
        assert not isinstance(c(*text.split()), Error)
        reply = reply_of(waiter, client)
        assert reply == error or (error is None and reply.startswith("NOGROUP No such key")), text


def test_every_reader_of_a_stream_is_served(c, waiter):
    clients = [waiter("XREAD BLOCK 0 STREAMS k1 $") for _ in range(3)]
    assert c("XADD", "k1", "1-1", "f", "v") == b"1-1"
    for client in clients:
        assert client.read() == [[b"k1", [[b"1-1", [b"f", b"v"]]]]]


def test_an_entry_goes_to_one_reader_of_a_group(c, waiter):
    make_groups(c)
    clients = [waiter("XREADGROUP GROUP g c%d BLOCK 0 STREAMS k1 k2 > >" % i) for i in range(3)]
    for number in (1, 2):
        assert c("XADD", "k2", "%d-1" % number, "f", "v") == b"%d-1" % number
        # Whoever is the first in the queue: home counts a client before its place is there.
        served = first_to_answer(clients)
        assert reply_of(waiter, served) == [[b"k2", [[b"%d-1" % number, [b"f", b"v"]]]]]
        clients.remove(served)
        wait_blocked(c, len(clients))
    pending = c("XPENDING", "k2", "g", "-", "+", 10)
    assert [row[0] for row in pending] == [b"1-1", b"2-1"] and pending[0][1] != pending[1][1]
    # The third has got nothing, and still waits.
    line, = [line for line in c("CLIENT", "LIST").decode().splitlines() if "flags=b" in line]
    assert c("CLIENT", "UNBLOCK", line.split()[0].partition("=")[2]) == 1
    assert reply_of(waiter, clients[0]) is None


# CLIENT UNBLOCK, CLIENT KILL, and connections that end.

@pytest.mark.parametrize("text", WAITING + READING, ids=lambda text: text.split()[0])
def test_unblock(c, connect, text):
    make_groups(c) if text in READING else None
    client = connect()
    name = client("CLIENT", "ID")
    for how, expected in ((["TIMEOUT"], None), ([], None), (["ERROR"], Error(
            "UNBLOCKED client unblocked via CLIENT UNBLOCK"))):
        client.send(*text.format(t=0, ms=0).split())
        wait_blocked(c, 1)
        assert c("CLIENT", "UNBLOCK", name, *how) == 1
        assert client.read() == expected
        assert blocked(c) == 0 and c("CLIENT", "UNBLOCK", name, *how) == 0
    assert client("PING") == "PONG"


def test_unblock_of_who_does_not_wait(c, connect):
    client = connect()
    assert c("CLIENT", "UNBLOCK", client("CLIENT", "ID")) == 0
    assert c("CLIENT", "UNBLOCK", 123456789) == 0
    assert client("PING") == "PONG"


def test_a_waiting_connection_is_shown_and_can_be_killed(c, waiter):
    client = waiter("BLPOP %s 0" % " ".join(KEYS))
    lines = [line for line in c("CLIENT", "LIST").decode().splitlines() if "cmd=blpop" in line]
    assert len(lines) == 1 and "flags=b" in lines[0]
    name = lines[0].split()[0].partition("=")[2]
    assert c("CLIENT", "KILL", "ID", name) == 1
    with pytest.raises(ConnectionClosed):
        client.read()
    wait_blocked(c, 0)
    assert c("RPUSH", KEYS[1], "x") == 1 and c("LPOP", KEYS[1]) == b"x"


def test_a_connection_that_ends_leaves_the_queue(c, waiter):
    gone, stays = waiter("BLPOP k1 k2 0"), waiter("BLPOP k2 k1 0")
    gone.close()
    wait_blocked(c, 1)
    c("RPUSH", "k2", "x")
    assert stays.read() == [b"k2", b"x"]


# Transactions.

@pytest.mark.parametrize("text", WAITING + READING, ids=lambda text: text.split()[0])
def test_multi_never_blocks(both, text):
    if text in READING:
        make_groups(both)
    assert both("MULTI") == "OK"
    for _ in range(2):
        assert both(*text.format(t=0, ms=0).split()) == "QUEUED"
    assert both("PING") == "QUEUED"
    assert both("EXEC") == [None, None, "PONG"]
    assert blocked(both) == 0


def test_pops_in_a_transaction_take_what_is_there(c):
    c("RPUSH", "k2", "a", "b")
    c("MULTI")
    for words in (("BLPOP", "k1", "k2", 0), ("BLMOVE", "k2", "k1", "LEFT", "LEFT", 0),
                  ("BRPOP", "k2", "k1", 0), ("BRPOP", "k1", "k2", 0)):
        c(*words)
    assert c("EXEC") == [[b"k2", b"a"], b"b", [b"k1", b"b"], None]


def test_watched_keys_change_when_a_waiting_client_is_served(c, connect, waiter):
    other = connect()
    client = waiter("BLMOVE k1 k2 LEFT LEFT 0")
    for words in (("WATCH", "k2"), ("MULTI",), ("PING",)):
        other(*words)
    c("RPUSH", "k1", "x")
    assert client.read() == b"x" and other("EXEC") is None


def test_a_thousand_wait(c, server):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(timeout=30)) for _ in range(1000)]
        for i, client in enumerate(clients):
            client.send("BLPOP", KEYS[i % 8], "common", 0)
        wait_blocked(c, 1000)
        c("RPUSH", "common", *range(500))
        for key in KEYS:
            c("RPUSH", key, *["x"] * 125)
        replies = [client.read() for client in clients]
        assert sorted(int(item) for key, item in replies if key == b"common") == list(range(500))
        assert sum(1 for key, _ in replies if key != b"common") == 500
        assert sum(c("LLEN", key) for key in KEYS) == 500
