# SPDX-License-Identifier: BSD-3-Clause
"""Seeded random command streams for the differential test.

A stream is a sequence of steps. Most are batches: one connection sends a pipeline of commands,
each with a name of the way its replies are compared (None: byte for byte; see compare.py). The
other steps are a full SCAN iteration and a wait for short expiries. Everything follows from the
seed: the same seed and options give the same stream.
"""
import random

CONNECTIONS = 3
DATABASES = 4

INTEGERS = [b"0", b"1", b"-1", b"2", b"7", b"10", b"100", b"-100", b"9223372036854775807",
            b"-9223372036854775808", b"9223372036854775806", b"4611686018427387904",
            b"4294967296", b"2147483647", b"65536"]
ODD_INTEGERS = [b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"+1",
                b" 1", b"1 ", b"01", b"-0", b"0x10", b"", b"abc", b"1.5", b"1e3", b"-", b"nan",
                b"1\x00", b"00", b"9" * 40]
FLOATS = [b"1", b"0", b"-1", b"1.5", b"-2.25", b"0.1", b"3.0e3", b"1e10", b"-1e-3", b"100000",
          b"0.000001", b"5.0", b"1e17", b"123456789.125"]
ODD_FLOATS = [b"inf", b"-inf", b"+inf", b"nan", b"abc", b"", b"1e400", b" 1", b"1 ", b"0x1p3",
              b"1..2", b"1e", b"1,5", b"-", b"infinity", b"1e5000", b"1e4931"]
VALUES = [b"", b"a", b"hello", b"hello world", b"\x00\xff\x80\r\n", b"0", b"-1", b"12345", b"3.14",
          b"x" * 43, b"x" * 44, b"x" * 45, b"y" * 63, b"y" * 64, b"y" * 65, b"z" * 255, b"z" * 256,
          b"10000", b"9999", b"-9223372036854775808", b"9223372036854775807", b" 5", b"05",
          b"12345678901234567890", b"1234567890123456789012345", b"1e5", b"foobar", b"ohmytext",
          b"mynewtext", b"\xff" * 8, b"\x00" * 9]
ODD_KEYS = [b"", b"\x00", b"\xff\xfe", b"{}", b"{}x", b"{", b"}", b"{a", b"a b", b"a\r\nb", b"*",
            b"?", b"[k]", b"K" * 1000, b"{tag}", b"{tag}{x}", b"x{tag}y", b"{{tag}}",
            b"caf\xc3\xa9"]
PATTERNS = [b"*", b"k*", b"k?", b"k1*", b"[kn]*", b"k[0-3]", b"k[^1]*", b"\\*", b"*a*", b"", b"?",
            b"n*[0-4]", b"{*}*", b"k[", b"**1", b"w*77*", b"\\", b"k\\1*", b"[z-a]1", b"*\xff*"]
FIELD_TYPES = [b"u8", b"i8", b"u1", b"i1", b"u63", b"i64", b"i16", b"u32", b"i5", b"u7", b"I8",
               b"u0", b"u64", b"i65", b"x8", b"i", b"", b"u08"]
COMMAND_NAMES = [b"get", b"GET", b"set", b"mset", b"copy", b"nosuch", b"bitop", b"object|encoding",
                 b"object", b"exec", b"client|list", b"xy\r\nz", b""]


