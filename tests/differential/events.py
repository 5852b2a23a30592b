# SPDX-License-Identifier: BSD-3-Clause
"""Keyspace events of both servers: what happened to each key must be told alike, in one order.

A listener takes the events of one server as they come. Events of different keys have no common
order over several shards. What expires does so when a server comes across it, so that is left out.
"""
import select
import threading
import time

from lib.resp import Client, ConnectionClosed

CLASSES = ("KAn", "KA")    # the second for a server that does not know of new keys
QUIET_S = 0.3              # after which no more events are expected
LEFT_OUT = {b"expired", b"hexpired"}
OF_LAWS = b"__:restored"   # a key that only one of the servers is given (laws.py)


class Listener:
    """Subscribed to all events of all keys; `told`[channel] = events in their order."""

    def __init__(self, address):
        self.address = address
        self.client = Client(address)
        self.told = {}
        self.last = time.monotonic()
        self.lock = threading.Lock()
        self.ended = False
        self.client("PSUBSCRIBE", "__keyspace@*__:*")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended:
            waiting = self.client.pos == len(self.client.buf)
            if waiting and not select.select([self.client.sock], [], [], QUIET_S / 2)[0]:
                continue
            try:
                _, _, channel, event = self.client.read()
            except (ConnectionClosed, OSError):
                return
            if channel.endswith(OF_LAWS):
                continue
            with self.lock:
                self.last = time.monotonic()
                if event not in LEFT_OUT:
                    self.told.setdefault(channel, []).append(event)

    def take(self):
        """What was told since the last time, once nothing more comes."""
        while time.monotonic() - self.last < QUIET_S:
            time.sleep(QUIET_S / 10)
        with self.lock:
            told, self.told = self.told, {}
        return told

    def close(self):
        self.ended = True
        self.thread.join()
        self.client.close()


def classes_for(addresses):
    """The most that all of the servers can tell."""
    for classes in CLASSES:
        told = []
        for address in addresses:
            with Client(address) as client:
                told.append(client("CONFIG", "SET", "notify-keyspace-events", classes))
        if all(answer == "OK" for answer in told):
            return classes
    raise ValueError(f"events cannot be had: {told}")


class Listeners:
    """One for each server; `check` compares what they have been told since the last time."""

    def __init__(self, addresses):
        self.classes = classes_for(addresses)
        self.both = [Listener(address) for address in addresses]

    def check(self):
        """The first difference, as text; None: there is none."""
        found = difference(*[listener.take() for listener in self.both])
        if found is None:
            return None
        return "events of %r differ from the %dth on:\n  oracle: ... %r\n  torc:   ... %r" % found

    def clear(self):
        """Forget what has been told."""
        for listener in self.both:
            listener.take()

    def close(self):
        """End them."""
        for listener in self.both:
            listener.close()


def told_of_absent(server, commands):
    """What a server tells when each command is run without any key being there."""
    told = []
    with server.client() as client, server.client() as ear:
        assert client("CONFIG", "SET", "notify-keyspace-events", "KAm") == "OK"
        ear("PSUBSCRIBE", "__keyspace@0__:*")
        for command in commands:
            client("FLUSHALL")
            client(*command)
            client("PUBLISH", "__keyspace@0__:end", "end")
            heard = iter(lambda: tuple(ear.read()[2:]), (b"__keyspace@0__:end", b"end"))
            told.append(list(heard))
    return told


def difference(oracle, torc):
    """The first channel that was told differently, with what was told; None: there is none."""
    for channel in sorted(set(oracle) | set(torc)):
        a, b = oracle.get(channel, []), torc.get(channel, [])
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            return channel, at, a[max(0, at - 4):at + 4], b[max(0, at - 4):at + 4]
    return None
