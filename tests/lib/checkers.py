# SPDX-License-Identifier: BSD-3-Clause
"""Invariants of concurrent histories, and the workloads that would break them.

A checker is fed what a reader saw and raises Anomaly when no correct server can have shown it.
A workload is a function of (connect, stop): it opens connections with connect() and runs until
stop is set. Each workload that writes has a `broken` switch that makes it write in a wrong way,
so that a test can prove that its checker notices.
"""
import random
import threading


class Anomaly(AssertionError):
    """Something a correct server never shows."""


def check_total(values, total):
    """Accounts read at one instant: their sum never changes."""
    numbers = [int(value) for value in values]
    if sum(numbers) != total:
        raise Anomaly("accounts %r add up to %d, not %d" % (numbers, sum(numbers), total))


def check_equal(values):
    """Keys only ever written together: all show the same value (or none yet)."""
    if len(set(values)) != 1:
        raise Anomaly("a torn write: %r" % (values,))


def check_single(values):
    """Names of which exactly one exists at any instant."""
    present = [value for value in values if value is not None]
    if len(present) != 1:
        raise Anomaly("%d of the names exist: %r" % (len(present), values))


def check_descending(values):
    """Numbers copied along a chain: no link is ahead of the one it is copied from."""
    numbers = [int(value or 0) for value in values]
    if any(a < b for a, b in zip(numbers, numbers[1:])):
        raise Anomaly("a later key is ahead of an earlier one: %r" % (numbers,))


def check_round(values):
    """Keys that one connection writes in order, each round one higher, seen at one instant."""
    check_descending(values)
    numbers = [int(value or 0) for value in values]
    if numbers[0] - numbers[-1] > 1:
        raise Anomaly("a round began before the last had ended: %r" % (numbers,))


def check_flag_then_data(flag, data):
    """The flag, read first, says that at least this much data has been written."""
    if int(data or 0) < int(flag or 0):
        raise Anomaly("flag %r was visible before data %r" % (flag, data))


def check_scan(found, stable):
    """Keys present during a whole iteration are all returned by it."""
    missing = set(stable) - set(found)
    if missing:
        raise Anomaly("SCAN missed %d keys, for instance %r" % (len(missing), sorted(missing)[:5]))


def run(seconds, connect, workloads, wait=threading.Event):
    """Run the workloads side by side, each in a thread; raise the first failure of any. Returns
    how often each went round."""
    stop, failures, rounds = wait(), [], {}

    def guarded(number, workload):
        clients = []

        def tracked():
            clients.append(connect())
            return clients[-1]

        try:
            rounds[number] = workload(tracked, stop)
        except BaseException as failure:  # noqa: BLE001 - reported by the caller's thread
            failures.append(failure)
            stop.set()
        finally:
            for client in clients:
                client.close()

    threads = [threading.Thread(target=guarded, args=item) for item in enumerate(workloads)]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join(60)
        if thread.is_alive():
            failures.append(AssertionError("a client waits for an answer that does not come"))
    if failures:
        anomalies = [failure for failure in failures if isinstance(failure, Anomaly)]
        raise (anomalies or failures)[0]
    return [rounds[i] for i in range(len(workloads))]


def send_all(client, commands, broken):
    """The replies to commands sent as one pipeline; one by one when broken, as a server may run a
    short pipeline without anything in between."""
    return [client(*command) for command in commands] if broken else client.pipeline(commands)


ACCOUNTS = ["account:%d" % i for i in range(12)]
OPENING = 1000
TOTAL = OPENING * len(ACCOUNTS)
PAIRS = [["pair:%d:%d" % (i, j) for j in range(4)] for i in range(5)]
NAMES = ["name:%d" % i for i in range(7)]
CHAIN = ["chain:%d" % i for i in range(6)]
ROUND = ["round:%d" % i for i in range(8)]


def prepare(client):
    """The keys the workloads start from."""
    client("FLUSHALL")
    client("MSET", *[x for name in ACCOUNTS for x in (name, OPENING)])
    client("SET", NAMES[0], "token")
    for pair in PAIRS:
        client("MSET", *[x for name in pair for x in (name, "0")])


