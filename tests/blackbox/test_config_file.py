# SPDX-License-Identifier: BSD-3-Clause
"""The configuration file: its syntax, its errors, CONFIG REWRITE, the command line."""
import re
import os
import subprocess

import pytest

from lib.check import check
from lib.resp import Error
from lib.server import Server, free_port, options_of

DEBIAN_CONFIG = "/etc/redis/redis.conf"


def failing_start(start, config=None, **options):
    """Start a server that must refuse to; its exit code and what it printed."""
    server = start(config=config, ready=False, **options)
    try:
        code = server.wait_exit(10)
    except subprocess.TimeoutExpired:
        raise AssertionError("it started: " + server.log()) from None
    return code, server.log()


@pytest.mark.parametrize("line, reason", [
    ("nosuch-directive yes", "Bad directive or wrong number of arguments"),
    ("timeout abc", "argument couldn't be parsed into an integer"),
    ("timeout -1", "argument must be between 0 and 2147483647 inclusive"),
    ("maxmemory lots", "argument must be a memory value"),
    ("maxmemory-policy bogus", "argument(s) must be one of the following"),
    ("tcp-keepalive", "wrong number of arguments"),
    ("lazyfree-lazy-expire maybe", "argument must be 'yes' or 'no'"),
    ("requirepass \"open", "Unbalanced quotes in configuration line"),
    ("databases 0", "argument must be between 1 and"),
    ("port 70000", "argument must be between 0 and 65535 inclusive"),
])
def test_wrong_line_stops_the_start(start, line, reason):
    code, log = failing_start(start, config="# first\n\ntcp-backlog 128\n%s\n" % line)
    assert code != 0
    assert "line 4" in log and line.split()[0] in log and reason in log


@pytest.mark.torc_only
def test_error_names_the_file(start):
    server = start(config="bogus 1\n", ready=False)
    assert server.wait_exit(10) != 0
    assert server.config_path in server.log()


@pytest.mark.parametrize("options, text", [({"timeout": "abc"}, "timeout"),
                                           ({"nosuch": "1"}, "nosuch")])
def test_wrong_option_stops_the_start(start, options, text):
    code, log = failing_start(start, **options)
    assert code != 0 and text in log


@pytest.mark.torc_only
@pytest.mark.parametrize("options", [{"shards": "-1"}, {"shards": "x"}, {"io-backend": "bogus"}])
def test_wrong_torc_option_stops_the_start(start, options):
    code, log = failing_start(start, **options)
    assert code != 0 and list(options)[0] in log


def test_missing_file_stops_the_start(server):
    result = subprocess.run([server.binary, "/nonexistent/torc.conf"], capture_output=True,
                            text=True,
                            timeout=10, check=False)
    assert result.returncode != 0 and "/nonexistent/torc.conf" in result.stdout + result.stderr


def test_syntax(start):
    server = start(config="""
# a comment
   timeout   77
MAXCLIENTS 123
requirepass "pa ss\\x21"
client-query-buffer-limit 3mb

databases 4
""")
    with server.client() as c:
        check(c, (["AUTH", "pa ss!"], "OK"), ("CONFIG GET timeout", [b"timeout", b"77"]),
              ("CONFIG GET maxclients", [b"maxclients", b"123"]),
              ("CONFIG GET client-query-buffer-limit", [b"client-query-buffer-limit", b"3145728"]),
              ("SELECT 3", "OK"), ("SELECT 4", Error("ERR DB index is out of range")))


def test_command_line_wins_over_file(start):
    server = start(config="timeout 1\nmaxclients 100\n", timeout="55")
    with server.client() as c:
        check(c, ("CONFIG GET timeout", [b"timeout", b"55"]),
              ("CONFIG GET maxclients", [b"maxclients", b"100"]))


def test_include(start, tmp_path):
    other = tmp_path / "other.conf"
    other.write_text("timeout 66\nmaxclients 50\n")
    server = start(config="maxclients 40\ninclude %s\n" % other)
    with server.client() as c:
        check(c, ("CONFIG GET timeout", [b"timeout", b"66"]),
              ("CONFIG GET maxclients", [b"maxclients", b"50"]))


def test_password_with_a_zero_byte(start):
    """requirepass is bytes: nothing of it is cut off, kept, written or read."""
    server = start(config="")
    with server.client() as c:
        check(c, (["CONFIG", "SET", "requirepass", b"abc\0def"], "OK"),
              (["CONFIG", "GET", "requirepass"], [b"requirepass", b"abc\0def"]),
              ("CONFIG REWRITE", "OK"))
    with open(server.config_path, encoding="utf-8") as written:
        text = written.read()
    assert 'requirepass "abc\\x00def"' in text
    for each in server, start(config=text, port=free_port(), dir=server.directory):
        with each.client() as c:
            for wrong in b"abc", b"abc\0", b"abc\0deg", b"abcdef":
                assert c("AUTH", wrong).startswith("WRONGPASS")
            assert c("AUTH", b"abc\0def") == "OK"


def test_rewrite(start):
    server = start(config="# keep me\ntimeout 10\nclient-query-buffer-limit 1gb\n", timeout=None)
    with server.client() as c:
        check(c, ("CONFIG SET timeout 20 maxclients 222", "OK"),
              (["CONFIG", "SET", "requirepass", "a b\""], "OK"),
              ("CONFIG REWRITE", "OK"))
    with open(server.config_path, encoding="utf-8") as written:
        text = written.read()
    lines = text.splitlines()
    assert "# keep me" in lines and "timeout 20" in lines and "maxclients 222" in lines
    assert 'requirepass "a b\\""' in lines and "timeout 10" not in lines
    assert lines.index("timeout 20") == 1, "a changed line stays where it was"
    again = start(config=text, port=free_port(), dir=server.directory)
    with again.client() as c:
        check(c, (["AUTH", "a b\""], "OK"), ("CONFIG GET timeout", [b"timeout", b"20"]),
              ("CONFIG GET client-query-buffer-limit", [b"client-query-buffer-limit",
                                                        b"1073741824"]))


def test_version_and_help(server):
    for option in ("--version", "--help"):
        result = subprocess.run([server.binary, option], capture_output=True, text=True, timeout=10,
                                check=False)
        assert ("server" in (result.stdout + result.stderr).lower()
                or "usage" in (result.stdout + result.stderr).lower())
    assert subprocess.run([server.binary, "--version"], capture_output=True, timeout=10,
                          check=False).returncode == 0


def test_debians_configuration_starts_it(running, request, tmp_path):
    if not os.access(DEBIAN_CONFIG, os.R_OK):
        pytest.skip("Debian's redis-server package is not installed, or its file not readable")
    with open(DEBIAN_CONFIG, encoding="utf-8") as source:
        text = source.read()
    # Its directories belong to another user; everything else stays as it is.
    options = {"dir": str(tmp_path), "logfile": "", "daemonize": "no", "save": None,
               "pidfile": str(tmp_path / "torc.pid"), "enable-debug-command": None,
               "unixsocket": str(tmp_path / "torc.sock")}

    options.update(options_of(running.name))
    server = Server(options, config=text)
    request.node._servers = [server]
    try:
        with server.client() as c:
            check(c, ("SET a 1", "OK"), ("GET a", b"1"))
        log = server.log()
        expected = {"appendfsync": 1, "slowlog-log-slower-than": 1, "latency-monitor-threshold": 1,
                    "hash-max-listpack-entries": 0}
        for directive, named in expected.items():
            times = len(re.findall(r"(?<![\w-])%s(?![\w-])" % directive, log))
            assert times == named, "%s is named %d times" % (directive, times)
    finally:
        server.stop()
