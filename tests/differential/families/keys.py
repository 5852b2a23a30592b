# SPDX-License-Identifier: BSD-3-Clause
"""Keys and databases."""
from parts import COLLECTIONS, DATABASES, Parts

PATTERNS = [b"*", b"k*", b"k?", b"k1*", b"[kn]*", b"k[0-3]", b"k[^1]*", b"\\*", b"*a*", b"", b"?",
            b"n*[0-4]", b"{*}*", b"k[", b"**1", b"w*77*", b"\\", b"k\\1*", b"[z-a]1", b"*\xff*"]


class Keys(Parts):
    """Commands on keys of any type."""

    def do_del(self):
        if self.random() < 0.8:
            return self.keys(4), None
        return [self.any_key() for _ in range(1 + self.below(2))], None

    do_unlink = do_del

    def do_exists(self):
        return [self.any_key() for _ in range(1 + self.below(4))], None

    do_touch = do_exists

    def do_type(self):
        return [self.any_key()], None

    def do_keys(self):
        return [self.pick(PATTERNS)], "set"

    def do_randomkey(self):
        return [], "presence"

    def two_keys(self):
        """Source and destination: half of the time of the same family."""
        r = self.random()
        if r < 0.5:
            return [self.key(), self.key()]
        name = self.pick(COLLECTIONS)
        return [self.family_key(name), self.family_key(name)]

    def do_rename(self):
        return self.two_keys(), None

    do_renamenx = do_rename

    def database(self):
        r = self.random()
        if r < 0.95:
            return b"%d" % self.below(DATABASES)
        return self.pick([b"-1", b"16", b"15", b"abc", b"", b"9223372036854775808", b"1.5", b"007"])

    def do_copy(self):
        args = self.two_keys()
        options = []
        if self.random() < 0.4:
            options.append([self.option(b"DB"), self.database()])
        if self.random() < 0.4:
            options.append([self.option(b"REPLACE")])
        if self.random() < 0.03:
            options.append([self.pick([b"BOGUS", b"DB"])])
        for option in self.shuffled(options):
            args += option
        return args, None

    def do_move(self):
        return [self.any_key(), self.database()], None

    def do_dbsize(self):
        return [], None

    def do_flushdb(self):
        return self.pick([[], [b"ASYNC"], [b"sync"], [b"BOGUS"], [b"SYNC", b"x"]]), None

    def do_flushall(self):
        return self.pick([[b"BOGUS"], [b"ASYNC", b"SYNC"], []]), None

    def do_swapdb(self):
        return [self.database(), self.database()], None

    def do_select(self):
        return [self.database()], None

    def expire(self, unit, at):
        args = [self.any_key(), self.ttl_argument(unit, at)]
        if self.random() < 0.5:
            args.append(self.option(self.pick([b"NX", b"XX", b"GT", b"LT"])))
            if self.random() < 0.15:
                args.append(self.option(self.pick([b"NX", b"XX", b"GT", b"LT", b"BOGUS"])))
        elif self.random() < 0.03:
            args.append(b"BOGUS")
        return args, None

    def do_expire(self):
        return self.expire("s", 0)

    def do_pexpire(self):
        return self.expire("ms", 0)

    def do_expireat(self):
        return self.expire("s", 1)

    def do_pexpireat(self):
        return self.expire("ms", 1)

    def do_ttl(self):
        return [self.any_key()], "seconds"

    do_expiretime = do_ttl

    def do_pttl(self):
        return [self.key()], "milliseconds"

    do_pexpiretime = do_pttl

    def do_persist(self):
        return [self.any_key()], None

    def do_object(self):
        r = self.random()
        if r < 0.75:
            return [self.option(b"ENCODING"), self.any_key()], None
        if r < 0.85:
            return [self.option(b"REFCOUNT"), self.any_key()], "presence"
        if r < 0.93:
            return [self.option(b"IDLETIME"), self.any_key()], "presence"
        if r < 0.97:
            return [self.option(b"FREQ"), self.any_key()], None
        return self.pick([[], [b"BOGUS", b"k1"], [b"ENCODING"], [b"encoding", b"k1", b"k2"],
                          [b"REFCOUNT"]]), None

    def do_scan_error(self):
        return [b"SCAN"] + self.pick([[b"abc"], [b"0", b"COUNT", b"0"], [b"0", b"COUNT", b"x"],
                                      [b"0", b"MATCH"], [b"0", b"BOGUS"], [b"0", b"COUNT", b"-5"],
                                      [], [b"1.5"], [b" 0"], [b"99999999999999999999999"],
                                      [b"0", b"COUNT", b"9223372036854775808"]]), None


COMMANDS = [
    ("del", 20), ("unlink", 8), ("exists", 12), ("touch", 6), ("type", 14), ("rename", 14),
    ("renamenx", 10), ("copy", 24), ("move", 8), ("swapdb", 0.4), ("select", 4), ("expire", 20),
    ("pexpire", 14), ("expireat", 14), ("pexpireat", 12), ("ttl", 10), ("pttl", 6),
    ("expiretime", 6), ("pexpiretime", 6), ("persist", 12), ("object", 30, False),
    ("keys", 0.6, False), ("randomkey", 3, False), ("dbsize", 4, False), ("flushdb", 0.08, False),
    ("flushall", 0.04, False), ("scan_error", 2, False),
]
LAWS = []
WHOLE = ["scan_error"]
EDGES = []
