# SPDX-License-Identifier: BSD-3-Clause
"""MULTI, EXEC, DISCARD, WATCH: over keys on any shard."""
import time

import pytest

from lib.check import NOT_INTEGER, arity, check
from lib.resp import Error

ABORTED = Error("EXECABORT Transaction discarded because of previous errors.")


def multi(client, *commands):
    """Run commands in MULTI/EXEC and return EXEC's reply."""
    assert client("MULTI") == "OK"
    for command in commands:
        assert client(*command.split()) == "QUEUED"
    return client("EXEC")


def test_multi_exec(both):
    assert multi(both, "SET a 1", "INCR b", "GET a", "MGET a b c", "PING") == \
        ["OK", 1, b"1", [b"1", b"1", None], "PONG"]
    assert multi(both) == []


def test_many_keys(both):
    commands = ["SET key:%d %d" % (i, i) for i in range(200)]
    assert multi(both, *commands) == ["OK"] * 200
    assert multi(both, *["GET key:%d" % i for i in range(200)]) == [b"%d" % i for i in range(200)]


def test_discard(both):
    check(both, ("SET a 1", "OK"), ("MULTI", "OK"), ("SET a 2", "QUEUED"), ("DISCARD", "OK"),
          ("GET a", b"1"),
          ("DISCARD", Error("ERR DISCARD without MULTI")), ("EXEC",
                                                            Error("ERR EXEC without MULTI")))


def test_nesting_and_watch_inside(both):
    check(both, ("MULTI", "OK"), ("MULTI", Error("ERR MULTI calls can not be nested")),
          ("WATCH a", Error("ERR WATCH inside MULTI is not allowed")), ("SET a 1", "QUEUED"),
          ("EXEC", ["OK"]))


@pytest.mark.parametrize("bad, error", [
    ("NOSUCH x", Error("ERR unknown command 'NOSUCH', with args beginning with: 'x' ")),
    ("GET", arity("get")),
    ("OBJECT NOSUCH x", Error("ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."))])
def test_error_while_queueing_aborts(both, bad, error):
    check(both, ("SET a 1", "OK"), ("MULTI", "OK"), ("SET a 2", "QUEUED"), (bad, error),
          ("SET b 2", "QUEUED"),
          ("EXEC", ABORTED), ("MGET a b", [b"1", None]), ("MULTI", "OK"), ("GET a", "QUEUED"),
          ("EXEC", [b"1"]))


def test_error_while_running_does_not_abort(both):
    check(both, ("SET s abc", "OK"))
    assert multi(both, "SET a 1", "INCR s", "INCRBY a x", "SET b 2", "RENAME none x",
                 "SELECT 99") == \
        ["OK", NOT_INTEGER, NOT_INTEGER, "OK", Error("ERR no such key"),
         Error("ERR DB index is out of range")]
    check(both, ("MGET a b", [b"1", b"2"]))


def test_select_inside(both):
    assert multi(both, "SET a 0", "SELECT 1", "SET a 1", "SELECT 0", "GET a", "SELECT 1") == \
        ["OK", "OK", "OK", "OK", b"0", "OK"]
    check(both, ("GET a", b"1"), ("FLUSHALL", "OK"))


def test_watch(both, connect):
    other = connect()
    check(both, ("SET a 1", "OK"), ("WATCH a b", "OK"))
    assert multi(both, "SET a 2") == ["OK"]
    check(both, ("WATCH a b", "OK"))
    check(other, ("SET b x", "OK"))
    assert multi(both, "SET a 3") is None
    check(both, ("GET a", b"2"))
    assert multi(both, "SET a 4") == ["OK"]  # a failed EXEC forgets the watches


@pytest.mark.parametrize("change", [
    "SET a 1", "SET a 2", "DEL a", "APPEND a x", "EXPIRE a 100", "PERSIST e", "RENAME a z",
    "RENAME z a",
    "COPY z a REPLACE", "INCR a", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "GETDEL a", "MOVE a 1",
    "MSET a 5 z 6",
    "SETRANGE a 0 x", "SETBIT a 1 1", "GETEX e PERSIST", "EXPIRE a -1", "BITOP NOT a z",
    "UNLINK a"])
def test_what_breaks_a_watch(c, connect, change):
    other = connect()
    check(other, ("MSET a 1 z 2", "OK"), ("SET e 1 EX 100", "OK"))
    check(c, ("WATCH a e", "OK"))
    other(*change.split())
    assert multi(c, "PING") is None


@pytest.mark.parametrize("change", [
    "GET a", "SETNX a 5", "SET a 5 NX", "DEL none", "PERSIST a", "TOUCH a", "RENAMENX z a",
    "SET b 1", "TTL a",
    "EXPIRE none 10", "GETEX a", "COPY z a", "SELECT 1", "SWAPDB 2 3", "OBJECT ENCODING a",
    "EXPIRE a 10 XX"])
