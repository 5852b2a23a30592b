# SPDX-License-Identifier: BSD-3-Clause
"""HyperLogLog, geo and SORT."""
from parts import KEYS_OF_EACH, LOGS, PLACES, Parts

UNITS = [b"m", b"km", b"mi", b"ft"]


class Others(Parts):
    """Commands on HyperLogLogs, on places, and SORT."""

    # HyperLogLog.

    def log_key(self):
        """A key that mostly holds a HyperLogLog."""
        return self.family_key(LOGS, 0.03)

    def do_pfadd(self):
        count = self.pick([0, 1, 1, 2, 5, 20, 100])
        return [self.log_key()] + [b"%d" % self.below(100000) for _ in range(count)], None

    def do_pfcount(self):
        return [self.log_key() for _ in range(1 + self.below(3))], None

    def do_pfmerge(self):
        return [self.log_key() for _ in range(1 + self.below(4))], None

    def do_get_log(self):
        r = self.random()
        if r < 0.9:
            return [b"GET", self.log_key()], None
        if r < 0.94:
            return [b"SET", self.log_key(), self.pick([b"HYLL", b"HYLL\x02" + b"\x00" * 11,
                                                       b"HYLL\x00" + b"\x00" * 20])], None
        return [b"PFDEBUG", self.pick([b"ENCODING", b"DECODE", b"TODENSE"]), self.log_key()], None

    # Geo.

    def place_key(self):
        """A key that mostly holds places."""
        return self.family_key(PLACES, 0.03)

    def place(self):
        """A place's name."""
        return b"p%d" % self.below(80) if self.random() < 0.97 else self.element()

    def coordinates(self):
        """Longitude and latitude: anywhere, close together, or no such thing."""
        r = self.random()
        if r < 0.45:
            return [b"%.6f" % (13 + self.random()), b"%.6f" % (38 + self.random())]
        if r < 0.9:
            return [b"%.6f" % (self.random() * 360 - 180), b"%.6f" % (self.random() * 170 - 85)]
        return [self.pick([b"181", b"-180", b"180", b"x", b"0", b"nan"]),
                self.pick([b"86", b"-85.05112878", b"85.05112878", b"", b"0"])]

    def distance(self):
        """A radius, or a side of a box."""
        return self.pick([b"100", b"1000", b"50", b"5000", b"20000", b"0", b"1.5", b"-1", b"x"])

    def unit(self):
        """A unit of length, seldom none."""
        return self.option(self.pick(UNITS)) if self.random() < 0.97 else b"yd"

    def do_geoadd(self):
        args = [self.place_key()]
        args += [self.option(word) for word in (b"NX", b"XX", b"CH") if self.random() < 0.08]
        for _ in range(1 + self.below(5)):
            args += self.coordinates() + [self.place()]
        return (args if self.random() < 0.98 else args[:-1]), None

    def do_geopos(self):
        return [self.place_key()] + [self.place() for _ in range(self.below(4))], None

    do_geohash = do_geopos

    def do_geodist(self):
        args = [self.place_key(), self.place(), self.place()]
        return args + ([self.unit()] if self.random() < 0.6 else []), None

    def geo_options(self, stored):
        """What a search may say besides where; and how the answer is compared. The order of what
        is not sorted is the server's affair, and so is what comes first then."""
        options, sort = [], self.random()
        if sort < 0.6:
            options.append([self.option(self.pick([b"ASC", b"DESC"]))])
        if self.random() < 0.4:
            options.append([self.option(b"COUNT"), self.number(0.95)])
        if not stored:
            for word in (b"WITHDIST", b"WITHHASH", b"WITHCOORD"):
                if self.random() < 0.3:
                    options.append([self.option(word)])
        if self.random() < 0.02:
            options.append([self.pick([b"BOGUS", b"COUNT"])])
        counted = any(words[0].upper() == b"COUNT" for words in options)
        args = [word for words in self.shuffled(options) for word in words]
        return args, None if sort < 0.6 or counted else "set"

    def search(self, stored):
        """Arguments of GEOSEARCH behind the key; and the way of comparing."""
        options, how = self.geo_options(stored)
        origin = [self.option(b"FROMMEMBER"), self.place()] if self.random() < 0.4 else \
            [self.option(b"FROMLONLAT")] + self.coordinates()
        if self.random() < 0.5:
            shape = [self.option(b"BYRADIUS"), self.distance(), self.unit()]
        else:
            shape = [self.option(b"BYBOX"), self.distance(), self.distance(), self.unit()]
        parts = self.shuffled([origin, shape])
        if self.random() < 0.03:
            parts = parts[:-1]
        return parts[0] + (parts[1] if len(parts) > 1 else []) + options, how

    def do_geosearch(self):
        args, how = self.search(False)
        return [self.place_key()] + args, how

    def do_geosearchstore(self):
        args, _ = self.search(True)
        if self.random() < 0.3:
            args.append(self.option(b"STOREDIST"))
        return [self.place_key(), self.place_key()] + args, None

    def law_geosearch(self):
        args = [self.place_key(), b"FROMLONLAT", b"13.5", b"38.5", b"BYRADIUS", b"80", b"km"]
        return args + [b"COUNT", b"%d" % (1 + self.below(10)), b"ANY"]

    def do_georadius(self):
        options, how = self.geo_options(False)
        return [self.place_key()] + self.coordinates() + [self.distance(), self.unit()] + \
            options, how

    do_georadius_ro = do_georadius

    def do_georadiusbymember(self):
        options, how = self.geo_options(False)
        return [self.place_key(), self.place(), self.distance(), self.unit()] + options, how

    do_georadiusbymember_ro = do_georadiusbymember

    def do_georadius_store(self):
        options, _ = self.geo_options(True)
        where = [self.option(self.pick([b"STORE", b"STOREDIST"])), self.place_key()]
        args = [self.place_key()] + self.coordinates() + [self.distance(), self.unit()]
        return [b"GEORADIUS"] + args + options + where, None

    # SORT. In Redis it leaves a sorted set as a skiplist, so these are none of the others' keys.

    def sort_fill(self):
        """A command that puts elements to sort somewhere."""
        r = self.random()
        numbers = self.random() < 0.7
        # Without zero bytes: there Redis ends when it compares texts.
        items = [b"%d" % self.below(60) if numbers else self.element().replace(b"\x00", b"0")
                 for _ in range(1 + self.below(10))]
        if r < 0.25:
            return [b"RPUSH", b"sortlist%d" % self.below(3)] + items
        if r < 0.4:
            return [b"SADD", b"sortset%d" % self.below(3)] + items
        if r < 0.55:
            scored = [word for item in items for word in (b"%d" % self.below(20), item)]
            return [b"ZADD", b"sortzset%d" % self.below(3)] + scored
        if r < 0.6:
            return [b"DEL", self.pick([b"sortlist%d", b"sortset%d", b"sortzset%d"]) % self.below(3)]
        if r < 0.85:
            return [b"SET", b"weight_" + items[0], b"%d" % self.below(100)
                    if self.random() < 0.97 else self.value()]
        return [b"HSET", b"record_" + items[0], b"f", b"%d" % self.below(100), b"g", self.value()]

    def do_sort_fill(self):
        return self.sort_fill(), None

    def sort_options(self, ordered):
        """Options of SORT without STORE; `ordered`: what there is has an order of its own."""
        options, r = [], self.random()
        by_text = False
        if r < 0.3:
            options.append([self.option(b"BY"), self.pick([b"weight_*", b"record_*->f", b"none_*",
                                                           b"*", b"record_*->", b"weight_*->f"])])
        elif r < 0.4 and ordered:
            options.append([self.option(b"BY"), b"nosort"])
        elif r < 0.7:
            by_text = True
        if by_text:
            options.append([self.option(b"ALPHA")])
        if self.random() < 0.3:
            options.append([self.option(b"LIMIT")] + self.limits())
        if self.random() < 0.4:
            options.append([self.option(self.pick([b"ASC", b"DESC"]))])
        for _ in range(self.pick([0, 0, 1, 2])):
            options.append([self.option(b"GET"), self.pick([b"#", b"weight_*", b"record_*->g",
                                                            b"none_*", b"plain", b"record_*->"])])
        options = self.shuffled(options)
        if self.random() < 0.02:  # last, or the next option would be what BY or GET wants
            options.append([self.pick([b"BOGUS", b"LIMIT", b"BY", b"GET"])])
        return [word for words in options for word in words]

    def do_sort(self):
        r = self.random()
        if r < 0.6:
            key = self.pick([b"sortlist%d", b"sortzset%d"]) % self.below(3)
        elif r < 0.8:
            key = b"sortset%d" % self.below(3)
        elif r < 0.95:
            key = self.pick([b"sortlist%d", b"sortzset%d", b"sortset%d"]) % self.below(3)
        else:
            key = b"lcs%d" % self.below(8)  # a string
        return [key] + self.sort_options(r < 0.6), None

    do_sort_ro = do_sort

    def do_sort_store(self):
        args, how = self.do_sort()
        return [b"SORT"] + args + [self.option(b"STORE"), b"list%d" % self.below(8)], how

    def edge_log(self):
        """A HyperLogLog from sparse to dense."""
        key = LOGS % self.below(KEYS_OF_EACH)
        commands = [([b"DEL", key], None)]
        for _ in range(20):
            count = self.pick([1, 5, 40, 300])
            commands += [([b"PFADD", key] + [b"%d" % self.below(1 << 40) for _ in range(count)],
                          None), ([b"PFDEBUG", b"ENCODING", key], None),
                         ([b"PFCOUNT", key], None), ([b"GET", key], None)]
        return commands + [([b"PFMERGE", key, self.log_key()], None), ([b"GET", key], None)]


COMMANDS = [
    ("pfadd", 24), ("pfcount", 12), ("pfmerge", 6), ("get_log", 6, False),
    ("geoadd", 26), ("geopos", 8), ("geohash", 6), ("geodist", 8), ("geosearch", 20),
    ("geosearchstore", 6), ("georadius", 8), ("georadius_ro", 4), ("georadiusbymember", 6),
    ("georadiusbymember_ro", 4), ("georadius_store", 4, False),
    ("sort_fill", 30, False), ("sort", 16, False), ("sort_ro", 8, False),
    ("sort_store", 5, False),
]
LAWS = [("geosearch", 2)]
WHOLE = ["get_log", "georadius_store", "sort_fill", "sort_store"]
EDGES = ["edge_log"]
