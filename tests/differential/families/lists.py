# SPDX-License-Identifier: BSD-3-Clause
"""Lists."""
from parts import KEYS_OF_EACH, LISTS, Parts


class Lists(Parts):
    """Commands on lists."""

    def list_key(self):
        """A key that mostly holds a list."""
        return self.family_key(LISTS)

    def items(self):
        """Items to push: more kinds than members of sets have."""
        if self.random() < 0.7:
            return self.elements()
        return [self.value() for _ in range(1 + self.below(4))]

    def side(self):
        """LEFT or RIGHT, seldom neither."""
        if self.random() < 0.98:
            return self.option(self.pick([b"LEFT", b"RIGHT"]))
        return self.pick([b"MIDDLE", b""])

    def do_rpush(self):
        return [self.list_key()] + self.items(), None

    do_lpush = do_lpushx = do_rpushx = do_rpush

    def do_lpop(self):
        if self.random() < 0.6:
            return [self.list_key()], None
        return [self.list_key(), self.number()], None

    do_rpop = do_lpop

    def do_llen(self):
        return [self.list_key()], None

    def do_lindex(self):
        return [self.list_key(), self.index()], None

    def do_lrange(self):
        return [self.list_key(), self.index(), self.index()], None

    def do_lset(self):
        index = self.index()
        if index.lstrip(b"-").isdigit() and abs(int(index)) >= 1 << 31:
            index = b"2147483647"  # Redis cuts it to 32 bits and finds an item
        return [self.list_key(), index, self.value()], None

    def do_linsert(self):
        where = self.pick([b"BEFORE", b"AFTER"]) if self.random() < 0.97 else b"BESIDE"
        return [self.list_key(), self.option(where), self.element(), self.element()], None

    def do_lrem(self):
        return [self.list_key(), self.number(), self.element()], None

    def do_ltrim(self):
        r = self.random()
        if r < 0.8:  # keeps most
            return [self.list_key(), b"%d" % self.below(4), b"%d" % -(1 + self.below(4))], None
        return [self.list_key(), self.index(), self.index()], None

    def do_lpos(self):
        options = self.shuffled_options([
            (0.4, [self.option(b"RANK"), self.number()]),
            (0.4, [self.option(b"COUNT"), self.number()]),
            (0.3, [self.option(b"MAXLEN"), self.number()])])
        return [self.list_key(), self.element()] + options, None

    def do_rpoplpush(self):
        return [self.list_key(), self.list_key()], None

    def do_lmove(self):
        return [self.list_key(), self.list_key(), self.side(), self.side()], None

    def do_lmpop(self):
        return self.mpop([self.list_key() for _ in range(1 + self.below(3))], self.side()), None

    def mpop(self, keys, where):
        """Arguments of LMPOP and ZMPOP."""
        count = b"%d" % len(keys) if self.random() < 0.95 else self.number()
        args = [count] + keys + [where]
        if self.random() < 0.5:
            args += [self.option(b"COUNT"), self.number(0.95)]
        if self.random() < 0.03:
            args += [self.pick([b"COUNT", b"BOGUS"])]
        return args

    def timeout(self):
        """Of a blocking command: as short as can be."""
        r = self.random()
        if r < 0.9:
            return self.pick([b"0.001", b"0.002", b"0.0001"])
        return self.pick([b"-1", b"abc", b"", b"-0.5", b"1e400", b"inf", b"nan"])

    def do_blpop(self):
        return [self.list_key() for _ in range(1 + self.below(3))] + [self.timeout()], None

    do_brpop = do_blpop

    def do_brpoplpush(self):
        return [self.list_key(), self.list_key(), self.timeout()], None

    def do_blmove(self):
        return [self.list_key(), self.list_key(), self.side(), self.side(), self.timeout()], None

    def do_blmpop(self):
        keys = [self.list_key() for _ in range(1 + self.below(3))]
        return [self.timeout()] + self.mpop(keys, self.side()), None

    def edge_list(self):
        """A list across its limit: a number of items, or bytes."""
        key = LISTS % self.below(KEYS_OF_EACH)
        push = self.pick([b"RPUSH", b"LPUSH"])
        encoding = ([b"OBJECT", b"ENCODING", key], None)
        if self.random() < 0.5:
            count, size = self.pick([(7, 3), (8, 3), (8, 40)]) if self.random() < 0.5 else (4, 2038)
        else:
            count, size = 78 + self.below(4), 99 + self.below(4)
        commands = [([b"DEL", key], None), ([push, key] + [b"x" * size] * count, None), encoding]
        for _ in range(3):
            commands += [([push, key, b"y" * self.pick([1, size])], None), encoding]
        for end in (1, 2, count // 2 + 1, count // 2 + 2):
            commands += [([b"LTRIM", key, b"%d" % end, b"-2"], None), encoding,
                         ([b"LRANGE", key, b"0", b"-1"], None)]
        return commands + [([b"LINSERT", key, b"AFTER", b"x" * size, b"z" * size], None), encoding]


COMMANDS = [
    ("rpush", 40), ("lpush", 30), ("lpushx", 6), ("rpushx", 6), ("lpop", 16), ("rpop", 16),
    ("llen", 8), ("lindex", 12), ("lrange", 24), ("lset", 14), ("linsert", 12), ("lrem", 10),
    ("ltrim", 5), ("lpos", 12), ("rpoplpush", 8), ("lmove", 10), ("lmpop", 8),
    ("blpop", 2, False), ("brpop", 2, False), ("brpoplpush", 2, False), ("blmove", 2, False),
    ("blmpop", 2, False),
]
LAWS = []
WHOLE = []
EDGES = ["edge_list"]
