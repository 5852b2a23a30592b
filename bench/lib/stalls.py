# SPDX-License-Identifier: BSD-3-Clause
"""What bench/stalls does to large values, and the table of what others waited meanwhile.

A phase is a name and a function that does it over one connection; nothing here starts a server or
measures.
"""

import socket
import time
from dataclasses import dataclass
from statistics import median
from typing import Callable

BATCH = 32        # commands sent together: a pass is not long by having many of them
COPIES = 6
SETTLE_S = 0.5
SETTLE_WRITES = 20_000
TTL_MS = 50
SMALL_KEYS = 200  # collections that cross the default limits
REPLY_S = 120


class Client:
    """One connection; error replies are exceptions."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def close(self):
        self.socket.close()

    def _more(self):
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise OSError("the server has closed the connection")
        return piece

    def _line(self):
        while b"\n" not in self.rest:
            self.rest += self._more()
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def ask(self, *words):
        """One command with a reply of one line, or a bulk string."""
        self.socket.sendall(encode(*words))
        line = self._line()
        if line.startswith(b"-"):
            raise OSError(f"{words[0]}: {line.decode(errors='replace').strip()}")
        if line.startswith(b"$") and not line.startswith(b"$-"):
            size = int(line[1:]) + 2
            while len(self.rest) < size:
                self.rest += self._more()
            text, self.rest = self.rest[:size - 2], self.rest[size:]
            return text.decode(errors="replace")
        return line.strip().decode()

    def swallow(self, lines):
        """Reads a reply of so many lines and keeps nothing."""
        seen = self.rest.count(b"\n")
        self.rest = b""
        while seen < lines:
            piece = self._more()
            if piece.startswith(b"-"):
                raise OSError(piece[:200].decode(errors="replace").strip())
            seen += piece.count(b"\n")

    def many(self, count, make, lines):
        """Commands make(0) ... make(count - 1), a batch at a time; each is answered by lines."""
        for first in range(0, count, BATCH):
            n = min(BATCH, count - first)
            self.socket.sendall(b"".join([make(i) for i in range(first, first + n)]))
            self.swallow(n * lines)


def encode(*words):
    texts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(t), t) for t in texts)


@dataclass(frozen=True)
class Family:
    """How a type's elements are added and removed one by one."""

    name: str
    add: Callable       # (key, i, count): a command
    add_lines: int      # of its reply
    remove: Callable
    remove_lines: int
    few: tuple          # a small value of the type


def _member(i):
    return b"member:%09d" % i


def _scattered(i, count):
    return i * 2_654_435_761 % count


FAMILIES = [
    Family("hash", lambda k, i, n: encode("HSET", k, _member(i), "value"), 1,
           lambda k, i, n: encode("HDEL", k, _member(i)), 1, ("HSET", "f", "v")),
    Family("set", lambda k, i, n: encode("SADD", k, _member(i)), 1,
           lambda k, i, n: encode("SREM", k, _member(i)), 1, ("SADD", "m")),
    Family("zset", lambda k, i, n: encode("ZADD", k, _scattered(i, n), _member(i)), 1,
           lambda k, i, n: encode("ZREM", k, _member(i)), 1, ("ZADD", "1", "m")),
    Family("list", lambda k, i, n: encode("RPUSH", k, _member(i)), 1,
           lambda k, i, n: encode("LPOP", k), 2, ("RPUSH", "m")),
    Family("stream", lambda k, i, n: encode("XADD", k, b"1-%d" % (i + 1), "f", _member(i)), 2,
           lambda k, i, n: encode("XDEL", k, b"1-%d" % (i + 1)), 1, ("XADD", "*", "f", "v")),
]


def settle(client):
    """Writes that go through the allocator while memory comes back, then a pause."""
    client.many(SETTLE_WRITES, lambda i: encode("SET", b"s:%d" % (i % 1000), b"x" * (i % 500)), 1)
    time.sleep(SETTLE_S)


def grow(client, family, key, count):
    client.many(count, lambda i: family.add(key, i, count), family.add_lines)


def _small(client, family, key):
    client.ask(family.few[0], key, *family.few[1:])


def family_phases(family, count):
    """(name, prepare, act) in turn: act is measured, prepare is not."""
    def copies(client):
        for i in range(1, COPIES + 1):
            client.ask("COPY", "k0", f"k{i}")

    def then_settle(*words):
        def act(client):
            client.ask(*words)
            settle(client)
        return act

    def expire(client):
        client.ask("PEXPIRE", "k4", TTL_MS)
        time.sleep(2 * TTL_MS / 1000)
        settle(client)

    name, n = family.name, f"{count:,}"
    return [
        (f"grow a {name} to {n}", None, lambda c: grow(c, family, "k0", count)),
        (f"DEL, {name}", copies, then_settle("DEL", "k1")),
        (f"UNLINK, {name}", None, then_settle("UNLINK", "k2")),
        (f"SET over it, {name}", None, then_settle("SET", "k3", "x")),
        (f"expiry, {name}", None, expire),
        (f"RENAME over it, {name}", lambda c: _small(c, family, "other"),
         then_settle("RENAME", "other", "k5")),
        (f"shrink it, {name}", None,
         lambda c: c.many(count, lambda i: family.remove("k0", i, count), family.remove_lines)),
        (f"FLUSHALL, {name}", None, then_settle("FLUSHALL")),
    ]


