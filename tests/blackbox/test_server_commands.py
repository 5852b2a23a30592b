# SPDX-License-Identifier: BSD-3-Clause
"""INFO, CONFIG at run time, MEMORY, DEBUG, WAIT, TIME, LOLWUT, AUTH, SHUTDOWN and signals."""
import os
import re
import signal
import time

import pytest

from lib.check import NOT_INTEGER, SYNTAX, arity, check, eventually, info
from lib.resp import SLOW, Error

pytestmark = pytest.mark.few

INFO_FIELDS = {
    "server": """
        redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits
        monotonic_clock multiplexing_api gcc_version process_id run_id tcp_port
        server_time_usec uptime_in_seconds uptime_in_days hz configured_hz lru_clock
        executable config_file io_threads_active""",
    "clients": """
        connected_clients cluster_connections maxclients client_recent_max_input_buffer
        client_recent_max_output_buffer blocked_clients tracking_clients
        clients_in_timeout_table total_blocking_keys""",
    "memory": """
        used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak
        used_memory_peak_human used_memory_peak_perc used_memory_overhead
        used_memory_startup used_memory_dataset used_memory_dataset_perc total_system_memory
        total_system_memory_human maxmemory maxmemory_human maxmemory_policy
        mem_fragmentation_ratio mem_clients_normal mem_allocator lazyfree_pending_objects
        lazyfreed_objects""",
    "persistence": """
        loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time
        rdb_last_bgsave_status aof_enabled aof_rewrite_in_progress""",
    "stats": """
        total_connections_received total_commands_processed instantaneous_ops_per_sec
        total_net_input_bytes total_net_output_bytes instantaneous_input_kbps
        instantaneous_output_kbps rejected_connections expired_keys evicted_keys
        keyspace_hits keyspace_misses pubsub_channels total_error_replies
        total_reads_processed total_writes_processed unexpected_error_replies""",
    "replication": """
        role connected_slaves master_failover_state master_replid master_replid2
        master_repl_offset repl_backlog_active""",
    "cpu": """
        used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children""",
    "cluster": """
        cluster_enabled""",
}


@pytest.mark.parametrize("section", sorted(INFO_FIELDS))
def test_info_fields(both, section):
    text = both("INFO", section).decode()
    assert text.startswith("# " + {"cpu": "CPU"}.get(section, section.capitalize()) + "\r\n")
    missing = set(INFO_FIELDS[section].split()) - set(info(both, section))
    assert not missing


def test_info_sections(c):
    default = re.findall(r"^# (\w+)", c("INFO").decode(), re.M)
    assert default == ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU",
                       "Modules",
                       "Errorstats", "Cluster", "Keyspace"]
    every = re.findall(r"^# (\w+)", c("INFO", "everything").decode(), re.M)
    assert set(default) <= set(every) and "Commandstats" in every
    two = re.findall(r"^# (\w+)", c("INFO", "cpu", "Server").decode(), re.M)
    assert sorted(two) == ["CPU", "Server"]
    assert c("INFO", "nosuch") == b""
    assert c("INFO", "DEFAULT").startswith(b"# Server")


def test_info_values(c, server, is_torc):
    fields = info(c)
    assert re.fullmatch(r"7\.2\.\d+",
                        fields["redis_version"]) and fields["redis_mode"] == "standalone"
    assert fields["process_id"] == str(server.process.pid)
    assert fields["tcp_port"] == str(server.port)
    assert re.fullmatch(r"[0-9a-f]{40}", fields["run_id"]) and fields["role"] == "master"
    if is_torc:
        assert any(name.startswith("torc_") or "shard" in name for name in info(c, "everything"))


@pytest.mark.torc_only
def test_backend_and_shards_are_shown(c, server, running):
    shards, backend = running.name.split("-")
    text = c("INFO", "everything").decode()
    assert backend in text and backend in server.log()
    assert c("CONFIG", "GET", "shards") == [b"shards", shards.encode()]


def shard_counts(c, name):
    """The sum over all shards of a count in INFO's section `shards`."""
    return sum(int(re.search(r"\b%s=(\d+)" % name, line)[1])
               for line in c("INFO", "shards").decode().split("\r\n") if line.startswith("shard")
               and "=" in line)


