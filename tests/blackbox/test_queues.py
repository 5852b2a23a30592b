# SPDX-License-Identifier: BSD-3-Clause
"""Queues under load: every item is delivered once, in the order in which its producer sent it.

Eight producers and eight waiting consumers share queues on different shards. $TORC_QUEUE_ITEMS sets
how many items pass through each test (default 4,000).
"""
import collections
import os
import threading
import time

import pytest

from lib.resp import SLOW, ConnectionClosed, Error, encode

pytestmark = pytest.mark.few

ITEMS = int(os.environ.get("TORC_QUEUE_ITEMS", "4000"))
PRODUCERS = CONSUMERS = 8
QUEUES = ["queue:%d" % i for i in range(8)]
BATCH = 32  # commands that a producer sends together
AHEAD = 8  # commands that a consumer sends ahead of the replies
LIMIT_S = (60 + ITEMS / 2000) * SLOW
END = b"end"


class Crew:
    """Threads with a connection each; the first exception of any is raised by join()."""

    def __init__(self, connect):
        self.connect = connect
        self.threads = []
        self.problems = []

    def add(self, work, *args):
        """Runs work(client, *args) in a thread."""
        client = self.connect(timeout=LIMIT_S)
        thread = threading.Thread(target=self._run, args=(work, client, args), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _run(self, work, client, args):
        try:
            work(client, *args)
        except Exception as problem:  # pylint: disable=broad-except
            self.problems.append(problem)

    def join(self):
        """Waits for all."""
        for thread in self.threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), "a thread has not ended"
        if self.problems:
            raise self.problems[0]


