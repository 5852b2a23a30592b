# SPDX-License-Identifier: BSD-3-Clause
"""RESP on the wire: forms of commands, limits, pipelines, and the error for each violation."""
import socket

import pytest

from lib.check import arity, check, eventually, info
from lib.resp import ConnectionClosed, Error, encode

pytestmark = pytest.mark.few

PROTOCOL_ERRORS = [
    (b"*99999999999\r\n", "invalid multibulk length"),
    (b"*2147483648\r\n", "invalid multibulk length"),
    (b"*abc\r\n", "invalid multibulk length"),
    (b"*1x\r\n", "invalid multibulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$abc\r\n", "invalid bulk length"),
    (b"*1\r\n$99999999999\r\n", "invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    (b"*1\r\n$\r\n", "invalid bulk length"),
    (b"*1\r\n:3\r\n", "expected '$', got ':'"),
    (b"*2\r\n$4\r\nPING\r\nx\r\n", "expected '$', got 'x'"),
    (b"SET a \"b\r\n", "unbalanced quotes in request"),
    (b"SET a 'b\r\n", "unbalanced quotes in request"),
    (b"SET a \"b\"c\r\n", "unbalanced quotes in request"),
    (b"x" * 70000, "too big inline request"),
    (b"*" + b"1" * 70000, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
]


@pytest.mark.parametrize("data, text", PROTOCOL_ERRORS, ids=range(len(PROTOCOL_ERRORS)))
def test_protocol_error_is_named_and_closes(c, data, text):
    c.send_raw(data)
    assert c.read() == Error("ERR Protocol error: " + text)
    assert c.wait_closed()


def test_replies_before_a_protocol_error_still_come(c):
    c.send_raw(encode(["SET", "a", "1"]) + encode(["GET", "a"]) + b"*1\r\n:1\r\n")
    assert [c.read(), c.read()] == ["OK", b"1"]
    assert c.read() == Error("ERR Protocol error: expected '$', got ':'")
    assert c.wait_closed()


@pytest.mark.parametrize("data, text", [
    (b"*11\r\n", "unauthenticated multibulk length"),
    (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
])
def test_limits_before_authentication(start, data, text):
    server = start(requirepass="secret")
    with server.client() as c:
        c.send_raw(data)
        assert c.read() == Error("ERR Protocol error: " + text)
        assert c.wait_closed()
    with server.client() as c:
        assert c("AUTH", "secret") == "OK"
        assert c("SET", "k", "x" * 20000) == "OK"
        assert c("DEL", *range(20)) == 0


@pytest.mark.parametrize("line, reply", [
    (b"PING\r\n", "PONG"), (b"PING\n", "PONG"), (b"  PING  \r\n", "PONG"),
    (b"ping hello\r\n", b"hello"),
    (b"ECHO \"a b\"\r\n", b"a b"), (b"ECHO 'a b'\r\n", b"a b"),
    (b"ECHO \"\\x41\\n\\t\\\"\"\r\n", b"A\n\t\""),
    (b"ECHO 'it\\'s'\r\n", b"it's"), (b"ECHO \"\"\r\n", b""), (b"ECHO '\\n'\r\n", b"\\n"),
    (b"\tECHO\tx\r\n", b"x"), (b"ECHO \"\\a\\b\\r\\z\"\r\n", b"\a\b\rz"),
    (b"ECHO a\"b\"\r\n", b"ab"),
])
def test_inline(c, line, reply):
    c.send_raw(line)
    assert c.read() == reply


def test_empty_commands_have_no_reply(c):
    c.send_raw(b"\r\n\n*0\r\n*-1\r\n*-5\r\n  \r\n" + encode(["ECHO", "end"]))
    assert c.read() == b"end"


def test_inline_and_multibulk_mixed(c):
    c.send_raw(b"SET a 1\r\n" + encode(["INCR", "a"]) + b"GET a\n" + encode(["GET", "a"]))
    assert [c.read() for _ in range(4)] == ["OK", 2, b"2", b"2"]


def test_long_inline_within_limit(c):
    c.send_raw(b"ECHO " + b"y" * 60000 + b"\r\n")
    assert c.read() == b"y" * 60000


def test_one_byte_at_a_time(c):
    data = encode(["SET", "key", "a\r\nb"]) + b"GET key\r\n" + encode(["STRLEN", "key"])
    for i in range(len(data)):
        c.send_raw(data[i:i + 1])
    assert [c.read() for _ in range(3)] == ["OK", b"a\r\nb", 4]


def test_split_at_every_boundary(c):
    data = encode(["SET", "k", "\r\n$3\r\n"]) + encode(["GET", "k"]) + b"PING\r\n" + encode(["DEL",
                                                                                             "k"])
    for i in range(1, len(data)):
        c.send_raw(data[:i])
        c.send_raw(data[i:])
        assert [c.read() for _ in range(4)] == ["OK", b"\r\n$3\r\n", "PONG", 1], i


def test_pipeline_of_100000(c):
    commands = []
    for i in range(50000):
        commands += [("SET", "key:%d" % (i % 1000), i), ("GET", "key:%d" % (i % 1000))]
    replies = c.pipeline(commands)
    assert replies[::2] == ["OK"] * 50000
    assert replies[1::2] == [b"%d" % i for i in range(50000)]


def test_pipeline_keeps_order_over_keys(c):
    commands = [("INCR", "counter:%d" % (i % 7)) for i in range(7000)]
    assert c.pipeline(commands) == [1 + i // 7 for i in range(7000)]


def test_deep_pipeline_of_errors_and_values(c):
    commands = [("SET", "s", "x"), ("INCR", "s"), ("GET",), ("NOSUCH",), ("GET", "s")] * 2000
    replies = c.pipeline(commands)
    assert replies == ["OK", Error("ERR value is not an integer or out of range"), arity("get"),
                       Error("ERR unknown command 'NOSUCH', with args beginning with: "),
                       b"x"] * 2000


@pytest.mark.parametrize("size", [1, 1023, 16383, 16384, 32768, 65535, 65536, 1 << 20, 20 << 20])
def test_large_arguments(c, size):
    value = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert c("SET", "big", value) == "OK"
    assert c("STRLEN", "big") == size
    assert c("GET", "big") == value
    assert c("DEL", "big") == 1


def test_many_arguments(c):
    pairs = [str(i) for i in range(200000)]
    assert c("MSET", *pairs) == "OK"
    assert c("MGET", *pairs[::2]) == [p.encode() for p in pairs[1::2]]
    assert c("DEL", *pairs[::2]) == 100000


def test_large_key(c):
    key = "k" * 100000
    check(c, (["SET", key, "v"], "OK"), (["GET", key], b"v"), ("DBSIZE", 1), (["DEL", key], 1))


def test_large_reply_pipeline(c):
    c("SET", "v", "z" * 1000000)
    replies = c.pipeline([("GET", "v")] * 40)
    assert all(reply == b"z" * 1000000 for reply in replies)


def test_proto_max_bulk_len(c, config):
    assert config("proto-max-bulk-len", "1048576") == "OK"
    assert c("SET", "a", "x" * 1048576) == "OK"
    assert c("APPEND", "a",
             "y") == Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    assert c("SETRANGE", "b", 1048576, "y") == Error(
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    c.send_raw(b"*2\r\n$3\r\nGET\r\n$1048577\r\n")
    assert c.read() == Error("ERR Protocol error: invalid bulk length")
    assert c.wait_closed()


def test_setrange_and_setbit_at_the_default_limit(c):
    check(c, ("SETRANGE a 536870912 x",
              Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")),
          ("SETBIT a 4294967296 1", Error("ERR bit offset is not an integer or out of range")))


def test_unknown_command_texts(c):
    check(c, (["nosuch"], Error("ERR unknown command 'nosuch', with args beginning with: ")),
          (["nosuch", "a", "b"],
           Error("ERR unknown command 'nosuch', with args beginning with: 'a' 'b' ")),
          (["no\r\nsuch", "a\nb"],
           Error("ERR unknown command 'no  such', with args beginning with: 'a b' ")))
    reply = c("x" * 300, "y" * 300, "z")
    assert reply == Error("ERR unknown command '%s', with args beginning with: '%s' " % (
        "x" * 128, "y" * 128))


def test_unknown_subcommand_and_arity(c):
    check(c, ("OBJECT NOSUCH a", Error("ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.")),
          ("client nosuch", Error("ERR unknown subcommand 'nosuch'. Try CLIENT HELP.")),
          ("CONFIG GET", arity("config|get")), ("CLIENT SETNAME", arity("client|setname")),
          ("OBJECT", arity("object")), ("OBJECT ENCODING", arity("object|encoding")),
          ("get", arity("get")), ("GET a b", arity("get")), ("MSET", arity("mset")))


def test_command_names_ignore_case(c):
    check(c, ("sEt a 1", "OK"), ("gEt a", b"1"), ("oBjEcT eNcOdInG a", b"int"))


def test_resp3_shapes(c3):
    assert c3.raw("GET", "missing") == b"_\r\n"
    assert c3.raw("MGET", "a", "b") == b"*2\r\n_\r\n_\r\n"
    assert c3.raw("CONFIG", "GET", "maxclients").startswith(b"%1\r\n$10\r\nmaxclients\r\n")
    assert c3.raw("INFO", "cluster").startswith(b"=")
    assert c3.raw("CLIENT", "LIST").startswith(b"=")
    assert c3.raw("COMMAND", "INFO", "nosuch") == b"*1\r\n_\r\n"
    assert c3.raw("MULTI") == b"+OK\r\n"
    assert c3.raw("EXEC") == b"*0\r\n"


def test_resp2_shapes(c):
    assert c.raw("GET", "missing") == b"$-1\r\n"
    assert c.raw("MGET", "a", "b") == b"*2\r\n$-1\r\n$-1\r\n"
    assert c.raw("CONFIG", "GET", "maxclients").startswith(b"*2\r\n$10\r\nmaxclients\r\n")
    assert c.raw("COMMAND", "INFO", "nosuch") == b"*1\r\n$-1\r\n"
    assert c.raw("RANDOMKEY") == b"$-1\r\n"
    assert c.raw("PING") == b"+PONG\r\n"
    assert c.raw("SET", "k", "v") == b"+OK\r\n"
    assert c.raw("EXISTS", "k") == b":1\r\n"


def test_protocols_can_be_switched(c):
    assert c.raw("HELLO", "3").startswith(b"%7\r\n")
    assert c.raw("GET", "x") == b"_\r\n"
    assert c.raw("HELLO", "2").startswith(b"*14\r\n")
    assert c.raw("GET", "x") == b"$-1\r\n"


@pytest.mark.torc_only
def test_half_a_command_costs_only_its_bytes(server, c):
    # Redis reserves an announced length at once.
    before = int(info(c, "memory")["used_memory"])
    halves = [server.client() for _ in range(100)]
    try:
        for half in halves:
            half.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000000\r\nxyz")
        assert c("PING") == "PONG"
        eventually(lambda: int(info(c, "clients")["connected_clients"]) >= 101)
        after = int(info(c, "memory")["used_memory"])
        assert after - before < 100 * 100000, "an announced length costs memory"
    finally:
        for half in halves:
            half.close()


def test_disconnect_within_a_command(server, c):
    for data in (b"*3\r\n$3\r\nSE", b"*2\r\n", b"GET", b"*1\r\n$4\r\nPING\r",
                 encode(["SET", "x", "1"])):
        with server.client() as half:
            half.send_raw(data)
    check(c, ("PING", "PONG"))
    eventually(lambda: c("GET", "x") == b"1")


def test_quit_drops_what_follows(c):
    c.send_raw(encode(["SET", "a", "1"]) + encode(["QUIT"]) + encode(["SET", "a", "2"]))
    assert [c.read(), c.read()] == ["OK", "OK"]
    with pytest.raises(ConnectionClosed):
        c.read()


def test_pipelined_then_half_closed(server, c):
    other = server.client()
    other.send_raw(encode(["SET", "a", "1"]) * 100 + encode(["INCR", "a"]))
    other.sock.shutdown(socket.SHUT_WR)
    eventually(lambda: c("GET", "a") == b"2")
    other.close()