@pytest.mark.torc_only
def test_shards_that_are_away_are_visited(c, running):
    """Nobody else is there, so a command finds the shard of its keys asleep, but for its ticks."""
    remote = 0 if running.name.startswith("1-") else 1
    keys = ["key:%d" % i for i in range(300)]
    before, transactions = shard_counts(c, "visits"), shard_counts(c, "transactions")
    for key in keys:
        assert c("SET", key, key) == "OK"
    assert c.pipeline([("GET", key) for key in keys]) == [key.encode() for key in keys]
    visits = shard_counts(c, "visits")
    assert (visits > before) == remote
    for _ in range(20):
        assert c("MGET", *keys[:100]) == [key.encode() for key in keys[:100]]
        assert c("MSET", *(word for key in keys[:100] for word in (key, key))) == "OK"
        assert c.pipeline([("MULTI",), ("SET", keys[0], keys[0]), ("GET", keys[1]), ("EXEC",)]) == [
            "OK", "QUEUED", "QUEUED", ["OK", keys[1].encode()]]
    assert (shard_counts(c, "visits") > visits) == remote
    # All of the 60, were it not for visits.
    assert shard_counts(c, "transactions") - transactions < 60


def test_info_counts(c):
    check(c, ("CONFIG RESETSTAT", "OK"), ("SET a 1", "OK"), ("GET a", b"1"), ("GET a", b"1"),
          ("GET none", None),
          ("NOSUCH", Error("ERR unknown command 'NOSUCH', with args beginning with: ")),
          ("GET", arity("get")))
    stats = info(c, "stats")
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == ("2", "1")
    assert int(stats["total_commands_processed"]) in range(4, 12)
    assert stats["total_error_replies"] == "2"
    assert info(c, "errorstats") == {"errorstat_ERR": "count=2"}
    commands = info(c, "commandstats")
    assert commands["cmdstat_get"].startswith("calls=3,usec=") and commands["cmdstat_get"].endswith(
        "rejected_calls=1,failed_calls=0")
    assert commands["cmdstat_set"].startswith("calls=1,usec=")
    check(c, ("CONFIG RESETSTAT", "OK"))
    assert info(c, "stats")["keyspace_hits"] == "0"


def test_keyspace_and_clients(c, connect):
    check(c, ("MSET a 1 b 2 c 3", "OK"), ("SELECT 7", "OK"), ("SET x 1 EX 100", "OK"))
    keyspace = info(c, "keyspace")
    assert keyspace["db0"] == "keys=3,expires=0,avg_ttl=0"
    assert keyspace["db7"].startswith("keys=1,expires=1,avg_ttl=")
    before = int(info(c, "clients")["connected_clients"])
    others = [connect() for _ in range(8)]
    assert all(o("PING") == "PONG" for o in others)
    assert int(info(c, "clients")["connected_clients"]) == before + 8
    for other in others:
        other.close()
    eventually(lambda: int(info(c, "clients")["connected_clients"]) == before)


def test_used_memory_follows_the_data(c):
    start = int(info(c, "memory")["used_memory"])
    c.pipeline([("SET", "k%d" % i, b"x" * 1000) for i in range(20000)])
    full = int(info(c, "memory")["used_memory"])
    assert 20e6 < full - start < 30e6
    c("FLUSHALL")
    eventually(lambda: int(info(c, "memory")["used_memory"]) - start < 2e6)


