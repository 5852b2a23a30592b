# SPDX-License-Identifier: BSD-3-Clause
"""Clients that wait for keys, and what others do with these keys meanwhile.

A client that waits for several keys is served by torc from the one that is ready first, while Redis
runs its command again over all of them: no test lets that be seen.
"""
from parts import Parts

TIMEOUT = b"0.15"
TIMEOUT_MS = b"150"
CONSUMER = [b"GROUP", b"g", b"c"]


class Waits(Parts):
    """Steps of waiting.py."""

    wait_clock = 1

    def wait_key(self):
        """A key that somebody waits for."""
        return b"wait%d" % self.below(4)

    def wait_keys(self):
        """Keys that somebody waits for."""
        return [self.wait_key() for _ in range(self.pick([1, 1, 2, 3]))]

    def side_word(self):
        """LEFT or RIGHT."""
        return self.pick([b"LEFT", b"RIGHT"])

    def waiting_command(self, kind, keys):
        """A command that waits unless it finds something."""
        count = self.pick([[], [b"COUNT", b"2"], [b"COUNT", b"10"]])
        number = b"%d" % len(keys)
        if kind == "list":
            return self.pick([
                [b"BLPOP"] + keys + [TIMEOUT], [b"BRPOP"] + keys + [TIMEOUT],
                [b"BLMOVE", keys[0], self.wait_key(), self.side_word(), self.side_word(), TIMEOUT],
                [b"BRPOPLPUSH", keys[0], self.wait_key(), TIMEOUT],
                [b"BLMPOP", TIMEOUT, number] + keys + [self.side_word()] + count])
        if kind == "zset":
            return self.pick([
                [b"BZPOPMIN"] + keys + [TIMEOUT], [b"BZPOPMAX"] + keys + [TIMEOUT],
                [b"BZMPOP", TIMEOUT, number] + keys + [self.pick([b"MIN", b"MAX"])] + count])
        new = [self.pick([b"$", b"0", b"%d" % self.wait_clock]) for _ in keys]
        return self.pick([
            [b"XREAD"] + count + [b"BLOCK", TIMEOUT_MS, b"STREAMS"] + keys + new,
            [b"XREADGROUP"] + CONSUMER + count + [b"BLOCK", TIMEOUT_MS, b"STREAMS"] + keys +
            [b">"] * len(keys)])

    def waking_command(self, kind):
        """A command that changes a key that somebody may wait for."""
        key, other = self.wait_key(), self.wait_key()
        self.wait_clock += 1
        return self.pick({
            "list": [
                [b"RPUSH", key, b"a", b"b"], [b"LPUSH", key, b"c"], [b"LPUSHX", key, b"x"],
                [b"RPUSH", key, b"1", b"2", b"3"], [b"LMOVE", other, key, b"LEFT", b"RIGHT"],
                [b"SORT", other, b"ALPHA", b"STORE", key], [b"LPOP", key],
                [b"LINSERT", key, b"BEFORE", b"a", b"z"]],
            "zset": [
                [b"ZADD", key, b"1", b"a", b"2", b"b"], [b"ZADD", key, b"3", b"c"],
                [b"ZUNIONSTORE", key, b"1", other], [b"ZPOPMIN", key],
                [b"ZINCRBY", key, b"1", b"d"], [b"GEOADD", key, b"1", b"1", b"g"]],
            "stream": [
                [b"XADD", key, b"%d-1" % self.wait_clock, b"f", b"v"],
                [b"XADD", key, b"%d-1" % self.wait_clock, b"f", b"w"],
                [b"XGROUP", b"CREATE", key, b"g", self.pick([b"$", b"0"]), b"MKSTREAM"],
                [b"XDEL", key, b"%d-1" % (self.wait_clock - 1)],
                [b"XSETID", key, b"%d-1" % self.wait_clock]],
            "any": [
                [b"DEL", key], [b"EXPIRE", key, b"-1"], [b"RENAME", other, key],
                [b"COPY", other, key, b"REPLACE"], [b"MOVE", key, b"1"], [b"PERSIST", key]],
            "odd": [
                [b"SADD", key, b"3", b"1"], [b"SET", key, b"v"], [b"SUNIONSTORE", key, other],
                [b"XGROUP", b"DESTROY", key, b"g"], [b"SWAPDB", b"0", b"1"], [b"GETDEL", key]],
        }[kind])

    def wait_step(self):
        """(commands before, commands that wait, commands of another connection)."""
        kinds = ["list", "zset", "stream"]
        kind = self.pick(kinds)
        before = [[b"DEL"] + [b"wait%d" % i for i in range(4)]]
        number = self.pick([1, 2, 2])
        if self.random() < 0.5:  # of several keys: these must stay of the type, one ready at a time
            waiting = [self.waiting_command(kind, self.wait_keys()) for _ in range(number)]
            sent = [self.waking_command(self.pick([kind, kind, kind, "any"]))
                    for _ in range(1 + self.below(4))]
        else:
            before += [self.waking_command(self.pick(kinds)) for _ in range(self.below(3))]
            waiting = [self.waiting_command(self.pick([kind, kind, self.pick(kinds)]),
                                            [self.wait_key()]) for _ in range(number)]
            sent = [self.waking_command(self.pick([kind, kind, kind, "any", "odd"]))
                    for _ in range(1 + self.below(4))]
            # Over a value of another type these do not wake anybody in Redis.
            sent = [c for c in sent if c[0] not in (b"SORT", b"ZUNIONSTORE")] or [[b"PING"]]
            if self.random() < 0.3:
                sent = [[b"MULTI"]] + sent + [[b"EXEC"]]
        if kind == "stream" and self.random() < 0.8:
            before += [[b"XGROUP", b"CREATE", b"wait%d" % i, b"g", b"$", b"MKSTREAM"]
                       for i in range(4)]
        return before, waiting, sent


COMMANDS = []
LAWS = []
WHOLE = []
EDGES = []
