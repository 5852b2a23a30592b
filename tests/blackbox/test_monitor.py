# SPDX-License-Identifier: BSD-3-Clause
"""MONITOR: every command of all shards in Redis's line format, secrets hidden."""
import re
import socket
import time

import pytest

from lib.resp import Client, Error

LINE = re.compile(r"^(\d+)\.(\d{6}) \[(\d+) ([^\]]+)\] (.*)$")


class Watcher:
    """A client in MONITOR mode."""

    def __init__(self, server, protocol=2):
        self.client = server.client(protocol=protocol)
        assert self.client("MONITOR") == "OK"

    def lines(self, count):
        """The next lines: (database, address, words as shown)."""
        found = [LINE.match(self.client.read()).groups() for _ in range(count)]
        now = time.time()
        assert all(abs(int(line[0]) - now) < 60 for line in found)
        return [line[2:] for line in found]

    def words(self, count):
        return [line[2] for line in self.lines(count)]

    def is_silent(self):
        return self.client.is_silent(0.2)


def test_line_format(server, c):
    watcher = Watcher(server)
    c("SET", "k", b'a "b"\\\n\r\t\a\b\x00\xff')
    database, address, words = watcher.lines(1)[0]
    assert (database, address) == ("0", "127.0.0.1:%d" % c.sock.getsockname()[1])
    assert words == r'"SET" "k" "a \"b\"\\\n\r\t\a\b\x00\xff"'
    c("SELECT", "7")
    c("PING")
    assert watcher.lines(2)[1][::2] == ("7", '"PING"')


def test_all_shards_and_order(server, c):
    """What one client sends is shown in its order, wherever its keys are; to every watcher."""
    watchers = [Watcher(server) for _ in range(5)]
    commands = [("SET", "k%d" % i, str(i)) for i in range(200)]
    c.pipeline(commands)
    c("MGET", *["k%d" % i for i in range(20)])
    shown = ['"SET" "k%d" "%d"' % (i, i) for i in range(200)]
    shown.append('"MGET" ' + " ".join('"k%d"' % i for i in range(20)))
    for watcher in watchers:
        assert watcher.words(201) == shown


def test_what_is_not_shown(server, c):
    watcher = Watcher(server)
    c("CONFIG", "GET", "port")      # administrative
    c("NOSUCHCOMMAND")              # never executed
    c("GET")
    c("DEBUG", "JMAP")
    c("PING")
    assert watcher.words(1) == ['"PING"']


def test_secrets(server, c):
    watcher = Watcher(server)
    c("AUTH", "secret")
    c("AUTH", "name", "secret")
    c("HELLO", "2", "AUTH", "name", "secret")
    c("MIGRATE", "127.0.0.1", "1", "none", "0", "10", "AUTH2", "name", "secret")
    c("MIGRATE", "127.0.0.1", "1", "none", "0", "10", "AUTH", "secret")
    assert watcher.words(5) == [
        '"AUTH" "(redacted)"', '"AUTH" "(redacted)" "(redacted)"',
        '"HELLO" "2" "AUTH" "(redacted)" "(redacted)"',
        '"MIGRATE" "127.0.0.1" "1" "none" "0" "10" "AUTH2" "(redacted)" "(redacted)"',
        '"MIGRATE" "127.0.0.1" "1" "none" "0" "10" "AUTH" "(redacted)"']


@pytest.mark.parametrize("keys", [["a"], ["a", "b", "c", "d", "e", "f"]])
def test_blocks(server, c, keys):
    """The commands of a block are shown when they run, then EXEC."""
    watcher = Watcher(server)
    c("MULTI")
    for key in keys:
        c("SET", key, "1")
    c("SELECT", "3")
    c("INCR", "n")
    c("EXEC")
    shown = watcher.lines(len(keys) + 4)
    assert [line[2] for line in shown] == ['"MULTI"', *['"SET" "%s" "1"' % k for k in keys],
                                           '"SELECT" "3"', '"INCR" "n"', '"EXEC"'.lower()]
    assert shown[-2][0] == "3"
    c("MULTI")
    c("SET", "x")
    assert isinstance(c("EXEC"), Error)
    assert [word.lower() for word in watcher.words(2)] == ['"multi"', '"exec"']
    c("MULTI")
    c("SET", "x", "1")
    c("DISCARD")
    assert watcher.words(2) == ['"MULTI"', '"DISCARD"']


def test_a_failed_block_is_not_shown(server, c):
    other = server.client()
    c("WATCH", "w1", "w2", "w3")
    other("SET", "w2", "1")
    watcher = Watcher(server)
    c("MULTI")
    c("SET", "w1", "1")
    assert c("EXEC") is None
    assert [word.lower() for word in watcher.words(2)] == ['"multi"', '"exec"']
    assert watcher.is_silent()


def test_a_waiting_client_is_shown_once(server, c):
    watcher = Watcher(server)
    waiting = server.client()
    waiting.send("BLPOP", "l1", "l2", "0")
    assert watcher.words(1) == ['"BLPOP" "l1" "l2" "0"']
    c("RPUSH", "l2", "x")
    assert waiting.read() == [b"l2", b"x"]
    assert watcher.words(1) == ['"RPUSH" "l2" "x"']
    assert watcher.is_silent()


def test_leaving(server, c):
    """RESET and a closed connection end it; what a watcher sends itself is answered and shown."""
    watcher = Watcher(server)
    assert b"flags=O " in watcher.client("CLIENT", "INFO")
    assert watcher.client.read().endswith('"CLIENT" "INFO"')
    assert watcher.client("RESET") == "RESET"
    assert watcher.client("CLIENT", "INFO").split(b"flags=")[1].startswith(b"N ")
    c("PING")
    assert watcher.is_silent()
    for protocol in (2, 3):
        one = Watcher(server, protocol)
        c("PING")
        assert one.words(1) == ['"PING"']
        one.client.close()
    assert c("PING") == "PONG"


def test_inside_a_block(c):
    c("MULTI")
    assert c("MONITOR") == "QUEUED"
    assert c("EXEC") == [Error("ERR MONITOR isn't allowed for DENY BLOCKING client")]


def test_unix_socket(start, tmp_path):
    path = tmp_path / "torc.sock"
    server = start(unixsocket=str(path))
    watcher = Watcher(server)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        probe.sendall(b"PING\r\n")
        assert probe.recv(100) == b"+PONG\r\n"
    assert watcher.lines(1) == [("0", "unix:%s" % path, '"PING"')]


def test_a_watcher_that_does_not_read_is_closed_by_its_limit(server, c):
    limit = c("CONFIG", "GET", "client-output-buffer-limit")[1]
    c("CONFIG", "SET", "client-output-buffer-limit", "normal 2mb 0 0")
    watcher, good = Watcher(server), Watcher(server)
    value = "v" * 200000
    for _ in range(60):
        c("SET", "k", value)
        assert value in good.client.read()
    watcher.client.wait_closed(20)
    assert c("PING") == "PONG"
    c("CONFIG", "SET", "client-output-buffer-limit", limit)
