# SPDX-License-Identifier: BSD-3-Clause
"""Loading a snapshot: at the start, and by DEBUG RELOAD.

The files are written by redis-server, which has to be on the PATH. Loading does not depend on the
I/O backend, so one does; what shards have to do with it is tried with 1, 2 and 4.
"""
import os
import shutil
import subprocess
import threading
import time

import pytest

from lib.check import check, eventually, info
from lib.content import fill, read_all
from lib.resp import Error
from lib.server import Server

REDIS = shutil.which("redis-server")
LOADING = Error("LOADING Redis is loading the dataset in memory")

pytestmark = [pytest.mark.torc_only,
              pytest.mark.skipif(REDIS is None, reason="no redis-server on the PATH")]


class Written:
    """A snapshot that Redis wrote, and what it holds."""

    def __init__(self, write, read):
        server = Server(binary=REDIS)
        try:
            with server.client(timeout=60) as client:
                write(client)
                assert client("SAVE") == "OK"
                self.content = read(client)
            with open(os.path.join(server.directory, "dump.rdb"), "rb") as file:
                self.bytes = file.read()
        finally:
            server.stop()


@pytest.fixture(scope="module")
def everything():
    """A snapshot with some of everything."""
    return Written(fill, read_all)


@pytest.fixture(scope="module")
def many():
    """A snapshot of many small keys, some of which will have expired."""
    def write(client):
        client("DEBUG", "POPULATE", 20000, "key", 20)
        client.pipeline([("SET", "short:%d" % i, "x", "PX", 700) for i in range(1000)])
    written = Written(write, lambda client: client("DBSIZE"))
    time.sleep(0.8)
    assert written.content == 21000
    return written


@pytest.fixture
def launch(tmp_path):
    """A function that starts a server on a directory with this snapshot."""
    servers = []

    def start_server(rdb=None, ready=True, **options):
        merged = {"io-backend": "epoll", "dir": str(tmp_path)}
        merged.update({name.replace("_", "-"): value for name, value in options.items()})
        if rdb is not None:
            (tmp_path / "dump.rdb").write_bytes(rdb)
        servers.append(Server(merged, ready=ready))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop()


def loaded(client):
    """Wait until nothing is being loaded."""
    eventually(lambda: info(client, "persistence")["loading"] == "0", 30)


def patient(server, **options):
    """A client of a server that may still be on its way to listening."""
    def connected():
        assert server.is_alive(), server.log()
        try:
            return server.client(**options)
        except OSError:
            return None
    return eventually(connected, 20)


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_what_redis_wrote(launch, everything, shards):
    server = launch(everything.bytes, shards=shards)
    with server.client(timeout=60) as client:
        loaded(client)
        content = read_all(client)
        assert content.keys() == everything.content.keys()
        for key, value in content.items():
            assert value == everything.content[key], key
        fields = info(client, "persistence")
        assert int(fields["rdb_last_load_keys_loaded"]) == len(content)
        assert fields["rdb_changes_since_last_save"] == "0"
        # And again, in place, from the same file.
        digest = client("DEBUG", "DIGEST")
        check(client, ("SET new 1", "OK"), ("DEL int:1", 1),
              ("DEBUG RELOAD NOSAVE", "OK"), ("EXISTS new", 0), ("DEBUG DIGEST", digest))
    log = server.log()
    assert "dump.rdb was written by version 7" in log
    assert "keys loaded: %d, keys expired: 0" % len(content) in log
    assert "Ready to accept connections tcp on port %d" % server.port in log


def test_no_file(launch):
    server = launch(dbfilename="nothing.rdb")
    with server.client() as client:
        check(client, ("DBSIZE", 0), ("SET a 1", "OK"),
              ("DEBUG RELOAD NOSAVE",
               Error("ERR Error trying to load the RDB dump, check server logs.")), ("GET a", b"1"))
    assert "Loaded" not in server.log()


def test_expired_keys(launch, many):
    server = launch(many.bytes, shards=2)
    with server.client() as client:
        loaded(client)
        fields = info(client, "persistence", "stats", "keyspace")
        assert client("DBSIZE") == 20000
        assert fields["rdb_last_load_keys_loaded"] == "20000"
        assert fields["rdb_last_load_keys_expired"] == "1000"
        assert fields["expired_keys"] == "0"


def test_more_than_fits(launch, many):
    """Nothing is evicted before all is there."""
    server = launch(many.bytes, maxmemory="1mb", maxmemory_policy="allkeys-random")
    with server.client() as client:
        loaded(client)
        eventually(lambda: int(info(client, "stats")["evicted_keys"]) > 1000)
        assert info(client, "persistence")["rdb_last_load_keys_loaded"] == "20000"


