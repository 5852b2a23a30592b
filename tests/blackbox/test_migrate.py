# SPDX-License-Identifier: BSD-3-Clause
"""MIGRATE: what goes to the other server, what stays, and what everybody else can do meanwhile.

Most tests speak to a target of their own (lib/target.py), which answers as the test wants. The
last ones move keys between real servers.
"""
import os
import shutil
import signal
import socket
import time

import pytest

from lib.check import eventually
from lib.content import fill, value_of
from lib.resp import SLOW, ConnectionClosed, Error
from lib.server import Server, free_port
from lib.target import HANG_UP, Target

pytestmark = pytest.mark.few

SYNTAX = Error("ERR syntax error")
NOT_INTEGER = Error("ERR value is not an integer or out of range")
CONNECTING = Error("IOERR error or timeout connecting to the client")
WRITING = Error("IOERR error or timeout writing to target instance")
READING = Error("IOERR error or timeout reading to target instance")
SAID = "ERR Target instance replied with error: "
WAIT = int(20000 * SLOW)  # a timeout, in ms, that is not meant to be reached
torc_only = pytest.mark.torc_only
KEYS = ["key:%d" % i for i in range(40)]


@pytest.fixture
def target():
    """A target that accepts everything."""
    with Target() as one:
        yield one


def migrate(c, target, key, *options, db=0, timeout=WAIT):
    """The reply to a MIGRATE to the target."""
    return c("MIGRATE", "127.0.0.1", target.port, key, db, timeout, *options)


def send(c, target, key, *options, timeout=WAIT):
    """Sends a MIGRATE, and returns once its first key is there."""
    c.send("MIGRATE", "127.0.0.1", target.port, key, 0, timeout, *options)
    assert target.arrived.wait(10 * SLOW)


def is_waiting(client):
    """Whether a command that was sent has no answer for a while."""
    client.sock.settimeout(0.05)
    try:
        client.sock.recv(1, socket.MSG_PEEK)
        return False
    except (socket.timeout, BlockingIOError):
        return True
    finally:
        client.sock.settimeout(client.timeout)


# What it says.


@pytest.mark.parametrize("words, error", [
    ("h 1 k 0 10 NONSENSE", SYNTAX),
    ("h 1 k 0 10 AUTH", SYNTAX),
    ("h 1 k 0 10 AUTH2 user", SYNTAX),
    ("h 1 k 0 10 COPY REPLACE KEYS a", Error("ERR When using MIGRATE KEYS option, the key argument "
                                             "must be set to the empty string")),
    ("h 1 k 0 ten", NOT_INTEGER),
    ("h 1 k zero 10", NOT_INTEGER),
    ("h 1 k 0", Error("ERR wrong number of arguments for 'migrate' command")),
])
def test_arguments(c, words, error):
    assert c("MIGRATE", *words.split()) == error


def test_no_key(c):
    # Nobody is asked when there is nothing to move.
    assert c("MIGRATE", "127.0.0.1", "1", "absent", 0, 10) == "NOKEY"
    assert c("MIGRATE", "127.0.0.1", "1", "", 0, 10, "KEYS", "absent", "none") == "NOKEY"
    assert c("MIGRATE", "127.0.0.1", "1", "", 0, 10, "KEYS") == "NOKEY"
    c("SET", "gone", "1", "PX", 1)
    time.sleep(0.005)
    assert c("MIGRATE", "127.0.0.1", "1", "gone", 0, 10) == "NOKEY"


def test_keys_of_the_command(c):
    keys = ("COMMAND", "GETKEYS", "MIGRATE", "h", "1")
    assert c(*keys, "k", 0, 10, "COPY") == [b"k"]
    assert c(*keys, "", 0, 10, "AUTH", "KEYS", "KEYS", "a", "b") == [b"a", b"b"]
    flags = c("COMMAND", "GETKEYSANDFLAGS", "MIGRATE", "h", "1", "", 0, 10, "KEYS", "a")
    assert flags == [[b"a", ["RW", "access", "delete"]]]