class Generator:
    """Produces steps until told to stop. One instance for one stream."""

    def __init__(self, seed, batch):
        self.rng = random.Random(seed)
        self.random = self.rng.random
        self.batch = batch
        self.in_multi = [False] * CONNECTIONS
        self.stuck = [0] * CONNECTIONS
        names, weights = zip(*COMMANDS)
        self.choices = self.rng.choices
        self.names = [name.encode() for name in names]
        self.makers = [getattr(Generator, "do_" + name) for name in names]
        self.order = range(len(names))
        self.weights = []
        total = 0
        for weight in weights:
            total += weight
            self.weights.append(total)
        self.short_keys = 0

    # Choosing parts of commands.

    def below(self, bound):
        """An integer in [0, bound)."""
        return int(self.random() * bound)

    def pick(self, items):
        """One of the items."""
        return items[int(self.random() * len(items))]

    def key(self):
        """A key of any family but the large values'."""
        r = self.random()
        if r < 0.55:
            return b"k%d" % self.below(120)
        if r < 0.70:
            return b"{t%d}k%d" % (self.below(6), self.below(8))
        if r < 0.80:
            return b"n%d" % self.below(30)
        if r < 0.85:
            return b"b%d" % self.below(20)
        if r < 0.96:
            return b"w%d" % self.below(20000)
        return self.pick(ODD_KEYS)

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

    def value(self):
        """A short value of any kind."""
        r = self.random()
        if r < 0.4:
            return self.pick(VALUES)
        if r < 0.6:
            return b"%d" % self.below(100000)
        if r < 0.9:
            return b"v%d" % self.below(1000000)
        return self.rng.randbytes(self.below(300))

    def integer(self):
        """An integer argument, one in eight not really an integer."""
        r = self.random()
        if r < 0.5:
            return b"%d" % (self.below(200) - 100)
        if r < 0.875:
            return self.pick(INTEGERS)
        return self.pick(ODD_INTEGERS)

    def index(self):
        """An offset into a string."""
        r = self.random()
        if r < 0.85:
            return b"%d" % (self.below(80) - 40)
        return self.integer()

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

    def option(self, word):
        """An option's name, in any case."""
        r = self.random()
        if r < 0.6:
            return word
        return word.lower() if r < 0.9 else word.capitalize()

    def seconds(self):
        """A relative expiry far from now and unlike any other."""
        return b"%d" % (100 + self.below(100000000))

    def at_seconds(self):
        """An absolute expiry in the far future, drawn from few values so that they collide."""
        return b"%d" % (4000000000 + 1000 * self.below(5))

    def ttl_argument(self, unit, at):
        """An expiry argument: mostly sensible, sometimes in the past or no number."""
        r = self.random()
        if r < 0.82:
            value = self.at_seconds() if at else self.seconds()
            return value + b"000" if unit == "ms" else value
        if r < 0.9:
            return self.pick([b"0", b"-1", b"-100", b"1"] if at else [b"0", b"-1", b"-100"])
        return self.pick([b"9223372036854775807", b"-9223372036854775808", b"9223372036854775",
                          b"9223372036854770", b"abc", b"", b"1.5", b"9223372036854775808"])

    def shuffled(self, items):
        """The items in random order."""
        self.rng.shuffle(items)
        return items

    # Commands: each returns (arguments after the name, way of comparing).

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
        return [self.lcs_key(), bytes(self.choices(b"abcd", k=size))], None

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

    def do_del(self):
        return self.keys(4), None

    do_unlink = do_exists = do_touch = do_del

    def do_type(self):
        return [self.key()], None

    def do_keys(self):
        return [self.pick(PATTERNS)], "set"

    def do_randomkey(self):
        return [], "presence"

    def do_rename(self):
        return [self.key(), self.key()], None

    do_renamenx = do_rename

    def database(self):
        r = self.random()
        if r < 0.95:
            return b"%d" % self.below(DATABASES)
        return self.pick([b"-1", b"16", b"15", b"abc", b"", b"9223372036854775808", b"1.5", b"007"])

    def do_copy(self):
        args = [self.key(), self.key()]
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
        return [self.key(), self.database()], None

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
        args = [self.key(), self.ttl_argument(unit, at)]
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
        return [self.key()], "seconds"

    do_expiretime = do_ttl

    def do_pttl(self):
        return [self.key()], "milliseconds"

    do_pexpiretime = do_pttl

    def do_persist(self):
        return [self.key()], None

    def do_object(self):
        r = self.random()
        if r < 0.75:
            return [self.option(b"ENCODING"), self.key()], None
        if r < 0.85:
            return [self.option(b"REFCOUNT"), self.key()], "presence"
        if r < 0.93:
            return [self.option(b"IDLETIME"), self.key()], "presence"
        if r < 0.97:
            return [self.option(b"FREQ"), self.key()], None
        return self.pick([[], [b"BOGUS", b"k1"], [b"ENCODING"], [b"encoding", b"k1", b"k2"],
                          [b"REFCOUNT"]]), None

    def do_scan_error(self):
        return self.pick([[b"abc"], [b"0", b"COUNT", b"0"], [b"0", b"COUNT", b"x"],
                          [b"0", b"MATCH"], [b"0", b"BOGUS"], [b"0", b"COUNT", b"-5"], [],
                          [b"1.5"], [b" 0"], [b"99999999999999999999999"],
                          [b"0", b"COUNT", b"9223372036854775808"]]), "scan"

    def do_echo(self):
        return [self.value()], None

    def do_ping(self):
        return ([] if self.random() < 0.5 else [self.value()]), None

    def do_unknown(self):
        return [self.value()] * self.below(4), None

    def do_arity(self):
        return [self.value()] * self.below(3), None

    def do_watch(self):
        return self.keys(3), None

    def do_unwatch(self):
        return [], None

    def do_exec(self):
        return [], "exec"

    def do_discard(self):
        return [], None

    def do_large(self):
        return None, None

    def do_command_getkeys(self):
        args = [self.pick([b"GETKEYS", b"GETKEYSANDFLAGS"])]
        return args + self.pick([[b"GET", b"k"], [b"MSET", b"a", b"1", b"b", b"2"],
                                 [b"GET", b"a", b"b"],
                                 [b"COPY", b"a", b"b"], [b"nosuch", b"x"], [b"PING", b"x"],
                                 [b"SET", b"a", b"b", b"GET"], [b"SET", b"a", b"b"],
                                 [b"BITOP", b"AND", b"d", b"a", b"b"], [b"DEL", b"a", b"b"],
                                 [b"LCS", b"a", b"b"], [b"OBJECT", b"ENCODING", b"k"],
                                 [b"BITFIELD", b"k", b"GET", b"u8", b"0"], [b"MSET", b"a"]]), None

    # Steps.

    def command(self, connection):
        """One command with the way its replies are compared; changes `in_multi`."""
        i = self.choices(self.order, cum_weights=self.weights)[0]
        name = self.names[i]
        args, how = self.makers[i](self)
        if name == b"large":
            return self.large_command()
        if name in RENAMED:
            name = RENAMED[name]
        elif name == b"arity":
            name = self.names[self.below(ARITY_NAMES)]
            if name == b"substr" or name in RENAMED:
                name = b"get"
        elif name == b"unknown":
            name = self.pick([b"nosuch", b"GETT", b"x" * 200, b"", b"\x00\xff", b"a\r\nb", b"'q'"])
        elif name == b"exec" and self.in_multi[connection]:
            self.in_multi[connection] = False
        elif name == b"discard":
            self.in_multi[connection] = False
        if self.random() < 0.08:
            name = name.upper() if self.random() < 0.7 else name.capitalize()
        return [name] + args, how

    def large_command(self):
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

    def transaction(self):
        """A whole MULTI block, with queue-time and run-time errors."""
        block = []
        if self.random() < 0.3:
            block.append(([b"WATCH"] + self.keys(3), None))
            if self.random() < 0.3:
                block.append(([b"SET", self.key(), self.value()], None))
        block.append(([b"MULTI"], None))
        for _ in range(self.below(7)):
            args, how = self.command(0)
            if args[0].lower() in (b"exec", b"discard", b"watch"):
                continue
            block.append((args, how))
        if self.random() < 0.06:
            block.append(self.pick([([b"MULTI"], "nested"), ([b"WATCH", b"k1"], None),
                                    ([b"nosuch"], None), ([b"GET"], None)]))
        block.append(([b"DISCARD"], None) if self.random() < 0.1 else ([b"EXEC"], "exec"))
        return block

    def batch_step(self):
        """("batch", connection, commands)."""
        connection = self.below(CONNECTIONS)
        commands = []
        size = 1 + self.below(2 * self.batch)
        while len(commands) < size:
            r = self.random()
            if r < 0.025 and not self.in_multi[connection]:
                kept = list(self.in_multi)
                commands += self.transaction()
                self.in_multi = kept
            elif r < 0.0255:
                commands.append(([b"MULTI"], "nested" if self.in_multi[connection] else None))
                self.in_multi[connection] = True
            elif r < 0.026 and not self.in_multi[connection]:
                # Redis 7.0 calls this an arity error, which within MULTI would abort it.
                word = self.pick([b"GETKEYS", b"GETKEYSANDFLAGS"])
                commands.append(([b"COMMAND", word, self.pick([b"GET", b"PING", b"x"])], None))
            else:
                commands.append(self.command(connection))
        if self.in_multi[connection]:
            self.stuck[connection] += 1
            if self.stuck[connection] > 2 or self.random() < 0.4:
                commands.append(([b"EXEC"], "exec"))
                self.in_multi[connection] = False
        if not self.in_multi[connection]:
            self.stuck[connection] = 0
        return "batch", connection, commands

    def expiry_step(self, connection):
        """A batch of keys that expire within milliseconds; a later step finds them gone."""
        commands, names = [], []
        for _ in range(30):
            self.short_keys += 1
            key = b"short%d" % self.short_keys
            names.append(key)
            when = self.pick([[b"PX", b"%d" % (1 + self.below(20))], [b"PXAT", b"1"],
                              [b"EXAT", b"7"]])
            commands.append(([b"SET", key, b"v"] + when, None))
        checks = [([self.pick([b"GET", b"EXISTS", b"TTL", b"STRLEN", b"GETEX", b"PERSIST",
                               b"TYPE"]),
                    key], None) for key in names]
        checks += [([b"SET", key, b"again", b"KEEPTTL"], None) for key in names[:5]]
        checks += [([b"TTL", key], None) for key in names[:5]]
        return "expiry", connection, commands, checks

    def scan_step(self, connection):
        """A full iteration; the options after the cursor."""
        options = []
        if self.random() < 0.5:
            options += [b"MATCH", self.pick(PATTERNS)]
        if self.random() < 0.6:
            options += [b"COUNT", self.pick([b"1", b"10", b"100", b"1000", b"100000"])]
        if self.random() < 0.2:
            options += [b"TYPE", self.pick([b"string", b"STRING", b"list"])]
        return "scan", connection, options

    def steps(self):
        """Steps without end."""
        number = 0
        while True:
            number += 1
            idle = [i for i in range(CONNECTIONS) if not self.in_multi[i]]
            if number % 60 == 0 and idle:
                yield self.scan_step(self.pick(idle))
            if number % 400 == 0 and idle:
                yield self.expiry_step(self.pick(idle))
            yield self.batch_step()


