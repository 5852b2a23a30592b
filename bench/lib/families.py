# SPDX-License-Identifier: BSD-3-Clause
"""What bench/types measures, as data, and the tables it prints.

A data set is filled by commands whose keys come in turn; CPU rows name the data set that they need.
In commands, torc-load replaces __key__, __number__ and __data__.
"""

from dataclasses import dataclass
from statistics import median

PIPELINE = 16
AIM_MEMORY = 1.0
AIM_LARGE = 0.6
AIM_CPU = 0.6
# By how much the bytes of two servers' replies to the same load may differ.
REPLY_TOLERANCE = 0.05


@dataclass(frozen=True)
class MemoryRow:
    """One collection (or many) filled element by element. `count` asks for how many there are."""

    name: str
    title: str
    command: str
    count: str
    aim: float
    per_command: int = 1
    key_prefix: str = "member:"
    key_size: int = 16
    value_size: int = 16
    elements: int = 1_000_000

    def requests(self):
        return self.elements // self.per_command


@dataclass(frozen=True)
class Fill:
    """A command sent `rounds` times for each key."""

    command: str
    rounds: int = 1

    def rounds_of(self, is_quick):
        """Fewer when it is only about whether everything runs."""
        return max(1, self.rounds // 10) if is_quick else self.rounds


@dataclass(frozen=True)
class DataSet:
    name: str
    keys: int
    numbers: int
    fills: tuple


@dataclass(frozen=True)
class CpuRow:
    name: str
    title: str
    data: str
    commands: tuple
    numbers: int = 0  # 0: those of the data set


def _words(template, count):
    return " ".join(template.format(i=i) for i in range(count))


_FIELDS = _words("field:{i} value:{i}", 10)
_MEMBERS = " ".join(f"m:{i:04}" for i in range(1500)).split()

MEMORY = [
    MemoryRow("zset", "sorted set of 1 M members", "ZADD big 1__number__ __key__", "ZCARD big",
              AIM_LARGE),
    MemoryRow("set", "set of 1 M strings", "SADD big __key__", "SCARD big", AIM_LARGE),
    MemoryRow("intset", "set of 1 M integers", "SADD big __key__", "SCARD big", AIM_LARGE,
              key_prefix="1", key_size=8),
    MemoryRow("hashes", "100 k hashes of 10 short fields", f"HSET __key__ {_FIELDS}", "DBSIZE",
              AIM_MEMORY, per_command=10, key_prefix="hash:"),
    MemoryRow("hash", "hash of 1 M fields", "HSET big __key__ __data__", "HLEN big", AIM_LARGE),
    MemoryRow("list", "list of 1 M short items", "RPUSH big __key__", "LLEN big", AIM_MEMORY),
    MemoryRow("stream", "stream of 1 M entries of 3 fields",
              "XADD big * name __key__ score 1__number__ kind short", "XLEN big", AIM_MEMORY),
]

DATA = [
    DataSet("zset", 50, 20_000, (
        Fill("ZADD __key__ " + _words("1__number__ member:__number__", 20), 1000),)),
    DataSet("hash", 100_000, 10, (Fill(f"HSET __key__ {_FIELDS}"),)),
    DataSet("list", 1000, 10_000, (Fill("RPUSH __key__ " + _words("item:__number__", 100), 3),)),
    DataSet("set", 50, 20_000, (
        Fill("SADD __key__ " + _words("member:__number__", 20), 1000),)),
    DataSet("sinter", 100, 1, (Fill("SADD a:__key__ " + " ".join(_MEMBERS[:1000])),
                               Fill("SADD b:__key__ " + " ".join(_MEMBERS[500:])))),
    DataSet("stream", 1000, 1000, (Fill("XADD __key__ * sensor __number__ value 1__number__"),)),
    DataSet("log", 100, 1000, (
        Fill("XADD __key__ 1-* sensor __number__ value 1__number__", 2010),)),
    DataSet("hll", 1000, 1_000_000, (
        Fill("PFADD __key__ " + _words("element:__number__", 100), 50),)),
    DataSet("geo", 10, 100_000, (
        Fill("GEOADD __key__ " + _words("13.__number__ 52.__number__ place:__number__", 10),
             1000),)),
]

CPU = [
    CpuRow("zrange", "ZRANGE 0 9", "zset", ("ZRANGE __key__ 0 9",)),
    CpuRow("zrangebyscore", "ZRANGEBYSCORE of 10", "zset",
           ("ZRANGEBYSCORE __key__ 1__number__ +inf LIMIT 0 10",)),
    CpuRow("zadd", "ZADD", "zset", ("ZADD __key__ 1__number__ member:__number__",)),
    CpuRow("hset", "HSET", "hash", ("HSET __key__ field:__number__ value:__number__",)),
    CpuRow("hgetall", "HGETALL of 10", "hash", ("HGETALL __key__",)),
    CpuRow("lrange", "LRANGE 0 99", "list", ("LRANGE __key__ 0 99",)),
    CpuRow("lpush", "LPUSH and RPOP", "list", ("LPUSH __key__ item:__number__", "RPOP __key__")),
    CpuRow("sismember", "SISMEMBER", "set", ("SISMEMBER __key__ member:__number__",)),
    CpuRow("sadd", "SADD", "set", ("SADD __key__ member:__number__",)),
    CpuRow("sinter", "SINTER of two sets of 1,000", "sinter", ("SINTER a:__key__ b:__key__",)),
    CpuRow("xadd", "XADD", "stream", ("XADD __key__ * sensor __number__ value 1__number__",)),
    CpuRow("xrange", "XRANGE COUNT 10", "log", ("XRANGE __key__ 1-1__number__ + COUNT 10",)),
    CpuRow("pfadd", "PFADD", "hll", ("PFADD __key__ element:__number__",)),
    CpuRow("geosearch", "GEOSEARCH BYRADIUS 2 km", "geo",
           ("GEOSEARCH __key__ FROMLONLAT 13.__number__ 52.__number__ BYRADIUS 2 km",)),
]


def select(names, rows):
    """The rows called `names` (comma-separated, or 'all'), in the table's order; those there are.

    A name that stands for no row of either table is the caller's to refuse: see unknown().
    """
    wanted = set(names.split(","))
    return [row for row in rows if "all" in wanted or row.name in wanted]


def unknown(names):
    """The names in `names` that no table has."""
    known = {row.name for row in MEMORY} | {row.name for row in CPU} | {"all"}
    return [name for name in names.split(",") if name not in known]


def data_sets(rows):
    """The data sets that these CPU rows need, in the order of DATA."""
    needed = {row.data for row in rows}
    return [data for data in DATA if data.name in needed]


def replies_agree(bytes_per_reply, others):
    """Whether the replies to one load were of the same size: the same work was done."""
    return abs(bytes_per_reply - others) <= REPLY_TOLERANCE * max(bytes_per_reply, others)


def summarize(samples):
    """[(ours, theirs), ...] of the rounds as medians and the median of the rounds' ratios."""
    return (median(ours for ours, _ in samples), median(theirs for _, theirs in samples),
            median(ours / theirs if theirs else float("inf") for ours, theirs in samples))


def _table(head, rows, shape):
    lines = [head, "| --- | ---: | ---: | ---: | ---: |"]
    for title, (ours, theirs, ratio), aim in rows:
        lines.append(f"| {title} | {shape.format(ours)} | {shape.format(theirs)} | {ratio:.2f}x |"
                     f" {aim:g}x |")
    return "\n".join(lines)


def memory_table(samples, names):
    """samples[row name] = [(ours, theirs)] in bytes per element; names of both servers."""
    rows = [(row.title, summarize(samples[row.name]), row.aim)
            for row in MEMORY if row.name in samples]
    return _table(f"| bytes per element | {names[0]} | {names[1]} | ratio | aim |", rows, "{:.1f}")


def cpu_table(samples, names):
    """samples[row name] = [(ours, theirs)] in microseconds of CPU per command."""
    rows = [(row.title, summarize(samples[row.name]), AIM_CPU)
            for row in CPU if row.name in samples]
    return _table(f"| CPU us per command, pipeline {PIPELINE} | {names[0]} | {names[1]} | ratio |"
                  " aim |", rows, "{:.2f}")


def verdict(memory, cpu):
    """What misses its aim, in words: rows of memory above it, CPU rows dearer than the other's."""
    heavy = [row.name for row in MEMORY
             if row.name in memory and summarize(memory[row.name])[2] > row.aim]
    ratios = {row.name: summarize(cpu[row.name])[2] for row in CPU if row.name in cpu}
    dear = [name for name, ratio in ratios.items() if ratio > 1]
    parts = []
    if memory:
        parts.append("memory above its aim: " + (", ".join(heavy) or "none"))
    if cpu:
        cheap = sum(1 for ratio in ratios.values() if ratio <= AIM_CPU)
        parts.append(f"CPU at or below {AIM_CPU:g}x: {cheap} of {len(ratios)}; dearer than 1x: "
                     + (", ".join(dear) or "none"))
    return "; ".join(parts)