# What goes over.


def test_one_key(c, target):
    c("SET", "k", "value")
    assert migrate(c, target, "k") == "OK"
    assert c("EXISTS", "k") == 0
    select, restore = target.commands
    assert select == [b"SELECT", b"0"]
    assert restore[:3] == [b"RESTORE", b"k", b"0"] and len(restore) == 4


def test_database_replace_copy_and_time_to_live(c, target):
    c("SET", "k", "value", "EX", 100)
    assert migrate(c, target, "k", "COPY", "REPLACE", db=7) == "OK"
    assert c("GET", "k") == b"value"
    select, restore = target.commands
    assert select == [b"SELECT", b"7"]
    assert restore[:2] == [b"RESTORE", b"k"] and restore[4:] == [b"REPLACE"]
    assert 0 < int(restore[2]) <= 100000


def test_many_keys_in_their_order(c, target):
    c("MSET", *[word for key in KEYS for word in (key, "v" + key)])
    assert migrate(c, target, "", "KEYS", "absent", *KEYS, "none") == "OK"
    assert [command[1].decode() for command in target.restores()] == KEYS
    assert c("EXISTS", *KEYS) == 0 and c("DBSIZE") == 0


def test_more_than_buffers_hold(c, target):
    # The target reads nothing until everything has been written that there is room for.
    value = b"x" * 300000
    names = ["big:%d" % i for i in range(60)]
    for name in names:
        c("SET", name, os.urandom(200000) + value)
    target.gate.clear()
    c.send("MIGRATE", "127.0.0.1", target.port, "", 0, WAIT, "KEYS", *names)
    assert target.arrived.wait(10 * SLOW)
    time.sleep(0.1)
    target.gate.set()
    assert c.read() == "OK"
    assert len(target.restores()) == len(names) and c("DBSIZE") == 0


def test_login(c, target):
    c("MSET", "a", 1, "b", 2)
    assert migrate(c, target, "a", "AUTH", "secret") == "OK"
    assert migrate(c, target, "b", "AUTH2", "me", "secret") == "OK"
    assert [command for command in target.commands if command[0] == b"AUTH"] == [
        [b"AUTH", b"secret"], [b"AUTH", b"me", b"secret"]]


def test_connections_are_kept(c, target):
    for i in range(5):
        c("SET", "k", i)
        assert migrate(c, target, "k") == "OK"
    assert target.accepted == 1
    assert b"migrate_cached_sockets:0\r\n" not in c("INFO", "stats")
    # One that the other side has closed meanwhile is made anew.
    target.hang_up()
    c("SET", "k", "again")
    assert migrate(c, target, "k") == "OK"
    assert target.accepted == 2


@torc_only
def test_a_kept_connection_is_not_lent_to_who_has_no_password(c, target):
    c("MSET", "a", 1, "b", 2)
    assert migrate(c, target, "a", "AUTH", "secret") == "OK"
    assert migrate(c, target, "b") == "OK"
    assert target.accepted == 2


# What goes wrong.


def test_refused_unknown_and_silent(c):
    c("SET", "k", "value")
    assert c("MIGRATE", "127.0.0.1", free_port(), "k", 0, WAIT) == WRITING
    assert c("MIGRATE", "127.0.0.1", "no-port", "k", 0, WAIT) == WRITING
    assert c("MIGRATE", "255.255.255.255", "1", "k", 0, WAIT) == CONNECTING
    with Target(lambda command: None) as silent:
        start = time.monotonic()
        assert migrate(c, silent, "k", timeout=60) == READING
        assert 0.05 < time.monotonic() - start < 5 * SLOW
    assert c("GET", "k") == b"value"


@torc_only
def test_no_server_of_our_kind(c):
    c("SET", "k", "value")
    with Target(lambda command: b"HTTP/1.1 400 Bad Request\r\n\r\n") as web:
        assert migrate(c, web, "k") == READING
    assert c("GET", "k") == b"value"


