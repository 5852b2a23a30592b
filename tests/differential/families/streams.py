# SPDX-License-Identifier: BSD-3-Clause
"""Streams and consumer groups.

Ids are explicit and grow as the stream of commands does; those that the server makes of its clock
are a law's (see laws.py). Times that entries have been idle for are compared roughly.
"""
from parts import STREAMS, Parts

GROUPS = [b"g1", b"g2", b"g3"]
CONSUMERS = [b"c1", b"c2", b"c3"]


class Streams(Parts):
    """Commands on streams."""

    stream_clock = 1

    def stream_key(self):
        """A key that mostly holds a stream."""
        return self.family_key(STREAMS, 0.03)

    def group(self):
        """A group's name, seldom of none."""
        return self.pick(GROUPS) if self.random() < 0.96 else self.pick([b"nogroup", b""])

    def consumer(self):
        """A consumer's name."""
        return self.pick(CONSUMERS) if self.random() < 0.97 else b"c%d" % self.below(100)

    def old_id(self):
        """An id of what may be there."""
        clock = self.stream_clock
        r = self.random()
        if r < 0.8:
            milliseconds = max(0, clock - self.below(60))
            return b"%d-%d" % (milliseconds, self.below(3)) if r < 0.5 else b"%d" % milliseconds
        if r < 0.95:
            return self.pick([b"0", b"0-0", b"0-1", b"1-1", b"18446744073709551615",
                              b"18446744073709551615-18446744073709551615"])
        return self.pick([b"", b"abc", b"-", b"1-", b"-1", b"1-1-1", b"1-x", b"01-1", b"+", b"$",
                          b"18446744073709551616", b"1-18446744073709551616", b"*", b">"])

    def new_id(self):
        """An id to add."""
        r = self.random()
        if r < 0.6:
            self.stream_clock += 1
        if r < 0.75:
            return b"%d-%d" % (self.stream_clock, self.below(3))
        if r < 0.9:
            return b"%d-*" % self.stream_clock
        old = self.old_id()
        return b"0-*" if old == b"*" else old  # which is of the clock

    def trimming(self):
        """MAXLEN or MINID with what belongs to it."""
        by_length = self.random() < 0.6
        words = [self.option(b"MAXLEN" if by_length else b"MINID")]
        r = self.random()
        if r < 0.3:
            words.append(b"=")
        elif r < 0.5:
            words.append(b"~")
        if by_length:
            words.append(b"%d" % self.pick([5, 20, 50, 100]) if self.random() < 0.95
                         else self.integer())
        else:
            words.append(self.old_id())
        if self.random() < (0.4 if b"~" in words else 0.03):
            words += [self.option(b"LIMIT"), self.pick([b"0", b"10", b"100", b"-1", b"x"])]
        return words

    def do_xadd(self):
        args = [self.stream_key()]
        if self.random() < 0.1:
            args.append(self.option(b"NOMKSTREAM"))
        if self.random() < 0.12:
            args += self.trimming()
        args.append(self.new_id())
        same = self.random() < 0.5  # the master fields of a node
        for i in range(1 + self.below(3)):
            args += [b"field%d" % i if same else self.element(), self.value()]
        return (args if self.random() < 0.98 else args[:-1]), None

    def do_xtrim(self):
        return [self.stream_key()] + self.trimming(), None

    def do_xdel(self):
        return [self.stream_key()] + [self.old_id() for _ in range(1 + self.below(3))], None

    def do_xlen(self):
        return [self.stream_key()], None

    def range_end(self, low):
        """One end of a range of ids."""
        r = self.random()
        if r < 0.4:
            return b"-" if low else b"+"
        return b"(" + self.old_id() if r < 0.5 else self.old_id()

    def count_option(self, probability=0.5):
        """COUNT with a number, or nothing."""
        if self.random() >= probability:
            return []
        return [self.option(b"COUNT"), self.number()]

    def do_xrange(self):
        args = [self.stream_key(), self.range_end(True), self.range_end(False)]
        return args + self.count_option(), None

    def do_xrevrange(self):
        args = [self.stream_key(), self.range_end(False), self.range_end(True)]
        return args + self.count_option(), None

    def streams(self, new):
        """STREAMS with keys and ids."""
        keys = [self.stream_key() for _ in range(1 + self.below(3))]
        ids = [new if new and self.random() < 0.75 else self.old_id() for _ in keys]
        ids = [b"-" if word == b"+" else word for word in ids]  # of later versions
        if self.random() < 0.02:
            ids = ids[:-1]
        return [self.option(b"STREAMS")] + keys + ids

    def do_xread(self):
        args = self.count_option()
        return args + self.streams(None), None

    def do_xgroup_create(self):
        args = [b"XGROUP", self.option(b"CREATE"), self.stream_key(), self.group(),
                b"$" if self.random() < 0.2 else self.old_id()]
        if self.random() < 0.4:
            args.append(self.option(b"MKSTREAM"))
        if self.random() < 0.15:
            args += [self.option(b"ENTRIESREAD"), self.read_count()]
        return args, None

    def read_count(self):
        """How many entries a group has read: not so many that Redis's counter overflows."""
        return b"%d" % self.below(5000) if self.random() < 0.9 else self.pick([b"-1", b"-2", b"x"])

    def do_xgroup(self):
        r = self.random()
        if r < 0.4:
            args = [self.option(b"SETID"), self.stream_key(), self.group(),
                    b"$" if self.random() < 0.3 else self.old_id()]
            if self.random() < 0.3:
                args += [self.option(b"ENTRIESREAD"), self.read_count()]
            return args, None
        if r < 0.7 and self.version >= (7, 2):
            return [self.option(b"CREATECONSUMER"), self.stream_key(), self.group(),
                    self.consumer()], None
        if r < 0.85:
            return [self.option(b"DELCONSUMER"), self.stream_key(), self.group(),
                    self.consumer()], None
        if r < 0.95:
            return [self.option(b"DESTROY"), self.stream_key(), self.group()], None
        return self.pick([[b"BOGUS", b"a", b"b"], [b"CREATE"], [b"SETID", b"stream1"],
                          [b"CREATE", b"stream1", b"g1", b"0", b"BOGUS"]]), None

    def do_xreadgroup(self):
        args = [self.option(b"GROUP"), self.group(), self.consumer()] + self.count_option()
        if self.random() < 0.15:
            args.append(self.option(b"NOACK"))
        return args + self.streams(b">"), None

    def do_xack(self):
        ids = [self.old_id() for _ in range(1 + self.below(4))]
        return [self.stream_key(), self.group()] + ids, None

    def idle(self):
        """A least time of being idle: everything has it, or nothing."""
        return self.pick([b"0", b"0", b"0", b"1000000000", b"-1", b"x"])

    def do_xpending(self):
        args = [self.stream_key(), self.group()]
        if self.random() < 0.3:
            return args, None
        if self.random() < 0.3:
            args += [self.option(b"IDLE"), self.idle()]
        args += [self.range_end(True), self.range_end(False), self.number()]
        if self.random() < 0.4:
            args.append(self.consumer())
        return args, "idle"

    def do_xclaim(self):
        if self.version < (7, 2):  # makes a consumer only when it has something to claim
            return [self.stream_key()], None
        args = [self.stream_key(), self.group(), self.consumer(), self.idle()]
        args += [self.old_id() for _ in range(1 + self.below(4))]
        args += self.shuffled_options([
            (0.2, [self.option(b"IDLE"), self.pick([b"0", b"5000", b"-5", b"x"])]),
            (0.1, [self.option(b"TIME"), self.pick([b"0", b"1700000000000", b"x"])]),
            (0.2, [self.option(b"RETRYCOUNT"), self.number(1)]),
            (0.2, [self.option(b"FORCE")]), (0.3, [self.option(b"JUSTID")]),
            (0.1, [self.option(b"LASTID"), self.old_id()])])
        return args, None

    def do_xautoclaim(self):
        if self.version < (7, 2):
            return [self.stream_key()], None
        args = [self.stream_key(), self.group(), self.consumer(), self.idle(), self.old_id()]
        return args + self.shuffled_options([
            (0.5, [self.option(b"COUNT"), self.number(1)]), (0.3, [self.option(b"JUSTID")])]), None

    def do_xsetid(self):
        # Before 7.2 an id below the highest that was deleted was taken.
        is_new = self.random() < 0.8 or self.version < (7, 2)
        args = [self.stream_key(), b"%d-5" % (self.stream_clock + self.below(3))
                if is_new else self.old_id()]
        if self.random() < 0.5:
            args += [self.option(b"ENTRIESADDED"), b"%d" % self.below(5000),
                     self.option(b"MAXDELETEDID"), self.old_id()]
        return args, None

    def do_xinfo(self):
        r = self.random()
        if self.version < (7, 2):  # counts consumers, and what groups have to read, otherwise
            return [b"STREAM", self.stream_key()], "xinfo"
        if r < 0.4:
            args = [self.option(b"STREAM"), self.stream_key()]
            if self.random() < 0.6:
                args.append(self.option(b"FULL"))
                args += self.count_option(0.4)
            return args, "xinfo"
        if r < 0.65:
            return [self.option(b"GROUPS"), self.stream_key()], "xinfo"
        if r < 0.95:
            return [self.option(b"CONSUMERS"), self.stream_key(), self.group()], "xinfo"
        return self.pick([[b"BOGUS", b"x"], [b"STREAM"], [b"GROUPS"], [b"CONSUMERS", b"x"],
                          [b"STREAM", b"stream1", b"BOGUS"]]), None

    def do_xread_block(self):
        words = [self.option(b"BLOCK"), self.pick([b"1", b"1", b"1", b"x", b"-1"])]
        if self.random() < 0.5:
            return [b"XREAD"] + words + self.streams(b"$"), None
        return [b"XREADGROUP", b"GROUP", self.group(), self.consumer()] + words + \
            self.streams(b">"), None

    def law_xadd(self):
        key = b"auto%d" % self.below(4)
        return [key] + self.pick([[], [], [b"MAXLEN", b"100"]]) + [b"*", b"f", self.value()]


COMMANDS = [
    ("xadd", 80), ("xtrim", 4), ("xdel", 10), ("xlen", 6), ("xrange", 20), ("xrevrange", 10),
    ("xread", 14), ("xgroup_create", 10, False), ("xgroup", 10, False), ("xreadgroup", 26),
    ("xack", 10), ("xpending", 14), ("xclaim", 10), ("xautoclaim", 8), ("xsetid", 3),
    ("xinfo", 14, False), ("xread_block", 2, False),
]
LAWS = [("xadd", 1)]
WHOLE = ["xgroup_create", "xread_block"]
EDGES = []