def test_what_does_not_break_a_watch(c, connect, change):
    other = connect()
    check(other, ("MSET a 1 z 2", "OK"))
    check(c, ("WATCH a", "OK"))
    other(*change.split())
    assert multi(c, "PING") == ["PONG"]


def test_flush_breaks_only_watches_of_existing_keys(c, connect):
    other = connect()
    check(c, ("WATCH missing", "OK"))
    check(other, ("SET x 1", "OK"), ("FLUSHALL", "OK"))
    assert multi(c, "PING") == ["PONG"]
    check(c, ("WATCH missing", "OK"))
    check(other, ("SELECT 1", "OK"), ("SET missing 1", "OK"), ("SWAPDB 0 1", "OK"))
    assert multi(c, "PING") is None


def test_unwatch_and_discard_forget(c, connect):
    other = connect()
    for forget in (["UNWATCH"], ["DISCARD"]):
        check(c, ("WATCH a", "OK"))
        check(other, ("SET a 1", "OK"))
        if forget == ["DISCARD"]:
            check(c, ("MULTI", "OK"))
        check(c, (forget, "OK"))
        assert multi(c, "PING") == ["PONG"]


def test_own_writes_break_a_watch(both):
    check(both, ("WATCH a", "OK"), ("SET a 1", "OK"))
    assert multi(both, "GET a") is None


def test_watch_is_of_one_database(c, connect):
    other = connect()
    check(c, ("WATCH a", "OK"))
    check(other, ("SELECT 1", "OK"), ("SET a 1", "OK"))
    assert multi(c, "PING") == ["PONG"]


def test_watched_key_that_expires(c):
    check(c, ("SET a 1 PX 10", "OK"), ("WATCH a", "OK"))
    time.sleep(0.03)
    assert multi(c, "PING") is None
    check(c, ("DEBUG SET-ACTIVE-EXPIRE 0", "OK"))
    try:
        check(c, ("SET b 1 PX 1", "OK"))
        time.sleep(0.02)
        check(c, ("WATCH b", "OK"))  # gone already when watched
        assert multi(c, "PING") == ["PONG"]
    finally:
        check(c, ("DEBUG SET-ACTIVE-EXPIRE 1", "OK"))


def test_watches_die_with_the_connection_and_reset(server, c):
    with server.client() as other:
        check(other, ("WATCH a", "OK"))
    check(c, ("WATCH a", "OK"), ("RESET", "RESET"), ("SET a 1", "OK"))
    assert multi(c, "PING") == ["PONG"]


def test_isolation_between_queueing_and_exec(c, connect):
    other = connect()
    check(c, ("MULTI", "OK"), ("INCR a", "QUEUED"), ("INCR b", "QUEUED"))
    check(other, ("EXISTS a b", 0), ("SET a 10", "OK"))
    check(c, ("EXEC", [11, 1]))


def test_pipelined_transactions(c):
    commands = []
    for i in range(500):
        commands += [("MULTI",), ("INCR", "x%d" % (i % 9)), ("INCR", "y%d" % (i % 11)), ("EXEC",),
                     ("GET", "x0")]
    replies = c.pipeline(commands)
    assert replies[0::5] == ["OK"] * 500 and replies[1::5] == ["QUEUED"] * 500
    assert replies[3::5] == [[1 + i // 9, 1 + i // 11] for i in range(500)]
    assert replies[4::5] == [b"%d" % (1 + i // 9) for i in range(500)]


def test_commands_not_for_transactions(both):
    check(both, ("MULTI", "OK"))
    assert both("QUIT") == "OK"
    assert both.wait_closed()


def test_reset_inside_multi(c):
    check(c, ("MULTI", "OK"), ("SET a 1", "QUEUED"), ("RESET", "RESET"), ("EXISTS a", 0),
          ("EXEC", Error("ERR EXEC without MULTI")))


def test_server_wide_commands_inside(both):
    both("MSET", *[x for i in range(50) for x in ("k%d" % i, "1")])
    replies = multi(both, "DBSIZE", "DEL k1 k2 k3", "DBSIZE", "FLUSHALL", "DBSIZE", "SET a 1",
                    "KEYS *",
                    "RANDOMKEY", "SWAPDB 0 1", "EXISTS a", "SWAPDB 0 1", "EXISTS a",
                    "SCAN 0 COUNT 1000")
    assert replies == [50, 3, 47, "OK", 0, "OK", [b"a"], b"a", "OK", 0, "OK", 1, [b"0", [b"a"]]]


def test_config_and_client_inside(both):
    replies = multi(both, "CLIENT GETNAME", "CONFIG GET maxmemory", "CLIENT ID", "TIME")
    assert replies[0] is None and isinstance(replies[2], int) and len(replies[3]) == 2
