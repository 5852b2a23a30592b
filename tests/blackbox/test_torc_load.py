# SPDX-License-Identifier: BSD-3-Clause
"""torc-load tells the truth: counts, keys, values, latencies and exit codes.

Half of the tests run it against the server under test; the other half against a scripted server in
this process, which can stall, cut replies into single bytes or answer with any RESP. The binary is
$TORC_LOAD, or the optimised build.
"""
import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TORC_LOAD = os.environ.get("TORC_LOAD") or str(ROOT / "build/release/torc-load")

pytestmark = pytest.mark.skipif(not os.path.exists(TORC_LOAD), reason="torc-load is not built")


def run(port, *arguments, status=0):
    """Runs torc-load to its end; its JSON result (None when it wrote none) and its stderr."""
    target = ["--port", str(port)] if isinstance(port, int) else ["--socket", port]
    process = subprocess.run([TORC_LOAD, *target, "--quiet", "--json", "-", *map(str, arguments)],
                             capture_output=True, text=True, timeout=60)
    assert process.returncode == status, process.stderr
    return (json.loads(process.stdout) if process.stdout else None), process.stderr


def command(result, name):
    return next(c for c in result["commands"] if c["name"] == name)


class Scripted:
    """A server that answers each command with what `answer(words, count)` returns."""

    def __init__(self, answer, slice_bytes=None):
        self.answer = answer
        self.slice_bytes = slice_bytes
        self.count = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        length = int(stream.readline()[1:])
                        words.append(stream.read(length))
                        assert stream.read(2) == b"\r\n"
                    with self.lock:
                        self.count += 1
                        reply = self.answer(words, self.count)
                    if reply is None:
                        return
                    step = self.slice_bytes or max(1, len(reply))
                    for at in range(0, len(reply), step):
                        connection.sendall(reply[at:at + step])
            except OSError:
                return


def ok(words, count):
    return b"+OK\r\n" if words[0] == b"SET" else b"$1\r\nx\r\n"


def test_preload_writes_every_key_once(server, c):
    result, _ = run(server.port, "--preload-only", "--keys", 5003, "--threads", 3,
                    "--connections", 7, "--value-size", 21)
    assert result["preloaded"] == 5003
    assert c("DBSIZE") == 5003
    for number in (0, 1, 2500, 5002):
        assert c("STRLEN", "key:%012d" % number) == 21
    assert c("EXISTS", "key:%012d" % 5003) == 0


@pytest.mark.parametrize("pipeline,threads", [(1, 1), (10, 2), (300, 1)])
def test_counts_are_exact(server, c, pipeline, threads):
    result, _ = run(server.port, "--preload", "--keys", 1000, "--requests", 20011, "--pipeline",
                    pipeline, "--threads", threads, "--connections", 9)
    assert result["replies"] == result["requests_sent"] == 20011
    sets, gets = command(result, "SET"), command(result, "GET")
    assert sets["requests"] + gets["requests"] == 20011
    assert gets["hits"] == gets["requests"] and gets["misses"] == 0
    assert 0.07 < sets["requests"] / 20011 < 0.115  # 1:10
    latency = result["all"]["latency_us"]
    order = [latency[k] for k in ("min", "p50", "p90", "p99", "p99_9", "p99_99", "max")]
    assert order == sorted(order) and latency["min"] > 0


def test_misses_are_counted(server):
    result, _ = run(server.port, "--ratio", "0:1", "--requests", 500, "--keys", 100)
    assert command(result, "GET")["misses"] == 500 and result["all"]["hits"] == 0


def test_mget_counts_keys(server):
    result, _ = run(server.port, "--preload", "--ratio", "0:1", "--mget", 7, "--requests", 300,
                    "--keys", 50)
    assert command(result, "MGET")["hits"] == 2100 and result["replies"] == 300


def test_socket_resp3_database_prefix_and_ttl(start, tmp_path):
    path = str(tmp_path / "s")
    server = start(unixsocket=path)
    run(path, "--resp", 3, "--db", 3, "--key-prefix", "user-", "--key-size", 9, "--keys", 50,
        "--distribution", "sequential", "--ratio", "1:0", "--requests", 50, "--ttl", 100,
        "--value-size", "3-9")
    with server.client() as c:
        assert c("DBSIZE") == 0
        c("SELECT", "3")
        assert c("DBSIZE") == 50
        sizes = {c("STRLEN", "user-%04d" % i) for i in range(50)}
        assert sizes <= set(range(3, 10)) and len(sizes) > 3
        assert 0 < c("TTL", "user-0000") <= 100


