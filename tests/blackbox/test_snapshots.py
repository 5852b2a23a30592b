# SPDX-License-Identifier: BSD-3-Clause
"""Snapshots: BGSAVE, SAVE, LASTSAVE, save points, the clock, SHUTDOWN, and what fails.

What a stock redis-server (Debian's) loads from a file is compared with what torc holds.
"""
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

from lib.check import SYNTAX, check, eventually, info, split
from lib.resp import SLOW, ConnectionClosed, Error
from lib.server import Server, default_binary

BUSY = Error("ERR Background save already in progress")
MISCONF = Error(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is "
    "configured to report errors during writes if RDB snapshotting fails "
    "(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
    "error.")
FAILED_SHUTDOWN = Error("ERR Errors trying to SHUTDOWN. Check logs.")
REDIS = os.environ.get("TORC_ORACLE") or shutil.which("redis-server")

pytestmark = pytest.mark.torc_only


@pytest.fixture
def two(request):
    """A function that starts a server of two shards: shards and backends make no difference."""
    servers = []

    def start_server(**options):
        merged = {"shards": "2", "enable-protected-configs": "yes"}
        merged.update({name.replace("_", "-"): value for name, value in options.items()})
        servers.append(Server(merged, binary=default_binary()))
        request.node._servers = servers
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop()


def persistence(c):
    """INFO's section as a dict."""
    return info(c, "persistence")


def saved(c):
    """Wait until no snapshot is under way; INFO's section then."""
    return eventually(lambda: persistence(c)["rdb_bgsave_in_progress"] == "0" and persistence(c),
                      20)


def dump(server, name="dump.rdb"):
    """The bytes of a file of the server's; None when there is none."""
    try:
        with open(os.path.join(server.directory, name), "rb") as source:
            return source.read()
    except FileNotFoundError:
        return None


def same(one, other):
    """Whether two files hold the same: a bool, because the difference of megabytes, which an
    assertion would print, takes minutes to find."""
    return one == other


def files(server):
    """The names in the server's directory, without the log."""
    return sorted(name for name in os.listdir(server.directory) if name != "server.log")


def fill(c, megabytes=8):
    """Values that take a moment to write."""
    c.pipeline([("SETRANGE", "big:%d" % i, str(1 << 20), b"x") for i in range(megabytes)])


def test_commands(start):
    server = start()
    with server.client() as c, server.client() as d:
        begun = int(time.time())
        before = persistence(c)
        assert before["rdb_last_bgsave_status"] == "ok" and before["rdb_saves"] == "0"
        assert before["rdb_last_bgsave_time_sec"] == before["rdb_current_bgsave_time_sec"] == "-1"
        assert abs(c("LASTSAVE") - begun) < 30 * SLOW
        c.pipeline([("SET", "k%d" % i, "v") for i in range(100)])
        assert int(persistence(c)["rdb_changes_since_last_save"]) == 100
        check(c, ("BGSAVE x", SYNTAX), ("BGSAVE SCHEDULE x", SYNTAX), ("SAVE", "OK"))
        assert dump(server)[:9] == b"REDIS0011" and files(server) == ["dump.rdb"]
        assert persistence(c)["rdb_changes_since_last_save"] == "0"
        assert begun <= c("LASTSAVE") <= time.time()
        fill(c)
        c.send("BGSAVE")
        c.send("SAVE")
        c.send("BGSAVE", "SCHEDULE")
        c.send("SET", "late", "1")
        assert c.read() == "Background saving started"
        assert c.read() == BUSY and c.read() == BUSY and c.read() == "OK"
        check(d, ("GET k1", b"v"), ("SET k1 w", "OK"))
        after = saved(c)
        assert after["rdb_saves"] == "2" and after["rdb_last_bgsave_status"] == "ok"
        assert int(after["rdb_changes_since_last_save"]) == 2  # what came after the instant
        assert int(after["rdb_last_bgsave_time_sec"]) >= 0
        assert files(server) == ["dump.rdb"]
        check(c, ("MULTI", "OK"), ("SET k2 w", "QUEUED"), ("BGSAVE", "QUEUED"),
              ("EXEC", ["OK", "Background saving scheduled"]),
              ("MULTI", "OK"), ("SAVE", Error("ERR Command not allowed inside a transaction")),
              ("EXEC", Error("EXECABORT Transaction discarded because of previous errors.")))
        eventually(lambda: persistence(c)["rdb_saves"] == "3")
        saved(c)
        check(c, ("CONFIG RESETSTAT", "OK"))
        assert persistence(c)["rdb_saves"] == "0"


