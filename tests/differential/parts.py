# SPDX-License-Identifier: BSD-3-Clause
"""Parts of random commands: keys, values, numbers, options.

Keys of each family have names of their own, so that most commands find the type they want; one key
in eight is any other. Everything follows from the seed. Base of the families' mixins.
"""
import random

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
# Where each family keeps its values: few keys, so that they grow and are used again.
LISTS, SETS, HASHES, ZSETS, STREAMS, LOGS, PLACES = (
    b"list%d", b"set%d", b"hash%d", b"zset%d", b"stream%d", b"hll%d", b"geo%d")
COLLECTIONS = [LISTS, SETS, HASHES, ZSETS, STREAMS, LOGS, PLACES]
KEYS_OF_EACH = 8


class Parts:
    """Chooses parts of commands. Deterministic for a seed."""

    version = (7, 2)  # the oracle's: what is newer would be an error to it

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.random = self.rng.random
        self.choices = self.rng.choices

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
        if r < 0.955:
            return b"w%d" % self.below(20000)
        if r < 0.985:
            return self.pick(COLLECTIONS) % self.below(KEYS_OF_EACH)
        return self.pick(ODD_KEYS)

    def collection_key(self):
        """A key that mostly holds a collection."""
        return self.pick(COLLECTIONS) % self.below(KEYS_OF_EACH)

    def any_key(self):
        """A key of any type: what commands on keys want."""
        return self.collection_key() if self.random() < 0.5 else self.key()

    def family_key(self, name, others=0.06):
        """A key of one family, seldom one of any other."""
        r = self.random()
        if r < others:
            return self.key()
        if r < 2 * others:
            return self.collection_key()
        return name % self.below(KEYS_OF_EACH)

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

    def limits(self):
        """The two arguments of a LIMIT."""
        r = self.random()
        if r < 0.9:
            return [b"%d" % (self.below(8) - 1), b"%d" % (self.below(12) - 2)]
        return [self.integer(), self.integer()]

    def number(self, good=0.9):
        """A small count or index, seldom something else."""
        r = self.random()
        if r < good:
            return b"%d" % (self.below(14) - 3)
        return self.integer()

    def element(self):
        """A member, field or item: from few, so that they collide, of all kinds of encoding."""
        r = self.random()
        if r < 0.45:
            return b"m%d" % self.below(40)
        if r < 0.80:
            return b"%d" % self.below(60)
        if r < 0.85:
            return b"%d" % (self.below(1 << 18) - (1 << 17))
        if r < 0.88:
            return self.pick(INTEGERS)
        if r < 0.98:
            return self.pick(VALUES)
        return b"L" * self.pick([10, 31, 32, 33, 60, 63, 64, 65, 200])

    def elements(self, most=6):
        """Some of them, seldom very many."""
        count = 1 + self.below(most)
        if self.random() < 0.02:
            count = 20 + self.below(150)
        return [self.element() for _ in range(count)]

    def shuffled_options(self, options, bogus=0.03):
        """Those options, as lists of words, that chance picks: (probability, words), in any order;
        seldom one that is wrong, or one twice."""
        chosen = [words for probability, words in options if self.random() < probability]
        if self.random() < bogus:
            chosen.append(self.pick([[b"BOGUS"], [b""], [b"COUNT"], [b"LIMIT"]] +
                                    [words for _, words in options]))
        return [word for words in self.shuffled(chosen) for word in words]

    def across(self, key, words, fresh, remove):
        """Commands that let a value grow across a limit of its compact form, one element at a time,
        and shrink again, with a look at its encoding after each. `words`: the command that adds,
        with what is between key and elements; `fresh(i)`: the words of the i-th element; `remove`:
        a command that takes something away."""
        encoding = ([b"OBJECT", b"ENCODING", key], None)
        start = self.pick([12, 12, 128, 512]) - self.below(3)
        first = [word for i in range(start) for word in fresh(i)]
        commands = [([b"DEL", key], None), (words[:1] + [key] + words[1:] + first, None), encoding]
        for i in range(start, start + 4):
            commands += [(words[:1] + [key] + words[1:] + fresh(i), None), encoding]
        return commands + [(remove, None), encoding]