def test_config_get(c, c3):
    assert c("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"0"]
    assert c3("CONFIG", "GET", "maxmemory", "port", "MAXMEMORY").keys() == {b"maxmemory", b"port"}
    many = c3("CONFIG", "GET", "maxmemory*")
    assert {b"maxmemory", b"maxmemory-policy", b"maxmemory-samples"} <= set(many)
    assert c("CONFIG", "GET", "nosuch") == []
    assert set(c3("CONFIG", "GET", "*")) >= {b"port", b"bind", b"timeout", b"databases",
                                             b"requirepass", b"dir"}
    assert c3("CONFIG", "GET", "databases")[b"databases"] == b"16"


def test_config_set(c, config):
    assert config("timeout", "100", "client-query-buffer-limit", "2gb") == "OK"
    check(c, ("CONFIG GET timeout", [b"timeout", b"100"]), ("CONFIG GET client-query-buffer-limit",
                                                            [b"client-query-buffer-limit",
                                                                b"2147483648"]))
    assert config("MAXMEMORY", "0") == "OK"
    for value, size in (("2000k", 2000000), ("2000kb", 2048000), ("1mb", 1 << 20), ("2m",
        2 * 10**6),
                        ("1g", 10**9), ("2000000", 2000000), ("1048577B", 1048577)):
        assert config("client-query-buffer-limit", value) == "OK"
        assert c("CONFIG", "GET", "client-query-buffer-limit")[1] == b"%d" % size


def test_config_set_errors(c):
    reply = c("CONFIG", "SET", "timeout", "7", "nosuch", "1")
    assert reply == Error("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'")
    assert c("CONFIG", "GET", "timeout")[1] == b"0", "a failed CONFIG SET changes nothing"
    check(c, ("CONFIG SET timeout", arity("config|set")),
          ("CONFIG SET timeout x",
           Error("ERR CONFIG SET failed (possibly related to argument 'timeout') - "
                                         "argument couldn't be parsed into an integer")),
          ("CONFIG SET timeout -1",
           Error("ERR CONFIG SET failed (possibly related to argument 'timeout') - "
                                          "argument must be between 0 and 2147483647 inclusive")),
          ("CONFIG SET maxmemory x",
           Error("ERR CONFIG SET failed (possibly related to argument 'maxmemory') - "
                                           "argument must be a memory value")),
          ("CONFIG SET maxmemory-policy bogus",
           Error("ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - "
                 "argument(s) must be one "
                 "of the following: volatile-lru, volatile-lfu, volatile-random, "
                 "volatile-ttl, allkeys-lru, "
                 "allkeys-lfu, allkeys-random, noeviction")),
          ("CONFIG SET timeout 1 timeout 2",
           Error("ERR CONFIG SET failed (possibly related to argument 'timeout') - "
                                                   "duplicate parameter")),
          ("CONFIG SET databases 5",
           Error("ERR CONFIG SET failed (possibly related to argument 'databases') - "
                                           "can't set immutable config")),
          ("CONFIG SET lazyfree-lazy-expire maybe",
           Error("ERR CONFIG SET failed (possibly related to argument 'lazyfree-lazy-expire') - "
                 "argument must be 'yes' or 'no'")),
          ("CONFIG REWRITE", Error("ERR The server is running without a config file")),
          ("CONFIG NOSUCH", Error("ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.")))


def test_memory_usage(both):
    check(both, ("MEMORY USAGE none", None), (["SET", "a", "x" * 1000], "OK"))
    usage = both("MEMORY", "USAGE", "a")
    assert 1000 < usage < 1400
    assert both("MEMORY", "USAGE", "a", "SAMPLES", "5") == usage
    check(both, ("MEMORY USAGE a SAMPLES x", NOT_INTEGER), ("MEMORY USAGE a BOGUS", SYNTAX),
          ("MEMORY USAGE", arity("memory|usage")),
          ("SET i 5", "OK"))
    assert both("MEMORY", "USAGE", "i") < 100


def test_debug(c):
    started = time.monotonic()
    check(c, ("DEBUG SLEEP 0.15", "OK"))
    assert 0.14 < time.monotonic() - started < 1 * SLOW
    check(c, ("SET a abc", "OK"), ("DEBUG OBJECT none", Error("ERR no such key")))
    text = c("DEBUG", "OBJECT", "a")
    assert re.match(r"Value at:0x[0-9a-f]+ refcount:1 encoding:embstr serializedlength:\d+ "
                    r"lru:\d+ lru_seconds_idle:\d+", text)
    before = info(c, "replication")["master_replid"]
    check(c, ("DEBUG CHANGE-REPL-ID", "OK"))
    assert info(c, "replication")["master_replid"] != before


def test_debug_is_off_by_default(start):
    server = start(enable_debug_command="no")
    with server.client() as c:
        assert c("DEBUG", "SLEEP", "0").startswith("ERR DEBUG command not allowed.")


def test_time_echo_ping_lolwut_lastsave(both, is_torc):
    seconds, micros = both("TIME")
    assert abs(int(seconds) - time.time()) < 2 and 0 <= int(micros) < 1000000
    check(both, ("PING", "PONG"), (["PING", "a b"], b"a b"), ("ECHO x", b"x"),
          ("PING a b", arity("ping")), ("ECHO", arity("echo")))
    assert abs(both("LASTSAVE") - time.time()) < 3600
    art = both("LOLWUT")
    assert isinstance(art, bytes) and art.count(b"\n") >= (2 if is_torc else 1)
    assert isinstance(both("LOLWUT", "VERSION", "5", "10"), (bytes, Error))


def test_wait(both):
    started = time.monotonic()
    check(both, ("WAIT 0 0", 0), ("WAIT 0 1000", 0))
    assert time.monotonic() - started < 0.5 * SLOW
    check(both, ("WAIT 1 100", 0), ("WAIT x 1", NOT_INTEGER),
          ("WAIT 1 x", Error("ERR timeout is not an integer or out of range")),
          ("WAIT 1 -1", Error("ERR timeout is negative")), ("WAIT 1", arity("wait")))
    assert time.monotonic() - started >= 0.09
    check(both, ("MULTI", "OK"), ("WAIT 1 0", "QUEUED"), ("EXEC", [0]))


def test_auth_without_password(both):
    check(both,
          ("AUTH x",
           Error("ERR AUTH <password> called without any password configured for the default user. "
                                 "Are you sure your configuration is correct?")),
          ("AUTH default anything", "OK"),
          ("AUTH nobody x", Error("WRONGPASS invalid username-password pair or user is disabled.")),
          ("AUTH", arity("auth")), ("AUTH a b c", SYNTAX))


def test_requirepass(start):
    noauth = Error("NOAUTH Authentication required.")
    wrong = Error("WRONGPASS invalid username-password pair or user is disabled.")
    server = start(requirepass="s3cret")
    with server.client() as c, server.client() as later:
        check(c, ("GET a", noauth), ("PING", noauth), ("NOSUCH",
                                                       Error("ERR unknown command 'NOSUCH', with "
                                                  "args beginning with: ")),
              ("AUTH bad", wrong), ("AUTH default bad", wrong), ("HELLO", Error(
                  "NOAUTH HELLO must be called with the client already authenticated, "
                  "otherwise the HELLO <proto> AUTH "
                  "<user> <pass> option can be used to authenticate the client and select "
                  "the RESP protocol version at "
                  "the same time")), ("HELLO 3 AUTH default bad", wrong), ("MULTI", noauth),
              ("EXEC",
               Error("EXECABORT Transaction discarded because of: NOAUTH Authentication "
                     "required.")),
              ("AUTH s3cret", "OK"), ("SET a 1", "OK"), ("RESET", "RESET"), ("GET a", noauth),
              ("AUTH default s3cret", "OK"), ("GET a", b"1"))
        assert later("HELLO", "3", "AUTH", "default", "s3cret", "SETNAME", "me")[b"proto"] == 3
        check(later, ("CLIENT GETNAME", b"me"), ("CONFIG GET requirepass",
                                                 {b"requirepass": b"s3cret"}),
              (["CONFIG", "SET", "requirepass", ""], "OK"))
        with server.client() as free:
            check(free, ("GET a", b"1"))
        check(later, ("CONFIG SET requirepass again", "OK"))
        with server.client() as locked:
            check(locked, ("GET a", noauth), ("QUIT", "OK"))


@pytest.mark.parametrize("words", [["SHUTDOWN"], ["SHUTDOWN", "NOSAVE"],
                                   ["shutdown", "nosave", "now", "force"]])
def test_shutdown(start, words):
    server = start()
    with server.client() as c:
        check(c, ("SHUTDOWN BOGUS", SYNTAX), ("SHUTDOWN SAVE NOSAVE", SYNTAX),
              ("SHUTDOWN ABORT", Error("ERR No shutdown in progress.")), ("SET a 1", "OK"))
        c.send(*words)
        assert c.wait_closed()
    assert server.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(start, number):
    server = start()
    clients = [server.client() for _ in range(20)]
    for i, c in enumerate(clients):
        assert c("SET", "k%d" % i, "x" * 1000) == "OK"
    os.kill(server.process.pid, number)
    assert server.wait_exit(10) == 0
    assert all(c.wait_closed() for c in clients)


def test_sigterm_under_load(start):
    server = start()
    clients = [server.client() for _ in range(4)]
    data = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nxyz\r\n" * 2000
    for c in clients:
        c.send_raw(data)
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.wait_exit(10) == 0


def test_idle_server_sleeps(start):
    server = start()
    time.sleep(0.3)

    def ticks():
        with open("/proc/%d/stat" % server.process.pid, encoding="ascii") as stat:
            return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))

    before = ticks()
    time.sleep(1.0)
    assert ticks() - before <= 3 * SLOW, "an idle server uses the CPU"
