# SPDX-License-Identifier: BSD-3-Clause
"""Listening, accepting, limits, and clients that misbehave."""
import os
import socket
import stat
import struct
import time

import pytest

from lib.check import check, eventually, info
from lib.resp import SLOW, Client, ConnectionClosed, Error, encode

pytestmark = pytest.mark.few


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_maxclients(start):
    server = start(maxclients=10)
    clients = []
    # A connection that is closing may still count for a moment.
    eventually(lambda: _connected(server) <= 1)
    for _ in range(10):
        clients.append(server.client())
        assert clients[-1]("PING") == "PONG"
    with server.client() as late:
        assert late.read() == Error("ERR max number of clients reached")
        assert late.wait_closed()
    stats = info(clients[0], "stats")
    assert int(stats["rejected_connections"]) >= 1
    clients.pop().close()

    def accepted():
        with server.client() as again:
            try:
                return again("PING") == "PONG"
            except (ConnectionClosed, OSError):
                return False

    eventually(accepted)
    check(clients[0], ("CONFIG SET maxclients 50", "OK"), ("CONFIG GET maxclients",
                                                           [b"maxclients", b"50"]))
    with server.client() as one, server.client() as two:
        assert one("PING") == two("PING") == "PONG"
    for client in clients:
        client.close()


def _connected(server):
    with server.client() as c:
        return int(info(c, "clients")["connected_clients"])


def test_many_connections(server, c):
    clients = [server.client() for _ in range(400)]
    try:
        for i, client in enumerate(clients):
            client.send("SET", "k%d" % i, i)
        assert all(client.read() == "OK" for client in clients)
        for i, client in enumerate(clients):
            client.send("GET", "k%d" % (399 - i))
        assert [client.read() for client in clients] == [b"%d" % (399 - i) for i in range(400)]
    finally:
        for client in clients:
            client.close()


def test_connect_and_leave(server, c):
    for _ in range(300):
        with server.client() as client:
            client.send("PING")
    check(c, ("PING", "PONG"))
    eventually(lambda: int(info(c, "clients")["connected_clients"]) < 10)


def test_timeout_closes_the_idle(start):
    server = start(timeout=1)
    with server.client() as idle, server.client() as half, server.client() as busy:
        assert idle("PING") == "PONG"
        half.send_raw(b"*1\r\n$4\r\nPI")
        started = time.monotonic()
        while time.monotonic() - started < 2.5:
            assert busy("PING") == "PONG"
            time.sleep(0.2)
        assert idle.wait_closed(3)
        assert half.wait_closed(3)
        assert busy("PING") == "PONG"


def test_unix_socket(start, tmp_path):
    path = str(tmp_path / "s.sock")
    server = start(unixsocket=path, unixsocketperm="700")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    with Client(path) as c, Client(path) as d:
        check(c, ("SET a 1", "OK"), ("GET a", b"1"))
        assert d("GET", "a") == b"1"
        assert "addr=%s:0" % path in c("CLIENT", "INFO").decode()
        values = c.pipeline([("INCR", "n")] * 5000)
        assert values == list(range(1, 5001))
    with server.client() as tcp:
        assert tcp("GET", "a") == b"1"
    server.stop(remove=False)
    assert not os.path.exists(path)


