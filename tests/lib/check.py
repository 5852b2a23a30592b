# SPDX-License-Identifier: BSD-3-Clause
"""Short ways to say in a test what a server must answer."""
import shlex
import time

from .resp import SLOW, Error

SYNTAX = Error("ERR syntax error")
NOT_INTEGER = Error("ERR value is not an integer or out of range")
NOT_FLOAT = Error("ERR value is not a valid float")
NO_KEY = Error("ERR no such key")
OUT_OF_RANGE = Error("ERR index out of range")


def arity(name):
    """The error for a wrong number of arguments."""
    return Error("ERR wrong number of arguments for '%s' command" % name)


def split(command):
    """A command written as in a shell, or already a sequence of arguments."""
    return shlex.split(command) if isinstance(command, str) else command


def check(client, *rows):
    """Each row is (command, reply): send the command, the reply must be that one exactly."""
    for command, expected in rows:
        reply = client(*split(command))
        assert type(reply) is type(expected) and reply == expected, \
            "%s answered %r, not %r" % (command, reply, expected)


def info(client, *sections):
    """INFO as a dict of field to text."""
    lines = client("INFO", *sections).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if line and not line.startswith("#"))


def eventually(condition, seconds=5.0, step=0.01):
    """The condition's first true value within the time; fails when there is none."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not within %g s" % seconds
        time.sleep(step)