@pytest.mark.parametrize("shards", [1, 4])
def test_clients_meanwhile(launch, many, shards):
    server = launch(many.bytes, ready=False, shards=shards, key_load_delay=500)
    with patient(server) as client, server.client() as other:
        eventually(lambda: client("PING") == LOADING)
        fields = info(client, "persistence")
        assert fields["loading"] == "1" and fields["async_loading"] == "0"
        assert abs(int(fields["loading_start_time"]) - time.time()) < 60
        assert int(fields["loading_total_bytes"]) == len(many.bytes)
        assert 0 <= int(fields["loading_loaded_bytes"]) <= len(many.bytes)
        assert 0 <= float(fields["loading_loaded_perc"]) <= 100
        assert int(fields["loading_eta_seconds"]) >= 0
        eventually(lambda: int(info(client, "persistence")["loading_rdb_used_mem"]) > 0)
        check(client, ("GET a", LOADING), ("SET a 1", LOADING), ("DBSIZE", LOADING),
              ("KEYS *", LOADING), ("FLUSHALL", LOADING), ("SELECT 1", "OK"), ("SELECT 0", "OK"),
              ("MULTI", "OK"), ("SELECT 0", "QUEUED"), ("EXEC", ["OK"]),
              ("MULTI", "OK"), ("GET a", LOADING),
              ("EXEC", Error("EXECABORT Transaction discarded because of previous errors.")),
              ("DEBUG RELOAD NOSAVE", LOADING), ("NOSUCH", client("NOSUCH")),
              ("GET", Error("ERR wrong number of arguments for 'get' command")))
        assert client("CLIENT", "ID") > 0
        assert info(client, "commandstats")["cmdstat_get"].endswith(
            "rejected_calls=3,failed_calls=0")
        # What DEBUG lends out meanwhile does not stop the load.
        assert client("DEBUG", "DIGEST") != LOADING
        assert other("GET", "a") == LOADING
        check(client, ("CONFIG SET key-load-delay 0", "OK"))
        loaded(client)
        check(other, ("DBSIZE", 20000), ("GET key:7", b"value:7" + b"\0" * 13))


def test_stopping_meanwhile(launch, many):
    for word in (None, ("SHUTDOWN", "NOSAVE")):
        server = launch(many.bytes, ready=False, shards=4, key_load_delay=1000000)
        with patient(server) as client:
            eventually(lambda: client("PING") == LOADING)
            begin = time.monotonic()
            if word:
                client.send(*word)
            else:
                server.process.terminate()
            assert server.wait_exit() == 0
            assert time.monotonic() - begin < 5


def refused(launch, rdb, *reasons, **options):
    """The server ends by itself, with status 1, and says why."""
    server = launch(rdb, ready=False, **options)
    try:
        assert server.wait_exit(20) == 1
    except subprocess.TimeoutExpired:
        pytest.fail("it runs\n" + server.log())
    log = server.log()
    for reason in reasons:
        assert reason in log, log
    assert "Ready to accept" not in log
    return log


def test_damaged_files(launch, everything):
    rdb = everything.bytes
    begin = len(rdb) // 3
    flipped = rdb[:begin] + bytes([rdb[begin] ^ 0x55]) + rdb[begin + 1:]
    for shards in (1, 4):
        refused(launch, rdb[:-1], "Loading dump.rdb failed at offset ", shards=shards)
        refused(launch, rdb[:begin], "Loading dump.rdb failed at offset ", shards=shards)
        refused(launch, flipped, "Loading dump.rdb failed at offset ", shards=shards)
    refused(launch, rdb[:-1] + bytes([rdb[-1] ^ 1]), "checksum")
    refused(launch, b"", "Loading dump.rdb failed at offset 0")
    refused(launch, b"no snapshot", "Loading dump.rdb failed at offset ")
    refused(launch, rdb, "the file has a database 9, and `databases` allows 5", databases=5)


def test_a_file_that_is_none(launch, tmp_path):
    (tmp_path / "dump.rdb").mkdir()
    refused(launch, None, "can't be loaded: Is a directory")


def string(key, value):
    """A record."""
    return b"\0" + bytes([len(key)]) + key + bytes([len(value)]) + value


@pytest.mark.parametrize("shards", [1, 4])
def test_made_files(launch, shards):
    head, end = b"REDIS0010\xfe\0", b"\xff" + bytes(8)
    keys = b"".join(string(b"k%d" % i, b"v%d" % i) for i in range(100))
    refused(launch, head + keys + string(b"k50", b"x") + end,
            "the key 'k50' comes twice in database 0", shards=shards)
    library = b"#!lua name=l\nredis.register_function('f', function() return 1 end)"
    functions = b"\xf5" + bytes([0x40 | len(library) >> 8, len(library) & 255]) + library
    refused(launch, head + functions + keys + end, "library of functions", "rdb-unknown skip",
            shards=shards)
    server = launch(head + functions + keys + end, shards=shards, rdb_unknown="skip")
    with server.client() as client:
        loaded(client)
        assert client("DBSIZE") == 100
        assert "1 libraries of functions" in server.log()
        # A bad file replaces nothing.
        digest = client("DEBUG", "DIGEST")
        with open(os.path.join(server.options["dir"], "dump.rdb"), "wb") as file:
            file.write(head + keys + string(b"k1", b"x") + end)
        check(client, ("DEBUG RELOAD NOSAVE",
                       Error("ERR Error trying to load the RDB dump, check server logs.")),
              ("DEBUG DIGEST", digest), ("DBSIZE", 100), ("SET a 1", "OK"))
        assert "the key 'k1' comes twice in database 0" in server.log()