def shares():
    """(producer, numbers of its items) for all producers."""
    return [(p, range(ITEMS * p // PRODUCERS, ITEMS * (p + 1) // PRODUCERS))
            for p in range(PRODUCERS)]


def produce(client, command_of, producer, numbers):
    """Sends command_of(producer, number) for each number, some at a time.

    Now and then it pauses, so that consumers run dry and wait."""
    for first in range(0, len(numbers), BATCH):
        part = numbers[first:first + BATCH]
        if first // BATCH % 4 == producer % 4:
            time.sleep(0.002)
        client.send_raw(b"".join(encode(command_of(producer, n)) for n in part))
        for _ in part:
            reply = client.read()
            assert not isinstance(reply, Error), reply


def push(producer, number):
    """Items of one producer go round the queues."""
    return "RPUSH", QUEUES[(producer + number) % len(QUEUES)], "%d:%d" % (producer, number)


def check_order(items):
    """Of each producer, the numbers ascend."""
    last = {}
    for item in items:
        producer, number = map(int, item.split(b":"))
        assert number > last.get(producer, -1), "%r came after %r" % (item, last[producer])
        last[producer] = number


def everything():
    """The multiset of all items."""
    return collections.Counter(b"%d:%d" % (p, n) for p, numbers in shares() for n in numbers)


class Taken:
    """What consumers were given: counted while it comes, by queue when it is checked."""

    def __init__(self):
        self.by_consumer = [collections.defaultdict(list) for _ in range(CONSUMERS)]
        self.counts = [0] * CONSUMERS

    def add(self, consumer, queue, items):
        """These items came from this queue."""
        self.by_consumer[consumer][queue] += items
        self.counts[consumer] += len(items)

    def wait_for_all(self, crew):
        """Returns when as many items have come as were sent."""
        end = time.monotonic() + LIMIT_S
        while sum(self.counts) < ITEMS and not crew.problems:
            assert time.monotonic() < end, "%d of %d items came" % (sum(self.counts), ITEMS)
            time.sleep(0.01)

    def check(self):
        """Each item once; from one queue a consumer sees each producer's items in order."""
        found = collections.Counter()
        for queues in self.by_consumer:
            for items in queues.values():
                check_order(items)
                found.update(items)
        assert found == everything()


def rotated(consumer):
    """The queues, beginning with another one for each consumer."""
    at = consumer % len(QUEUES)
    return QUEUES[at:] + QUEUES[:at]


def pop_command(kind, consumer):
    """A command that waits for any queue, and last for a key of this consumer's own."""
    keys = rotated(consumer) + ["stop:%d" % consumer]
    if kind == "BLMPOP":
        return "BLMPOP", 0, len(keys), *keys, "LEFT", "COUNT", 3
    return kind, *keys, 0


def consume(client, kind, consumer, taken):
    """Takes items until the consumer's own key brings END."""
    command = encode(pop_command(kind, consumer))
    client.send_raw(command * AHEAD)
    while True:
        queue, items = client.read()
        if not isinstance(items, list):
            items = [items]
        if items == [END]:
            return
        taken.add(consumer, queue, items)
        client.send_raw(command)


@pytest.mark.parametrize("kind", ["BLPOP", "BLMPOP"])
def test_lists_deliver_each_item_once(c, connect, kind):
    crew, taken = Crew(connect), Taken()
    for consumer in range(CONSUMERS):
        crew.add(consume, kind, consumer, taken)
    for producer, numbers in shares():
        crew.add(produce, push, producer, numbers)
    taken.wait_for_all(crew)
    for consumer in range(CONSUMERS):
        c("RPUSH", "stop:%d" % consumer, END)
    crew.join()
    taken.check()
    for queue in QUEUES:
        assert c("EXISTS", queue) == 0


def test_pops_from_both_ends_deliver_each_item_once(c, connect):
    crew, taken = Crew(connect), Taken()
    found = collections.Counter()

    def take(client, consumer):
        command = encode(pop_command("BRPOP" if consumer % 2 else "BLPOP", consumer))
        client.send_raw(command)
        items = []
        while True:
            _, item = client.read()
            if item == END:
                found.update(items)
                return
            items.append(item)
            taken.counts[consumer] += 1
            client.send_raw(command)

    for consumer in range(CONSUMERS):
        crew.add(take, consumer)
    for producer, numbers in shares():
        crew.add(produce, push, producer, numbers)
    taken.wait_for_all(crew)
    for consumer in range(CONSUMERS):
        c("RPUSH", "stop:%d" % consumer, END)
    crew.join()
    assert found == everything()


def quit_while_waiting(connect, ended, move, *args):
    """Connections that ask for an item, wait a little, and are gone: again and again."""
    number = 0
    while not ended.is_set():
        client = connect(timeout=LIMIT_S)
        client.send(*move(number), *args)
        number += 1
        time.sleep(0.002 * (number % 3))
        client.close()


def test_blmove_moves_each_item_once_while_others_quit(server, c, connect):
    """What is moved for a consumer that has gone is in its list: nothing may be lost or doubled."""
    crew, ended = Crew(connect), threading.Event()

    def take(client, consumer):
        queue = QUEUES[consumer % len(QUEUES)]
        command = encode(("BLMOVE", queue, "done:%d" % consumer, "LEFT", "RIGHT", 0))
        client.send_raw(command * AHEAD)
        while client.read() != END:
            client.send_raw(command)

    def move(number):
        return ("BLMOVE", QUEUES[number % len(QUEUES)], "gone:%d" % (number % 3), "LEFT", "RIGHT",
                0)

    for consumer in range(CONSUMERS):
        crew.add(take, consumer)
    quitter = threading.Thread(target=quit_while_waiting, args=(server.client, ended, move))
    quitter.start()
    for producer, numbers in shares():
        crew.add(produce, push, producer, numbers)
    for thread in crew.threads[CONSUMERS:]:
        thread.join(LIMIT_S)
    ended.set()
    quitter.join()
    wait_until(c, lambda: not any(map(int, c.pipeline([("LLEN", q) for q in QUEUES]))))
    for queue in QUEUES:
        c("RPUSH", queue, END)
    crew.join()
    found = collections.Counter()
    for name in ["done:%d" % i for i in range(CONSUMERS)] + ["gone:%d" % i for i in range(3)]:
        items = [item for item in c("LRANGE", name, 0, -1) if item != END]
        found.update(items)
        if name.startswith("done"):
            check_order(items)  # one consumer for a queue: the list shows the order of delivery
    assert found == everything()


def wait_until(c, condition, seconds=20.0):
    """Polls until it holds."""
    end = time.monotonic() + seconds * SLOW
    while not condition():
        assert time.monotonic() < end, "still not so; clients:\n%s" % c("CLIENT", "LIST").decode()
        time.sleep(0.005)


# Streams.

STREAMS = ["stream:%d" % i for i in range(4)]
GROUP = "group"


def add_entry(producer, number):
    """Entries of one producer go round the streams."""
    return ("XADD", STREAMS[(producer + number) % len(STREAMS)], "*", "item",
            "%d:%d" % (producer, number))


def read_group(client, consumer, taken):
    """Reads and acknowledges entries until one of its stream 'stop' comes."""
    own = "stop:%d" % consumer
    command = encode(("XREADGROUP", "GROUP", GROUP, "c%d" % consumer, "COUNT", 5, "BLOCK", 0,
                      "STREAMS", *STREAMS, own, *[">"] * (len(STREAMS) + 1)))
    while True:
        client.send_raw(command)
        replies = client.read()
        assert not isinstance(replies, Error), replies
        for stream, entries in replies:
            if stream == own.encode():
                return
            taken.add(consumer, stream, [fields[1] for _, fields in entries])
            ids = [entry_id for entry_id, _ in entries]
            assert client("XACK", stream, GROUP, *ids) == len(ids)


def make_groups(c):
    """The group on every stream, and on each consumer's own."""
    for name in STREAMS + ["stop:%d" % i for i in range(CONSUMERS)]:
        assert c("XGROUP", "CREATE", name, GROUP, "0", "MKSTREAM") == "OK"


def test_a_group_delivers_each_entry_once(c, connect):
    make_groups(c)
    crew, taken = Crew(connect), Taken()
    for consumer in range(CONSUMERS):
        crew.add(read_group, consumer, taken)
    for producer, numbers in shares():
        crew.add(produce, add_entry, producer, numbers)
    taken.wait_for_all(crew)
    for consumer in range(CONSUMERS):
        c("XADD", "stop:%d" % consumer, "*", "f", "v")
    crew.join()
    taken.check()
    assert sum(c("XLEN", name) for name in STREAMS) == ITEMS
    for name in STREAMS:
        assert c("XPENDING", name, GROUP)[0] == 0


def test_entries_of_consumers_that_quit_can_be_claimed(server, c, connect):
    """What a consumer was given before it went is pending for it, and nobody else was given it."""
    make_groups(c)
    crew, taken, ended = Crew(connect), Taken(), threading.Event()

    def read(number):
        return ("XREADGROUP", "GROUP", GROUP, "gone%d" % (number % 3), "COUNT", 2, "BLOCK", 0,
                "STREAMS", *STREAMS, *[">"] * len(STREAMS))

    for consumer in range(CONSUMERS):
        crew.add(read_group, consumer, taken)
    quitter = threading.Thread(target=quit_while_waiting, args=(server.client, ended, read))
    quitter.start()
    for producer, numbers in shares():
        crew.add(produce, add_entry, producer, numbers)
    for thread in crew.threads[CONSUMERS:]:
        thread.join(LIMIT_S)
    ended.set()
    quitter.join()
    claimed = []

    def is_all_there():
        for name in STREAMS:
            for gone in ("gone0", "gone1", "gone2"):
                for entry_id, *_ in c("XPENDING", name, GROUP, "-", "+", 1000, gone):
                    [[_, fields]] = c("XCLAIM", name, GROUP, "rescue", 0, entry_id)
                    claimed.append((name, fields[1]))
                    assert c("XACK", name, GROUP, entry_id) == 1
        return sum(taken.counts) + len(claimed) >= ITEMS or crew.problems

    wait_until(c, is_all_there, LIMIT_S)
    for consumer in range(CONSUMERS):
        c("XADD", "stop:%d" % consumer, "*", "f", "v")
    crew.join()
    found = collections.Counter(item for _, item in claimed)
    for queues in taken.by_consumer:
        for items in queues.values():
            check_order(items)
            found.update(items)
    assert found == everything()
    for name in STREAMS:
        wait_until(c, lambda name=name: c("XPENDING", name, GROUP)[0] == 0)


def test_a_connection_that_is_killed_takes_nothing(server, c):
    """Half of those who wait are gone before the items come: the others get all of them."""
    waiting = [server.client(timeout=30) for _ in range(16)]
    names = []
    for client in waiting:
        names.append(client("CLIENT", "ID"))
        client.send("BLPOP", *QUEUES, 0)
    wait_until(c, lambda: blocked(c) == 16)
    for i in range(0, 16, 4):
        waiting[i].close()
        assert c("CLIENT", "KILL", "ID", names[i + 2]) == 1
    wait_until(c, lambda: blocked(c) == 8)
    for i in range(8):
        assert c("RPUSH", QUEUES[i], "item%d" % i) == 1
    found = sorted(waiting[i].read()[1] for i in range(1, 16, 2))
    assert found == [b"item%d" % i for i in range(8)]
    for i in range(2, 16, 4):
        with pytest.raises(ConnectionClosed):
            waiting[i].read(timeout=10 * SLOW)
    for client in waiting:
        client.close()
    assert sum(c("EXISTS", queue) for queue in QUEUES) == 0


def blocked(c):
    """How many clients wait, as INFO says."""
    text = c("INFO", "clients").decode()
    return int(text.split("blocked_clients:")[1].split("\r\n")[0])