def control_phases(count):
    """The same commands in number, over values that stay small: what passes take on this machine
    without anything large."""
    def sets(client):
        client.many(count, lambda i: encode("SET", b"c:%d" % (i % 100), b"x" * 16), 1)

    def pushes(client):
        def make(i):
            if i % 2:
                return encode("LREM", "c", 1, "m")
            return encode("RPUSH", "c", "m")
        client.many(count, make, 1)

    return [(f"control: SET, {count:,} times", None, sets),
            (f"control: RPUSH and LREM, {count:,} times", None, pushes),
            ("control: nothing but the settling", None, settle)]


def evict_phase(count):
    family = FAMILIES[0]

    def prepare(client):
        grow(client, family, "k0", count)
        for i in range(1, COPIES):
            client.ask("COPY", "k0", f"k{i}")
        used = next(int(line.split(":")[1]) for line in client.ask("INFO", "memory").splitlines()
                    if line.startswith("used_memory:"))
        client.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        client.ask("CONFIG", "SET", "maxmemory", used + (1 << 20))

    def act(client):
        client.many(SETTLE_WRITES, lambda i: encode("SET", b"e:%d" % i, b"x" * 1000), 1)
        settle(client)
        client.ask("CONFIG", "SET", "maxmemory", 0)

    return (f"eviction of hashes of {count:,}", prepare, act)


def convert_phases(limit):
    """Collections that outgrow their compact form, at the default limits and at that one."""
    def many_small(family, elements):
        def act(client):
            for k in range(SMALL_KEYS):
                grow(client, family, f"c{k}", elements)
        return act

    def limited(option, value, add, count):
        return (lambda c: c.ask("CONFIG", "SET", option, value),
                lambda c: c.many(count, add, 1))

    hashes, zsets = FAMILIES[0], FAMILIES[2]
    found = [(f"convert a {f.name} at the default limit, {SMALL_KEYS} times",
              lambda c: c.ask("FLUSHALL"), many_small(f, n))
             for f, n in ((hashes, 600), (zsets, 200))]
    for family, option in ((hashes, "hash-max-listpack-entries"),
                           (zsets, "zset-max-listpack-entries")):
        found.append((f"convert a {family.name} at {limit:,}",
                      *limited(option, limit, lambda i, f=family: f.add("big" + f.name, i, limit),
                               limit + 2)))
    found.append((f"convert an intset at {10 * limit:,}",
                  *limited("set-max-intset-entries", 10 * limit,
                           lambda i: encode("SADD", "ints", i), 10 * limit + 2)))
    return found


def contract_phases(count):
    """Commands that are O(n) by what they promise."""
    sets, zsets = FAMILIES[1], FAMILIES[2]

    def fill(client):
        client.ask("FLUSHALL")
        grow(client, sets, "s", count)
        grow(client, zsets, "z1", count)
        client.ask("COPY", "z1", "z2")

    def members(client):
        client.socket.sendall(encode("SMEMBERS", "s"))
        client.swallow(1 + 2 * count)

    return [(f"SMEMBERS of {count:,} (by contract)", fill, members),
            (f"ZUNIONSTORE of two of {count:,} (by contract)", None,
             lambda c: c.ask("ZUNIONSTORE", "d", 2, "z1", "z2")),
            (f"ZREMRANGEBYRANK of {count:,} (by contract)", None,
             lambda c: c.ask("ZREMRANGEBYRANK", "z1", 0, -1))]


# ---- figures -----------------------------------------------------------------------------------

FIGURES = ["pass_ms", "stalls", "max_ms", "p999_ms"]


def figures(latencies_ns, longest_pass_ns, stalls):
    """What one measurement of a phase comes to: milliseconds, and passes of one and more."""
    ordered = sorted(latencies_ns) or [0]
    return {"pass_ms": longest_pass_ns / 1e6, "stalls": stalls, "max_ms": ordered[-1] / 1e6,
            "p999_ms": ordered[int(len(ordered) * 0.999)] / 1e6}


def summary(rounds):
    """What the rounds come to. Passes: the least of the rounds' longest. What a server does at a
    stretch it does in every round; what the machine takes from it (see the control phases) it does
    not. Latencies: medians."""
    found = {f: median(r[f] for r in rounds) for f in FIGURES}
    found.update((f, min(r[f] for r in rounds)) for f in ("pass_ms", "stalls"))
    return found


def markdown(phases, samples):
    """samples[server][phase] = [figures of each round], and torc's ratio to Redis."""
    lines = ["| ms | torc: longest pass | of 1 ms and more | PING max | p99.9 |"
             " redis: longest pass | of 1 ms and more | PING max | p99.9 | pass x Redis |",
             "| --- |" + " ---: |" * 9]
    for phase in phases:
        cells, passes = [phase], []
        for server in ("torc", "redis"):
            rounds = samples.get(server, {}).get(phase)
            if not rounds:
                cells += [""] * len(FIGURES)
                continue
            found = summary(rounds)
            cells += [f"{found[f]:.0f}" if f == "stalls" else f"{found[f]:.2f}" for f in FIGURES]
            passes.append(found["pass_ms"])
        cells.append(f"{passes[0] / passes[1]:.2f}" if len(passes) == 2 and passes[1] else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