def test_reload_words(launch, everything):
    server = launch(everything.bytes, shards=2)
    with server.client() as client:
        loaded(client)
        keys = client("DBSIZE")
        check(client, ("SET int:1 new", "OK"), ("SET another 1", "OK"),
              ("DEBUG RELOAD NOSAVE NOFLUSH MERGE", "OK"), ("DBSIZE", keys + 1),
              ("GET int:1", everything.content[0, b"int:1"][2]), ("GET another", b"1"),
              ("DEBUG RELOAD nosave", "OK"), ("DBSIZE", keys),
              ("DEBUG RELOAD NOSAVE SOON",
               Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")),
              ("MULTI", "OK"), ("DEBUG RELOAD NOSAVE", "QUEUED"),
              ("EXEC", [Error("ERR DEBUG on keys is not allowed inside MULTI")]))


@pytest.mark.parametrize("shards", [1, 4])
def test_reload_beside_others(launch, many, shards):
    """A write is either before a reload, and gone, or after it, and there; never half of it."""
    server = launch(many.bytes, shards=shards)
    with server.client() as client, server.client() as other, server.client() as waiting:
        for each in (client, other, waiting):  # shards come out of it one by one
            loaded(each)
        waiting.send("BLPOP", "queue", 0)
        eventually(lambda: info(client, "clients")["blocked_clients"] == "1")
        client("CONFIG", "SET", "key-load-delay", -6)
        for i in range(2):
            other("MSET", "one", i, "two", i, "three", i)
            client.send("DEBUG", "RELOAD", "NOSAVE")
            # What comes together with it waits for its end.
            eventually(lambda: other("MGET", "one", "two", "three") in (LOADING, [None] * 3))
            assert client.read() == "OK"
            check(other, ("MGET one two three", [None] * 3), ("DBSIZE", 20000))
        check(other, ("RPUSH queue x", 1))
        assert waiting.read() == [b"queue", b"x"]


@pytest.mark.parametrize("shards", [1, 4])
def test_reload_saves_first(launch, shards):
    server = launch(shards=shards)
    with server.client(timeout=60) as client:
        fill(client, databases=(0, 9))
        before, digest = read_all(client), client("DEBUG", "DIGEST")
        for _ in range(2):
            check(client, ("DEBUG RELOAD", "OK"), ("DEBUG DIGEST", digest))
        assert read_all(client) == before
        assert info(client, "persistence")["rdb_changes_since_last_save"] == "0"


def test_others_count_of_shards(launch):
    """What four shards wrote, one loads, and the other way round."""
    server = launch(shards=4)
    with server.client(timeout=60) as client:
        fill(client, databases=(0, 9))
        check(client, ("SAVE", "OK"))
        before, digest = read_all(client), client("DEBUG", "DIGEST")
    server.stop(remove=False)
    for shards in (1, 3):
        server = launch(shards=shards)
        with server.client(timeout=60) as client:
            loaded(client)
            check(client, ("DEBUG DIGEST", digest))
            assert read_all(client) == before
            check(client, ("SAVE", "OK"))
        server.stop(remove=False)


@pytest.mark.parametrize("shards", [1, 4])
def test_reload_loses_no_write(launch, shards):
    server = launch(shards=shards)
    counts, over = [0] * 4, threading.Event()

    def count(number):
        with server.client(timeout=60) as client:
            while not over.is_set():
                reply = client("INCR", "count:%d" % number)
                if reply != LOADING:
                    counts[number] += 1
                    assert reply == counts[number]

    threads = [threading.Thread(target=count, args=(i,)) for i in range(4)]
    with server.client(timeout=60) as client:
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                check(client, ("DEBUG RELOAD", "OK"))
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert all(counts)
        for i in range(4):
            assert client("GET", "count:%d" % i) == b"%d" % counts[i]


def test_reload_that_cannot_save(launch, tmp_path):
    server = launch(shards=2)
    with server.client() as client:
        (tmp_path / "dump.rdb").mkdir()
        check(client, ("SET a 1", "OK"), ("DEBUG RELOAD", Error("ERR")), ("GET a", b"1"),
              ("SET a 2", "OK"))