TYPES = """SET string value; SET number 12345; APPEND raw x; SETRANGE long 3000 z
RPUSH list a b 1 2; SADD ints 1 2 3; SADD members a b 3; ZADD scores 1 a 2.5 b -inf c
HSET hash f v g 1; XADD stream 1-1 f v; XGROUP CREATE stream group 0; SETBIT bits 100 1
PFADD log a b c; GEOADD places 13.4 52.5 Berlin; SET mortal 1 PX 99999999
HSET other a b""".replace("\n", "; ").split("; ")

READS = """GET string; GET number; GET raw; GET long; LRANGE list 0 -1; SMEMBERS ints
SORT members ALPHA; ZRANGE scores 0 -1 WITHSCORES; HGETALL hash; XRANGE stream - +; PTTL string
XINFO GROUPS stream; GET bits; PFCOUNT log; GEOPOS places Berlin; HGETALL other; TYPE big
LLEN biglist; SCARD bigset; HLEN bighash; ZCARD bigzset; LINDEX biglist 777; DBSIZE
ZSCORE bigzset m77; HGET bighash f99""".replace("\n", "; ").split("; ")


def make_all_types(c):
    for command in TYPES:
        assert not isinstance(c(*split(command)), Error), command
    c.pipeline([("RPUSH", "biglist", "item%d" % i) for i in range(1500)] +
               [("SADD", "bigset", "member%d" % i) for i in range(1500)] +
               [("HSET", "bighash", "f%d" % i, "v%d" % i) for i in range(1500)] +
               [("ZADD", "bigzset", i, "m%d" % i) for i in range(1500)])
    check(c, ("SELECT 3", "OK"), ("SET elsewhere 1", "OK"), ("SELECT 0", "OK"))


@pytest.mark.skipif(not REDIS, reason="needs a redis-server to load the file")
@pytest.mark.parametrize("compression,checksum", [("yes", "yes"), ("no", "no")])
def test_redis_loads_it(two, compression, checksum):
    server = two(rdb_version="10", rdbcompression=compression, rdbchecksum=checksum)
    with server.client() as c:
        make_all_types(c)
        check(c, ("SAVE", "OK"))
        stock = Server({"dir": server.directory}, binary=REDIS)
        try:
            with stock.client() as r:
                for command in READS:
                    assert r(*split(command)) == c(*split(command)), command
                check(r, ("SELECT 3", "OK"), ("GET elsewhere", b"1"))
                assert 0 < r("PTTL", "elsewhere") + 2
                check(r, ("SELECT 0", "OK"))
                assert 99000000 < r("PTTL", "mortal") <= 99999999
        finally:
            stock.stop(remove=stock.directory != server.directory)


def test_versions(two):
    server = two()
    with server.client() as c:
        for version in ("9", "10", "11", "12"):
            check(c, ("CONFIG SET rdb-version " + version, "OK"), ("SAVE", "OK"))
            assert dump(server)[:9] == b"REDIS%04d" % int(version)
        check(c, ("CONFIG SET rdb-version auto", "OK"), ("SAVE", "OK"))
        assert dump(server)[:9] == b"REDIS0011"
        check(c, ("HSET h f v", 1), ("HPEXPIRE h 9999999 FIELDS 1 f", [1]), ("SAVE", "OK"))
        assert dump(server)[:9] == b"REDIS0012"
        # A key whose own expiry comes first hides that its fields have some.
        check(c, ("FLUSHALL", "OK"), ("HSET h f v", 1), ("HPEXPIRE h 9999999 FIELDS 1 f", [1]),
              ("PEXPIRE h 5000000", 1), ("SAVE", "OK"))
        assert dump(server)[:9] == b"REDIS0012"
        assert persistence(c)["rdb_saves"] == "7"
        check(c, ("HPERSIST h FIELDS 1 f", [1]), ("SAVE", "OK"))
        assert dump(server)[:9] == b"REDIS0011"
        check(c, ("HPEXPIRE h 9999999 FIELDS 1 f", [1]))
        old = dump(server)
        check(c, ("CONFIG SET rdb-version 11", "OK"), ("SAVE", Error("ERR")))
        assert dump(server) == old and files(server) == ["dump.rdb"]
        assert "hash field expiration" in server.log()