def transfer(seed, broken=False):
    """Move amounts between accounts by MULTI/EXEC."""
    def workload(connect, stop):
        rng, client, rounds = random.Random(seed), connect(), 0
        while not stop.is_set():
            commands = []
            for _ in range(20):
                source, target = rng.sample(ACCOUNTS, 2)
                amount = rng.randrange(1, 50)
                block = [("DECRBY", source, amount), ("INCRBY", target, amount)]
                commands += block if broken else [("MULTI",), *block, ("EXEC",)]
            replies = send_all(client, commands, broken)
            if not broken and not all(isinstance(reply, list) for reply in replies[3::4]):
                raise Anomaly("EXEC answered %r" % replies)
            rounds += 20
        return rounds
    return workload


def watched_transfer(seed, broken=False):
    """Move amounts by reading, then writing under WATCH."""
    def workload(connect, stop):
        rng, client, rounds = random.Random(seed), connect(), 0
        while not stop.is_set():
            source, target = rng.sample(ACCOUNTS, 2)
            amount = rng.randrange(1, 50)
            commands = [("MGET", source, target)] if broken else \
                [("WATCH", source, target), ("MGET", source, target)]
            a, b = map(int, client.pipeline(commands)[-1])
            replies = client.pipeline([("MULTI",), ("SET", source, a - amount),
                                       ("SET", target, b + amount), ("EXEC",)])
            if replies[3] not in (None, ["OK", "OK"]):
                raise Anomaly("EXEC answered %r" % replies[3])
            rounds += replies[3] is not None
        return rounds
    return workload


def audit(in_multi):
    """Read all accounts at one instant, by MGET or by GETs in MULTI."""
    def workload(connect, stop):
        client, rounds = connect(), 0
        while not stop.is_set():
            if in_multi:
                values = client.pipeline([("MULTI",)] + [("GET",
                                                          name) for name in ACCOUNTS] + [("EXEC",
                                                                                          )])[-1]
            else:
                values = client("MGET", *ACCOUNTS)
            check_total(values, TOTAL)
            rounds += 1
        return rounds
    return workload


def write_pairs(seed, broken=False):
    """MSET of keys that belong together, sometimes MSETNX of a fresh set or DEL of all."""
    def workload(connect, stop):
        rng, client, rounds = random.Random(seed), connect(), 0
        while not stop.is_set():
            commands = []
            for _ in range(20):
                pair = rng.choice(PAIRS)
                rounds += 1
                value = "%d.%d" % (seed, rounds)
                r = rng.random()
                if broken:
                    commands += [("SET", name, value) for name in pair]
                elif r < 0.1:
                    commands.append(("DEL", *pair))
                else:
                    commands.append(("MSETNX" if r < 0.2 else "MSET",
                                     *[x for name in pair for x in (name, value)]))
            send_all(client, commands, broken)
        return rounds
    return workload


def read_pairs(seed):
    """Read the keys that belong together."""
    def workload(connect, stop):
        rng, client, rounds = random.Random(seed), connect(), 0
        while not stop.is_set():
            for values in client.pipeline([("MGET", *rng.choice(PAIRS)) for _ in range(10)]):
                check_equal(values)
                rounds += 1
        return rounds
    return workload


def wander(seed, broken=False):
    """RENAME one token from name to name. Several of these race: a lost race is an error reply."""
    def workload(connect, stop):
        rng, client, rounds = random.Random(seed), connect(), 0
        while not stop.is_set():
            commands = []
            for _ in range(20):
                source, target = rng.sample(NAMES, 2)
                commands.append(("COPY", source, target) if broken else
                                ("RENAMENX" if rng.random() < 0.3 else "RENAME", source, target))
            send_all(client, commands, broken)
            rounds += 20
        return rounds
    return workload


