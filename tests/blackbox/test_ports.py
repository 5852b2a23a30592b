# SPDX-License-Identifier: BSD-3-Clause
"""CONFIG SET of port and bind: where a running server listens. As in Redis."""
import contextlib
import socket

import pytest

from lib import resp
from lib.resp import Error
from lib.server import free_port, free_run


def serves(port, host="127.0.0.1"):
    """Whether somebody answers a PING there."""
    try:
        with resp.Client((host, port)) as client:
            return client("PING") == "PONG"
    except OSError:
        return False


def failed(directive, why):
    """The reply of a CONFIG SET that is refused."""
    return Error("ERR CONFIG SET failed (possibly related to argument '%s') - %s"
                 % (directive, why))


@pytest.fixture
def taken():
    """A port that somebody else listens on."""
    with contextlib.closing(socket.socket()) as other:
        port = free_port()
        other.bind(("127.0.0.1", port))
        other.listen()
        yield port


def test_port_moves_and_clients_stay(start):
    server = start(bind="127.0.0.1")
    ports = [server.port] + [free_port() for _ in range(8)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(8)]
        for i, port in enumerate(ports[1:]):
            assert clients[i]("CONFIG", "SET", "port", port) == "OK"
            assert not serves(ports[i])
            assert serves(port)
            assert clients[i]("CONFIG", "GET", "port") == [b"port", b"%d" % port]
        assert [client("PING") for client in clients] == ["PONG"] * 8
        # There and back at once: only the last one counts.
        for client in clients:
            client.send("CONFIG", "SET", "port", ports[0])
            client.send("CONFIG", "SET", "port", ports[1])
        for client in clients:
            assert [client.read(), client.read()] == ["OK", "OK"]
        assert serves(ports[1]) and not serves(ports[0])


def test_a_port_that_is_taken_changes_nothing(start, taken):
    server = start(bind="127.0.0.1")
    with server.client() as admin:
        for _ in range(3):
            assert admin("CONFIG", "SET", "timeout", 77, "port", taken) == failed(
                "port", "Unable to listen on this port. Check server logs.")
            assert admin("CONFIG", "GET", "port") == [b"port", b"%d" % server.port]
            assert admin("CONFIG", "GET", "timeout") == [b"timeout", b"0"]
            assert serves(server.port)


def test_addresses(start):
    server = start(bind="127.0.0.1")
    with server.client() as admin:
        assert not serves(server.port, "127.0.0.2")
        # Each overlaps with the one before.
        for addresses, second in (("* -::*", True), ("127.0.0.1 127.0.0.2", True),
                                  ("127.0.0.1 -192.0.2.1", False)):
            assert admin("CONFIG", "SET", "bind", addresses) == "OK"
            assert admin("CONFIG", "GET", "bind") == [b"bind", addresses.encode()]
            assert serves(server.port)
            assert serves(server.port, "127.0.0.2") == second
        # One that this host does not have.
        assert admin("CONFIG", "SET", "bind", "127.0.0.2 192.0.2.1") == failed(
            "bind", "Failed to bind to specified addresses.")
        assert admin("CONFIG", "GET", "bind") == [b"bind", b"127.0.0.1 -192.0.2.1"]
        assert serves(server.port) and not serves(server.port, "127.0.0.2")


def test_no_port_at_all(start):
    server = start(bind="127.0.0.1")
    with server.client() as admin:
        assert admin("CONFIG", "SET", "port", 0) == "OK"
        assert not serves(server.port)
        assert admin("CONFIG", "SET", "port", server.port) == "OK"
        assert serves(server.port)
        assert admin("CONFIG", "SET", "bind", "") == "OK"
        assert not serves(server.port)
        assert admin("CONFIG", "SET", "bind", "127.0.0.1") == "OK"
        assert serves(server.port)


def test_what_cannot_be_changed(start):
    server = start(bind="127.0.0.1")
    if not server.is_torc:
        pytest.skip("of torc alone")
    with server.client() as admin:
        assert admin("CONFIG", "SET", "tls-port", free_port()) == failed(
            "tls-port", "The server was started without TLS")
        assert serves(server.port)
    server = start(bind="127.0.0.1", port=free_run(2), shards=1, shard_ports="yes")
    with server.client() as admin:
        assert admin("CONFIG", "SET", "port", free_port()) == failed(
            "port", "The ports of the shards (shard-ports) follow from it")
        assert serves(server.port) and serves(server.port + 1)
