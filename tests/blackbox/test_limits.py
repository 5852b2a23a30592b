# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile or unlucky user does: deep pipelines, floods, half commands, flushing much."""
import ctypes
import random
import socket
import subprocess
import threading
import time

import pytest

from lib import resp
from lib.server import Server, default_binary, free_port, options_of


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
        assert full - before > 2500000
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


def resident(server):
    """Bytes of memory that the server's process occupies."""
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def send_until_stuck(server, data):
    """A connection that sends this and reads nothing, until the server takes no more."""
    raw = socket.create_connection(("127.0.0.1", server.port))
    raw.settimeout(0.3)
    try:
        raw.sendall(data)
    except socket.timeout:
        pass
    return raw


@pytest.mark.skipif(resp.SLOW > 1, reason="a sanitizer's memory says nothing")
def test_client_that_reads_nothing_costs_a_bounded_amount(server):
    """Wherever the key lives: not all the large replies it asked for are made at once."""
    size = 8 << 20
    with server.client(timeout=20) as client:
        for key in "abcd":
            assert client("SET", key, b"x" * size) == "OK"
        time.sleep(0.1)
        before = resident(server)
        commands = b"".join(resp.encode(["GET", key]) for key in "abcd" * 100)
        stuck = [send_until_stuck(server, commands) for _ in range(2)]
        time.sleep(0.3)
        assert resident(server) - before < 2 * 12 * size
        start = time.monotonic()
        for _ in range(100):
            assert client("STRLEN", "d") == size
        assert time.monotonic() - start < 5
        for raw in stuck:
            raw.close()
        assert client("GETRANGE", "a", 0, 1) == b"xx"


def test_large_replies_arrive_whole_and_in_order(server):
    """What was held back because nothing was read goes on when the client reads."""
    with server.client(timeout=20) as client:
        values = {b"k%d" % i: bytes([65 + i]) * (1 << 20) for i in range(5)}
        for key, value in values.items():
            assert client("SET", key, value) == "OK"
        keys = random.Random(1).choices(list(values), k=60)
        replies = client.pipeline([["GET", key] for key in keys])
        assert replies == [values[key] for key in keys]


def test_output_limit_closes_who_reads_nothing(server):
    with server.client(timeout=20) as client:
        assert client("SET", "big", b"x" * (24 << 20)) == "OK"
        assert client("CONFIG", "SET", "client-output-buffer-limit", "normal 10mb 0 0") == "OK"
        with server.client() as reader:
            reader.send_raw(resp.encode(["GET", "big"]) * 5)
            assert reader.wait_closed()
        assert client("STRLEN", "big") == 24 << 20


def test_dripping_client_is_answered(server):
    with server.client() as client:
        for byte in resp.encode(["SET", "drip", "value"]):
            client.send_raw(bytes([byte]))
            time.sleep(0.002)
        assert client.read() == "OK"
        assert client("GET", "drip") == b"value"


def mixed_pipeline(count):
    """Commands of every kind of routing on random keys, and the replies that are right."""
    rng, model = random.Random(7), {}

    def simple():
        key = b"p:%d" % rng.randrange(300)
        if rng.random() < 0.5:
            model[key] = b"%d" % rng.randrange(1000000)
            return ["SET", key, model[key]], "OK"
        return ["GET", key], model.get(key)

    commands, replies = [], []
    for i in range(count):
        if i % 100 == 50:
            keys = [b"p:%d" % rng.randrange(300) for _ in range(8)]
            step = [(["MGET", *keys], [model.get(key) for key in keys])]
        elif i % 100 == 90:
            inner = [simple() for _ in range(4)]
            step = [(["MULTI"], "OK"), *((command, "QUEUED") for command, _ in inner),
                    (["EXEC"], [reply for _, reply in inner])]
        else:
            step = [simple()]
        commands += [command for command, _ in step]
        replies += [reply for _, reply in step]
    return commands, replies


def test_mixed_pipeline_is_answered_in_order(server):
    commands, replies = mixed_pipeline(10000)
    with server.client(timeout=30) as client:
        assert client.pipeline(commands) == replies


@pytest.mark.parametrize("name", ["2-epoll", "4-epoll"])
def test_maxclients_refuses_the_rest(name):
    server = Server({**options_of(name), "maxclients": 20})
    try:
        sockets = []
        deadline = time.monotonic() + 5
        with server.client() as client:
            while "connected_clients:1\r" not in client("INFO", "clients").decode():
                assert time.monotonic() < deadline
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
        refused = served = 0
        for one in sockets:
            one.settimeout(5 * resp.SLOW)
            try:
                one.sendall(b"PING\r\n")
            except OSError:
                pass
            text = one.recv(100)
            served += text == b"+PONG\r\n"
            refused += text == b"-ERR max number of clients reached\r\n"
        assert refused + served == 60 and 19 <= served <= 20
        for one in sockets:
            one.close()
        server.wait_ready()
    finally:
        server.stop()


def refuse_io_uring():
    """In a child before exec: a seccomp filter by which io_uring_setup fails with EPERM."""
    libc = ctypes.CDLL(None)
    program = b"".join(
        code.to_bytes(2, "little") + bytes([yes, no]) + k.to_bytes(4, "little")
        for code, yes, no, k in ((0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x50001),
                                 (0x06, 0, 0, 0x7fff0000)))
    memory = ctypes.create_string_buffer(program, len(program))

    class Filter(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("program", ctypes.c_void_p)]

    of = Filter(4, ctypes.addressof(memory))
    libc.prctl(38, 1, 0, 0, 0)
    assert libc.prctl(22, 2, ctypes.byref(of), 0, 0) == 0


@pytest.mark.parametrize("backend", ["auto", "io_uring"])
def test_refused_io_uring(backend):
    """"auto" serves over epoll and says why; who insists on io_uring is told that it is refused."""
    port = free_port()
    process = subprocess.Popen([default_binary(), "--port", str(port), "--shards", "2", "--save",
                                "", "--io-backend", backend], preexec_fn=refuse_io_uring,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ending = threading.Timer(1.0 * resp.SLOW, process.terminate)
    ending.start()
    text = process.communicate(timeout=20 * resp.SLOW)[0].decode()
    ending.cancel()
    if backend == "auto":
        assert process.returncode == 0
        assert text.count("io_uring is not used: ") == 1 and "io backend epoll" in text
    else:
        assert process.returncode == 1
        assert text.count("can't start the io backend io_uring: Operation not permitted") == 1
