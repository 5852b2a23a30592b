# SPDX-License-Identifier: BSD-3-Clause
"""CLIENT and its subcommands, HELLO, RESET."""
import re
import threading
import time

import pytest

from lib.check import NOT_INTEGER, SYNTAX, arity, check, eventually
from lib.resp import SLOW, Error, encode

pytestmark = pytest.mark.few

NO_CLIENT = Error("ERR No such client")


def fields(line):
    """One line of CLIENT LIST as a dict."""
    if isinstance(line, bytes):
        line = line.decode()
    return dict(part.split("=", 1) for part in line.strip().split(" "))


def client_list(c, *options):
    """CLIENT LIST as a dict of id to fields."""
    lines = c("CLIENT", "LIST", *options).decode().splitlines()
    return {int(f["id"]): f for f in map(fields, lines)}


def test_id_and_names(both, connect):
    other = connect()
    first, second = both("CLIENT", "ID"), other("CLIENT", "ID")
    assert isinstance(first, int) and second > first
    check(both, ("CLIENT GETNAME", None), ("CLIENT SETNAME app", "OK"), ("CLIENT GETNAME", b"app"),
          (["CLIENT", "SETNAME", "a b"],
           Error("ERR Client names cannot contain spaces, newlines or special characters.")),
          (["CLIENT", "SETNAME", ""], "OK"), ("CLIENT GETNAME", None),
          ("CLIENT ID x", arity("client|id")))


def test_info_line(c):
    c("CLIENT", "SETNAME", "me")
    f = fields(c("CLIENT", "INFO"))
    names = ("id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free "
             "argv-mem multi-mem rbs rbp "
             "obl oll omem tot-mem events cmd user redir resp lib-name lib-ver").split()
    assert list(f) == names
    assert f["id"] == str(c("CLIENT",
                            "ID")) and f["name"] == "me" and f["db"] == "0" and f["flags"] == "N"
    assert f["cmd"] == "client|info"
    assert f["multi"] == "-1"
    assert f["user"] == "default"
    assert f["resp"] == "2"
    assert f["addr"] == "%s:%d" % c.sock.getsockname()
    assert f["laddr"] == "%s:%d" % c.sock.getpeername()
    assert f["age"] == "0" and f["sub"] == "0" and f["redir"] == "-1"


def test_list(c, connect):
    others = [connect(protocol=3), connect()]
    ids = [o("CLIENT", "ID") for o in others]
    others[1]("SELECT", "5")
    others[1]("MULTI")
    others[1]("GET", "x")
    table = client_list(c)
    assert set(ids) <= set(table)
    assert table[ids[0]]["resp"] == "3"
    assert table[ids[1]]["db"] == "5"
    assert table[ids[1]]["multi"] == "1"
    assert table[ids[1]]["flags"] == "x" and table[ids[1]]["cmd"] == "get"
    assert set(client_list(c, "ID", *ids)) == set(ids)
    assert client_list(c, "ID", "999999999") == {}
    assert set(client_list(c, "TYPE", "normal")) >= set(ids)
    assert client_list(c, "TYPE", "replica") == {} == client_list(c, "TYPE", "pubsub")
    check(c, ("CLIENT LIST TYPE bogus", Error("ERR Unknown client type 'bogus'")),
          ("CLIENT LIST ID", SYNTAX), ("CLIENT LIST ID x", Error("ERR Invalid client ID")),
          ("CLIENT LIST BOGUS", SYNTAX))


def test_setinfo(c):
    check(c, ("CLIENT SETINFO LIB-NAME mylib", "OK"), ("CLIENT SETINFO lib-ver 1.2.3", "OK"))
    f = fields(c("CLIENT", "INFO"))
    assert f["lib-name"] == "mylib" and f["lib-ver"] == "1.2.3"
    check(c, ("CLIENT SETINFO BOGUS x", Error("ERR Unrecognized option 'BOGUS'")),
          (["CLIENT", "SETINFO", "LIB-NAME", "a b"],
           Error("ERR LIB-NAME cannot contain spaces, newlines or special characters.")),
          (["CLIENT", "SETINFO", "LIB-VER", "a\nb"],
           Error("ERR LIB-VER cannot contain spaces, newlines or special characters.")),
          (["CLIENT", "SETINFO", "LIB-NAME", ""], "OK"))
    assert fields(c("CLIENT", "INFO"))["lib-name"] == ""


def test_kill_by_address_and_filters(c, connect):
    for how in ("old", "ADDR", "LADDR-ID", "ID", "several"):
        other = connect()
        number = other("CLIENT", "ID")
        address = "%s:%d" % other.sock.getsockname()
        local = "%s:%d" % c.sock.getpeername()
        arguments = {"old": [address], "ADDR": ["ADDR", address],
                     "LADDR-ID": ["LADDR", local, "ID", number],
                     "ID": ["ID", number], "several": ["ID", number, "TYPE", "normal", "USER",
                                                       "default", "ADDR",
                                                       address, "SKIPME", "yes"]}[how]
        assert c("CLIENT", "KILL", *arguments) == ("OK" if how == "old" else 1), how
        assert other.wait_closed(), how
    check(c, ("CLIENT KILL 1.2.3.4:5", NO_CLIENT), ("CLIENT KILL ID 99999999", 0),
          ("CLIENT KILL ADDR 1.2.3.4:5", 0))