def test_silent_while_keys_are_on_their_way(c):
    c("MSET", "a", 1, "b", 2)
    answers = {b"a": b"+OK\r\n", b"b": None}
    with Target(lambda command: answers.get(command[1], b"+OK\r\n")) as target:
        assert migrate(c, target, "", "KEYS", "a", "b", timeout=60) == READING
    # What was accepted has gone, what may have been is still here.
    assert c("MGET", "a", "b") == [None, b"2"]


def test_hung_up_while_keys_are_on_their_way(c):
    c("MSET", "a", 1, "b", 2)
    answers = {b"a": b"+OK\r\n", b"b": HANG_UP}
    with Target(lambda command: answers.get(command[1], b"+OK\r\n")) as target:
        assert migrate(c, target, "", "KEYS", "a", "b") == READING
    assert c("MGET", "a", "b") == [None, b"2"]


@pytest.mark.parametrize("culprit, error", [
    (b"AUTH", "WRONGPASS invalid username-password pair or user is disabled."),
    (b"SELECT", "ERR DB index is out of range"),
    (b"RESTORE", "OOM command not allowed when used memory > 'maxmemory'."),
])
def test_target_refuses(c, is_torc, culprit, error):
    c("SET", "k", "value")

    def answer(command):
        return b"-%s\r\n" % error.encode() if command[0] == culprit else b"+OK\r\n"

    with Target(answer) as target:
        assert migrate(c, target, "k", "AUTH", "secret") == Error(SAID + error)
        assert c("GET", "k") == b"value"
        # Whom it does not let in gets no key.
        assert bool(target.restores()) == (culprit == b"RESTORE" or not is_torc)


def test_some_are_refused(c):
    c("MSET", *[word for key in KEYS for word in (key, "v")])
    refused = KEYS[3::7]

    def answer(command):
        busy = command[0] == b"RESTORE" and command[1].decode() in refused
        return b"-BUSYKEY %s\r\n" % command[1] if busy else b"+OK\r\n"

    with Target(answer) as target:
        reply = migrate(c, target, "", "KEYS", *KEYS)
        assert reply == Error(SAID + "BUSYKEY " + refused[0])
        assert [key for key in KEYS if c("EXISTS", key)] == refused
        # The conversation is still in step.
        assert migrate(c, target, refused[0]) == Error(SAID + "BUSYKEY " + refused[0])
        assert target.accepted == 1


# What others can do meanwhile.

@torc_only
def test_others_wait_for_the_keys_only(c, connect, target):
    c("MSET", *[word for key in KEYS for word in (key, "old")])
    mover, writer, reader, walker = connect(), connect(), connect(), connect()
    target.gate.clear()
    send(mover, target, "", "KEYS", *KEYS[:20])
    for key in KEYS[20:]:
        assert c("SET", key, "new") == "OK"  # on every shard
    assert c("MGET", *KEYS[20:]) == [b"new"] * 20
    writer.send("SET", KEYS[0], "new")
    reader.send("GET", KEYS[1])
    walker.send("DBSIZE")  # no key may be missed
    assert is_waiting(writer) and is_waiting(reader) and is_waiting(walker)
    assert c("SET", KEYS[20], "newer") == "OK" and c("GET", KEYS[21]) == b"new"
    target.gate.set()
    assert mover.read() == "OK"
    assert writer.read() == "OK" and reader.read() is None
    assert walker.read() in (20, 21)
    assert c("EXISTS", *KEYS[:20]) == 1


@torc_only
@pytest.mark.parametrize("words", ["FLUSHALL", "KEYS *", "RANDOMKEY", "SCAN 0 COUNT 1000",
                                   "SORT list BY weight:*", "SWAPDB 0 1"])
def test_who_needs_all_keys_waits(c, connect, target, words):
    c("MSET", "k", 1, "weight:1", 1)
    c("RPUSH", "list", 1)
    mover, other = connect(), connect()
    target.gate.clear()
    send(mover, target, "weight:1")
    other.send(*words.split())
    assert is_waiting(other)
    target.gate.set()
    assert mover.read() == "OK"
    reply = other.read()
    assert not isinstance(reply, Error)
    assert b"weight:1" not in (reply if isinstance(reply, list) else [reply])
    if words == "FLUSHALL":
        assert c("DBSIZE") == 0