def test_save_points(two):
    server = two(save="1 100000 1 5")
    with server.client() as c:
        c.pipeline([("SET", "k%d" % i, "v") for i in range(4)])
        time.sleep(2.3)
        assert persistence(c)["rdb_saves"] == "0"
        check(c, ("SET k5 v", "OK"))
        eventually(lambda: persistence(c)["rdb_saves"] == "1")
        assert saved(c)["rdb_changes_since_last_save"] == "0"
        assert "5 changes in 1 seconds" in server.log()
        check(c, ("CONFIG GET save", [b"save", b"1 100000 1 5"]), (["CONFIG", "SET", "save", ""],
                                                                   "OK"))
        c.pipeline([("SET", "k%d" % i, "w") for i in range(50)])
        time.sleep(1.5)
        assert persistence(c)["rdb_saves"] == "1"
        # FLUSHALL saves the empty state, when there are save points at all.
        full = len(dump(server))
        check(c, ("FLUSHALL", "OK"))
        time.sleep(0.3)
        assert persistence(c)["rdb_saves"] == "1"
        check(c, (["CONFIG", "SET", "save", "3600 1"], "OK"), ("FLUSHALL", "OK"))
        eventually(lambda: persistence(c)["rdb_saves"] == "2")
        saved(c)
        assert len(dump(server)) < full


def test_default_save_points(two):
    server = two(save=None)
    with server.client() as c:
        check(c, ("CONFIG GET save", [b"save", b"3600 1 300 100 60 10000"]))
        c.send("SHUTDOWN", "NOSAVE")
        assert c.wait_closed()
    assert server.wait_exit() == 0 and files(server) == []


def restart(server):
    """Start the server again, and wait until it has loaded its file."""
    server.start()
    with server.client() as c:
        eventually(lambda: persistence(c)["loading"] == "0")


def shut_down(server, *words):
    with server.client() as c:
        c.send("SHUTDOWN", *words)
        assert c.wait_closed()
    assert server.wait_exit() == 0


def test_shutdown_saves(two):
    server = two(save="3600 1")
    with server.client() as c:
        check(c, ("SET a 1", "OK"))
    shut_down(server)
    assert dump(server) is not None and files(server) == ["dump.rdb"]
    restart(server)
    with server.client() as c:
        assert persistence(c)["rdb_changes_since_last_save"] == "0"
        check(c, ("GET a", b"1"), ("SET a 2", "OK"))
    shut_down(server, "NOSAVE")
    restart(server)
    with server.client() as c:
        check(c, ("GET a", b"1"), ("SET a 3", "OK"))
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.wait_exit() == 0
    server.options["shutdown-on-sigint"] = "nosave force"
    restart(server)
    with server.client() as c:
        check(c, ("GET a", b"3"), ("SET a 4", "OK"))
    os.kill(server.process.pid, signal.SIGINT)
    assert server.wait_exit() == 0
    server.options["save"] = ""
    restart(server)
    with server.client() as c:
        check(c, ("GET a", b"3"), ("SET a 5", "OK"))
    shut_down(server)
    restart(server)
    with server.client() as c:
        check(c, ("GET a", b"3"), ("SET a 6", "OK"))
    shut_down(server, "SAVE")
    restart(server)
    with server.client() as c:
        check(c, ("GET a", b"6"))


def test_shutdown_keeps_answered_writes(two):
    """What was answered before the connection closed is in the file."""
    server = two(save="3600 1")
    clients = [server.client() for _ in range(4)]
    done = [0] * len(clients)
    n = 0
    try:
        while n < 100000:
            n += 1
            for i, c in enumerate(clients):
                c.send("SET", "c%d" % i, str(n))
            if n == 50:
                clients[0].send("SHUTDOWN")
            for i, c in enumerate(clients):
                assert c.read() == "OK"
                done[i] = n
    except (OSError, ConnectionClosed):
        pass
    assert server.wait_exit() == 0 and min(done) >= 49
    restart(server)
    with server.client() as c:
        for i, n in enumerate(done):
            assert int(c("GET", "c%d" % i) or 0) >= n


