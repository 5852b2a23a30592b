# SPDX-License-Identifier: BSD-3-Clause
"""Values that go out by reference and come in without a copy: the bytes are right whatever happens
to the key meanwhile, at every size around the thresholds, for slow readers, over shards."""
import random
import socket

import pytest

from lib import resp
from lib.server import Server, options_of, io_uring_works

pytestmark = pytest.mark.few

KIB = 1024
SIZES = [16 * KIB, 32 * KIB - 1, 32 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300 * KIB,
         1024 * KIB, 1024 * KIB + 1, 5000 * KIB]


@pytest.fixture(params=["1-epoll", "1-io_uring", "4-epoll", "3-io_uring"])
def server(request):
    if request.param.endswith("io_uring") and not io_uring_works():
        pytest.skip("no io_uring here")
    instance = Server(options_of(request.param))
    yield instance
    instance.stop()


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


def command(*args):
    parts = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(parts)


def read_exactly(sock, n):
    got = bytearray()
    while len(got) < n:
        piece = sock.recv(min(1 << 20, n - len(got)))
        assert piece, "closed after %d of %d bytes" % (len(got), n)
        got += piece
    return bytes(got)


def bulk(value):
    return b"$%d\r\n%s\r\n" % (len(value), value)


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60 * resp.SLOW)


def used_memory(client):
    return int(client("INFO", "memory").decode().split("used_memory:")[1].split()[0])


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out(server, size):
    with server.client(timeout=60) as c:
        for shard in range(6):  # keys of several shards
            key, value = "k:%d" % shard, pattern(shard, size)
            assert c("SET", key, value) == "OK"
            assert c("GET", key) == value
            assert c("STRLEN", key) == size
            assert c("GETRANGE", key, 10, -11) == value[10:-10]
            assert c("SET", key, value[::-1], "GET") == value
            assert c("GETSET", key, value) == value[::-1]
            assert c("SETEX", key, 1000, value) == "OK"
            assert c("APPEND", key, "tail") == size + 4
            assert c("SETRANGE", key, 1, "HEAD") == size + 4
            changed = value[:1] + b"HEAD" + value[5:] + b"tail"
            assert c("GET", key) == changed
            assert c("SETBIT", key, 0, 1) in (0, 1)
            assert c("COPY", key, "copy:%d" % shard) == 1
            assert c("RENAME", key, "new:%d" % shard) == "OK"
            want = bytes([changed[0] | 0x80]) + changed[1:]
            assert c("GETDEL", "new:%d" % shard) == want
            assert c("GET", "copy:%d" % shard) == want


@pytest.mark.parametrize("proto", [2, 3])
def test_long_and_short_replies_in_turn(server, proto):
    """Pipelines and MULTI blocks in which references stand between copied bytes."""
    values = {b"v:%d" % i: pattern(i, [5, 70 * KIB, 0, 200 * KIB, 64 * KIB, 1500 * KIB][i])
              for i in range(6)}
    with connect(server) as raw:
        raw.sendall(command("HELLO", proto))
        raw.recv(1 << 16)
        for key, value in values.items():
            raw.sendall(command("SET", key, value))
            assert read_exactly(raw, 5) == b"+OK\r\n"
        keys = [random.Random(1).choice(list(values)) for _ in range(40)]
        raw.sendall(b"".join(command("GET", k) + command("PING") for k in keys))
        want = b"".join(bulk(values[k]) + b"+PONG\r\n" for k in keys)
        assert read_exactly(raw, len(want)) == want
        raw.sendall(command("MGET", *keys))
        want = b"*40\r\n" + b"".join(bulk(values[k]) for k in keys)
        assert read_exactly(raw, len(want)) == want
        raw.sendall(command("MULTI") + b"".join(command("GET", k) for k in keys) + command("EXEC"))
        want = b"+OK\r\n" + b"+QUEUED\r\n" * 40 + want
        assert read_exactly(raw, len(want)) == want
        # Replies that nobody wants hold on to nothing.
        raw.sendall(command("CLIENT", "REPLY", "SKIP") + command("GET", b"v:3") + command("PING"))
        assert read_exactly(raw, 7) == b"+PONG\r\n"