def test_password(start):
    server = start(requirepass="secret word")
    run(server.port, "--auth", "secret word", "--requests", 10)
    run(server.port, "--auth", "default:secret word", "--requests", 10)
    _, stderr = run(server.port, "--auth", "wrong", "--requests", 10, status=3)
    assert "WRONGPASS" in stderr
    _, stderr = run(server.port, "--requests", 10, status=1)
    assert "NOAUTH" in stderr


def test_commands_with_weights(server):
    result, _ = run(server.port, "--keys", 10, "--requests", 4000, "--command",
                    "APPEND __key__ \"\\x01__data__'\"", "--weight", 3, "--command",
                    "exists a:__key__ 'b c'", "--value-size", 4)
    share = command(result, "APPEND")["requests"] / 4000
    assert 0.70 < share < 0.80
    with server.client() as c:
        assert c("STRLEN", "key:000000000003") % 6 == 0


@pytest.mark.parametrize("sizes", ["4", "1-9"])
def test_numbers_are_random_and_have_one_width(sizes):
    seen = []

    def answer(words, _):
        seen.append(words)
        return b":1\r\n"

    with Scripted(answer) as s:
        run(s.port, "--command", "SETRANGE __key__ 1__number__ n__number__-__number__ __data__",
            "--numbers", 37, "--keys", 50, "--distribution", "sequential", "--requests", 1000,
            "--connections", 1, "--pipeline", 7, "--value-size", sizes)
    assert len(seen) == 1000
    assert [w[1] for w in seen[:50]] == [b"key:%012d" % i for i in range(50)]
    numbers = collections.Counter(int(w[2][1:]) for w in seen)
    assert set(numbers) == set(range(37)) and max(numbers.values()) < 80
    assert all(len(w[2]) == 3 and w[2][:1] == b"1" for w in seen)
    pairs = {tuple(map(int, w[3][1:].split(b"-"))) for w in seen}
    assert {a for a, _ in pairs} == {b for _, b in pairs} == set(range(37))
    assert any(a != b for a, b in pairs)  # each mark draws for itself
    low, _, high = sizes.partition("-")
    assert {len(w[4]) for w in seen} == set(range(int(low), int(high or low) + 1))


def test_commands_in_turn_share_a_key():
    seen = collections.defaultdict(list)

    def answer(words, _):
        seen[words[1]].append(words[0])
        return ok(words, 0)

    with Scripted(answer) as s:
        result, _ = run(s.port, "--in-turn", "--command", "GET __key__", "--command",
                        "SET __key__ __data__", "--requests", 600, "--connections", 3, "--keys",
                        10**9, "--pipeline", 2)
    assert command(result, "GET")["requests"] == command(result, "SET")["requests"] == 300
    assert len(seen) == 300
    assert all(words == [b"GET", b"SET"] for words in seen.values())


def test_error_replies_fail_the_run(server):
    result, stderr = run(server.port, "--command", "GET", "--requests", 20, status=1)
    assert result["error_count"] == 20 and result["error_texts"][0]["count"] == 20
    assert "wrong number of arguments" in stderr
    run(server.port, "--command", "GET", "--requests", 20, "--allow-errors")


def test_wrong_usage():
    for arguments in (["--pipeline", "0"], ["--nonsense"], ["--ratio", "0:0"], ["--port"],
                      ["--value-size", "9-3"], ["--key-size", "5"], ["--closed", "--rate", "5"],
                      ["--command", "SET 'a"], ["--weight", "2"], ["stray"]):
        assert subprocess.run([TORC_LOAD, *arguments], capture_output=True,
                              timeout=10).returncode == 2, arguments


def test_connection_refused():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        _, stderr = run(s.getsockname()[1], "--requests", 1, status=3)
        assert "refused" in stderr


NESTED = (b"|1\r\n+hint\r\n*2\r\n:1\r\n#t\r\n"
          b"%2\r\n$3\r\na\r\n\r\n*3\r\n_\r\n,1.5\r\n(12345678901\r\n"
          b"+b\r\n~2\r\n=5\r\ntxt:x\r\n*0\r\n")


def test_replies_cut_into_single_bytes():
    replies = [NESTED, b"$-1\r\n", b"*-1\r\n",
               b">2\r\n+message\r\n$4\r\n\r\n\r\n\r\n$5\r\n-ERR \r\n",
               b"$0\r\n\r\n", b"%0\r\n", b"+" + b"x" * 1000 + b"\r\n"]
    with Scripted(lambda words, n: replies[n % len(replies)], slice_bytes=1) as s:
        result, _ = run(s.port, "--command", "GET __key__", "--requests", 70, "--connections", 2,
                        "--pipeline", 5)
    assert result["replies"] == 70 and result["error_count"] == 0
    assert result["pushes"] == 10
    assert result["all"]["misses"] == 30  # a null inside NESTED, and the two null replies


