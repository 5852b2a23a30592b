# SPDX-License-Identifier: BSD-3-Clause
"""Clients that wait for keys, and what others do with these keys meanwhile."""
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

    def waiting_command(self):
        """A command that waits unless it finds something."""
        keys = self.wait_keys()
        count = self.pick([[], [b"COUNT", b"2"], [b"COUNT", b"10"]])
        number = b"%d" % len(keys)
        new = [self.pick([b"$", b"0", b"%d" % self.wait_clock]) for _ in keys]
        return self.pick([
            [b"BLPOP"] + keys + [TIMEOUT], [b"BRPOP"] + keys + [TIMEOUT],
            [b"BLMOVE", keys[0], self.wait_key(), self.side_word(), self.side_word(), TIMEOUT],
            [b"BRPOPLPUSH", keys[0], self.wait_key(), TIMEOUT],
            [b"BLMPOP", TIMEOUT, number] + keys + [self.side_word()] + count,
            [b"BZPOPMIN"] + keys + [TIMEOUT], [b"BZPOPMAX"] + keys + [TIMEOUT],
            [b"BZMPOP", TIMEOUT, number] + keys + [self.pick([b"MIN", b"MAX"])] + count,
            [b"XREAD"] + count + [b"BLOCK", TIMEOUT_MS, b"STREAMS"] + keys + new,
            [b"XREADGROUP"] + CONSUMER + count + [b"BLOCK", TIMEOUT_MS, b"STREAMS"] + keys +
            [b">"] * len(keys)])

    def waking_command(self):
        """A command that changes a key that somebody may wait for."""
        key, other = self.wait_key(), self.wait_key()
        self.wait_clock += 1
        return self.pick([
            [b"RPUSH", key, b"a", b"b"], [b"LPUSH", key, b"c"], [b"RPUSH", key, b"1", b"2", b"3"],
            [b"ZADD", key, b"1", b"a", b"2", b"b"], [b"ZADD", key, b"3", b"c"],
            [b"XADD", key, b"%d-1" % self.wait_clock, b"f", b"v"],
            [b"XADD", key, b"%d-1" % self.wait_clock, b"f", b"w"],
            [b"XGROUP", b"CREATE", key, b"g", self.pick([b"$", b"0"]), b"MKSTREAM"],
            [b"XGROUP", b"DESTROY", key, b"g"], [b"SADD", key, b"3", b"1"], [b"SET", key, b"v"],
            [b"DEL", key], [b"EXPIRE", key, b"-1"], [b"RENAME", other, key],
            [b"COPY", other, key, b"REPLACE"], [b"LMOVE", other, key, b"LEFT", b"RIGHT"],
            [b"SORT", other, b"ALPHA", b"STORE", key], [b"ZUNIONSTORE", key, b"1", other],
            [b"SUNIONSTORE", key, other], [b"LPUSHX", key, b"x"], [b"LINSERT", key, b"BEFORE", b"a",
                                                                   b"z"],
            [b"MOVE", key, b"1"], [b"SWAPDB", b"0", b"1"], [b"LPOP", key], [b"ZPOPMIN", key],
            [b"XDEL", key, b"%d-1" % (self.wait_clock - 1)], [b"GETDEL", key], [b"PERSIST", key]])

    def wait_step(self):
        """(commands that wait, commands of another connection)."""
        waiting = [self.waiting_command() for _ in range(self.pick([1, 2, 2]))]
        sent = [self.waking_command() for _ in range(self.pick([1, 2, 3, 4]))]
        if self.random() < 0.3:
            sent = [[b"MULTI"]] + sent + [[b"EXEC"]]
        if self.random() < 0.7:
            sent.append([b"DEL"] + [b"wait%d" % i for i in range(4) if self.random() < 0.8 or not i])
        return waiting, sent


COMMANDS = []
LAWS = []
WHOLE = []
EDGES = []