@pytest.mark.parametrize("change", [
    ("DEL", "k"), ("SET", "k", "short"), ("SET", "k", b"n" * 3000000), ("APPEND", "k", "more"),
    ("SETRANGE", "k", "0", b"o" * 3000000), ("SETRANGE", "k", "6000000", "z"),
    ("SETBIT", "k", "23999999", "0"), ("SETBIT", "k", "23999999", "1"),  # one of them changes it
    ("BITFIELD", "k", "INCRBY", "u8", "#2999999", "1"),
    ("FLUSHALL",), ("FLUSHALL", "ASYNC"), ("RENAME", "k", "j"),
    ("BITOP", "NOT", "k", "k"), ("PEXPIRE", "k", "0")], ids=lambda c: " ".join(map(str, c))[:24])
def test_a_change_while_the_value_goes_out(server, change):
    value = pattern(7, 3000000)
    with server.client(timeout=60) as c, connect(server) as slow:
        assert c("SET", "k", value) == "OK"
        slow.sendall(command("GET", "k") * 4)
        assert read_exactly(slow, 10) == b"$3000000\r\n"  # under way, and the socket is full
        c(*change)
        first = read_exactly(slow, 3000002)
        assert first == value + b"\r\n"
        rest = read_exactly(slow, 5)  # the others were executed before or after the change
        assert rest[:1] == b"$"


def test_a_reader_that_leaves(server):
    """What was pinned for it goes."""
    with server.client(timeout=60) as c:
        value = pattern(3, 8 << 20)
        before = used_memory(c)
        assert c("SET", "k", value) == "OK"
        for _ in range(5):
            slow = connect(server)
            slow.sendall(command("GET", "k"))
            read_exactly(slow, 1000)
            slow.close()
        assert c("DEL", "k") == 1
        for _ in range(1000):
            if used_memory(c) - before < 4 << 20:
                break
        assert used_memory(c) - before < 4 << 20


def test_values_that_arrive_in_pieces(server):
    """Any cut, with other commands before, behind and in between two long ones."""
    rng = random.Random(11)
    with connect(server) as raw:
        model, sent, want = {}, [], []
        for i in range(60):
            key = b"k:%d" % rng.randrange(5)
            if rng.random() < 0.5:
                value = rng.randbytes(rng.choice([3, 40 * KIB, 65 * KIB, 130 * KIB, 1100 * KIB]))
                extra = rng.choice([(), ("EX", "1000"), ("KEEPTTL",)])
                sent.append(command("SET", key, value, *extra))
                want.append(b"+OK\r\n")
                model[key] = value
            elif rng.random() < 0.3:
                pairs = [rng.randbytes(50 * KIB) for _ in range(3)]
                sent.append(command("MSET", b"k:0", pairs[0], b"k:1", pairs[1], b"k:0", pairs[2]))
                want.append(b"+OK\r\n")
                model[b"k:0"], model[b"k:1"] = pairs[2], pairs[1]
            else:
                sent.append(command("GET", key))
                want.append(bulk(model[key]) if key in model else b"$-1\r\n")
        stream, reply, at = b"".join(sent), b"".join(want), 0
        raw.settimeout(60 * resp.SLOW)
        got = bytearray()
        raw.setblocking(False)
        while at < len(stream) or len(got) < len(reply):
            if at < len(stream):
                try:
                    at += raw.send(stream[at:at + rng.choice([1, 100, 5000, 16384, 100000])])
                except BlockingIOError:
                    pass
            try:
                piece = raw.recv(1 << 18)
                assert piece
                got += piece
            except BlockingIOError:
                pass
        assert bytes(got) == reply


def test_announced_but_not_sent(server):
    """A header makes no room for what does not come."""
    with server.client(timeout=60) as c:
        before = used_memory(c)
        many = [connect(server) for _ in range(8)]
        for raw in many:
            raw.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nxyz")
        assert c("PING") == "PONG"
        assert used_memory(c) - before < 40 << 20
        for raw in many:
            raw.close()
