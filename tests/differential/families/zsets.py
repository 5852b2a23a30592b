# SPDX-License-Identifier: BSD-3-Clause
"""Sorted sets.

Ranges by text have keys of their own, where all scores are equal: elsewhere Redis leaves the answer
to chance.
"""
from parts import KEYS_OF_EACH, ODD_FLOATS, ZSETS, Parts

SCORES = [b"0", b"1", b"-1", b"2", b"3", b"1.5", b"-2.25", b"100", b"0.1", b"1e10", b"-1e-3",
          b"3.0e3", b"1e17", b"123456789.125", b"5", b"0.000001", b"-0", b"9007199254740993",
          b"1e300", b"4294967296", b"0.30000000000000004"]
WEIGHTS = [b"1", b"2", b"0.5", b"-1", b"0", b"3"]


class Zsets(Parts):
    """Commands on sorted sets."""

    def zset_key(self):
        """A key that mostly holds a sorted set."""
        return self.family_key(ZSETS)

    def zset_keys(self, most=3):
        """Keys of sorted sets, now and then of a set."""
        return [self.zset_key() if self.random() < 0.85 else self.set_key()
                for _ in range(1 + self.below(most))]

    def lex_key(self):
        """A key whose members all have the same score."""
        return b"lex%d" % self.below(4)

    def score(self):
        """A score, mostly a small number."""
        r = self.random()
        if r < 0.5:
            return b"%d" % (self.below(60) - 20)
        if r < 0.7:
            return b"%d.%d" % (self.below(40) - 20, self.pick([25, 5, 75]))
        if r < 0.94:
            return self.pick(SCORES)
        return self.pick([b"inf", b"-inf", b"+inf"] if r < 0.955 else ODD_FLOATS)

    def do_zadd(self):
        options = [word for word in (b"NX", b"XX", b"GT", b"LT", b"CH") if self.random() < 0.12]
        increment = self.random() < 0.08
        if increment:
            options.append(b"INCR")
        count = 1 if increment and self.random() < 0.9 else 1 + self.below(6)
        if self.random() < 0.02:
            count = 100 + self.below(100)
        args = [self.zset_key()] + [self.option(word) for word in self.shuffled(options)]
        for _ in range(count):
            args += [self.score(), self.element()]
        return (args if self.random() < 0.98 else args[:-1]), None

    def do_zadd_lex(self):
        args = [b"ZADD", self.lex_key()]
        for _ in range(1 + self.below(6)):
            args += [b"0", self.element()]
        return args, None

    def do_zrem_lex(self):
        return [b"ZREM", self.lex_key()] + self.elements(3), None

    def do_zincrby(self):
        return [self.zset_key(), self.score(), self.element()], None

    def do_zrem(self):
        return [self.zset_key()] + self.elements(), None

    def do_zscore(self):
        return [self.zset_key(), self.element()], None

    def do_zmscore(self):
        return [self.zset_key()] + self.elements(), None

    def do_zcard(self):
        return [self.zset_key()], None

    def do_zrank(self):
        args = [self.zset_key(), self.element()]
        r = self.random()
        if r < 0.33 and self.version >= (7, 2):
            args.append(self.option(b"WITHSCORE") if r < 0.3 else b"BOGUS")
        return args, None

    do_zrevrank = do_zrank

    def bound(self):
        """One end of a range of scores."""
        r = self.random()
        if r < 0.25:
            return self.pick([b"-inf", b"+inf", b"inf", b"(-inf", b"(+inf"])
        if r < 0.95:
            number = b"%d" % (self.below(60) - 20) if r < 0.75 else self.pick(SCORES)
            return b"(" + number if self.random() < 0.3 else number
        return self.pick([b"(", b"", b"abc", b"((1", b"nan", b"1(", b"[1"])

    def lex_bound(self):
        """One end of a range of texts."""
        r = self.random()
        if r < 0.3:
            return self.pick([b"-", b"+"])
        if r < 0.95:
            return self.pick([b"[", b"("]) + self.element()
        return self.pick([b"", b"a", b"[", b"(", b"--", b"+1"])

    def do_zcount(self):
        return [self.zset_key(), self.bound(), self.bound()], None

    def do_zlexcount(self):
        return [self.lex_key(), self.lex_bound(), self.lex_bound()], None

    def limit_option(self, probability):
        """LIMIT with its two arguments, or nothing."""
        return [self.option(b"LIMIT")] + self.limits() if self.random() < probability else []

    def do_zrange(self):
        r = self.random()
        if r < 0.4:
            args = [self.zset_key(), self.index(), self.index()]
            options = [[]]
        elif r < 0.75:
            args = [self.zset_key(), self.bound(), self.bound()]
            options = [[self.option(b"BYSCORE")]]
        else:
            args = [self.lex_key(), self.lex_bound(), self.lex_bound()]
            options = [[self.option(b"BYLEX")]]
        options.append(self.limit_option(0.3 if r >= 0.4 else 0.02))
        if self.random() < 0.3:
            options.append([self.option(b"REV")])
        if self.random() < (0.4 if r < 0.75 else 0.03):
            options.append([self.option(b"WITHSCORES")])
        if self.random() < 0.02:
            options.append([self.pick([b"BOGUS", b"LIMIT", b"BYLEX"])] if r < 0.4 else [b"BOGUS"])
        for option in self.shuffled(options):
            args += option
        return args, None

    def do_zrangestore(self):
        args, how = self.do_zrange()
        args = [word for word in args if word.lower() != b"withscores" or self.random() < 0.1]
        return [b"lex9" if b"lex" in args[0] else self.zset_key()] + args, how

    def do_zrevrange(self):
        args = [self.zset_key(), self.index(), self.index()]
        if self.random() < 0.4:
            args.append(self.option(b"WITHSCORES"))
        return args, None

    def do_zrangebyscore(self):
        args = [self.zset_key(), self.bound(), self.bound()]
        options = [self.limit_option(0.3)]
        if self.random() < 0.4:
            options.append([self.option(b"WITHSCORES")])
        for option in self.shuffled(options):
            args += option
        return args, None

    do_zrevrangebyscore = do_zrangebyscore

    def do_zrangebylex(self):
        return [self.lex_key(), self.lex_bound(), self.lex_bound()] + self.limit_option(0.3), None

    do_zrevrangebylex = do_zrangebylex

    def do_zremrangebyrank(self):
        start = self.below(20) - 10
        return [self.zset_key(), b"%d" % start, b"%d" % (start + self.below(4))], None

    def do_zremrangebyscore(self):
        low = self.below(60) - 20
        if self.random() < 0.2:
            return [self.zset_key(), self.bound(), self.bound()], None
        return [self.zset_key(), b"(%d" % low, b"%d" % (low + self.below(4))], None

    def do_zremrangebylex(self):
        return [self.lex_key(), self.lex_bound(), self.lex_bound()], None

    def do_zpopmin(self):
        if self.random() < 0.6:
            return [self.zset_key()], None
        return [self.zset_key(), self.number(0.95)], None

    do_zpopmax = do_zpopmin

    def end(self):
        """MIN or MAX, seldom neither."""
        if self.random() < 0.98:
            return self.option(self.pick([b"MIN", b"MAX"]))
        return b"MEAN"

    def do_zmpop(self):
        keys = [self.zset_key() for _ in range(1 + self.below(3))]
        return self.mpop(keys, self.end()), None

    def do_bzpopmin(self):
        return [self.zset_key() for _ in range(1 + self.below(3))] + [self.timeout()], None

    do_bzpopmax = do_bzpopmin

    def do_bzmpop(self):
        return [self.timeout()] + self.do_zmpop()[0], None

    def combination(self, weighted, with_scores, most=3):
        """Arguments of ZUNION and its kin."""
        keys = self.zset_keys(most)
        args = [b"%d" % len(keys) if self.random() < 0.96 else self.number()] + keys
        options = []
        if weighted and self.random() < 0.4:
            count = len(keys) if self.random() < 0.96 else self.below(4)
            options.append([self.option(b"WEIGHTS")] + [self.pick(WEIGHTS) for _ in range(count)])
        if weighted and self.random() < 0.4:
            options.append([self.option(b"AGGREGATE"),
                            self.option(self.pick([b"SUM", b"MIN", b"MAX"]))])
        if with_scores and self.random() < 0.5:
            options.append([self.option(b"WITHSCORES")])
        if self.random() < 0.03:
            options.append([self.pick([b"BOGUS", b"WEIGHTS", b"AGGREGATE", b"LIMIT"])])
        for option in self.shuffled(options):
            args += option
        return args

    # Of two only: sums of three may depend on the order, which Redis does not tell.
    def do_zunion(self):
        return self.combination(True, True, 2), None

    do_zinter = do_zunion

    def do_zdiff(self):
        return self.combination(False, True), None

    def do_zunionstore(self):
        return [self.zset_key()] + self.combination(True, False, 2), None

    do_zinterstore = do_zunionstore

    def do_zdiffstore(self):
        return [self.zset_key()] + self.combination(False, False), None

    def do_zintercard(self):
        args = self.combination(False, False)
        if self.random() < 0.4:
            args += [self.option(b"LIMIT"), self.number()]
        return args, None

    def law_zrandmember(self):
        return self.chance_args(self.zset_key(), b"WITHSCORES")

    def edge_zset(self):
        """A sorted set across its limit."""
        key = ZSETS % self.below(KEYS_OF_EACH)
        encoding = ([b"OBJECT", b"ENCODING", key], None)
        return self.across(key, [b"ZADD"], lambda i: [self.score(), b"member%d" % i],
                           [b"ZREM", key, b"member0", b"member1"]) + [
            ([b"ZUNIONSTORE", key, b"2", key, self.zset_key()], None), encoding,
            ([b"ZRANGESTORE", key, key, b"0", b"%d" % self.pick([10, 11, 12, 126, 127, 128])],
             None), encoding, ([b"DEL", key], None),
            ([b"ZADD", key, b"1", b"m" * self.pick([31, 32, 33, 63, 64, 65])], None), encoding]


COMMANDS = [
    ("zadd", 70), ("zincrby", 16), ("zrem", 14), ("zscore", 12), ("zmscore", 8), ("zcard", 6),
    ("zrank", 12), ("zrevrank", 8), ("zcount", 10), ("zlexcount", 5), ("zrange", 36),
    ("zrangestore", 8), ("zrevrange", 6), ("zrangebyscore", 10), ("zrevrangebyscore", 8),
    ("zrangebylex", 6), ("zrevrangebylex", 6), ("zremrangebyrank", 5), ("zremrangebyscore", 5),
    ("zremrangebylex", 3), ("zpopmin", 8), ("zpopmax", 8), ("zmpop", 6), ("zunion", 8),
    ("zinter", 8), ("zdiff", 6), ("zunionstore", 6), ("zinterstore", 5), ("zdiffstore", 4),
    ("zintercard", 6), ("zadd_lex", 14, False), ("zrem_lex", 4, False), ("bzpopmin", 2, False),
    ("bzpopmax", 2, False), ("bzmpop", 2, False),
]
LAWS = [("zrandmember", 4)]
WHOLE = ["zadd_lex", "zrem_lex"]
EDGES = ["edge_zset"]
