# SPDX-License-Identifier: BSD-3-Clause
"""Whatever happens while a snapshot is written, the last good file is there, whole, and loads.

The server is killed at random moments of saving and started again on what it has left,
$TORC_CRASHES times (default 6); writing fails at random places of the file, and on a disk that is
full. All keys hold the number of a generation, which is the same in all of them at the instant of
each snapshot: a file that is whole shows one generation.
"""
import hashlib
import os
import random
import resource
import shutil
import subprocess
import time

import pytest

from lib.check import eventually, info
from lib.resp import Error, encode
from lib.server import Server, default_binary

pytestmark = pytest.mark.torc_only

CRASHES = int(os.environ.get("TORC_CRASHES", "6"))
FAULTS = max(5, CRASHES // 5)
KEYS = 4000
FIELDS = 5000
PADDING = random.Random(0).randbytes(500).hex()  # not to be compressed: saving takes a while


def write_generation(c, number, database=0):
    """Makes all keys those of a generation; some of them are too large to be written in one go."""
    value = "%d:%s" % (number, PADDING)
    fields = [word for i in range(FIELDS) for word in ("field:%d" % i, number)]
    commands = [("SELECT", database)]
    commands += [("SET", "key:%d" % i, value) for i in range(KEYS)]
    commands += [("HSET", "hash", *fields), ("SET", "text", "%d " % number * 300000),
                 ("SELECT", 0)]
    c.sock.sendall(b"".join(map(encode, commands)))
    for command in commands:
        reply = c.read()
        assert not isinstance(reply, Error), (command[0], reply)


def generation(c):
    """The one generation that all keys are of."""
    found = {value.split(b":")[0] for value in c("MGET", *["key:%d" % i for i in range(KEYS)])}
    found |= set(c("HVALS", "hash")) | set(c("GET", "text").split())
    assert len(found) == 1
    return int(found.pop())


def state(c):
    return info(c, "persistence")


def save(c):
    """One BGSAVE to its end; the section of INFO then."""
    reply = c("BGSAVE")
    assert not isinstance(reply, Error), reply
    eventually(lambda: state(c)["rdb_bgsave_in_progress"] == "0", 60)
    return state(c)


def digest(server):
    with open(os.path.join(server.directory, "dump.rdb"), "rb") as file:
        return hashlib.sha256(file.read()).digest()


def loaded(c):
    eventually(lambda: state(c)["loading"] == "0", 60)


@pytest.mark.parametrize("shards, backend", [(1, "epoll"), (3, "io_uring")])
def test_killed_at_random_moments(shards, backend):
    rng = random.Random(shards)
    server = Server({"shards": shards, "io-backend": backend, "stop-writes-on-bgsave-error": "no"})
    try:
        saved = attempted = 1
        taken = 0.05
        for number in range(CRASHES + 1):
            with server.client(timeout=60) as c, server.client(timeout=60) as other:
                if attempted == 1:
                    write_generation(c, 1)
                    began = time.monotonic()
                    assert save(c)["rdb_last_bgsave_status"] == "ok"
                    taken = time.monotonic() - began
                attempted += 1
                write_generation(c, attempted)
                c("BGSAVE")
                # Something changes meanwhile: those keys are saved as they were, or not at all.
                end = time.monotonic() + rng.uniform(0, 1.2 * taken)
                while time.monotonic() < end:
                    other.pipeline([("SET", "key:%d" % rng.randrange(KEYS), "0:late")] * 50 +
                                   [("HSET", "hash", "field:%d" % rng.randrange(FIELDS), 0)])
                if number == CRASHES:  # the last one comes to its end, and counts
                    eventually(lambda: state(c)["rdb_bgsave_in_progress"] == "0", 60)
                    saved = attempted
                server.kill()
            server.start()
            with server.client(timeout=60) as c:
                loaded(c)
                now = generation(c)
                assert now in (saved, attempted)
                saved = now
    finally:
        server.stop()


def test_writing_fails_at_random_places(tmp_path):
    rng = random.Random(7)
    server = Server({"shards": 2, "dir": str(tmp_path), "stop-writes-on-bgsave-error": "no"})
    server.directory = str(tmp_path)
    try:
        with server.client(timeout=60) as c:
            write_generation(c, 1)
            assert save(c)["rdb_last_bgsave_status"] == "ok"
            size, good = os.path.getsize(tmp_path / "dump.rdb"), digest(server)
            write_generation(c, 2)
            for _ in range(FAULTS):
                limit = rng.randrange(size)
                resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE,
                                 (limit, resource.RLIM_INFINITY))
                assert save(c)["rdb_last_bgsave_status"] == "err", limit
                assert digest(server) == good
                assert [n for n in os.listdir(tmp_path) if n.endswith(".rdb")] == ["dump.rdb"]
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE,
                             (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert server.log().count("File too large") >= FAULTS
            assert generation(c) == 2
            # It is the old file that is there, and it loads.
            server.kill()
            server.start()
        with server.client(timeout=60) as c:
            loaded(c)
            assert generation(c) == 1
            write_generation(c, 3)
            assert save(c)["rdb_last_bgsave_status"] == "ok" and digest(server) != good
    finally:
        server.stop()


def can_mount():
    """Whether a process may have a small file system of its own."""
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no right to mount a file system")
def test_full_disk(tmp_path):
    home, starter = tmp_path / "home", tmp_path / "torc-on-a-small-disk"
    home.mkdir()
    starter.write_text("#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs -o size=6m none %s && "
                       "exec %s \"$@\"' sh \"$@\"\n" % (home, default_binary()))
    starter.chmod(0o755)
    server = Server({"shards": 2, "dir": str(home), "stop-writes-on-bgsave-error": "no",
                     "rdbcompression": "no"}, binary=str(starter))
    disk = "/proc/%d/root%s/dump.rdb" % (server.process.pid, home)
    try:
        with server.client(timeout=60) as c:
            write_generation(c, 1)
            c("DEL", "text", *["key:%d" % i for i in range(KEYS // 2)])
            assert save(c)["rdb_last_bgsave_status"] == "ok"  # takes half of the disk
            with open(disk, "rb") as file:
                good = file.read()
            for number in (2, 3):  # no room for another
                write_generation(c, number)
                assert save(c)["rdb_last_bgsave_status"] == "err"
                with open(disk, "rb") as file:
                    assert file.read() == good
                assert os.listdir(os.path.dirname(disk)) == ["dump.rdb"]
            assert "No space left on device" in server.log()
            c("DEL", "text", *["key:%d" % i for i in range(KEYS // 2)])
            assert save(c)["rdb_last_bgsave_status"] == "ok"
    finally:
        server.stop()
