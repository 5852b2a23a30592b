# SPDX-License-Identifier: BSD-3-Clause
"""What bench/snapshot measures, as data: the keys, the write load, the figures with their aims.

A sample is {figure: value} of one server in one round. Ratios are medians of those within a round.
"""

from dataclasses import dataclass
from statistics import median

_FIELDS = " ".join(f"field:{i} value:{i}" for i in range(10))


@dataclass(frozen=True)
class Kind:
    """Keys of one kind: `per_gb` of them in a gigabyte of data, filled by `rounds` commands each.

    `write` is what the write load does with them, `weight` times as often as others.
    """

    name: str
    per_gb: int
    command: str
    rounds: int
    write: str
    weight: int
    value_size: str = "32-200"
    numbers: int = 1000


# About half of the memory are short strings; the rest is what the collections of applications are.
KINDS = [
    Kind("str", 2_500_000, "SET __key__ __data__", 1, "SET __key__ __data__", 14),
    Kind("hash", 450_000, f"HSET __key__ {_FIELDS}", 1, "HSET __key__ field:3 __number__", 2),
    Kind("table", 300, "HSET __key__ field:__number__ __data__", 1200,
         "HSET __key__ field:__number__ __data__", 1),
    Kind("zset", 2_000, "ZADD __key__ __number__ member:__number__", 500,
         "ZADD __key__ __number__ member:__number__", 1, numbers=100_000),
    Kind("set", 2_000, "SADD __key__ member:__number__", 500, "SADD __key__ member:__number__", 1,
         numbers=100_000),
    Kind("list", 20_000, "RPUSH __key__ " + " ".join(["item:__number__"] * 20), 10,
         "LSET __key__ 0 __number__", 1),
    Kind("big", 20, "SET __key__ __data__", 1, "SETRANGE __key__ 100 __number__", 0,
         value_size="1000000"),
]


@dataclass(frozen=True)
class Figure:
    """A row of the table: aims are upper bounds, of the figure or of its ratio to Redis's."""

    key: str
    title: str
    shape: str = "{:.3g}"
    aim: float | None = None
    aim_ratio: float | None = None


FIGURES = [
    Figure("data_mb", "data, resident MB", "{:,.0f}"),
    # The data of both differ by a little chance: that is no larger file.
    Figure("file_mb", "file, MB", "{:,.1f}", aim_ratio=1.005),
    Figure("save_s", "save: s"),
    Figure("save_cpu_s", "save: CPU s", aim_ratio=0.5),
    Figure("load_s", "load: s"),
    Figure("load_cpu_s", "load: CPU s", aim_ratio=0.5),
    Figure("save_busy_s", "save under writes: s"),
    Figure("extra", "extra memory meanwhile, parts of the data", "{:.3f}", aim=0.05),
    Figure("writes_quiet", "writes/s without a snapshot", "{:,.0f}"),
    Figure("writes_during", "writes/s during snapshots", "{:,.0f}"),
    Figure("p50_quiet_us", "GET p50 without: us", "{:,.0f}"),
    Figure("p50_during_us", "GET p50 during: us", "{:,.0f}"),
    Figure("p999_quiet_us", "GET p99.9 without: us", "{:,.0f}"),
    Figure("p999_during_us", "GET p99.9 during: us", "{:,.0f}"),
    Figure("p999_x", "GET p99.9 during / without", "{:.2f}", aim=1.3),
    Figure("max_quiet_us", "GET longest without: us", "{:,.0f}"),
    Figure("max_during_us", "GET longest during: us", "{:,.0f}"),
]


def keys_of(kind, gigabytes):
    return max(1, round(kind.per_gb * gigabytes))


def medians(rounds):
    return {f.key: median(r[f.key] for r in rounds) for f in FIGURES if f.key in rounds[0]}


def ratio(key, rounds, base_rounds):
    """The median over the rounds of the ratio within one; None when there is none."""
    pairs = [(r[key], b[key]) for r, b in zip(rounds, base_rounds) if key in r and b.get(key)]
    return median(value / base for value, base in pairs) if pairs else None


def verdict(figure, value, times):
    """"met", "NOT met" or nothing, for a figure's value and its ratio to Redis's."""
    for aim, found in ((figure.aim, value), (figure.aim_ratio, times)):
        if aim is not None:
            return "met" if found is not None and found <= aim else "NOT met"
    return ""


def _aim(figure):
    if figure.aim is not None:
        return f"{figure.aim:g}"
    return "" if figure.aim_ratio is None else f"{figure.aim_ratio:g}x"


def markdown(samples):
    """samples[server] = [sample of each round]: torc beside Redis and beside its aims."""
    found = {name: medians(rounds) for name, rounds in samples.items() if rounds}
    lines = ["| snapshot | torc | redis | ratio | aim | |",
             "| --- | ---: | ---: | ---: | ---: | --- |"]
    for figure in FIGURES:
        cells = [figure.title]
        for name in ("torc", "redis"):
            value = found.get(name, {}).get(figure.key)
            cells.append("" if value is None else figure.shape.format(value))
        times = ratio(figure.key, samples.get("torc", []), samples.get("redis", []))
        cells += ["" if times is None else f"{times:.2f}x", _aim(figure)]
        has_torc = figure.key in found.get("torc", {})
        cells.append(verdict(figure, found["torc"][figure.key], times) if has_torc else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