def test_shutdown_under_way(two):
    server = two(save="3600 1", rdbcompression="no")
    with server.client() as c, server.client() as d:
        fill(c, 64)
        c.send("SHUTDOWN")
        eventually(lambda: persistence(d)["rdb_bgsave_in_progress"] == "1", step=0.001)
        check(d, ("GET nothing", None), ("SHUTDOWN SAVE", FAILED_SHUTDOWN),
              ("SHUTDOWN ABORT", "OK"))
        assert c.read() == FAILED_SHUTDOWN
        saved(d)
        check(d, ("SET a 1", "OK"), ("SHUTDOWN ABORT", Error("ERR No shutdown in progress.")))
        # A BGSAVE under way makes way.
        check(d, ("BGSAVE", "Background saving started"))
        d.send("SHUTDOWN")
        assert d.wait_closed(30)
    assert server.wait_exit(30) == 0 and files(server) == ["dump.rdb"]


def test_end_in_the_middle(two):
    """Without saving, whatever is under way is given up, and leaves nothing."""
    server = two(rdbcompression="no")
    with server.client() as c, server.client() as d:
        check(c, ("SET a 1", "OK"), ("SAVE", "OK"))
        good = dump(server)
        fill(c, 64)
        c.send("SAVE")
        eventually(lambda: persistence(d)["rdb_bgsave_in_progress"] == "1", step=0.001)
        d.send("SHUTDOWN", "NOSAVE")
        assert d.wait_closed(20) and c.wait_closed(20)
    assert server.wait_exit(20) == 0
    assert files(server) == ["dump.rdb"] and same(dump(server), good)
    # Ctrl+C twice: the second gives up what is not written yet, but what was in place stays whole.
    server.options["save"] = "3600 1"
    restart(server)
    with server.client() as c:
        fill(c, 64)
        os.kill(server.process.pid, signal.SIGINT)
        eventually(lambda: "A last snapshot is made" in server.log(4000), step=0.001)
        os.kill(server.process.pid, signal.SIGINT)
    status = server.wait_exit(20)
    assert status in (0, 1)  # 0: the snapshot was quicker
    left = files(server)
    if status == 1:  # the temporary file may have been opened in the very last moment
        left = [name for name in left if name != "temp-%d.rdb" % server.process.pid]
    assert left == ["dump.rdb"]
    kept = same(dump(server), good)
    assert not kept or status == 1
    restart(server)
    with server.client() as c:
        assert c("DBSIZE") == (1 if kept else 65)


def test_reload_saves(two):
    server = two()
    with server.client() as c:
        make_all_types(c)
        digest = c("DEBUG", "DIGEST")
        c.send("BGSAVE")
        c.send("DEBUG", "RELOAD")
        assert c.read() == "Background saving started" and c.read(30) == "OK"
        check(c, ("DEBUG DIGEST", digest), ("SET more 1", "OK"), ("DEBUG RELOAD", "OK"),
              ("GET more", b"1"))
        limit_files(server, 100)
        check(c, ("DEBUG RELOAD", Error("ERR")), ("GET more", b"1"))
        limit_files(server, resource.RLIM_INFINITY)