def test_kill_skipme_and_all(c, connect):
    others = [connect() for _ in range(8)]
    for other in others:
        other("PING")
    assert c("CLIENT", "KILL", "TYPE", "normal") >= 8
    assert all(other.wait_closed() for other in others)
    assert c("PING") == "PONG"
    assert c("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") >= 1
    assert c.wait_closed()


def test_kill_oneself(server):
    with server.client() as c:
        assert c("CLIENT", "KILL", "ID", c("CLIENT", "ID"), "SKIPME", "no") == 1
        assert c.wait_closed()


def test_kill_errors(c):
    check(c, ("CLIENT KILL ID x", Error("ERR client-id should be greater than 0")),
          ("CLIENT KILL ID 0", Error("ERR client-id should be greater than 0")),
          ("CLIENT KILL TYPE bogus", Error("ERR Unknown client type 'bogus'")),
          ("CLIENT KILL USER nobody", Error("ERR No such user 'nobody'")),
          ("CLIENT KILL SKIPME maybe", SYNTAX), ("CLIENT KILL ID 1 ADDR", SYNTAX),
          ("CLIENT KILL BOGUS x", SYNTAX),
          ("CLIENT KILL", arity("client|kill")))


def test_reply_off_skip_on(c):
    c.send("CLIENT", "REPLY", "OFF")
    c.send("SET", "a", "1")
    c.send("NOSUCH")
    c.send("CLIENT", "REPLY", "ON")
    assert c.read() == "OK"
    assert c("GET", "a") == b"1"
    c.send_raw(encode(["CLIENT", "REPLY", "SKIP"]) + encode(["SET", "a", "2"]) + encode(["GET",
                                                                                         "a"]))
    assert c.read() == b"2"
    check(c, ("CLIENT REPLY BOGUS", SYNTAX), ("CLIENT REPLY ON", "OK"))


def test_reply_off_over_many_keys(c):
    c.send("CLIENT", "REPLY", "OFF")
    c.send_raw(b"".join(encode(["SET", "k%d" % i, i]) for i in range(1000)))
    c.send("CLIENT", "REPLY", "ON")
    assert c.read() == "OK"
    assert c("DBSIZE") == 1000


def test_no_evict_and_no_touch(c):
    check(c, ("CLIENT NO-EVICT on", "OK"))
    assert "e" in fields(c("CLIENT", "INFO"))["flags"]
    check(c, ("CLIENT NO-EVICT off", "OK"), ("CLIENT NO-EVICT x", SYNTAX),
          ("CLIENT NO-TOUCH on", "OK"))
    assert "T" in fields(c("CLIENT", "INFO"))["flags"]
    check(c, ("CLIENT NO-TOUCH off", "OK"), ("CLIENT NO-TOUCH x", SYNTAX))
    assert fields(c("CLIENT", "INFO"))["flags"] == "N"