def accepts(path):
    """Whether somebody listens there: the socket's file is a moment older than that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        return s.connect_ex(path) == 0


def test_unix_socket_only(start, tmp_path):
    path = str(tmp_path / "only.sock")
    server = start(unixsocket=path, port=0, ready=False)
    eventually(lambda: accepts(path) and server.is_alive(), 10)
    with Client(path) as c:
        check(c, ("PING", "PONG"))


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback")
def test_ipv6_and_several_addresses(start):
    server = start(bind=["127.0.0.1", "::1", "127.0.0.2"])
    for host in ("127.0.0.1", "::1", "127.0.0.2"):
        with Client((host, server.port)) as c:
            assert c("PING") == "PONG"
            address = "[::1]:" if host == "::1" else host + ":"
            assert "laddr=%s%d" % (address, server.port) in c("CLIENT", "INFO").decode()
    with pytest.raises(OSError):
        Client(("127.0.0.3", server.port), timeout=2)


def test_optional_bind_address(start):
    server = start(bind=["127.0.0.1", "-192.0.2.1"])
    with server.client() as c:
        assert c("PING") == "PONG"


def test_impossible_bind_address_stops_the_start(start):
    server = start(bind=["192.0.2.1"], ready=False)
    assert server.wait_exit(10) != 0


def test_port_in_use_stops_the_start(server, start):
    other = start(port=server.port, ready=False)
    assert other.wait_exit(10) != 0
    assert str(server.port) in other.log()


def test_client_that_never_reads_is_bounded(start):
    server = start(client_output_buffer_limit=["normal", "20mb", "0", "0"])
    with server.client() as c:
        c("SET", "v", b"x" * 100000)
        before = int(info(c, "memory")["used_memory"])
        deaf = server.client(timeout=3)
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = encode(["GET", "v"]) * 50
        worst = 0
        try:
            for _ in range(200):
                deaf.sock.settimeout(0.05)
                deaf.send_raw(request)
                worst = max(worst, int(info(c, "memory")["used_memory"]) - before)
        except OSError:
            pass  # refused by back-pressure, or disconnected by the limit: both bound it
        for _ in range(5):
            worst = max(worst, int(info(c, "memory")["used_memory"]) - before)
            time.sleep(0.02)
        assert worst < 60e6, "a deaf client costs %d bytes" % worst
        assert c("PING") == "PONG"
        deaf.close()
        eventually(lambda: int(info(c, "memory")["used_memory"]) - before < 5e6)


def test_client_output_buffer_limit_by_class(start):
    server = start()
    with server.client() as c:
        check(c, (["CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0"], "OK"),
              ("CONFIG GET client-output-buffer-limit",
               [b"client-output-buffer-limit",
                b"normal 1048576 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"]),
              (["CONFIG", "SET", "client-output-buffer-limit", "bogus 1 1 1"],
               Error("ERR CONFIG SET failed (possibly related to argument "
                     "'client-output-buffer-limit') - "
                     "Invalid client class specified in buffer limit configuration.")))


def test_slow_reader_gets_everything(c, connect):
    c("SET", "v", b"0123456789" * 10000)
    slow = connect(timeout=30)
    slow.send_raw(encode(["GET", "v"]) * 300)
    for i in range(300):
        if i % 30 == 0:
            time.sleep(0.02)
            assert c("PING") == "PONG"
        assert slow.read() == b"0123456789" * 10000


def test_one_slow_client_does_not_stall_others(c, connect):
    c("SET", "v", b"x" * 1000000)
    slow = connect()
    slow.send_raw(encode(["GET", "v"]) * 15)
    worst = 0
    for _ in range(200):
        started = time.monotonic()
        assert c("GET", "none") is None
        worst = max(worst, time.monotonic() - started)
    assert worst < 0.5 * SLOW


def test_abrupt_reset(server, c):

    for _ in range(50):
        client = server.client()
        client.send_raw(encode(["SET", "a", "1"]) * 50)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    check(c, ("PING", "PONG"))
    eventually(lambda: int(info(c, "clients")["connected_clients"]) < 10)


def test_quit(both):
    assert both("QUIT") == "OK"
    assert both.wait_closed()


def test_connections_spread_and_see_one_keyspace(server, c):
    clients = [server.client() for _ in range(16)]
    try:
        for i, client in enumerate(clients):
            assert client("SET", "k", i) == "OK"
            assert all(other("GET", "k") == b"%d" % i for other in clients)
    finally:
        for client in clients:
            client.close()


def test_tcp_keepalive_is_set(c, config):
    check(c, ("CONFIG GET tcp-keepalive", [b"tcp-keepalive", b"300"]))
    assert config("tcp-keepalive", "60") == "OK"
