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


def is_flat(reply):
    """Whether a reply is a list of pairs, one behind the other."""
    return isinstance(reply, list) and len(reply) % 2 == 0 and \
        all(isinstance(item, bytes) for item in reply)


def same_pending(a, b):
    """XPENDING's rows: id, consumer, idle time, deliveries."""
    def agree(x, y):
        return len(x) == len(y) == 4 and x[:2] == y[:2] and x[3] == y[3] and \
            close(x[2], y[2], MILLISECONDS_SLACK)
    return isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and \
        all(isinstance(x, list) and isinstance(y, list) and agree(x, y) for x, y in zip(a, b))


IDLE_FIELDS = (b"idle", b"inactive")
LAYOUT_FIELDS = (b"radix-tree-keys", b"radix-tree-nodes")  # of Redis's own structure
EPOCH = 10 ** 12  # integers above are times in ms


def same_info(a, b):
    """XINFO: times roughly, Redis's own layout not at all, everything else exactly."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same_field(key, a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        if a and len(a) % 2 == 0 and a[::2] == b[::2] and \
                all(isinstance(item, bytes) for item in a[::2]):
            return all(map(same_field, a[::2], a[1::2], b[1::2]))
        return all(map(same_info, a, b))
    if type(a) is int and type(b) is int and a > EPOCH and b > EPOCH:
        return abs(a - b) <= MILLISECONDS_SLACK
    return type(a) is type(b) and a == b


def same_field(name, a, b):
    """The values of one of XINFO's fields."""
    if name in LAYOUT_FIELDS:
        return type(a) is type(b)
    if name in IDLE_FIELDS:
        return close(a, b, MILLISECONDS_SLACK)
    return same_info(a, b)


def same(how, a, b, queued=()):
    """Whether replies `a` and `b` agree. `queued`: for EXEC, how each queued reply compares."""
    if type(a) is type(b) and a == b:
        return True
    if how == "seconds":
        return close(a, b, SECONDS_SLACK)
    if how == "milliseconds":
        return close(a, b, MILLISECONDS_SLACK)
    if how == "set":
        return isinstance(a, list) and isinstance(b, list) and \
            sorted(a, key=repr) == sorted(b, key=repr)
    if how == "pairs":
        return is_flat(a) and is_flat(b) and sorted(zip(a[::2], a[1::2])) == \
            sorted(zip(b[::2], b[1::2]))
    if how == "idle":
        return same_pending(a, b)
    if how == "xinfo":
        return same_info(a, b)
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


def same_numbers(a, b):
    """Equal but for how numbers are written."""
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same_numbers, a, b))
    if type(a) is type(b) and a == b:
        return True
    if type(a) is not type(b) or not isinstance(a, (bytes, float)):
        return False
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def score_text(args, oracle, torc):
    """Scores and coordinates in the answers of commands on sorted sets."""
    return args[0].lstrip(b"b")[:1] == b"z" and same_numbers(oracle, torc)


def unbalanced(args, oracle, torc):
    """The error for streams without ids."""
    return (args[0] in (b"xread", b"xreadgroup") and type(torc).__name__ == "Error"
            and is_error(oracle, "ERR Unbalanced XREAD list of streams: for each stream key an ID "
                                 "or '$' must be specified.")
            and str(torc).startswith("ERR Unbalanced '%s' list of streams: for each stream key "
                                     "an ID or '" % args[0].decode()))


def compact_encoding(args, oracle, torc):
    """Small lists and sets."""
    return (args[0] == b"object" and args[1].lower() == b"encoding" and torc == b"listpack"
            and oracle in (b"quicklist", b"hashtable"))


def timeout_text(args, oracle, torc):
    """A timeout that is too long."""
    return (args[0][:1] == b"b" and is_error(oracle, "ERR timeout is negative")
            and is_error(torc, "ERR timeout is out of range"))


def rank_range(args, oracle, torc):
    """LPOS with a RANK that has no counterpart."""
    return (args[0] == b"lpos" and b"-9223372036854775808" in args
            and is_error(torc, "ERR value is out of range, value must between "
                               "-9223372036854775807 and 9223372036854775807"))


# What Redis 7.0 answers otherwise than 7.2. `applies(args, oracle_reply, torc_reply)`; args[0] is
# the command's name in lower case. Each is as narrow as the difference itself.
KNOWN_DIFFERENCES = [
    Known("COMMAND GETKEYS of a command without arguments",
          "7.0 wanted at least one argument after the inner command's name and called fewer an "
          "arity error; 7.2 looks at the inner command", getkeys_arity),
    Known("digits of scores",
          "7.0 wrote 17 digits, 7.2 writes as few as read back as the same number", score_text),
    Known("XREAD and XREADGROUP with keys without ids",
          "7.2 names the command in the error", unbalanced),
    Known("listpacks of lists and sets",
          "7.0 had quicklists of one node and hash tables where 7.2 has listpacks",
          compact_encoding),
    Known("timeouts that are infinite", "7.0 called them negative", timeout_text),
    Known("LPOS RANK -9223372036854775808", "7.0 negated it, 7.2 refuses it", rank_range),
]


def known_difference(args, oracle_reply, torc_reply):
    """The name of the known difference that explains these two replies, or None."""
    lowered = [args[0].lower()] + list(args[1:])
    for known in KNOWN_DIFFERENCES:
        if known.applies(lowered, oracle_reply, torc_reply):
            return known.name
    return None