@torc_only
def test_exec_of_others_waits(c, connect, target):
    c("MSET", *[word for key in KEYS for word in (key, "old")])
    mover, other, emptier = connect(), connect(), connect()
    target.gate.clear()
    send(mover, target, KEYS[0])
    for command in (["MULTI"], ["SET", KEYS[1], 1], ["EXISTS", KEYS[0]]):
        other(*command)
    other.send("EXEC")
    for command in (["MULTI"], ["FLUSHALL"], ["DBSIZE"]):
        emptier(*command)
    emptier.send("EXEC")
    assert is_waiting(other) and is_waiting(emptier)
    target.gate.set()
    assert mover.read() == "OK"
    assert other.read()[1] == 0
    assert emptier.read() == ["OK", 0]


@torc_only
def test_a_copy_can_be_read_meanwhile(c, connect, target):
    c("SET", "k", "value")
    mover, writer = connect(), connect()
    target.gate.clear()
    send(mover, target, "k", "COPY")
    assert c("GET", "k") == b"value"
    writer.send("APPEND", "k", "!")
    assert is_waiting(writer)
    target.gate.set()
    assert mover.read() == "OK" and writer.read() == 6


@torc_only
def test_nothing_is_locked_while_nobody_answers(c, connect):
    c("SET", "k", "value")
    with Target(lambda command: None) as silent:
        mover = connect()
        mover.send("MIGRATE", "127.0.0.1", silent.port, "k", 0, 400)
        end = time.monotonic() + 10
        while silent.accepted == 0:
            assert time.monotonic() < end
        assert c("APPEND", "k", "!") == 6
        assert c("DBSIZE") == 1
        assert mover.read() == READING


@torc_only
def test_watched_and_waited_for(c, connect, target):
    c("SET", "k", "value")
    watcher, waiter = connect(), connect(timeout=20)
    watcher("WATCH", "k")
    waiter.send("BLPOP", "list", 0)
    assert migrate(c, target, "k") == "OK"
    watcher("MULTI")
    watcher("PING")
    assert watcher("EXEC") is None
    # What is pushed while the list is away is not lost.
    c("RPUSH", "other", 1)
    target.arrived.clear()
    target.gate.clear()
    mover = connect()
    send(mover, target, "other")
    pusher = connect()
    pusher.send("RPUSH", "other", 2)
    waiter2 = connect(timeout=20)
    waiter2.send("BLPOP", "other", 0)
    assert is_waiting(pusher) and is_waiting(waiter2)
    target.gate.set()
    assert mover.read() == "OK" and pusher.read() == 1
    assert waiter2.read() == [b"other", b"2"]
    c("RPUSH", "list", 1)
    assert waiter.read() == [b"list", b"1"]


@torc_only
@pytest.mark.parametrize("how, answer", [
    ([], None), (["ERROR"], Error("UNBLOCKED client unblocked via CLIENT UNBLOCK"))])
def test_unblock_while_a_key_is_away(c, connect, target, how, answer):
    """Who waits for a list and needs a second key is not served any more when that is back."""
    waiter, mover = connect(timeout=20), connect()
    name = waiter("CLIENT", "ID")
    c("RPUSH", "d", 1)
    waiter.send("BLMOVE", "k1", "d", "LEFT", "RIGHT", 0)
    eventually(lambda: b"blocked_clients:1\r\n" in c("INFO", "clients"))
    target.gate.clear()
    send(mover, target, "d")
    assert c("RPUSH", "k1", "item") == 1
    assert is_waiting(waiter)
    assert b"blocked_clients:1\r\n" in c("INFO", "clients")
    assert c("CLIENT", "UNBLOCK", name, *how) == 1
    assert c("CLIENT", "UNBLOCK", name, *how) == 0
    target.gate.set()
    assert mover.read() == "OK"
    assert waiter.read() == answer
    assert c("LRANGE", "k1", 0, -1) == [b"item"] and c("EXISTS", "d") == 0
    assert waiter("PING") == "PONG"