def test_unblock(c, connect):
    other = connect()
    number = other("CLIENT", "ID")
    check(c, ("CLIENT UNBLOCK 99999999", 0), (["CLIENT", "UNBLOCK", number], 0),
          (["CLIENT", "UNBLOCK", number, "ERROR"], 0),
          (["CLIENT", "UNBLOCK", number, "BOGUS"],
           Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
          ("CLIENT UNBLOCK x", NOT_INTEGER))
    other.send("WAIT", "1", "0")
    eventually(lambda: c("CLIENT", "UNBLOCK", number) == 1)
    assert other.read() == 0


def test_pause_write(c, connect):
    other = connect()
    c("SET", "a", "1")
    try:
        assert c("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
        assert other("GET", "a") == b"1"
        other.send("SET", "a", "2")
        assert other.is_silent(0.15)
        assert c("GET", "a") == b"1"
    finally:
        assert c("CLIENT", "UNPAUSE") == "OK"
    assert other.read() == "OK"
    assert c("GET", "a") == b"2"


@pytest.mark.parametrize("mode", [["ALL"], ["all"], []])
def test_pause_all(c, connect, mode):
    other = connect()
    started = time.monotonic()  # before: the reply may be late, but the pause is not
    assert c("CLIENT", "PAUSE", "400", *mode) == "OK"
    other.send("GET", "a")
    c.send("PING")
    assert other.is_silent(0.15) and c.is_silent(0.05)
    assert other.read() is None and c.read() == "PONG"
    assert 0.3 < time.monotonic() - started < 2 * SLOW


def test_pause_ends_by_itself_and_keeps_order(c, connect):
    other = connect()
    started = time.monotonic()
    assert c("CLIENT", "PAUSE", "200", "WRITE") == "OK"
    assert other.pipeline([("SET", "a", "1"), ("GET", "a"), ("MSET", "b", "2", "c", "3"),
                           ("GET", "c")]) == \
        ["OK", b"1", "OK", b"3"]
    assert 0.1 < time.monotonic() - started < 2 * SLOW
    check(c, ("CLIENT PAUSE x", Error("ERR timeout is not an integer or out of range")),
          ("CLIENT PAUSE -1", Error("ERR timeout is negative")),
          ("CLIENT PAUSE 5 BOGUS", Error("ERR CLIENT PAUSE mode must be WRITE or ALL")),
          ("CLIENT UNPAUSE", "OK"))


def test_pause_drops_what_a_leaving_client_sent(c, connect):
    other = connect()
    assert other("PING") == "PONG"  # it has been adopted, so it is listed
    clients = c("CLIENT", "LIST").count(b"id=")
    assert c("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
    try:
        other.send("SET", "a", "1")
        assert other.is_silent(0.1)
        other.close()
        deadline = time.monotonic() + 2 * SLOW
        while c("CLIENT", "LIST").count(b"id=") == clients and time.monotonic() < deadline:
            time.sleep(0.01)
        assert c("CLIENT", "LIST").count(b"id=") == clients - 1
    finally:
        assert c("CLIENT", "UNPAUSE") == "OK"
    assert c("GET", "a") is None


def test_pause_of_ages_does_not_keep_shards_awake(c, server):
    def cpu_s():
        return sum(float(c("INFO", "cpu").decode().split(name + ":")[1].split()[0])
                   for name in ("used_cpu_sys", "used_cpu_user"))

    before = cpu_s()
    assert c("CLIENT", "PAUSE", "9223372036854775", "WRITE") == "OK"  # more ns than an int64 has
    try:
        time.sleep(0.5)
        assert cpu_s() - before < 0.25
    finally:
        assert c("CLIENT", "UNPAUSE") == "OK"


def test_pause_write_holds_exec(c, connect):
    other, reader, queuer = connect(), connect(), connect()
    check(other, ("MULTI", "OK"), ("SET a 1", "QUEUED"))
    check(reader, ("MULTI", "OK"), ("GET a", "QUEUED"))
    check(queuer, ("MULTI", "OK"))
    assert c("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
    try:
        other.send("EXEC")
        queuer.send("SET", "b", "1")  # held even though it would only be queued
        assert other.is_silent(0.1) and queuer.is_silent(0.02)
        check(reader, ("EXEC", [None]))
        assert c("EXISTS", "a") == 0
    finally:
        c("CLIENT", "UNPAUSE")
    assert other.read() == ["OK"] and queuer.read() == "QUEUED"


def test_help_and_unknown(c):
    lines = c("CLIENT", "HELP")
    assert lines[0] == "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    check(c, ("CLIENT", arity("client")),
          ("CLIENT NOSUCH", Error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")))


def test_hello(server, c):
    reply = c("HELLO")
    answer = dict(zip(reply[::2], reply[1::2]))
    assert list(answer) == [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
    assert answer[b"proto"] == 2 and answer[b"id"] == c("CLIENT",
                                                        "ID") and answer[b"mode"] == b"standalone"
    assert answer[b"role"] == b"master" and answer[b"modules"] == []
    assert re.fullmatch(rb"7\.2\.\d+", answer[b"version"]) and answer[b"server"] == b"redis"
    check(c, ("HELLO 1", Error("NOPROTO unsupported protocol version")),
          ("HELLO 4", Error("NOPROTO unsupported protocol version")),
          ("HELLO x", Error("ERR Protocol version is not an integer or out of range")),
          ("HELLO 2 BOGUS", Error("ERR Syntax error in HELLO option 'BOGUS'")),
          ("HELLO 2 AUTH default", Error("ERR Syntax error in HELLO option 'AUTH'")),
          (["HELLO", "2", "SETNAME", "a b"],
           Error("ERR Client names cannot contain spaces, newlines or special characters.")))
    assert isinstance(c("HELLO", "3", "SETNAME", "app", "AUTH", "default", "any"), dict)
    check(c, ("CLIENT GETNAME", b"app"))


def test_reset(c):
    check(c, ("SELECT 3", "OK"), ("CLIENT SETNAME x", "OK"), ("CLIENT NO-TOUCH ON", "OK"))
    c("HELLO", "3")
    check(c, ("RESET", "RESET"), ("CLIENT GETNAME", None))
    f = fields(c("CLIENT", "INFO"))
    assert f["db"] == "0" and f["resp"] == "2" and f["flags"] == "N"


def test_list_while_clients_come_and_go(server, c):
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            with server.client() as other:
                other("PING")

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            assert c("CLIENT", "ID") in client_list(c)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
