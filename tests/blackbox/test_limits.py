# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile or unlucky user does: deep pipelines, floods, half commands, flushing much."""
import socket
import time

import pytest

from lib import resp
from lib.server import Server, options_of


@pytest.fixture(params=["1-epoll", "2-io_uring", "4-epoll"])
def server(request):
    """A server of its own: these tests fill and flush it."""
    if request.param.endswith("io_uring"):
        from lib.server import io_uring_works
        if not io_uring_works():
            pytest.skip("no io_uring here")
    instance = Server(options_of(request.param))
    yield instance
    instance.stop()


def fill(server, keys):
    """Sets that many keys by MSETs on one connection."""
    with server.client(timeout=60) as client:
        for start in range(0, keys, 1000):
            pairs = []
            for i in range(start, min(start + 1000, keys)):
                pairs += ["fill:%d" % i, "v"]
            assert client("MSET", *pairs) == "OK"


def test_deep_pipeline_of_writes_over_shards(server):
    """Each write waits for the one before, on whichever shard: all are done, in order."""
    count = 20000
    commands = b"".join(b"SET k:%d %d\r\n" % (i % 500, i) for i in range(count))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60 * resp.SLOW) as raw:
        sender = raw.dup()
        sender.sendall(commands)
        sender.close()
        got = 0
        while got < count * 5:
            piece = raw.recv(1 << 16)
            assert piece
            got += len(piece)
    with server.client() as client:
        assert client("GET", "k:499") == b"%d" % (count - 1)


def test_flushall_frees_all_and_serves_meanwhile(server):
    """The entries go in steps after the reply, and the memory comes back."""
    with server.client(timeout=60) as client:
        def used():
            text = client("INFO", "memory").decode()
            return int(text.split("used_memory:")[1].split()[0])
        before = used()
        fill(server, 100000)
        full = used()
        assert full - before > 4000000
        assert client("FLUSHALL") == "OK"
        assert client("DBSIZE") == 0
        client("SET", "after", "x")
        end = time.monotonic() + 20 * resp.SLOW
        while used() - before > (full - before) / 4:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert client("GET", "after") == b"x"


def test_half_commands_cost_their_bytes(server):
    """Announcing 512 MiB and sending nothing reserves nothing."""
    half = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n"
    with server.client() as client:
        def used():
            text = client("INFO", "memory").decode()
            return int(text.split("used_memory:")[1].split()[0])
        before = used()
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for one in sockets:
            one.sendall(half)
        time.sleep(0.2)
        assert client("PING") == "PONG"
        assert used() - before < 100 * 8192
        for one in sockets:
            one.close()
