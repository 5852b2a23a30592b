# SPDX-License-Identifier: BSD-3-Clause
"""Servers under measurement: start, pin, pause, read their CPU time and memory, end.

Every server is a direct child that is ended by its own pid. It gets a session of its own, so Ctrl-C
reaches only the script, which then ends its children; if the script itself is killed, the kernel
ends them (PR_SET_PDEATHSIG).
"""

import ctypes
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

READY_S = 15
STOP_S = 5
AHEAD = -15  # nice value
_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ServerError(Exception):
    """A server did not start, or ended too early; the text says why."""


@dataclass(frozen=True)
class Kind:
    """How to start one kind of server. `unix_args` is what makes it listen on {socket} as well.

    One that is not filled holds no data: it answers constants.
    """

    name: str
    command: str
    unix_args: str = ""
    is_filled: bool = True

    def can_unix(self):
        return bool(self.unix_args) or "{socket}" in self.command

    def argv(self, unix, **values):
        text = self.command + (" " + self.unix_args if unix and self.unix_args else "")
        return [word.format(**values) for word in shlex.split(text)]


def child_setup(cpus, first=False):
    """What a child does before exec: keep to `cpus`, end with this process, have many files.

    Each child is a session, so where the kernel groups processes by session (autogroup) our own
    nice value would mean nothing for it: it is given to the child's group as well. Whoever measures
    latency goes `first` among those that share its CPU, where we may say so: it would measure how
    long it waits for the other load otherwise.
    """
    files = (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2
    nice = AHEAD if first and os.geteuid() == 0 else os.nice(0)

    def setup():
        os.sched_setaffinity(0, cpus)
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            with open("/proc/self/autogroup", "w", encoding="ascii") as f:
                f.write(str(nice))
        except OSError:
            pass  # a kernel without it

    return setup


def _port_is_taken(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """One running server. Use stop() at the end, whatever happens."""

    def __init__(self, kind, port, cpus, scenario):
        if _port_is_taken(port):
            raise ServerError(f"port {port} is already in use (choose another with --port)")
        self.kind = kind
        self.port = port
        self.dir = tempfile.mkdtemp(prefix="torc-bench-")
        self.socket = os.path.join(self.dir, "s.sock") if scenario.unix else None
        self.version = ""
        argv = kind.argv(scenario.unix, port=port, dir=self.dir, shards=scenario.shards,
                         keys=scenario.keys, value_size=scenario.value_size,
                         socket=os.path.join(self.dir, "s.sock"))
        self.log_path = os.path.join(self.dir, "server.log")
        self.process = None
        if os.sep in argv[0]:
            argv[0] = os.path.abspath(argv[0])
        try:
            with open(self.log_path, "wb") as log:
                self.process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    cwd=self.dir, start_new_session=True, preexec_fn=child_setup(cpus))
            self._wait_until_ready()
        except OSError as e:
            self.stop()
            raise ServerError(f"{kind.name}: cannot start {argv[0]}: {e}") from e
        except BaseException:
            self.stop()
            raise

    def _log_tail(self):
        with open(self.log_path, "rb") as f:
            return f.read()[-1500:].decode("utf-8", "replace")

    def _ask(self, command):
        """One inline command; the first bytes of the reply."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
            s.sendall(command + b"\r\n")
            return s.recv(65536)

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(f"{self.kind.name} ended with status {self.process.returncode}"
                                  f" at start:\n{self._log_tail()}")
            try:
                if self._ask(b"PING").startswith(b"+PONG"):
                    self._read_version()
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise ServerError(f"{self.kind.name} did not answer PING within {READY_S} s:\n"
                          f"{self._log_tail()}")

    def info(self, section):
        """The fields of a section of INFO, as text."""
        fields = {}
        text = self._ask(b"INFO " + section.encode()).decode("utf-8", "replace")
        for line in text.splitlines():
            name, colon, value = line.partition(":")
            if colon:
                fields[name] = value.strip()
        return fields

    def _read_version(self):
        fields = self.info("server")
        for name in ("torc_version", "valkey_version", "dragonfly_version", "redis_version"):
            if name in fields:
                self.version = fields[name]
                return

    def cpu_us(self):
        """User and system time of all threads since the start, in microseconds."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_US

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise ServerError(f"{self.kind.name}: no VmRSS")

    def check_alive(self):
        if self.process.poll() is not None:
            raise ServerError(f"{self.kind.name} ended with status {self.process.returncode}:\n"
                              f"{self._log_tail()}")

    def pause(self):
        """Takes no CPU until resume(), while another server is measured."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)

    def stop(self):
        """Ends the process (SIGTERM, then SIGKILL) and removes its directory."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


KNOWN = {
    "redis": Kind("redis", "redis-server --port {port} --dir {dir} --save '' --appendonly no",
                  "--unixsocket {socket}"),
    "valkey": Kind("valkey", "valkey-server --port {port} --dir {dir} --save '' --appendonly no",
                   "--unixsocket {socket}"),
    "dragonfly": Kind("dragonfly", "dragonfly --port {port} --dir {dir} --dbfilename= "
                      "--proactor_threads {shards} --logtostderr", "--unixsocket {socket}"),
    "pogocache": Kind("pogocache", "pogocache -p {port} --threads {shards}", "-s {socket}"),
}
