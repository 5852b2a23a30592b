# SPDX-License-Identifier: BSD-3-Clause
"""Seeded random command streams for the differential test.

A stream is a sequence of steps. Most are batches: one connection sends a pipeline of commands,
each with a name of the way its replies are compared (None: byte for byte; see compare.py). The
other steps are a full SCAN iteration and a wait for short expiries. Everything follows from the
seed: the same seed and options give the same stream.
"""
import waiting
from families import dumps, hashes, keys, lists, others, sets, streams, strings, waits, zsets
from families.keys import PATTERNS

CONNECTIONS = 3
FAMILIES = [strings, keys, lists, sets, hashes, zsets, streams, others, dumps, waits]


class Generator(strings.Strings, keys.Keys, lists.Lists, sets.Sets, hashes.Hashes, zsets.Zsets,
                streams.Streams, others.Others, dumps.Dumps, waits.Waits):
    """Produces steps until told to stop. One instance for one stream. `families`: names of those
    that take part besides sessions; all without. `version`: the oracle's."""

    def __init__(self, seed, batch, families=None, version=(7, 2)):
        super().__init__(seed)
        self.version = version
        self.batch = batch
        self.in_multi = [False] * CONNECTIONS
        self.stuck = [0] * CONNECTIONS
        self.short_keys = 0
        chosen = [f for f in FAMILIES if not families or f.__name__.split(".")[-1] in families]
        rows = [row for family in chosen for row in family.COMMANDS] + COMMANDS
        self.names = [row[0].encode() for row in rows]
        self.makers = [getattr(Generator, "do_" + row[0]) for row in rows]
        self.whole = {name.encode() for f in FAMILIES for name in f.WHOLE} | {b"command_getkeys"}
        self.arity_names = [row[0].encode() for row in rows if len(row) == 2]
        self.order = range(len(rows))
        self.weights = self.running_totals(rows)
        self.edges = [getattr(self, name) for family in chosen for name in family.EDGES]
        self.laws = [row for family in chosen for row in family.LAWS]
        self.law_weights = self.running_totals(self.laws)

        # 7.2 runs the command of a client that waits anew; 7.0 served it by other rules.
        self.waits = waits in chosen and version >= (7, 2)
        self.scans = [(name, key) for family, name, key in (
            (sets, b"SSCAN", self.set_key), (hashes, b"HSCAN", self.hash_key),
            (zsets, b"ZSCAN", self.zset_key)) if family in chosen]

    @staticmethod
    def running_totals(rows):
        """The weights of the rows, each with all before it."""
        totals = [0]
        for row in rows:
            totals.append(totals[-1] + row[1])
        return totals[1:]

    # Sessions: makers as in the families.

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

    def do_command_getkeys(self):
        args = [b"COMMAND", self.pick([b"GETKEYS", b"GETKEYSANDFLAGS"])]
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
        if name in self.whole:
            name, args = args[0], args[1:]
        elif name == b"arity":
            name = self.pick(self.arity_names)
        elif name == b"unknown":
            name = self.pick([b"nosuch", b"GETT", b"x" * 200, b"", b"\x00\xff", b"a\r\nb", b"'q'"])
        elif name == b"exec" and self.in_multi[connection]:
            self.in_multi[connection] = False
        elif name == b"discard":
            self.in_multi[connection] = False
        if self.random() < 0.08:
            name = name.upper() if self.random() < 0.7 else name.capitalize()
        return [name] + args, how

    @staticmethod
    def before(args):
        """What must come before a command. SORT takes what is left in errno for its own error, so
        a number is read well before it."""
        if args[0].lower() in (b"sort", b"sort_ro"):
            return [([b"GEORADIUS_RO", b"nowhere", b"1", b"1", b"1", b"km"], None)]
        return []

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
            block += self.before(args)
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
            elif r < 0.029 and self.edges:
                commands += self.pick(self.edges)()
            else:
                command = self.command(connection)
                commands += self.before(command[0]) + [command]
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
        """A full iteration: ("scan", connection, words), where the cursor goes behind the key, or
        behind the name of SCAN."""
        options = []
        if self.random() < 0.5:
            options += [b"MATCH", self.pick(PATTERNS)]
        if self.random() < 0.6:
            options += [b"COUNT", self.pick([b"1", b"10", b"100", b"1000", b"100000"])]
        command = [b"SCAN"]
        if self.scans and self.random() < 0.6:
            name, key = self.pick(self.scans)
            command = [name, key()]
        elif self.random() < 0.2:
            options += [b"TYPE", self.pick([b"string", b"STRING", b"list", b"set", b"stream"])]
        return "scan", connection, command + options

    def law_step(self, connection):
        """("law", connection, words): a command whose answer is left to chance."""
        name = self.laws[self.choices(range(len(self.laws)), cum_weights=self.law_weights)[0]][0]
        return "law", connection, [name.encode()] + getattr(self, "law_" + name)()

    def steps(self):
        """Steps without end."""
        number = 0
        while True:
            number += 1
            idle = [i for i in range(CONNECTIONS) if not self.in_multi[i]]
            if number % 20 == 0 and idle:
                yield self.scan_step(self.pick(idle))
            if number % 400 == 0 and idle:
                yield self.expiry_step(self.pick(idle))
            if number % 10 == 0 and self.waits and len(idle) == CONNECTIONS:
                yield "wait", CONNECTIONS - 1, waiting.join(*self.wait_step())
            for _ in range(3 if idle and self.laws else 0):
                yield self.law_step(self.pick(idle))
            yield self.batch_step()


# Names and weights, as in the families.
COMMANDS = [
    ("echo", 4), ("watch", 3), ("ping", 4, False), ("unknown", 3, False), ("arity", 14, False),
    ("unwatch", 1, False), ("exec", 0.5, False), ("discard", 0.5, False),
    ("command_getkeys", 2, False),
]
