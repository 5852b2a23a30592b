# SPDX-License-Identifier: BSD-3-Clause
"""Commands whose answers are left to chance or to the clock, checked by what must hold for them.

`check` runs one on both servers and raises pair.Difference where an answer breaks its law. What it
leaves behind is made the same on both: what either has popped is put back, then taken out again.
"""
from lib.resp import Error


def check(pair, connection, args):
    """Run a command under its law."""
    name = args[0].lower()
    index = pair.note(connection, args, "law")
    answers = LAWS[name](pair, connection, args)
    if answers is not None:
        pair.differ(index, args, *answers)


def texts(reply):
    """A reply as a list of texts; a lone one as a list of it."""
    if reply is None:
        return []
    if isinstance(reply, (bytes, str)):
        return [reply]
    return list(reply)


def pairs_of(reply):
    """Pairs, however the protocol nests them."""
    if isinstance(reply, dict):
        return list(reply.items())
    items = list(reply)
    if items and isinstance(items[0], (list, tuple)):
        return [tuple(item) for item in items]
    return list(zip(items[::2], items[1::2]))


def number(value):
    """Scores compare as numbers."""
    try:
        return float(value)
    except ValueError:
        return value


def both(pair, connection, *args):
    """Run on both a command whose answers must agree; the answer, or a pair that does not."""
    oracle, torc = pair.call_on(connection, list(args))
    same = type(oracle) is type(torc) and (
        sorted(map(repr, pairs_of(oracle) if isinstance(oracle, dict) else texts(oracle))) ==
        sorted(map(repr, pairs_of(torc) if isinstance(torc, dict) else texts(torc))))
    if isinstance(oracle, (int, Error)) or isinstance(torc, (int, Error)):
        same = type(oracle) is type(torc) and oracle == torc
    return oracle if same else (oracle, torc)


def picked_right(reply, args, members, with_values):
    """Whether an answer is one that may be given for these members (a dict)."""
    if len(args) < 3:
        return reply in members if members else reply is None
    count = int(args[2])
    items = pairs_of(reply) if with_values else texts(reply)
    if count < 0:
        expected = -count if members else 0
    else:
        expected = min(count, len(members))
        names = [item[0] if with_values else item for item in items]
        if len(set(names)) != len(names):
            return False
    if len(items) != expected:
        return False
    if with_values:
        return all(item[0] in members and number(item[1]) == number(members[item[0]])
                   for item in items)
    return all(item in members for item in items)


def members_of(pair, connection, name, key):
    """What there is to pick from, as a dict; or two answers that disagree."""
    if name in (b"spop", b"srandmember"):
        reply = both(pair, connection, b"SMEMBERS", key)
        return reply if isinstance(reply, tuple) else dict.fromkeys(reply)
    if name == b"hrandfield":
        reply = both(pair, connection, b"HGETALL", key)
    else:
        reply = both(pair, connection, b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")
    return reply if isinstance(reply, tuple) else dict(pairs_of(reply))


def pick(pair, connection, args):
    """SRANDMEMBER, HRANDFIELD, ZRANDMEMBER, SPOP."""
    name, key = args[0].lower(), args[1]
    kind = both(pair, connection, b"TYPE", key)
    wanted = {b"s": "set", b"h": "hash", b"z": "zset"}[name[:1]]
    if isinstance(kind, tuple):
        return kind
    members = members_of(pair, connection, name, key) if kind == wanted else {}
    if isinstance(members, tuple):
        return members
    answers = pair.call_on(connection, args)
    if isinstance(answers[0], Error) or isinstance(answers[1], Error):
        same = isinstance(answers[0], Error) and answers[0] == answers[1]
        return None if same else answers
    if type(answers[0]) is not type(answers[1]):
        return answers
    for reply in answers:
        if not picked_right(reply, args, members, len(args) > 3):
            return answers
    if name == b"spop":
        return make_same(pair, connection, key, *map(texts, answers))
    return None


def make_same(pair, connection, key, oracle, torc):
    """After SPOP of different members: both sets lose what the oracle's has lost."""
    if sorted(oracle) == sorted(torc):
        return None
    for command in ([b"SADD", key] + sorted(set(oracle) | set(torc)), [b"SREM", key] + oracle):
        answers = pair.call_on(connection, command)
        if command[0] == b"SREM" and answers != [len(oracle)] * 2:
            return answers
    return None


def add_now(pair, connection, args):
    """XADD with an id made of the clock: later than the last one, and about now on both."""
    key = args[1]
    previous = ((0, 0), (0, 0))
    for _ in range(2):
        ids = []
        answers = pair.call_on(connection, args)
        for reply, last in zip(answers, previous):
            if not isinstance(reply, bytes):
                return answers
            ids.append(tuple(map(int, reply.split(b"-"))))
            if ids[-1] <= last:
                return answers
        if abs(ids[0][0] - ids[1][0]) > 3000:
            return answers
        previous = ids
    length = pair.call_on(connection, [b"XLEN", key])
    pair.call_on(connection, [b"DEL", key])
    return None if length[0] == length[1] == 2 else length


def any_places(pair, connection, args):
    """GEOSEARCH ... COUNT n ANY: so many of those that there are."""
    every = both(pair, connection, *args[:-3])
    if isinstance(every, tuple):
        return every
    answers = pair.call_on(connection, args)
    if isinstance(every, Error):
        return None if answers[0] == answers[1] == every else answers
    for reply in answers:
        if not isinstance(reply, list) or len(set(reply)) != min(int(args[-2]), len(every)) or \
                not set(reply) <= set(every) or len(set(reply)) != len(reply):
            return answers
    return None


def restore_crosswise(pair, connection, args):
    """DUMP: each server's payload is restored on the other, if that reads its version."""
    source, target, ttl = args[1:4]
    payloads = both_dumps(pair, connection, source)
    if None in payloads:
        return None if payloads == [None, None] else payloads
    versions = [int.from_bytes(payload[-10:-8], "little") for payload in payloads]
    given = [payloads[1] if versions[1] <= versions[0] else payloads[0], payloads[0]]
    replies = [pair.ask(server, connection, [b"RESTORE", target, ttl, given[server]] + args[4:])
               for server in (0, 1)]
    return None if type(replies[0]) is type(replies[1]) and replies[0] == replies[1] else replies


def both_dumps(pair, connection, key):
    """The payloads of a key; torc's is also restored where it came from."""
    payloads = pair.call_on(connection, [b"DUMP", key])
    if payloads[1] is not None:
        words = [b"RESTORE", b"restored", b"0", payloads[1], b"REPLACE"]
        reply = pair.ask(1, connection, words)
        assert reply == "OK", (key, payloads[1], reply)
        assert pair.ask(1, connection, [b"DEL", b"restored"]) == 1
    return payloads


LAWS = {b"spop": pick, b"srandmember": pick, b"hrandfield": pick, b"zrandmember": pick,
        b"xadd": add_now, b"geosearch": any_places, b"dump": restore_crosswise}