# Names and weights. The first ARITY_NAMES of them also serve the arity errors.
COMMANDS = [
    ("set", 140), ("get", 120), ("getset", 12), ("getdel", 10), ("getex", 16), ("setnx", 14),
    ("setex", 10), ("psetex", 8), ("mset", 30), ("msetnx", 12), ("mget", 40), ("append", 20),
    ("strlen", 14), ("getrange", 20), ("substr", 4), ("setrange", 16), ("incr", 20), ("decr", 10),
    ("incrby", 16), ("decrby", 10), ("incrbyfloat", 14), ("lcs", 6), ("setbit", 20), ("getbit", 14),
    ("bitcount", 14), ("bitpos", 14), ("bitop", 12), ("bitfield", 14), ("bitfield_ro", 6),
    ("del", 24), ("unlink", 10), ("exists", 12), ("touch", 6), ("type", 8), ("rename", 14),
    ("renamenx", 10), ("copy", 16), ("move", 8), ("swapdb", 0.4), ("select", 4), ("expire", 20),
    ("pexpire", 14), ("expireat", 14), ("pexpireat", 12), ("ttl", 10), ("pttl", 6),
    ("expiretime", 6), ("pexpiretime", 6), ("persist", 12), ("echo", 4), ("watch", 3),
    # Not for arity errors: no arguments is right for some of these.
    ("object", 20), ("keys", 0.6), ("randomkey", 3), ("dbsize", 4), ("flushdb", 0.08),
    ("flushall", 0.04), ("set_lcs", 10), ("scan_error", 2), ("ping", 4), ("unknown", 3),
    ("arity", 10), ("unwatch", 1), ("exec", 0.5), ("discard", 0.5), ("large", 6),
    ("command_getkeys", 2),
]
ARITY_NAMES = 51
RENAMED = {b"set_lcs": b"set", b"scan_error": b"scan", b"command_getkeys": b"command"}
