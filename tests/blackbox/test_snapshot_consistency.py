# SPDX-License-Identifier: BSD-3-Clause
"""A snapshot is of one instant over all shards, however much is being changed meanwhile.

Clients move things between keys of all shards at full speed, by MULTI/EXEC and by single commands,
such that sums over all keys stay the same. Snapshots are made one after the other; each file is
loaded by a server of another number of shards, and has the sums. $TORC_SNAPSHOT_ROUNDS says how
many (default 3).
"""
import os
import random
import shutil
import threading

import pytest

from lib.check import eventually, info
from lib.resp import SLOW, Error, encode
from lib.server import Server

pytestmark = pytest.mark.torc_only

ROUNDS = int(os.environ.get("TORC_SNAPSHOT_ROUNDS", "3"))
ACCOUNTS, FIELDS, LISTS, TOKENS = 1500, 6000, 8, 60
START = 1000  # in each account and each field
ITEMS = 3000  # in each list
BATCH = 300   # moves that are sent together
WRITERS = 3


def account(i):
    return "account:%d" % i


def moves(rng):
    """A batch of moves, encoded, with a mark at its end."""
    commands = []
    for _ in range(BATCH):
        amount, kind = rng.randrange(1, 50), rng.randrange(8)
        a, b = (account(i) for i in rng.sample(range(ACCOUNTS), 2))
        field = "field:%d" % rng.randrange(FIELDS)
        if kind < 4:
            commands += [("MULTI",), ("DECRBY", a, amount), ("INCRBY", b, amount), ("EXEC",)]
        elif kind < 6:  # a hash so large that it is not written in one go
            commands += [("MULTI",), ("HINCRBY", "vault", field, amount), ("DECRBY", a, amount),
                         ("EXEC",)]
        elif kind == 6:
            one, other = ("list:%d" % i for i in rng.sample(range(LISTS), 2))
            commands.append(("LMOVE", one, other, "LEFT", "RIGHT"))
        else:
            number = rng.randrange(TOKENS)
            sides = ["token:%d:here" % number, "token:%d:there" % number]
            rng.shuffle(sides)
            commands.append(("RENAME", *sides))
    return b"".join(map(encode, commands)) + encode(("ECHO", "the end"))


class Writer(threading.Thread):
    """Sends batches of moves until it is told to stop; `moved` counts them."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        rng = random.Random(seed)
        self.batches = [moves(rng) for _ in range(20)]
        self.client = server.client(timeout=60)
        self.end = threading.Event()
        self.moved = 0
        self.errors = set()
        self.start()

    def run(self):
        sock = self.client.sock
        while not self.end.is_set():
            sock.sendall(self.batches[self.moved // BATCH % len(self.batches)])
            replies = b""
            while not replies.endswith(b"the end\r\n"):
                piece = sock.recv(1 << 20)
                assert piece, "the server has hung up"
                replies += piece
            # A token may be on the other side just now.
            self.errors.update(line for line in replies.split(b"\r\n")
                               if line[:1] == b"-" and line != b"-ERR no such key")
            self.moved += BATCH

    def stop(self):
        self.end.set()
        self.join(60 * SLOW)
        self.client.close()


def fill(c):
    c.pipeline([("SET", account(i), START) for i in range(ACCOUNTS)] +
               [("HSET", "vault", "field:%d" % i, START) for i in range(FIELDS)] +
               [("RPUSH", "list:%d" % i, *["%d:%d" % (i, j) for j in range(ITEMS)])
                for i in range(LISTS)] +
               [("SET", "token:%d:here" % i, i) for i in range(TOKENS)])


def check_sums(c):
    """Nothing has been lost, nothing is there twice."""
    money = sum(map(int, c("MGET", *[account(i) for i in range(ACCOUNTS)])))
    money += sum(map(int, c("HVALS", "vault")))
    assert money == (ACCOUNTS + FIELDS) * START
    items = [item for i in range(LISTS) for item in c("LRANGE", "list:%d" % i, 0, -1)]
    assert len(items) == LISTS * ITEMS and len(set(items)) == len(items)
    sides = c("MGET", *["token:%d:%s" % (i, side) for i in range(TOKENS)
                        for side in ("here", "there")])
    assert sorted(int(side) for side in sides if side is not None) == list(range(TOKENS))
    assert c("DBSIZE") == ACCOUNTS + 1 + TOKENS + sum(
        c("EXISTS", "list:%d" % i) for i in range(LISTS))


def snapshot(c):
    """One BGSAVE to its end."""
    reply = c("BGSAVE")
    assert not isinstance(reply, Error), reply
    eventually(lambda: info(c, "persistence")["rdb_bgsave_in_progress"] == "0", 60)
    assert info(c, "persistence")["rdb_last_bgsave_status"] == "ok"


@pytest.mark.parametrize("shards, backend, others", [(1, "epoll", 2), (2, "epoll", 4),
                                                     (4, "io_uring", 1)])
def test_one_instant(tmp_path, shards, backend, others):
    server = Server({"shards": shards, "io-backend": backend})
    writers = []
    try:
        with server.client(timeout=60) as c:
            fill(c)
            check_sums(c)
            writers = [Writer(server, seed) for seed in range(WRITERS)]
            files, seen = [], []
            for number in range(ROUNDS):
                before = sum(writer.moved for writer in writers)
                eventually(lambda: sum(w.moved for w in writers) > before, 60)
                snapshot(c)
                files.append(tmp_path / ("%d.rdb" % number))
                shutil.copy(os.path.join(server.directory, "dump.rdb"), files[-1])
                if len(files) == 20:  # or they would fill the disk
                    seen += [check_file(tmp_path, path, others) for path in files]
                    files = []
            for writer in writers:
                writer.stop()
                assert not writer.errors
            seen += [check_file(tmp_path, path, others) for path in files]
            check_sums(c)
            # The writers have been at work: no two snapshots hold the same.
            assert len(set(seen)) == ROUNDS
    finally:
        for writer in writers:
            writer.stop()
        server.stop()


def check_file(tmp_path, path, shards):
    """Loads a file and looks at the sums; its digest, which tells one content from another."""
    os.replace(path, tmp_path / "dump.rdb")
    server = Server({"dir": str(tmp_path), "shards": shards, "io-backend": "epoll"})
    try:
        with server.client(timeout=60) as c:
            eventually(lambda: info(c, "persistence")["loading"] == "0", 60)
            check_sums(c)
            return c("DEBUG", "DIGEST")
    finally:
        server.stop()
