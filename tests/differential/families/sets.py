# SPDX-License-Identifier: BSD-3-Clause
"""Sets."""
from parts import KEYS_OF_EACH, SETS, Parts


class Sets(Parts):
    """Commands on sets."""

    def set_key(self):
        """A key that mostly holds a set."""
        return self.family_key(SETS)

    def members(self):
        """Members to add: every third time integers only, so that intsets stay intsets."""
        if self.random() < 0.35:
            return [b"%d" % self.below(60) for _ in range(1 + self.below(8))]
        if self.random() < 0.05:
            start = self.below(1000000)
            return [b"%d" % (start + i) for i in range(self.below(200) + 1)]
        return self.elements()

    def set_keys(self, most=4):
        """Keys of sets."""
        return [self.set_key() for _ in range(1 + self.below(most))]

    def do_sadd(self):
        key = self.set_key()
        if key in (b"set0", b"set1") and self.random() < 0.98:
            return [key] + [b"%d" % self.below(100) for _ in range(1 + self.below(6))], None
        return [key] + self.members(), None

    def do_srem(self):
        return [self.set_key()] + self.elements(), None

    def do_sismember(self):
        return [self.set_key(), self.element()], None

    def do_smismember(self):
        return [self.set_key()] + self.elements(), None

    def do_scard(self):
        return [self.set_key()], None

    def do_smembers(self):
        return [self.set_key()], "set"

    def do_smove(self):
        return [self.set_key(), self.set_key(), self.element()], None

    def do_sunion(self):
        return self.set_keys(), "set"

    do_sinter = do_sdiff = do_sunion

    def do_sunionstore(self):
        return [self.set_key()] + self.set_keys(), None

    do_sinterstore = do_sdiffstore = do_sunionstore

    def do_sintercard(self):
        keys = self.set_keys()
        count = b"%d" % len(keys) if self.random() < 0.93 else self.number()
        args = [count] + keys
        if self.random() < 0.5:
            args += [self.option(b"LIMIT"), self.number()]
        if self.random() < 0.03:
            args.append(self.pick([b"LIMIT", b"BOGUS"]))
        return args, None

    def do_spop_all(self):
        return [b"SPOP", self.set_key(), self.pick([b"1000000", b"1000000", b"0", b"-1", b"x"])], \
            "set"

    def chance_args(self, key, pairs):
        """Arguments of a command that picks at random."""
        r = self.random()
        if r < 0.3:
            return [key]
        args = [key, b"%d" % (self.below(40) - 15)]
        if r > 0.95:
            args[1] = self.pick([b"0", b"1000000", b"x", b"", b"-9223372036854775808",
                                 b"9223372036854775807", b"1.5"])
        if pairs and self.random() < 0.5:
            args.append(self.option(pairs))
        if self.random() < 0.02:
            args.append(b"BOGUS")
        return args

    def law_spop(self):
        args = self.chance_args(self.set_key(), None)
        if len(args) > 1 and args[1][:1] != b"-" and self.random() < 0.7:
            args[1] = b"%d" % self.below(4)
        return args

    def law_srandmember(self):
        return self.chance_args(self.set_key(), None)

    def edge_set(self):
        """A set across its limit: of integers, of other members, or of both."""
        key = SETS % self.below(KEYS_OF_EACH)
        kind = self.below(3)

        def fresh(i):
            return [b"%d" % i if kind == 0 or kind == 1 and i < 3 else b"member%d" % i]
        commands = self.across(key, [b"SADD"], fresh, [b"SREM", key] + fresh(0) + fresh(1))
        encoding = ([b"OBJECT", b"ENCODING", key], None)
        long = b"v" * self.pick([31, 32, 33, 63, 64, 65])
        return commands + [([b"SADD", key, self.element()], None), encoding,
                           ([b"DEL", key], None), ([b"SADD", key, b"1", b"a"], None),
                           ([b"SADD", key, long], None), encoding,
                           ([b"SUNIONSTORE", key, key, self.set_key()], None), encoding]


COMMANDS = [
    ("sadd", 60), ("srem", 18), ("sismember", 10), ("smismember", 8), ("scard", 8),
    ("smembers", 16, False), ("smove", 12), ("sunion", 8, False), ("sinter", 8, False),
    ("sdiff", 8, False), ("sunionstore", 5), ("sinterstore", 4), ("sdiffstore", 4),
    ("sintercard", 8), ("spop_all", 1, False),
]
LAWS = [("spop", 5), ("srandmember", 4)]
WHOLE = ["spop_all"]
EDGES = ["edge_set"]
