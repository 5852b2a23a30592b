# SPDX-License-Identifier: BSD-3-Clause
"""Sends one stream to two servers, compares what comes back, and shrinks a difference.

A pipeline ends with an ECHO of a unique text, so its end is found without parsing; replies are
parsed only where the bytes differ. Within a MULTI block, where ECHO would be queued, replies are
counted instead. An epoch starts with FLUSHALL and is the unit that can be replayed.
"""
import select
import socket
import time

import compare
import laws
import waiting
from lib import resp
from generator import CONNECTIONS
from parts import DATABASES

EXCHANGE_SECONDS = 60
SHRINK_SECONDS = 20


class Feed:
    """A parser over bytes already received."""

    def __init__(self, data):
        self.client = resp.Client.__new__(resp.Client)
        self.client.buf = bytearray(data)
        self.client.pos = 0
        self.client.attributes = []
        self.client._fill = self._end

    @staticmethod
    def _end():
        raise EOFError

    def replies(self, most):
        """Up to so many complete replies."""
        result = []
        try:
            while len(result) < most:
                result.append(self.client._parse())
        except EOFError:
            pass
        return result


class Link:
    """One connection to one server, read without blocking."""

    def __init__(self, address, protocol):
        self.sock = socket.create_connection(address, timeout=EXCHANGE_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if protocol == 3:
            self.sock.sendall(resp.encode(["HELLO", "3"]))
            answer = b""
            while not Feed(answer).replies(1):
                data = self.sock.recv(65536)
                if not data:
                    raise resp.ConnectionClosed("closed after HELLO 3")
                answer += data
            if not answer.startswith(b"%"):
                raise AssertionError("HELLO 3 answered %r" % answer)
        self.sock.setblocking(False)

    def close(self):
        self.sock.close()


def exchange(links, payload, is_complete):
    """Send the payload over each link while reading; the bytes of each once all are complete."""
    views = [memoryview(payload)] * len(links)
    received = [bytearray() for _ in links]
    pending = dict.fromkeys(range(len(links)))
    poll = select.poll()
    index = {}
    for i, link in enumerate(links):
        index[link.sock.fileno()] = i
        sent = link.sock.send(views[i])
        views[i] = views[i][sent:]
        poll.register(link.sock, select.POLLIN | (select.POLLOUT if views[i] else 0))
    while pending:
        events = poll.poll(EXCHANGE_SECONDS * 1000)
        if not events:
            raise TimeoutError("no reply in %d s; waiting for server %s; received so far: %r" % (
                EXCHANGE_SECONDS, list(pending), [bytes(r[-200:]) for r in received]))
        for descriptor, event in events:
            i = index[descriptor]
            if event & select.POLLOUT:
                sent = links[i].sock.send(views[i])
                views[i] = views[i][sent:]
                if not views[i]:
                    poll.modify(links[i].sock, select.POLLIN)
            if event & ~select.POLLOUT:
                data = links[i].sock.recv(1 << 18)
                if not data:
                    raise resp.ConnectionClosed("server %d closed; last bytes %r" % (
                        i, bytes(received[i][-200:])))
                received[i] += data
                if is_complete(received[i]):
                    poll.unregister(links[i].sock)
                    del pending[i]
    return [bytes(r) for r in received]


KEY = object()  # stands for a key's name
# What is asked about a key of each type when keyspaces are compared.
READ = {
    "string": [([b"GET", KEY], None)],
    "list": [([b"LRANGE", KEY, b"0", b"-1"], None)],
    "set": [([b"SMEMBERS", KEY], "set")],
    "hash": [([b"HGETALL", KEY], "pairs")],
    "zset": [([b"ZRANGE", KEY, b"0", b"-1", b"WITHSCORES"], None)],
    "stream": [([b"XRANGE", KEY, b"-", b"+"], None),
               ([b"XINFO", b"STREAM", KEY, b"FULL", b"COUNT", b"0"], "xinfo")],
    "none": [],
}


class Difference(Exception):
    """Two replies that disagree. `index` counts the epoch's commands."""

    def __init__(self, index, args, oracle, torc):
        super().__init__("command %d: %s" % (index, show(args)))
        self.index, self.args_sent, self.oracle, self.torc = index, args, oracle, torc


def show(args):
    """A command in a form that can be pasted into a test."""
    return "(" + ", ".join(repr(arg) if len(arg) < 400 else "%r...%d bytes" % (arg[:60], len(arg))
                           for arg in args) + ")"


class Pair:
    """Two servers and the same connections to both."""

    def __init__(self, addresses, protocol, known=True):
        self.addresses, self.protocol, self.known = addresses, protocol, known
        self.links = []
        self.log = []          # (connection, args, how) of this epoch
        self.explained = {}    # known difference -> how often
        self.sentinel = 0
        self.listeners = None  # of events, if they are compared
        self.begin_epoch()

    def close(self):
        """Close all connections."""
        for links in self.links:
            for link in links:
                link.close()
        self.links = []

    def begin_epoch(self):
        """Fresh connections and empty servers."""
        self.close()
        self.log = []
        self.links = [[Link(a, self.protocol) for a in self.addresses] for _ in range(CONNECTIONS)]
        flush = resp.encode(["FLUSHALL"])
        answers = exchange(self.links[0], flush, lambda data: data.endswith(b"\r\n"))
        assert answers == [b"+OK\r\n"] * 2, answers

    def run(self, connection, commands, in_multi_after):
        """One pipeline on one connection; raises Difference. Returns the two parsed lists when
        the bytes differed, else None."""
        first = len(self.log)
        self.log += [(connection, args, how) for args, how in commands]
        payload = b"".join([resp.encode(args) for args, _ in commands])
        count = len(commands)
        if in_multi_after:
            def is_complete(data):
                return len(Feed(data).replies(count)) == count
        else:
            self.sentinel += 1
            text = b"end of batch %d" % self.sentinel
            payload += resp.encode([b"ECHO", text])
            tail = b"$%d\r\n%s\r\n" % (len(text), text)

            def is_complete(data):
                return data.endswith(tail)
        oracle_raw, torc_raw = exchange(self.links[connection], payload, is_complete)
        if oracle_raw == torc_raw:
            return None
        extra = 0 if in_multi_after else 1
        oracle, torc = (Feed(raw).replies(count + extra) for raw in (oracle_raw, torc_raw))
        for i, (args, how) in enumerate(commands):
            if i >= len(oracle) or i >= len(torc):
                raise Difference(first + i, args, oracle[i:i + 1], torc[i:i + 1])
            self.check(first + i, args, how, oracle[i], torc[i])
        if len(oracle) != len(torc) or oracle[count:] != torc[count:]:
            raise Difference(first + count - 1, commands[-1][0], "%d replies" % len(oracle),
                             "%d replies" % len(torc))
        return oracle, torc

    def check(self, index, args, how, oracle, torc):
        """Raise Difference unless the two replies agree or are known to differ."""
        if oracle == torc and type(oracle) is type(torc):
            return
        queued = self.queued_before(index) if how == "exec" else ()
        if compare.same(how, oracle, torc, [q[1] for q in queued]):
            return
        if self.known:
            name = self.explain(args, oracle, torc, queued)
            if name:
                self.explained[name] = self.explained.get(name, 0) + 1
                return
        if queued and isinstance(oracle, list) and isinstance(torc, list) and \
                len(oracle) == len(torc) == len(queued):
            args, oracle, torc = next((args + inner[0], a, b) for inner, a, b in
                                      zip(queued, oracle, torc) if not compare.same(inner[1], a, b))
        raise Difference(index, args, oracle, torc)

    @staticmethod
    def explain(args, oracle, torc, queued):
        """The known difference behind two replies, element by element for EXEC."""
        if queued and isinstance(oracle, list) and isinstance(torc, list) \
                and len(oracle) == len(torc) == len(queued):
            name = None
            for (inner, how), a, b in zip(queued, oracle, torc):
                if not compare.same(how, a, b):
                    name = compare.known_difference(inner, a, b)
                    if not name:
                        return None
            return name
        return compare.known_difference(args, oracle, torc)

    def queued_before(self, index):
        """The (args, how) an EXEC at `index` ran, from the epoch's log."""
        connection = self.log[index][0]
        queued = []
        for c, args, how in reversed(self.log[:index]):
            if c != connection:
                continue
            name = args[0].lower()
            if name == b"multi" and how != "nested":
                break
            if name not in (b"multi", b"watch"):
                queued.append((args, how))
        return queued[::-1]

    def call(self, args):
        """One command on connection 0 of both, outside the log; the two replies."""
        return self.call_on(0, args)

    def call_on(self, connection, args):
        """One command on a connection of both, outside the log; the two replies."""
        def is_complete(data):
            return data.endswith(b"\r\n") and len(Feed(data).replies(1)) == 1
        raws = exchange(self.links[connection], resp.encode(args), is_complete)
        return [Feed(raw).replies(1)[0] for raw in raws]

    def note(self, connection, args, how):
        """Log a command that is not sent by run(); its index."""
        self.log.append((connection, args, how))
        return len(self.log) - 1

    def differ(self, index, args, oracle, torc):
        """Raise Difference unless what the two did differently is known."""
        if not (self.known and compare.known_difference(args, oracle, torc)):
            raise Difference(index, args, oracle, torc)

    def ask(self, server, connection, args):
        """One command on one server, outside the log; its reply."""
        def is_complete(data):
            return data.endswith(b"\r\n") and len(Feed(data).replies(1)) == 1
        raw = exchange([self.links[connection][server]], resp.encode(args), is_complete)[0]
        return Feed(raw).replies(1)[0]

    def scan_all(self, link, words):
        """All that a full iteration brings, with what belongs together as one; or an error."""
        at = 1 if words[0] == b"SCAN" else 2
        cursor, found, rounds = b"0", set(), 0
        while True:
            command = resp.encode(words[:at] + [cursor] + words[at:])
            raw = exchange([link], command, lambda data: data.endswith(b"\r\n")
                           and len(Feed(data).replies(1)) == 1)[0]
            reply = Feed(raw).replies(1)[0]
            if isinstance(reply, resp.Error):
                return reply
            cursor, items = reply
            if words[0] in (b"HSCAN", b"ZSCAN"):
                items = list(zip(items[::2], items[1::2]))
            found.update(items)
            rounds += 1
            if cursor == b"0":
                return found
            assert rounds < 1000000, "%s does not end" % words[0]

    def scan(self, connection, words):
        """Full iterations on both; raises Difference. What the oracle's has found."""
        index = self.note(connection, words, "scan")
        oracle, torc = [self.scan_all(link, words) for link in self.links[connection]]
        if isinstance(oracle, set) and isinstance(torc, set):
            if oracle != torc:
                self.differ(index, words, sorted(oracle - torc)[:20], sorted(torc - oracle)[:20])
        elif type(oracle) is not type(torc) or oracle != torc:
            self.differ(index, words, oracle, torc)
        return oracle

    def compare_keyspaces(self):
        """Every database: the same keys, values, encodings and expiries."""
        for database in range(DATABASES):
            self.run(0, [([b"SELECT", b"%d" % database], None)], False)
            keys = sorted(self.scan(0, [b"SCAN", b"COUNT", b"1000"]))
            for start in range(0, len(keys), 200):
                some = keys[start:start + 200]
                self.run(0, [([b"TYPE", key], None) for key in some], False)
                commands = []
                for key, kind in zip(some, self.types_of(some)):
                    commands += [([word if word is not KEY else key for word in read], how)
                                 for read, how in READ[kind] if how != "xinfo" or not self.known]
                    if not key.startswith(b"sortzset"):  # Redis's SORT leaves a skiplist
                        commands.append(([b"OBJECT", b"ENCODING", key], None))
                    commands += [([b"PEXPIRETIME", key], "milliseconds")]
                self.run(0, commands, False)
            self.run(0, [([b"DBSIZE"], None)], False)

    def types_of(self, keys):
        """The types of keys, from the oracle."""
        payload = b"".join(resp.encode([b"TYPE", key]) for key in keys)
        raw = exchange(self.links[0][:1], payload,
                       lambda data: len(Feed(data).replies(len(keys))) == len(keys))[0]
        return Feed(raw).replies(len(keys))


ALONE = ("law", "scan", "wait")  # ways of comparing that take more than one exchange


def run_alone(pair, connection, args, how):
    """Run such a command."""
    if how == "law":
        laws.check(pair, connection, args)
    elif how == "wait":
        waiting.run(pair, Feed, args)
    else:
        pair.scan(connection, args)


def replay(pair, commands):
    """Run logged commands on empty servers; the Difference they end in, or None."""
    pair.begin_epoch()
    in_multi = [False] * CONNECTIONS
    start = 0
    try:
        while start < len(commands):
            end = start
            connection, args, how = commands[start]
            if how in ALONE:
                if not any(in_multi):  # nor were they when it was logged, or need not have been
                    run_alone(pair, connection, args, how)
                start += 1
                continue
            while end < len(commands) and end - start < 1000 and commands[end][0] == connection \
                    and commands[end][2] not in ALONE:
                name = commands[end][1][0].lower()
                if name == b"multi":
                    in_multi[connection] = True
                elif name in (b"exec", b"discard"):
                    in_multi[connection] = False
                end += 1
            # A MULTI may have failed to open: count replies rather than trust the sentinel.
            pair.run(connection, [c[1:] for c in commands[start:end]], in_multi[connection])
            start = end
    except Difference as difference:
        return difference
    return None


STATE_COMMANDS = (b"select", b"swapdb", b"flushdb", b"flushall", b"multi", b"exec", b"discard",
                  b"watch", b"unwatch")


def related(log, culprit):
    """The commands that share a key with the last one, and those that change a session."""
    words = {arg for arg in culprit[1][1:] if len(arg) > 1 and not arg.isdigit()}
    return [entry for entry in log
            if entry[1][0].lower() in STATE_COMMANDS or words.intersection(entry[1][1:])]


def shrink(pair, log, seconds=SHRINK_SECONDS):
    """The shortest list found, within the time, of commands that still end in a difference."""
    deadline = time.monotonic() + seconds
    best = list(log)
    if replay(pair, best) is None:
        return None, None
    candidate = related(best, best[-1])
    if len(candidate) < len(best) and replay(pair, candidate) is not None:
        best = candidate
    pieces = 2
    while len(best) > 1 and time.monotonic() < deadline:
        size = max(1, len(best) // pieces)
        for start in range(0, len(best), size):
            candidate = best[:start] + best[start + size:]
            if time.monotonic() > deadline:
                break
            if candidate:
                found = replay(pair, candidate)
                if found is not None:
                    best = candidate[:found.index + 1]
                    pieces = max(2, pieces - 1)
                    break
        else:
            if size == 1:
                break
            pieces = min(len(best), pieces * 2)
    return best, replay(pair, best)
