# SPDX-License-Identifier: BSD-3-Clause
"""torc-floor answers every command once and in order, however requests are cut into pieces.

It is what bench/compare measures torc against; if it lost or invented a reply, the figures would
mean nothing. The binary is $TORC_FLOOR, or the one of the optimised build.
"""
import os
import pathlib
import socket
import subprocess
import threading
import time

import pytest

from lib.server import free_port, io_uring_works

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOOR = os.environ.get("TORC_FLOOR") or str(
    pathlib.Path(os.environ.get("TORC_BINARY") or ROOT / "build/release/torc").parent /
    "torc-floor")
pytestmark = pytest.mark.skipif(not os.path.exists(FLOOR), reason="torc-floor is not built")
BACKENDS = ["epoll"] + (["io_uring"] if io_uring_works() else [])


def bulk(n):
    return b"$%d\r\n" % n + b"x" * n + b"\r\n"


def request(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


@pytest.fixture(params=BACKENDS)
def floor(request, tmp_path):
    """Starts floors: floor(value_size) gives a function that opens a connection."""
    running = []

    def start(value_size, unix=False, values=1):
        port, path = free_port(), str(tmp_path / "floor.sock")
        argv = [FLOOR, "--port", str(port), "--value-size", str(value_size), "--values",
                str(values), "--io-backend", request.param]
        running.append(subprocess.Popen(argv + (["--unix-socket", path] if unix else [])))

        def connect():
            deadline = time.monotonic() + 10
            while True:
                s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
                s.settimeout(20)
                try:
                    s.connect(path if unix else ("127.0.0.1", port))
                    return s
                except OSError:
                    s.close()
                    assert time.monotonic() < deadline, "it does not listen"
                    time.sleep(0.02)
        return connect

    yield start
    for process in running:
        process.kill()
        process.wait()


def expect(s, wanted):
    """The next bytes are these, and no more than these have come."""
    got = b""
    while len(got) < len(wanted):
        piece = s.recv(1 << 20)
        assert piece, "closed after %d of %d bytes" % (len(got), len(wanted))
        got += piece
    assert got == wanted


@pytest.mark.parametrize("size", [0, 32, 1024, 20000])
def test_a_pipeline_is_answered_in_order(floor, size):
    value = bulk(size)
    sent = b"".join([
        request(b"GET", b"k"), request(b"SET", b"k", b"v" * size), request(b"mget", b"a", b"b"),
        request(b"GET", b"k" * 150), request(b"MSET", b"a", b"b"), b"PING\r\n\r\n",
        request(b"get", b"\r\n$3\r\n"), request(b"PING")])
    replies = (value + b"+OK\r\n" + b"*2\r\n" + value * 2 + value + b"+OK\r\n+PONG\r\n" + value
               + b"+PONG\r\n")
    with floor(size)() as s:
        s.sendall(sent * 50)
        expect(s, replies * 50)


def test_each_get_has_a_value_of_its_own(floor):
    """With several values every answer is one of them, whole."""
    with floor(300, values=7)() as s:
        s.sendall(request(b"GET", b"k") * 50)
        expect(s, bulk(300) * 50)


def test_requests_may_be_cut_anywhere(floor):
    sent = (request(b"SET", b"key", b"value") + request(b"MGET", *[b"k"] * 12) + b"PING\r\n"
            + request(b"GET", b"key:0000000001"))
    replies = b"+OK\r\n*12\r\n" + bulk(5) * 12 + b"+PONG\r\n" + bulk(5)
    with floor(5)() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(sent)):
            s.sendall(sent[:cut])
            time.sleep(0.001)
            s.sendall(sent[cut:])
            expect(s, replies)
        for i in range(len(sent)):
            s.sendall(sent[i:i + 1])
        expect(s, replies)


def test_large_replies_arrive_whole(floor):
    """More than the socket takes at once, from a client that reads late, over a Unix socket."""
    with floor(1 << 20, unix=True)() as s:
        sender = threading.Thread(target=s.sendall, args=(
            (request(b"GET", b"k") + request(b"SET", b"k", b"v" * 100000)) * 20,))
        sender.start()
        time.sleep(0.2)
        expect(s, (bulk(1 << 20) + b"+OK\r\n") * 20)
        sender.join(20)
        assert not sender.is_alive()


def test_connections_come_and_go(floor):
    connect = floor(32)
    for _ in range(20):
        with connect() as a, connect() as b:
            a.sendall(request(b"GET", b"k") * 3)
            b.sendall(request(b"MGET", *[b"k"] * 1024) + request(b"MGET", *[b"k"] * 1025))
            expect(a, bulk(32) * 3)
            expect(b, b"*1024\r\n" + bulk(32) * 1024 + b"-ERR too many keys\r\n")
