# SPDX-License-Identifier: BSD-3-Clause
"""Clients that cache what they read, and a checker of what they serve from their caches.

Writers give each key growing numbers, one writer for each key, and note a number once the server
has acknowledged it. A reader that serves a number from its cache, after it has read all that had
been sent to it, must not serve one that is older than what was acknowledged before it looked: whose
writer has its reply, has told the readers. Nor may a value come behind the word that makes it old.
"""
import random
import select
import threading
import time

from lib.resp import Client, Push, encode


class Stale(AssertionError):
    """A cache has served what it should no longer have had."""


class Cache:
    """A tracked client with a cache. `broadcast`: told of all keys, read or not."""

    def __init__(self, address, broadcast=False, lose=False):
        self.client = Client(address, resp=3)
        words = ["CLIENT", "TRACKING", "ON"] + (["BCAST"] if broadcast else [])
        assert self.client(*words) == "OK"
        self.values, self.asked = {}, []
        self.told = self.served = self.fetched = 0
        self.lose = lose # for the checker's own test: what comes is not listened to

    def take(self, item):
        """One thing that the server has sent: a word about keys, or the reply asked for first."""
        if not isinstance(item, Push):
            key = self.asked.pop(0)
            self.values[key] = int(item or 0)
            self.fetched += 1
            return
        assert item[0] == b"invalidate", item
        self.told += 1
        if self.lose:
            return
        if item[1] is None:
            self.values.clear()
        for key in item[1] or ():
            self.values.pop(key, None)

    def drain(self):
        """Take all that has been sent so far; wait for nothing."""
        client = self.client
        while client.pos < len(client.buf) or select.select([client.sock], [], [], 0)[0]:
            self.take(client.read())

    def fetch(self, keys):
        """Ask for these keys in one pipeline, and take what comes until they are here."""
        self.client.send_raw(b"".join(encode(("GET", key)) for key in keys))
        self.asked += keys
        while self.asked:
            self.take(self.client.read())


def read(cache, keys, acknowledged, seed, stop):
    """Serve random keys, from the cache where they are, until told to stop."""
    rng = random.Random(seed)
    while not stop.is_set():
        chosen = [rng.choice(keys) for _ in range(rng.choice((1, 1, 2, 8)))]
        newest = {key: acknowledged[key] for key in chosen}
        cache.drain()
        for key, number in newest.items():
            if key not in cache.values:
                continue
            cache.served += 1
            if cache.values[key] < number:
                raise Stale("%r: served %d, %d was acknowledged" % (key, cache.values[key], number))
        missing = [key for key in dict.fromkeys(chosen) if key not in cache.values]
        if missing:
            cache.fetch(missing)


def write(client, keys, acknowledged, seed, stop):
    """Give these keys growing numbers, one by one, several at once, and in blocks."""
    rng = random.Random(seed)
    number = 0
    while not stop.is_set():
        chosen = rng.sample(keys, rng.choice((1, 1, 1, 3)))
        number += 1
        how = rng.randrange(4)
        if how == 0:
            assert client("MSET", *[word for key in chosen for word in (key, number)]) == "OK"
        elif how == 1:
            replies = client.pipeline([("MULTI",)] + [("SET", key, number) for key in chosen] +
                                      [("EXEC",)])
            assert replies[-1] == ["OK"] * len(chosen)
        else:
            assert client.pipeline([("SET", key, number) for key in chosen]) == ["OK"] * len(chosen)
        for key in chosen:
            acknowledged[key] = number


def check(seconds, address, readers=8, writers=8, keys_of_each=12, broadcast=False, lose=False):
    """Run readers and writers for so long. Returns the caches, for what they have counted."""
    names = [b"key:%d" % i for i in range(writers * keys_of_each)]
    acknowledged = dict.fromkeys(names, 0)
    stop, failures = threading.Event(), []
    caches = [Cache(address, broadcast, lose) for _ in range(readers)]

    def guard(work, *args):
        try:
            work(*args, stop)
        except BaseException as failure: # noqa: every end of a thread is told
            failures.append(failure)
            stop.set()

    threads = [threading.Thread(target=guard, args=(read, cache, names, acknowledged, i))
               for i, cache in enumerate(caches)]
    for i in range(writers):
        own = names[i * keys_of_each:(i + 1) * keys_of_each]
        threads.append(threading.Thread(target=guard, args=(write, Client(address), own,
                                                            acknowledged, 100 + i)))
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stop.is_set():
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]
    return caches
