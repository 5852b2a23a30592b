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
import events  # noqa: E402
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


@needs_oracle
@pytest.mark.parametrize("shards", ["1", "4"])
def test_events_agree(shards):
    if redis_version(default_binary()):
        pytest.skip("a server is its own oracle")
    # Redis 7.2 tells more of streams (consumers that a command makes).
    of_streams = ",streams" if redis_version(ORACLE) >= (7, 2) else ""
    out = io.StringIO()
    code = differential.main(["--commands", str(int(COMMANDS) // 2), "--seed", SEED, "--events",
                              "--shards", shards, "--epoch", "5000", "--oracle", ORACLE,
                              "--families", "strings,keys,lists,sets,hashes,zsets,others,dumps,"
                              "waits" + of_streams], out)
    assert code == 0, out.getvalue()


ON_ABSENT = """
GET k; MGET k k; STRLEN k; GETRANGE k 0 1; GETDEL k; GETEX k; SET k v GET XX; GETSET k v;
LCS k k; GETBIT k 1; BITCOUNT k; BITPOS k 1; BITFIELD k GET u8 0; BITFIELD_RO k GET u8 0;
BITOP NOT d k; EXISTS k; TOUCH k; TYPE k; TTL k; PTTL k; EXPIRETIME k; PEXPIRETIME k; PERSIST k;
EXPIRE k 10; OBJECT ENCODING k; OBJECT REFCOUNT k; OBJECT IDLETIME k; OBJECT FREQ k;
MEMORY USAGE k; DUMP k; COPY k j; RENAME k j; RENAMENX k j; MOVE k 1; DEL k; UNLINK k; SORT k;
SORT_RO k; SORT k STORE d; LLEN k; LRANGE k 0 1; LINDEX k 0; LPOP k; LPOP k 2; LPOS k a;
LMOVE k j LEFT LEFT; LMPOP 1 k LEFT; RPOPLPUSH k j; LINSERT k BEFORE a b; LSET k 0 a; LREM k 0 a;
LTRIM k 0 1; LPUSHX k a; BLPOP k 0.01; BLMOVE k j LEFT LEFT 0.01; SCARD k; SISMEMBER k a;
SMISMEMBER k a; SMEMBERS k; SRANDMEMBER k; SRANDMEMBER k 2; SPOP k; SPOP k 2; SMOVE k j a;
SREM k a; SINTER k j; SINTERCARD 1 k; SINTERSTORE d k; SUNION k; SUNIONSTORE d k; SDIFF k;
SDIFFSTORE d k; SSCAN k 0; HGET k f; HMGET k f; HGETALL k; HLEN k; HSTRLEN k f; HKEYS k;
HEXISTS k f; HDEL k f; HRANDFIELD k; HRANDFIELD k 2; HSCAN k 0; ZCARD k; ZSCORE k a; ZMSCORE k a;
ZRANK k a; ZRANGE k 0 1; ZRANGEBYSCORE k 0 1; ZRANGEBYLEX k - +; ZRANGESTORE d k 0 1;
ZCOUNT k 0 1; ZLEXCOUNT k - +; ZREM k a; ZREMRANGEBYRANK k 0 1; ZPOPMIN k; ZMPOP 1 k MIN;
BZPOPMIN k 0.01; ZRANDMEMBER k; ZRANDMEMBER k 2; ZINTER 1 k; ZUNION 1 k; ZDIFF 1 k;
ZINTERCARD 1 k; ZUNIONSTORE d 1 k; ZINTERSTORE d 1 k; ZDIFFSTORE d 1 k; ZSCAN k 0; XLEN k;
XRANGE k - +; XREADGROUP GROUP g c STREAMS k >; XACK k g 1-1; XDEL k 1-1; XTRIM k MAXLEN 1;
XSETID k 1-1; XINFO STREAM k; XINFO GROUPS k; XINFO CONSUMERS k g; XPENDING k g;
XPENDING k g - + 1; XCLAIM k g c 0 1-1; XAUTOCLAIM k g c 0 0; XGROUP CREATE k g 0;
XGROUP SETID k g 0; XGROUP DESTROY k g; XGROUP CREATECONSUMER k g c; XGROUP DELCONSUMER k g c;
XADD k NOMKSTREAM 1-1 f v; PFCOUNT k; PFCOUNT k j; PFMERGE d k; PFDEBUG ENCODING k; GEOPOS k a;
GEODIST k a b; GEOHASH k a; GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 1 m;
GEOSEARCHSTORE d k FROMLONLAT 0 0 BYRADIUS 1 m; GEORADIUS k 0 0 1 m; GEORADIUSBYMEMBER k a 1 m
"""


@needs_oracle
def test_absent_keys_are_missed_alike():
    """Which commands tell of a key that is not there (class m)."""
    commands = [c.split() for c in ON_ABSENT.replace("\n", " ").split(";")]
    told = []
    for binary in (ORACLE, default_binary()):
        server = Server({}, binary=binary)
        try:
            told.append(events.told_of_absent(server, commands))
        finally:
            server.stop()
    differing = [x for x in zip(commands, *told) if x[1] != x[2]]
    assert not differing
    assert any(told[0])


def test_events_that_differ_are_seen():
    assert events.difference({b"k": [b"set", b"del"]}, {b"k": [b"set", b"del"]}) is None
    for told in ({}, {b"k": [b"set"]}, {b"k": [b"del", b"set"]}, {b"k": [b"set", b"del"],
                                                                 b"l": [b"set"]}):
        assert events.difference({b"k": [b"set", b"del"]}, told) is not None


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
