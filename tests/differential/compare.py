# SPDX-License-Identifier: BSD-3-Clause
"""How two replies to the same command are compared, and what is known to differ.

Most replies must agree byte for byte. A few commands have answers that depend on the clock or on
the order of a table; each has a comparison of its own, as narrow as it can be.
"""
import collections

SECONDS_SLACK = 2
MILLISECONDS_SLACK = 3000

Known = collections.namedtuple("Known", "name reason applies")


def close(a, b, slack):
    """Equal, or two non-negative integers that differ by the passing of time."""
    if a == b:
        return type(a) is type(b)
    return type(a) is int and type(b) is int and a >= 0 and b >= 0 and abs(a - b) <= slack


def same(how, a, b, queued=()):
    """Whether replies `a` and `b` agree. `queued`: for EXEC, how each queued reply compares."""
    if type(a) is type(b) and a == b:
        return True
    if how == "seconds":
        return close(a, b, SECONDS_SLACK)
    if how == "milliseconds":
        return close(a, b, MILLISECONDS_SLACK)
    if how == "set":
        return isinstance(a, list) and isinstance(b, list) and sorted(a) == sorted(b)
    if how == "presence":
        return type(a) is type(b)
    if how == "exec" and isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        hows = queued if len(queued) == len(a) else [None] * len(a)
        return all(same(h, x, y) for h, x, y in zip(hows, a, b))
    return False


def is_error(reply, text):
    """Whether the reply is an error with this text."""
    return type(reply).__name__ == "Error" and str(reply) == text


def getkeys_arity(args, oracle, torc):
    """COMMAND GETKEYS and GETKEYSANDFLAGS with a command of one word."""
    word = args[1].decode().lower() if len(args) == 3 else ""
    return (args[0] == b"command" and word in ("getkeys", "getkeysandflags")
            and is_error(oracle, "ERR wrong number of arguments for 'command|%s' command" % word)
            and any(is_error(torc, text) for text in (
                "ERR The command has no key arguments", "ERR Invalid command specified",
                "ERR Invalid number of arguments specified for command")))


# What Redis 7.0 answers otherwise than 7.2. `applies(args, oracle_reply, torc_reply)`; args[0] is
# the command's name in lower case. Each is as narrow as the difference itself.
KNOWN_DIFFERENCES = [
    Known("COMMAND GETKEYS of a command without arguments",
          "7.0 wanted at least one argument after the inner command's name and called fewer an "
          "arity error; 7.2 looks at the inner command", getkeys_arity),
]


def known_difference(args, oracle_reply, torc_reply):
    """The name of the known difference that explains these two replies, or None."""
    lowered = [args[0].lower()] + list(args[1:])
    for known in KNOWN_DIFFERENCES:
        if known.applies(lowered, oracle_reply, torc_reply):
            return known.name
    return None