def test_errors_inside_aggregates_count():
    with Scripted(lambda words, n: b"*2\r\n+OK\r\n-ERR inner\r\n") as s:
        result, _ = run(s.port, "--requests", 10, status=1)
    assert result["error_texts"] == [{"count": 10, "text": "ERR inner"}]


@pytest.mark.parametrize("reply,problem", [
    (b"hello\r\n", "unknown type"), (b"$-2\r\n", "wrong length"), (b"*x\r\n", "wrong count"),
    (b"+OK\n", "CRLF"), (b"+OK\r\n+OK\r\n", "a reply to no request"), (b"*1\r\n" * 40, "nested"),
    (None, "closed by the server")])
def test_broken_servers_are_noticed(reply, problem):
    with Scripted(lambda words, n: reply) as s:
        _, stderr = run(s.port, "--connections", 1, "--requests", 100, status=3)
    assert problem in stderr


def test_stalled_server_is_given_up():
    with Scripted(lambda words, n: b"+OK\r\n" if n < 20 else b"") as s:
        began = time.monotonic()
        _, stderr = run(s.port, "--connections", 1, "--requests", 1000, "--stall-timeout", 0.5,
                        status=3)
    assert "stall" in stderr and time.monotonic() - began < 5


def stalling(words, count):
    if count == 100:
        time.sleep(0.6)
    return b"+OK\r\n"


def test_open_loop_does_not_hide_a_stall():
    with Scripted(stalling) as s:
        result, _ = run(s.port, "--connections", 4, "--rate", 200, "--requests", 400)
    assert 1.9 < result["seconds"] < 3
    latency = result["all"]["latency_us"]
    # 0.6 s hold up 120 of 400 requests: every fourth waits over 100 ms.
    assert latency["p90"] > 150_000 and latency["max"] > 550_000
    assert latency["p50"] < 100_000
    with Scripted(stalling) as s:
        result, _ = run(s.port, "--connections", 4, "--requests", 2000)
    assert result["all"]["latency_us"]["p99"] < 100_000  # four requests alone saw it


def test_open_loop_keeps_its_rate(server):
    result, _ = run(server.port, "--rate", 1000, "--seconds", 1, "--connections", 5, "--threads", 2)
    assert 950 <= result["replies"] <= 1010


def counted(arguments):
    keys = collections.Counter()

    def answer(words, count):
        keys[words[1]] += 1
        return ok(words, count)

    with Scripted(answer) as s:
        run(s.port, *arguments)
    return keys


def test_distributions():
    zipfian = counted(["--keys", 1000, "--distribution", "zipfian", "--requests", 8000,
                       "--pipeline", 50, "--connections", 4])
    hottest = [n / 8000 for _, n in zipfian.most_common(2)]
    assert 0.11 < hottest[0] < 0.16  # 1 / sum of i^-0.99 over 1000 ranks is 0.132
    assert 0.05 < hottest[1] < 0.08
    sequential = counted(["--keys", 40, "--distribution", "sequential", "--requests", 400,
                          "--threads", 2, "--connections", 2])
    assert len(sequential) == 40 and set(sequential.values()) == {10}
    uniform = counted(["--keys", 10, "--requests", 5000, "--pipeline", 50])
    assert len(uniform) == 10 and min(uniform.values()) > 400


def test_seed_repeats_the_stream():
    arguments = ["--keys", 100000, "--requests", 200, "--connections", 1]
    assert counted(arguments + ["--seed", 7]) == counted(arguments + ["--seed", 7])
    assert counted(arguments + ["--seed", 7]) != counted(arguments + ["--seed", 8])


def test_large_values_in_deep_pipelines(server):
    result, _ = run(server.port, "--preload", "--keys", 20, "--value-size", 300_000, "--pipeline",
                    20, "--connections", 3, "--requests", 300, "--ratio", "1:1")
    assert result["replies"] == 300 and result["all"]["misses"] == 0
    assert result["bytes_sent"] > 100 * 300_000


def test_interrupt_reports_what_was_measured():
    with Scripted(ok) as s:
        process = subprocess.Popen([TORC_LOAD, "--port", str(s.port), "--seconds", "30", "--json",
                                    "-", "--quiet", "--connections", "2"], stdout=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    result = json.loads(output)
    assert process.returncode == 0 and 0 < result["seconds"] < 10
    assert result["replies"] == result["requests_sent"] > 0
