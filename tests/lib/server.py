# SPDX-License-Identifier: BSD-3-Clause
"""Starts a real server in a directory of its own and ends it by its pid.

The binary is $TORC_BINARY, or the optimised build. A stock redis-server works as well: options
that only torc has are then left out, so the suites themselves can be checked against Redis.
`$TORC_TEST_PORTS=low-high` confines the ports; by default the kernel picks a free one.
"""
import contextlib
import ctypes
import functools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import resp

ROOT = pathlib.Path(__file__).resolve().parents[2]
TORC_ONLY = {"shards", "io-backend", "pipeline-order", "shard-pinning", "shard-ports",
             "rdb-unknown", "rdb-version"}
START_SECONDS = 20 * resp.SLOW


def default_binary():
    """The path of the server under test."""
    return os.environ.get("TORC_BINARY") or str(ROOT / "build/release/torc")


@functools.lru_cache(maxsize=None)
def redis_version(binary):
    """(7, 2, 6) when the binary is a stock redis-server, None when it is torc."""
    if "redis" not in os.path.basename(binary):
        return None
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    if not text.startswith("Redis server"):
        return None
    return tuple(int(part) for part in text.split("v=")[1].split()[0].split("."))


@functools.lru_cache(maxsize=None)
def io_uring_works():
    """Whether this host lets a process set up an io_uring."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(425, 4, ctypes.create_string_buffer(120))
    if descriptor < 0:
        return False
    os.close(descriptor)
    return True


def free_run(count):
    """The first of `count` TCP ports in a row that were free a moment ago.

    They are not among those that the kernel gives to clients: of these, a test that opened
    thousands of connections leaves few neighbours free.
    """
    low, high = map(int, os.environ.get("TORC_TEST_PORTS", "10000-30000").split("-"))
    for first in random.sample(range(low, high - count + 2), high - count + 2 - low):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    probe = stack.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no %d free ports in a row from %d to %d" % (count, low, high))


def free_port():
    """A TCP port that was free a moment ago."""
    ports = os.environ.get("TORC_TEST_PORTS")
    candidates = [0]
    if ports:
        low, high = map(int, ports.split("-"))
        candidates = random.sample(range(low, high + 1), high - low + 1)
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise RuntimeError("no free port in %s" % ports)


def options_of(configuration):
    """The options behind a configuration's name: "<shards>-<backend>", or "redis" for none."""
    if configuration == "redis":
        return {}
    shards, backend = configuration.split("-")
    return {"shards": shards, "io-backend": backend}


class ServerDied(Exception):
    """The server ended, or never answered; the text carries its log."""


class Server:
    """One server process. `options` maps directive to value, or to a list of arguments."""

    def __init__(self, options=None, binary=None, config=None, ready=True):
        self.binary = binary or default_binary()
        self.is_torc = redis_version(self.binary) is None
        self.directory = tempfile.mkdtemp(prefix="torc-test-")
        self.log_path = os.path.join(self.directory, "server.log")
        self.port = free_port()
        self.options = {"port": self.port, "dir": self.directory, "save": "",
                        "enable-debug-command": "yes"}
        self.options.update(options or {})
        self.port = int(self.options["port"])
        self.config_path = None
        if config is not None:
            self.config_path = os.path.join(self.directory, "test.conf")
            with open(self.config_path, "w", encoding="utf-8") as out:
                out.write(config)
        self.process = None
        try:
            self.start(ready)
        except BaseException:
            self.stop()
            raise

    def command_line(self):
        """The arguments the server is started with."""
        line = [self.binary]
        if self.config_path:
            line.append(self.config_path)
        for name, value in self.options.items():
            if value is None or (not self.is_torc and name in TORC_ONLY):
                continue
            values = value if isinstance(value, (list, tuple)) else [value]
            line += ["--" + name, *map(str, values)]
        return line

    def start(self, ready=True):
        """Start the process; with `ready`, return once it answers PING."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.directory)
        if ready:
            self.wait_ready()

    def wait_ready(self):
        """Return when the server answers, raise ServerDied when it cannot any more."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise ServerDied("exit code %s\n%s" % (self.process.returncode, self.log()))
            try:
                with resp.Client(("127.0.0.1", self.port), timeout=2) as client:
                    reply = client("PING")
                    if reply == "PONG" or isinstance(reply, resp.Error):
                        return
            except (OSError, resp.ConnectionClosed):
                pass
            time.sleep(0.01)
        raise ServerDied("no answer in %g s\n%s" % (START_SECONDS, self.log()))

    def client(self, timeout=10.0, protocol=2):
        """A new connection over TCP."""
        return resp.Client(("127.0.0.1", self.port), timeout=timeout, resp=protocol)

    def is_alive(self):
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def log(self, tail=20000):
        """The end of what the server printed."""
        with open(self.log_path, "rb") as log:
            return log.read()[-tail:].decode("utf-8", "replace")

    def wait_exit(self, timeout=10.0):
        """The exit code once the process ended by itself; raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout * resp.SLOW)

    def stop(self, remove=True):
        """End the process (TERM, then KILL) and remove its directory."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5 * resp.SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if remove:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self):
        """End the process at once."""
        self.process.kill()
        self.process.wait()
