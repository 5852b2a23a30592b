# SPDX-License-Identifier: BSD-3-Clause
"""Strings and bits."""
from parts import FLOATS, ODD_FLOATS, Parts

FIELD_TYPES = [b"u8", b"i8", b"u1", b"i1", b"u63", b"i64", b"i16", b"u32", b"i5", b"u7", b"I8",
               b"u0", b"u64", b"i65", b"x8", b"i", b"", b"u08"]


class Strings(Parts):
    """Commands on strings and bits: each returns (arguments after the name, way of comparing)."""

    def number_key(self):
        """A key that mostly holds a number."""
        return b"n%d" % self.below(30) if self.random() < 0.9 else self.key()

    def bit_key(self):
        """A key that mostly holds a bitmap."""
        return b"b%d" % self.below(20) if self.random() < 0.85 else self.key()

    def large_key(self):
        """A key whose value may be large."""
        return b"large%d" % self.below(6)

    def lcs_key(self):
        """A key whose value is short enough for LCS."""
        return b"lcs%d" % self.below(8)

    def offset(self):
        """An offset that may lengthen a value, within reason."""
        r = self.random()
        if r < 0.9:
            return b"%d" % self.below(600)
        return self.pick([b"-1", b"536870912", b"4294967296", b"9223372036854775807", b"abc", b"",
                          b"0", b"536870911x"])

    def bit_offset(self):
        """A bit offset, within reason."""
        r = self.random()
        if r < 0.92:
            return b"%d" % self.below(2000)
        return self.pick([b"-1", b"4294967296", b"4294967295x", b"abc", b"",
                          b"9223372036854775808"])

    def do_set(self):
        args = [self.key(), self.value()]
        if self.random() < 0.6:
            return args, None
        options = []
        r = self.random()
        if r < 0.4:
            options.append([self.option(self.pick([b"NX", b"XX"]))])
        if self.random() < 0.35:
            options.append([self.option(b"GET")])
        if self.random() < 0.5:
            options.append(self.set_expiry_option())
        if self.random() < 0.06:
            options.append([self.pick([b"BOGUS", b"NX", b"XX", b"EX", b"PERSIST", b"KEEPTTL",
                                       b""])])
        for option in self.shuffled(options):
            args += option
        return args, None

    def expiry_option(self, kinds):
        word, unit, at = self.pick(kinds)
        if not unit:
            return [self.option(word)]
        return [self.option(word), self.ttl_argument(unit, at)]

    def set_expiry_option(self):
        """As SET takes it; never in the past, as such a key may stay until it is looked at, and
        DBSIZE counts it or not (expiry_step has those)."""
        option = self.expiry_option([(b"EX", "s", 0), (b"PX", "ms", 0), (b"EXAT", "s", 1),
                                     (b"PXAT", "ms", 1), (b"KEEPTTL", "", 0)])
        if len(option) == 2 and option[0].upper() in (b"EXAT", b"PXAT") and option[1] == b"1":
            option[1] = b"0"
        return option

    def do_get(self):
        return [self.key()], None

    def do_getset(self):
        return [self.key(), self.value()], None

    def do_getdel(self):
        return [self.key()], None

    def do_getex(self):
        args = [self.key()]
        if self.random() < 0.8:
            args += self.expiry_option([(b"EX", "s", 0), (b"PX", "ms", 0), (b"EXAT", "s", 1),
                                        (b"PXAT", "ms", 1), (b"PERSIST", "", 0)])
        if self.random() < 0.05:
            args.append(self.pick([b"KEEPTTL", b"PERSIST", b"NX", b"EX"]))
        return args, None

    def do_setnx(self):
        return [self.key(), self.value()], None

    def do_setex(self):
        return [self.key(), self.ttl_argument("s", 0), self.value()], None

    def do_psetex(self):
        return [self.key(), self.ttl_argument("ms", 0), self.value()], None

    def pairs(self, most=6):
        args = []
        for _ in range(1 + self.below(most)):
            args += [self.key(), self.value()]
        return args

    def do_mset(self):
        args = self.pairs()
        return (args if self.random() < 0.97 else args[:-1]), None

    def do_msetnx(self):
        args = self.pairs(3)
        return (args if self.random() < 0.97 else args[:-1]), None

    def keys(self, most=6):
        return [self.key() for _ in range(1 + self.below(most))]

    def do_mget(self):
        return self.keys(), None

    def do_append(self):
        return [self.key(), self.value()], None

    def do_strlen(self):
        return [self.key()], None

    def do_getrange(self):
        return [self.key(), self.index(), self.index()], None

    do_substr = do_getrange

    def do_setrange(self):
        return [self.key(), self.offset(), self.value()], None

    def do_incr(self):
        return [self.number_key()], None

    do_decr = do_incr

    def do_incrby(self):
        return [self.number_key(), self.integer()], None

    do_decrby = do_incrby

    def do_incrbyfloat(self):
        amount = self.pick(FLOATS) if self.random() < 0.85 else self.pick(ODD_FLOATS)
        return [self.number_key(), amount], None

    def do_lcs(self):
        args = [self.lcs_key(), self.lcs_key()]
        for word in self.shuffled([b"IDX", b"LEN", b"WITHMATCHLEN", b"MINMATCHLEN"]):
            if self.random() < 0.35:
                args.append(self.option(word))
                if word == b"MINMATCHLEN":
                    number = b"%d" % (self.below(8) - 1)
                    args.append(number if self.random() < 0.9 else self.integer())
        if self.random() < 0.03:
            args.append(b"BOGUS")
        return args, None

    def do_set_lcs(self):
        size = self.below(60)
        return [b"SET", self.lcs_key(), bytes(self.choices(b"abcd", k=size))], None

    def do_setbit(self):
        bit = self.pick([b"0", b"1", b"1", b"1"]) if self.random() < 0.96 else self.integer()
        return [self.bit_key(), self.bit_offset(), bit], None

    def do_getbit(self):
        return [self.bit_key(), self.bit_offset()], None

    def do_bitcount(self):
        args = [self.bit_key()]
        if self.random() < 0.7:
            args += [self.index(), self.index()]
            if self.random() < 0.5:
                args.append(self.option(self.pick([b"BYTE", b"BIT", b"BIT", b"BOGUS"])))
        elif self.random() < 0.05:
            args.append(self.index())
        return args, None

    def do_bitpos(self):
        args = [self.bit_key(), self.pick([b"0", b"1"]) if self.random() < 0.95 else self.integer()]
        if self.random() < 0.6:
            args.append(self.index())
            if self.random() < 0.7:
                args.append(self.index())
                if self.random() < 0.5:
                    args.append(self.option(self.pick([b"BYTE", b"BIT", b"BIT", b"BOGUS"])))
        return args, None

    def do_bitop(self):
        word = self.pick([b"AND", b"OR", b"XOR", b"NOT"]) if self.random() < 0.97 else b"NAND"
        sources = [self.bit_key() for _ in range(1 if word == b"NOT" else 1 + self.below(4))]
        if self.random() < 0.03:
            sources.append(self.bit_key())
        return [self.option(word), self.bit_key()] + sources, None

    def field(self):
        kind = FIELD_TYPES[self.below(10)] if self.random() < 0.95 else self.pick(FIELD_TYPES)
        r = self.random()
        where = b"%d" % self.below(200) if r < 0.6 else b"#%d" % self.below(20)
        if r > 0.97:
            where = self.pick([b"-1", b"#-1", b"#", b"abc", b"4294967296", b"#9223372036854775807"])
        return [kind, where]

    def do_bitfield(self):
        args = [self.bit_key()]
        for _ in range(self.below(5)):
            r = self.random()
            if r < 0.35:
                args += [self.option(b"GET")] + self.field()
            elif r < 0.6:
                args += [self.option(b"SET")] + self.field() + [self.integer()]
            elif r < 0.85:
                args += [self.option(b"INCRBY")] + self.field() + [self.integer()]
            elif r < 0.98:
                mode = self.pick([b"WRAP", b"SAT", b"FAIL", b"wrap", b"sat", b"fail"])
                args += [self.option(b"OVERFLOW"), mode]
            else:
                args += [self.pick([b"OVERFLOW", b"BOGUS", b"GET"]), b"u8"]
        return args, None

    def do_bitfield_ro(self):
        args = [self.bit_key()]
        for _ in range(self.below(4)):
            args += [self.option(b"GET")] + self.field()
        if self.random() < 0.05:
            args += [b"SET"] + self.field() + [b"1"]
        return args, None

    def do_large(self):
        """A command on a large value. These stay among keys of their own."""
        r = self.below(9)
        key = self.large_key()
        if r == 0:
            return [b"SET", key, self.rng.randbytes(1) * self.pick([1000, 16000, 40000,
                                                                    70000])], None
        if r == 1:
            return [b"SETRANGE", key, b"%d" % self.below(70000), self.value()], None
        if r == 2:
            return [b"COPY", key, self.large_key(), b"REPLACE"], None
        if r == 3:
            return [b"SETBIT", key, b"%d" % self.below(500000), b"1"], None
        if r == 4:
            return [b"BITCOUNT", key], None
        if r == 5:
            return [b"STRLEN", key], None
        if r == 6:
            return [b"GETRANGE", key, b"%d" % self.below(70000), b"%d" % self.below(70000)], None
        if r == 7:
            return [b"DEL", key], None
        return [b"GET", key], None


COMMANDS = [
    ("set", 140), ("get", 120), ("getset", 12), ("getdel", 10), ("getex", 16), ("setnx", 14),
    ("setex", 10), ("psetex", 8), ("mset", 30), ("msetnx", 12), ("mget", 40), ("append", 20),
    ("strlen", 14), ("getrange", 20), ("substr", 4, False), ("setrange", 16), ("incr", 20),
    ("decr", 10), ("incrby", 16), ("decrby", 10), ("incrbyfloat", 14), ("lcs", 6), ("setbit", 20),
    ("getbit", 14), ("bitcount", 14), ("bitpos", 14), ("bitop", 12), ("bitfield", 14),
    ("bitfield_ro", 6), ("set_lcs", 10, False), ("large", 6, False),
]
LAWS = []
WHOLE = ["set_lcs", "large"]
EDGES = []