def limit_files(server, size):
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_full_disk(two):
    server = two(save="3600 1", rdbcompression="no")
    with server.client() as c:
        check(c, ("SET a 1", "OK"), ("SAVE", "OK"))
        good = dump(server)
        fill(c, 4)
        limit_files(server, 1 << 20)
        check(c, ("SAVE", Error("ERR")), ("GET a", b"1"))
        state = persistence(c)
        assert state["rdb_last_bgsave_status"] == "err"
        assert int(state["rdb_changes_since_last_save"]) == 4
        assert dump(server) == good and files(server) == ["dump.rdb"]
        assert "File too large" in server.log()
        check(c, ("SET a 2", MISCONF), ("PING", MISCONF), ("GET a", b"1"), ("DEL a", MISCONF),
              ("MULTI", "OK"), ("SET a 2", MISCONF),
              ("EXEC", Error("EXECABORT Transaction discarded because of previous errors.")),
              ("CONFIG SET stop-writes-on-bgsave-error no", "OK"), ("PING", "PONG"),
              ("MULTI", "OK"), ("SET a 2", "QUEUED"))
        with server.client() as d:
            check(d, ("CONFIG SET stop-writes-on-bgsave-error yes", "OK"))
            eventually(lambda: isinstance(d("PING"), Error))
        reply = c("EXEC")
        assert isinstance(reply, Error) and str(reply).startswith(
            "EXECABORT Transaction discarded because of: MISCONF Redis is configured to save")
        assert str(reply).endswith("about the RDB error.")
        check(c, ("SHUTDOWN", FAILED_SHUTDOWN), ("GET a", b"1"))
        check(c, (["CONFIG", "SET", "save", ""], "OK"))
        eventually(lambda: c("PING") == "PONG")
        check(c, (["CONFIG", "SET", "save", "3600 1"], "OK"))
        check(c, ("SHUTDOWN SAVE", FAILED_SHUTDOWN))
        limit_files(server, resource.RLIM_INFINITY)
        check(c, ("BGSAVE", "Background saving started"))
        assert saved(c)["rdb_last_bgsave_status"] == "ok"
        eventually(lambda: c("SET", "a", "3") == "OK")
        limit_files(server, 1 << 20)
        c.send("SHUTDOWN", "FORCE")
        assert c.wait_closed(20)
    assert server.wait_exit() == 0 and len(dump(server)) > 4 << 20


def test_missing_directory(two, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    server = two(save="1 1", dir=str(home))
    with server.client() as c:
        home.rename(tmp_path / "away")
        check(c, ("SET a 1", "OK"), ("SAVE", Error("ERR")), ("SET a 2", MISCONF))
        state = persistence(c)
        assert state["rdb_last_bgsave_status"] == "err"
        # After a failure the save point waits five seconds.
        time.sleep(2.5)
        assert persistence(c)["rdb_saves"] == "1"
        check(c, ("BGSAVE", "Background saving started"))
        eventually(lambda: persistence(c)["rdb_bgsave_in_progress"] == "0")
        (tmp_path / "away").rename(home)
        eventually(lambda: persistence(c)["rdb_saves"] == "3", 12)
        assert saved(c)["rdb_last_bgsave_status"] == "ok"
        check(c, ("SET a 2", "OK"))
        assert (home / "dump.rdb").exists()
        check(c, ("CONFIG SET dir " + str(tmp_path), "OK"), ("CONFIG SET dbfilename x.rdb", "OK"),
              ("SAVE", "OK"))
        assert (tmp_path / "x.rdb").exists()


def test_clock(two):
    server = two(snapshot_cron="@monthly", snapshot_keep="1")
    with server.client() as c:
        for n in (1, 2):
            check(c, ("SET a %d" % n, "OK"), ("DEBUG SNAPSHOT-DUE", "OK"))
            eventually(lambda n=n: persistence(c)["rdb_saves"] == str(n))
            saved(c)
            dated = [name for name in files(server) if name != "dump.rdb"]
            assert len(dated) == 1 and re.fullmatch(r"dump-\d{8}-\d{6}\.rdb", dated[0])
            assert dump(server, dated[0]) == dump(server)
            time.sleep(1.1 if n == 1 else 0)  # names tell seconds
        check(c, ("SET a 3", "OK"), ("SAVE", "OK"))
        assert b"a\xc0\x02" in dump(server, dated[0]) and b"a\xc0\x03" in dump(server)
        check(c, (["CONFIG", "SET", "snapshot-cron", ""], "OK"),
              ("DEBUG SNAPSHOT-DUE", Error("ERR there is no snapshot-cron")),
              (["CONFIG", "SET", "snapshot-cron", "61 * * * *"],
               Error("ERR CONFIG SET failed (possibly related to argument 'snapshot-cron') - "
                     "wrong minute '61'")))


def test_killed_in_the_middle_leaves_nothing_for_long(two):
    server = two(save="")
    dead = subprocess.Popen(["true"])
    dead.wait()
    old, fresh = "temp-%d.rdb" % dead.pid, "temp-999999999.rdb"
    for name in (old, fresh, "temp-x.rdb"):
        with open(os.path.join(server.directory, name), "wb"):
            pass
    os.utime(os.path.join(server.directory, old), (1, 1))
    shut_down(server)
    restart(server)
    assert files(server) == sorted([fresh, "temp-x.rdb"])
    assert old in server.log()
