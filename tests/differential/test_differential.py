# SPDX-License-Identifier: BSD-3-Clause
"""The differential test in brief, and proof that it notices wrong answers.

$TORC_DIFFERENTIAL_COMMANDS (default 40000) commands for each number of shards and each protocol;
$TORC_DIFFERENTIAL_SEED picks another stream.
"""
import io
import os
import pathlib
import shutil
import socketserver
import sys
import threading

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[1])]

import compare  # noqa: E402
import differential  # noqa: E402
import driver  # noqa: E402
import laws  # noqa: E402
from generator import Generator  # noqa: E402
from lib.resp import Client, Double, Error, encode  # noqa: E402
from lib.server import Server, default_binary, redis_version  # noqa: E402

COMMANDS = os.environ.get("TORC_DIFFERENTIAL_COMMANDS", "40000")
SEED = os.environ.get("TORC_DIFFERENTIAL_SEED", "1")
ORACLE = os.environ.get("TORC_ORACLE") or shutil.which("redis-server")

needs_oracle = pytest.mark.skipif(not ORACLE, reason="needs a redis-server to compare with")


@needs_oracle
@pytest.mark.parametrize("protocol", ["2", "3"])
@pytest.mark.parametrize("shards", ["1", "4"])
@pytest.mark.parametrize("backend, limits", [("auto", "default"), ("epoll", "small")])
def test_random_commands_agree(shards, protocol, backend, limits):
    if redis_version(default_binary()) and (shards, backend) != ("1", "auto"):
        pytest.skip("shards and backends are torc's")
    out = io.StringIO()
    code = differential.main(["--commands", COMMANDS, "--seed", SEED, "--resp", protocol,
                              "--shards", shards, "--io-backend", backend,
                              "--limits", limits,
                              "--oracle", ORACLE], out)
    assert code == 0, out.getvalue()


def test_same_seed_same_stream():
    streams = []
    for _ in range(2):
        steps = Generator(9, 50).steps()
        streams.append([next(steps) for _ in range(50)])
    assert streams[0] == streams[1]


@pytest.mark.parametrize("how, a, b, agree", [
    (None, b"x", b"x", True), (None, b"x", "x", False), (None, 1, True, False),
    (None, Error("ERR a"), Error("ERR b"), False), (None, "a", Error("a"), False),
    ("seconds", 100, 101, True), ("seconds", 100, 104, False), ("seconds", -1, 0, False),
    ("seconds", -2, -1, False), ("milliseconds", 5000, 5100, True),
    ("milliseconds", 5000, 15000, False), ("set", [b"a", b"b"], [b"b", b"a"], True),
    ("set", [b"a"], [b"a", b"a"], False), ("presence", b"k1", b"k2", True),
    ("presence", b"k1", None, False), ("exec", [1], [2], False), ("exec", None, [], False),
    ("set", [b"a"], {b"a"}, False), ("set", [[b"b", b"1"], [b"a", b"2"]], [[b"a", b"2"],
                                                                          [b"b", b"1"]], True),
    ("pairs", [b"a", b"1", b"b", b"2"], [b"b", b"2", b"a", b"1"], True),
    ("pairs", [b"a", b"1", b"b", b"2"], [b"b", b"1", b"a", b"2"], False),
    ("idle", [[b"1-0", b"c", 5, 1]], [[b"1-0", b"c", 9, 1]], True),
    ("idle", [[b"1-0", b"c", 5, 1]], [[b"1-0", b"c", 5, 2]], False),
    ("idle", [[b"1-0", b"c", 5, 1]], [[b"1-0", b"c", 50000, 1]], False),
    ("xinfo", [b"length", 5, b"radix-tree-keys", 1], [b"length", 5, b"radix-tree-keys", 2], True),
    ("xinfo", [b"length", 5, b"radix-tree-keys", 1], [b"length", 6, b"radix-tree-keys", 1], False),
    ("xinfo", {b"idle": -1}, {b"idle": 0}, False), ("xinfo", {b"idle": 1}, {b"idle": 3}, True),
    (None, Double("0.1"), Double("0.10"), False), (None, Double("0.1"), Double("0.1"), True),
])
def test_comparison(how, a, b, agree):
    assert compare.same(how, a, b) is agree


MEMBERS = {b"a": b"1", b"b": b"2", b"c": b"3"}


@pytest.mark.parametrize("args, reply, right", [
    ("SPOP k", b"a", True), ("SPOP k", b"x", False), ("SPOP k", None, False),
    ("SPOP k 2", [b"a", b"c"], True), ("SPOP k 2", [b"a"], False),
    ("SPOP k 2", [b"a", b"a"], False),
    ("SPOP k 9", [b"a", b"c"], False), ("SRANDMEMBER k -4", [b"a"] * 4, True),
    ("SRANDMEMBER k -4", [b"a"] * 3, False), ("SRANDMEMBER k -1", [b"x"], False),
    ("HRANDFIELD k 2 WITHVALUES", [b"a", b"1", b"b", b"2"], True),
    ("HRANDFIELD k 2 WITHVALUES", [[b"a", b"1"], [b"b", b"2"]], True),
    ("HRANDFIELD k 2 WITHVALUES", [b"a", b"1", b"b", b"1"], False),
])
def test_laws(args, reply, right):
    words = args.encode().split()
    assert laws.picked_right(reply, words, MEMBERS, len(words) > 3) is right


def test_exec_compares_by_queued_command():
    assert compare.same("exec", [b"x", 50], [b"x", 51], [None, "seconds"])
    assert not compare.same("exec", [b"x", 50], [b"y", 50], [None, "seconds"])
    assert not compare.same("exec", [50, 50], [51, 50], [None, "seconds"])


class LyingProxy(socketserver.ThreadingTCPServer):
    """Passes commands on to a server and falsifies the answers of one command."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), LyingHandler)
        self.upstream = upstream


class LyingHandler(socketserver.BaseRequestHandler):
    """One connection through the proxy: STRLEN of a longer value is one too many."""

    def handle(self):
        reader = Client.__new__(Client)
        reader.sock, reader.buf, reader.pos, reader.attributes = self.request, bytearray(), 0, []
        upstream = Client(self.server.upstream)
        try:
            while True:
                command = reader.read()
                upstream.sock.sendall(encode(command))
                reply = upstream.read_raw()
                if command[0].lower() == b"strlen" and reply[:1] == b":" and int(reply[1:]) > 6:
                    reply = b":%d\r\n" % (int(reply[1:]) + 1)
                self.request.sendall(reply)
        except Exception:  # noqa: BLE001 - either side closed
            upstream.close()


@needs_oracle
def test_a_wrong_answer_is_found_and_shrunk():
    oracle, honest = Server(binary=ORACLE), Server(binary=ORACLE)
    proxy = LyingProxy(("127.0.0.1", honest.port))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    out = io.StringIO()
    try:
        options = differential.arguments(["--commands", "20000", "--oracle", ORACLE])
        pair = driver.Pair([("127.0.0.1", oracle.port), proxy.server_address], 2)
        found = differential.run(options, pair, out)
        pair.close()
    finally:
        proxy.shutdown()
        proxy.server_close()
        oracle.stop()
        honest.stop()
    assert len(found) == 1, out.getvalue()
    difference, minimal = found[0]
    assert difference.torc == difference.oracle + 1
    assert len(minimal) <= 3 and minimal[-1][1][0].lower() == b"strlen", out.getvalue()
    assert "seed 1" in out.getvalue()