def watch_the_token(connect, stop):
    """Exactly one name exists at any instant."""
    client, rounds = connect(), 0
    while not stop.is_set():
        check_single(client("MGET", *NAMES))
        count = client("EXISTS", *NAMES)
        if count != 1:
            raise Anomaly("EXISTS counted %r names" % count)
        rounds += 1
    return rounds


def copy_chain(broken=False):
    """Write a rising number to the first key and COPY it along the chain."""
    def workload(connect, stop):
        client, rounds = connect(), 0
        links = list(zip(CHAIN, CHAIN[1:]))
        while not stop.is_set():
            commands = []
            for _ in range(10):
                rounds += 1
                writes = [("SET", CHAIN[0], rounds)] + [("COPY", a, b, "REPLACE") for a,
                                                        b in reversed(links)]
                commands += [("SET", CHAIN[-1], rounds)] + writes if broken else writes
            send_all(client, commands, broken)
        return rounds
    return workload


def watch_the_chain(connect, stop):
    """No key of the chain is ahead of the one before it."""
    client, rounds = connect(), 0
    while not stop.is_set():
        check_descending(client("MGET", *CHAIN))
        rounds += 1
    return rounds


def write_rounds(broken=False):
    """One connection writes the keys of a round in order, in one long pipeline, with reads of its
    own writes between."""
    def workload(connect, stop):
        rng, client, number = random.Random(1), connect(), 0
        names = ROUND[::-1] if broken else ROUND
        while not stop.is_set():
            commands, expected = [], []
            for _ in range(50):
                number += 1
                for name in names:
                    commands.append(("SET", name, number))
                    expected.append("OK")
                    if rng.random() < 0.3:
                        commands.append(("GET", name))
                        expected.append(b"%d" % number)
            replies = send_all(client, commands, broken)
            if replies != expected:
                wrong = next(i for i, pair in enumerate(zip(replies,
                                                            expected)) if pair[0] != pair[1])
                raise Anomaly("%r answered %r, not %r" % (commands[wrong], replies[wrong],
                                                          expected[wrong]))
        return number
    return workload


def watch_rounds(connect, stop):
    """At one instant, the keys of a round show how far the writer is."""
    client, rounds = connect(), 0
    while not stop.is_set():
        check_round(client("MGET", *ROUND))
        rounds += 1
    return rounds


def watch_flags(seed):
    """Read a later key, then, once the answer is here, an earlier one."""
    def workload(connect, stop):
        rng, clients, rounds = random.Random(seed), [connect(), connect()], 0
        while not stop.is_set():
            earlier, later = sorted(rng.sample(range(len(ROUND)), 2))
            flag = rng.choice(clients)("GET", ROUND[later])
            data = rng.choice(clients)("GET", ROUND[earlier])
            check_flag_then_data(flag, data)
            rounds += 1
        return rounds
    return workload


def churn(seed, size):
    """Let the table grow and shrink by so many keys, again and again."""
    def workload(connect, stop):
        client, rounds = connect(), 0
        while not stop.is_set():
            names = ["churn:%d:%d" % (seed, i) for i in range(size)]
            for start in range(0, size, 500):
                if stop.is_set():
                    break
                client("MSET", *[x for name in names[start:start + 500] for x in (name, "1")])
            for start in range(0, size, 500):
                if stop.is_set():
                    break
                client("DEL", *names[start:start + 500])
            rounds += 1
        return rounds
    return workload


def scan_repeatedly(stable, count, drop=None):
    """Full iterations; every stable key must come. `drop` hides one, to prove the check."""
    def workload(connect, stop):
        client, rounds = connect(), 0
        while not stop.is_set():
            cursor, found, calls = b"0", set(), 0
            while True:
                cursor, keys = client("SCAN", cursor, "COUNT", count)
                found.update(keys)
                calls += 1
                if cursor == b"0" or stop.is_set():
                    break
                if calls > 1000000:
                    raise Anomaly("SCAN does not end")
            if cursor == b"0":
                check_scan(found - {drop}, stable)
                rounds += 1
        return rounds
    return workload