@torc_only
def test_inside_multi(c, connect, target):
    c("MSET", "a", 1, "b", 2, "c", 3)
    other = connect()
    for command in (["MULTI"], ["INCR", "a"],
                    ["MIGRATE", "127.0.0.1", target.port, "", 0, WAIT, "KEYS", "a", "b"],
                    ["EXISTS", "a", "b", "c"],
                    ["MIGRATE", "127.0.0.1", target.port, "absent", 0, WAIT],
                    ["MIGRATE", "127.0.0.1", target.port, "c", 0, WAIT, "NONSENSE"],
                    ["SET", "a", "after"]):
        c(*command)
    target.gate.clear()
    c.send("EXEC")
    assert target.arrived.wait(10 * SLOW)
    assert other("GET", "d") is None
    other.send("GET", "a")
    assert is_waiting(other)
    target.gate.set()
    assert c.read() == [2, "OK", 1, "NOKEY", SYNTAX, "OK"]
    assert other.read() == b"after"
    assert c("EXISTS", "b") == 0 and c("PING") == "PONG"


@torc_only
def test_inside_multi_nobody_answers(c):
    c("SET", "k", 1)
    with Target(lambda command: None) as silent:
        c("MULTI")
        c("MIGRATE", "127.0.0.1", silent.port, "k", 0, 50)
        c("INCR", "k")
        assert c("EXEC") == [READING, 2]


# Ends.


@torc_only
@pytest.mark.parametrize("how", ["close", "kill"])
def test_client_leaves(c, connect, target, how):
    c("SET", "k", "value")
    mover = connect()
    number = mover("CLIENT", "ID")
    target.gate.clear()
    send(mover, target, "k")
    if how == "close":
        mover.close()
    else:
        assert c("CLIENT", "KILL", "ID", number) == 1
    target.gate.set()
    assert c("EXISTS", "k") == 0  # it is carried out all the same
    assert c("PING") == "PONG"


@torc_only
@pytest.mark.parametrize("how", ["TERM", "SHUTDOWN"])
def test_server_ends(start, target, how):
    server = start()
    mover, other = server.client(), server.client()
    mover("SET", "k", "value")
    target.gate.clear()
    send(mover, target, "k", timeout=600000)
    if how == "TERM":
        server.process.send_signal(signal.SIGTERM)
    else:
        other.send("SHUTDOWN", "NOSAVE")
    assert server.wait_exit(5) == 0
    with pytest.raises((ConnectionClosed, ConnectionError)):
        mover.read()


@torc_only
def test_many_at_once(c, connect):
    """More migrations than threads; none is lost, none is answered twice."""
    movers = [connect(timeout=30) for _ in range(40)]
    with Target() as target:
        target.gate.clear()
        for i, mover in enumerate(movers):
            c("SET", "k%d" % i, i)
            mover.send("MIGRATE", "127.0.0.1", target.port, "k%d" % i, 0, WAIT)
        assert target.arrived.wait(10 * SLOW)
        target.gate.set()
        assert [mover.read() for mover in movers] == ["OK"] * len(movers)
        assert len(target.restores()) == len(movers)
        assert c("DBSIZE") == 0


# Between real servers.

REDIS_SERVER = shutil.which("redis-server")


@pytest.fixture(params=["torc", "redis"])
def other(request):
    """A second server: a torc of another number of shards, or a stock Redis."""
    if request.param == "redis" and not REDIS_SERVER:
        pytest.skip("there is no redis-server")
    server = Server({"shards": 3} if request.param == "torc" else {},
                    binary=REDIS_SERVER if request.param == "redis" else None)
    yield server
    server.stop()


