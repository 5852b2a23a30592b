# SPDX-License-Identifier: BSD-3-Clause
"""Hashes, as Redis 7.2 has them."""
from parts import FLOATS, HASHES, INTEGERS, KEYS_OF_EACH, ODD_FLOATS, Parts


class Hashes(Parts):
    """Commands on hashes."""

    def hash_key(self):
        """A key that mostly holds a hash."""
        return self.family_key(HASHES)

    def field_name(self):
        """A field; those that begin with n mostly hold numbers."""
        return b"n%d" % self.below(12) if self.random() < 0.2 else self.element()

    def field_values(self, most=5):
        """Fields and values."""
        args = []
        count = 1 + self.below(most)
        if self.random() < 0.02:
            count = 100 + self.below(200)
        for _ in range(count):
            name = self.field_name()
            number = name[:1] == b"n" and self.random() < 0.9
            args += [name, self.pick(INTEGERS + FLOATS) if number else self.value()]
        return args if self.random() < 0.98 else args[:-1]

    def do_hset(self):
        return [self.hash_key()] + self.field_values(), None

    do_hmset = do_hset

    def do_hsetnx(self):
        return [self.hash_key(), self.field_name(), self.value()], None

    def do_hget(self):
        return [self.hash_key(), self.field_name()], None

    do_hexists = do_hstrlen = do_hget

    def do_hmget(self):
        return [self.hash_key()] + [self.field_name() for _ in range(1 + self.below(5))], None

    do_hdel = do_hmget

    def do_hlen(self):
        return [self.hash_key()], None

    def do_hkeys(self):
        return [self.hash_key()], "set"

    do_hvals = do_hkeys

    def do_hgetall(self):
        return [self.hash_key()], "pairs"

    def do_hincrby(self):
        return [self.hash_key(), self.field_name(), self.integer()], None

    def do_hincrbyfloat(self):
        amount = self.pick(FLOATS) if self.random() < 0.85 else self.pick(ODD_FLOATS)
        return [self.hash_key(), self.field_name(), amount], None

    def law_hrandfield(self):
        return self.chance_args(self.hash_key(), b"WITHVALUES")

    def edge_hash(self):
        """A hash across its limit."""
        key = HASHES % self.below(KEYS_OF_EACH)
        long = b"v" * self.pick([31, 32, 33, 63, 64, 65])
        return self.across(key, [b"HSET"], lambda i: [b"field%d" % i, b"%d" % i],
                           [b"HDEL", key, b"field0", b"field1"]) + [
            ([b"DEL", key], None), ([b"HSET", key, b"f", b"1"], None),
            ([b"HSET", key] + self.shuffled([long, b"f"]), None),
            ([b"OBJECT", b"ENCODING", key], None)]


COMMANDS = [
    ("hset", 60), ("hmset", 8), ("hsetnx", 10), ("hget", 20), ("hexists", 6), ("hstrlen", 8),
    ("hmget", 14), ("hdel", 16), ("hlen", 8), ("hkeys", 8, False), ("hvals", 8, False),
    ("hgetall", 16, False), ("hincrby", 16), ("hincrbyfloat", 14),
]
LAWS = [("hrandfield", 4)]
WHOLE = []
EDGES = ["edge_hash"]
