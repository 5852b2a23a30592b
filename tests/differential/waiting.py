# SPDX-License-Identifier: BSD-3-Clause
"""Commands that wait while others change their keys.

A step is one list of words, so that it can be logged like a command: what comes before, with AND
between the commands, then THEN and the commands that wait, then THEN and what another connection
sends. The waiting ones are sent one after the other on connections of their own, each when the one
before it waits, and answer at the latest when their time is over. All answers must agree.
"""
import select
import time

import compare
from lib import resp

AND, THEN = b"&", b"=>"
PATIENCE_SECONDS = 10


def join(*groups):
    """The words of a step: commands before, that wait, that are sent."""
    words = []
    for number, group in enumerate(groups):
        words += [THEN] if number else []
        for i, command in enumerate(group):
            words += ([AND] if i else []) + command
    return words


def split(words):
    """The commands of a step: (before, waiting, sent)."""
    groups, command = [[]], []
    for word in words:
        if word in (AND, THEN):
            groups[-1].append(command)
            command = []
            if word == THEN:
                groups.append([])
        else:
            command.append(word)
    groups[-1].append(command)
    return groups


class Waiter:
    """A command that waits, on one server."""

    def __init__(self, link, words):
        self.link, self.received, self.answer = link, bytearray(), None
        link.sock.sendall(resp.encode(words))

    def poll(self, feed, seconds):
        """Receive for so long; whether there is an answer now."""
        if self.answer is None and select.select([self.link.sock], [], [], seconds)[0]:
            data = self.link.sock.recv(1 << 16)
            if not data:
                raise resp.ConnectionClosed("closed while a command waits")
            self.received += data
            self.answer = feed(self.received).replies(1) or None  # a list of one
        return self.answer is not None


def blocked_clients(pair, server, connection):
    """How many clients wait, from INFO on one server."""
    text = pair.ask(server, connection, [b"INFO", b"clients"])
    for line in bytes(text).split(b"\r\n"):
        if line.startswith(b"blocked_clients:"):
            return int(line.split(b":")[1])
    raise AssertionError("no blocked_clients in INFO")


def start(pair, feed, server, waiters, words, observer):
    """Send a command that is to wait; return when it does, or has answered."""
    connection = len(waiters)
    waiters.append(Waiter(pair.links[connection][server], words))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        expected = sum(not waiter.poll(feed, 0) for waiter in waiters)
        if waiters[-1].poll(feed, 0) or blocked_clients(pair, server, observer) >= expected:
            return
    raise TimeoutError("%r neither waits nor answers" % (words,))


def run(pair, feed, words):
    """Run a step on one server after the other; raises pair.Difference."""
    before, waiting, sent = split(words)
    observer = len(pair.links) - 1
    index = pair.note(observer, words, "wait")
    answers = []
    for server in range(2):
        for connection in range(len(pair.links)):
            pair.ask(server, connection, [b"SELECT", b"0"])
        for command in before:
            pair.ask(server, observer, command)
        waiters = []
        for command in waiting:
            start(pair, feed, server, waiters, command, observer)
        time.sleep(0.002)
        answers.append([pair.ask(server, observer, command) for command in sent])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all([waiter.poll(feed, 0.01) for waiter in waiters]):
            if time.monotonic() > deadline:
                raise TimeoutError("no answer to one of %r" % (waiting,))
        answers[-1] += [waiter.answer[0] for waiter in waiters]
    if not all(map(compare.same, [None] * len(answers[0]), *answers)):
        pair.differ(index, [b"wait"] + words, *answers)