def keep(c):
    """Fills database 0 with some of everything: the keys, and what they hold."""
    fill(c, databases=[0])
    c("SET", "large", os.urandom(3_000_000))
    return sorted(c("KEYS", "*")), contents(c)


def contents(c, db=0):
    """What a database holds, without the times to live, and which keys have one."""
    assert c("SELECT", db) == "OK"
    everything = {key: (c("TYPE", key), c("PTTL", key) > 0) for key in c("KEYS", "*")}
    found = {key: (*kind, value_of(c, kind[0], key)) for key, kind in everything.items()}
    assert c("SELECT", 0) == "OK"
    return found


@pytest.fixture
def suited(c, other):
    """Payloads are such that the other server knows them."""
    if other.is_torc:
        yield
        return
    assert c("CONFIG", "SET", "rdb-version", "10") == "OK"
    yield
    assert c("CONFIG", "SET", "rdb-version", "auto") == "OK"


def test_from_another(c, server, other):
    there = other.client()
    names, before = keep(there)
    assert there("MIGRATE", "127.0.0.1", server.port, "", 0, WAIT, "KEYS", *names) == "OK"
    assert there("DBSIZE") == 0
    assert contents(c) == before


@torc_only
def test_there_and_back(c, server, other, suited):
    names, before = keep(c)
    there = other.client()
    assert c("MIGRATE", "127.0.0.1", other.port, "", 3, WAIT, "KEYS", *names) == "OK"
    assert c("DBSIZE") == 0
    assert contents(there, 3) == before
    there("SELECT", 3)
    assert there("MIGRATE", "127.0.0.1", server.port, "", 0, WAIT, "KEYS", *names) == "OK"
    assert there("DBSIZE") == 0
    assert contents(c) == before


@torc_only
def test_busy_key_password_and_full_memory(c, other, suited):
    there = other.client()
    c("MSET", "a", 1, "b", 2, "c", 3)
    there("SET", "b", "here already")
    reply = c("MIGRATE", "127.0.0.1", other.port, "", 0, WAIT, "KEYS", "a", "b", "c")
    assert reply == Error(SAID + "BUSYKEY Target key name already exists.")
    assert c("EXISTS", "a", "b", "c") == 1 and there("GET", "b") == b"here already"
    assert c("MIGRATE", "127.0.0.1", other.port, "b", 0, WAIT, "COPY", "REPLACE") == "OK"
    assert there("GET", "b") == b"2"
    assert c("MIGRATE", "127.0.0.1", other.port, "b", 99, WAIT) == Error(
        SAID + "ERR DB index is out of range")
    there("CONFIG", "SET", "requirepass", "secret")
    assert c("MIGRATE", "127.0.0.1", other.port, "b", 1, WAIT, "AUTH", "wrong") == Error(
        SAID + "WRONGPASS invalid username-password pair or user is disabled.")
    assert c("MIGRATE", "127.0.0.1", other.port, "b", 1, WAIT, "AUTH2", "default",
             "secret") == "OK"
    there("CONFIG", "SET", "maxmemory", 1)
    c("SET", "full", "x" * 1000)
    assert c("MIGRATE", "127.0.0.1", other.port, "full", 0, WAIT, "AUTH", "secret") == Error(
        SAID + "OOM command not allowed when used memory > 'maxmemory'.")
    assert c("STRLEN", "full") == 1000


@torc_only
def test_what_an_older_server_has_no_words_for(c, target):
    c("HSET", "h", "f", 1)
    c("HPEXPIRE", "h", 1_000_000, "FIELDS", 1, "f")
    c("SET", "k", 1)
    assert c("CONFIG", "SET", "rdb-version", "11") == "OK"
    reply = migrate(c, target, "", "KEYS", "k", "h")
    assert c("CONFIG", "SET", "rdb-version", "auto") == "OK"
    assert reply == Error("ERR hash field expiration cannot be expressed in RDB version 11 "
                          "(rdb-version)")
    assert not target.restores() and c("EXISTS", "k", "h") == 2
    assert migrate(c, target, "", "KEYS", "k", "h") == "OK"
