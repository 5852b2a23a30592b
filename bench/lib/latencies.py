# SPDX-License-Identifier: BSD-3-Clause
"""What bench/latency measures, as data, and its verdicts and tables.

A sample is {figure: value} of one server in one round; ratios are medians of those within a round,
as in table.py.
"""

from dataclasses import dataclass
from statistics import median

PERCENTILES = ["p50", "p99", "p99_9", "p99_99"]
FEW_CONNECTIONS = [1, 8, 64]
SHARDS = [1, 2]
PORTS_SHARDS = 2
PORTS_PIPELINES = [1, 10, 50]
# Of the shard ports part: what is measured, on which server, through which of its ports.
PORTS = [("redis", "Redis"), ("plain", "torc, plain port"), ("shard ports", "torc, shard ports")]


@dataclass(frozen=True)
class Calls:
    """What the connections of a closed loop send, one request after the other's reply."""

    name: str
    title: str
    arguments: tuple


CALLS = [
    Calls("mix", "SET:GET 1:10", ("--ratio", "1:10")),
    Calls("turns", "GET, then SET of the same key",
          ("--in-turn", "--command", "GET __key__", "--command", "SET __key__ __data__")),
]


@dataclass(frozen=True)
class Situation:
    """What happens while requests arrive at a fixed rate. `aim` is the most for p99.9 x Redis."""

    name: str
    title: str
    aim: float


SITUATIONS = [
    Situation("steady", "steady", 1.0),
    Situation("grow", "the table grows to 4 x its keys", 0.5),
    Situation("expire", "as many keys expire as there are", 0.5),
    Situation("large", "large strings are deleted and overwritten", 0.5),
]


def compare(torc_rounds, redis_rounds, figures):
    """{figure: {torc, redis, ratio}}: medians, and the median of the ratios within a round."""
    found = {}
    for figure in figures:
        ours = [r[figure] for r in torc_rounds]
        theirs = [r[figure] for r in redis_rounds]
        found[figure] = {"torc": median(ours), "redis": median(theirs),
                         "ratio": median(a / b for a, b in zip(ours, theirs))}
    return found


def few_missed(figures):
    """Which figures of a closed loop are worse than Redis's."""
    missed = []
    if figures["per_s"]["ratio"] < 1.0:
        missed.append("throughput")
    if figures["p50"]["ratio"] > 1.0:
        missed.append("median")
    return missed


def open_missed(figures, aim):
    """Which percentiles are worse than Redis's, or p99.9 worse than its aim."""
    return [p for p in PERCENTILES
            if figures[p]["ratio"] > (aim if p == "p99_9" else 1.0)]


def _us(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _verdict(missed):
    return "NOT met: " + ", ".join(missed).replace("_", ".") if missed else "met"


def few_markdown(rows):
    """Rows are {title, connections, shards, figures, missed}."""
    lines = ["| calls, without a pipeline | connections | shards | torc commands/s | redis |"
             " ratio | torc p50 us | redis | ratio | |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
    for r in rows:
        per_s, p50 = r["figures"]["per_s"], r["figures"]["p50"]
        lines.append(
            f"| {r['title']} | {r['connections']} | {r['shards']} | {per_s['torc']:,.0f} |"
            f" {per_s['redis']:,.0f} | {per_s['ratio']:.2f}x | {_us(p50['torc'])} |"
            f" {_us(p50['redis'])} | {p50['ratio']:.2f}x | {_verdict(r['missed'])} |")
    return "\n".join(lines)


def open_markdown(rows):
    """Rows are {title, share, rate, figures, missed}; a cell is torc / redis (ratio)."""
    lines = ["| while | requests/s | p50 us | p99 us | p99.9 us | p99.99 us | |",
             "| --- | ---: | --- | --- | --- | --- | --- |"]
    for r in rows:
        cells = [f"{_us(f['torc'])} / {_us(f['redis'])} ({f['ratio']:.2f}x)"
                 for f in (r["figures"][p] for p in PERCENTILES)]
        lines.append(f"| {r['title']} | {r['rate']:,.0f} ({r['share']:.0%}) |"
                     f" {' | '.join(cells)} | {_verdict(r['missed'])} |")
    return "\n".join(lines)


def ports_rows(samples):
    """Rows for ports_markdown from samples[pipeline][name of PORTS] = list of samples."""
    rows = []
    for pipeline, by_name in samples.items():
        for name, title in PORTS:
            rounds = by_name[name]
            row = {"pipeline": pipeline, "name": name, "title": title, "rounds": rounds}
            for figure in ("cpu_us", "per_s", "p50", "messages"):
                values = [r[figure] for r in rounds if figure in r]
                row[figure] = median(values) if values else None
            row["cpu_ratio"] = median(r["cpu_us"] / b["cpu_us"]
                                      for r, b in zip(rounds, by_name["redis"]))
            rows.append(row)
    return rows


def ports_markdown(rows):
    lines = ["| pipeline | port | CPU us per command | x Redis | commands/s | p50 us |"
             " messages per command |", "| ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for r in rows:
        messages = "" if r["messages"] is None else f"{r['messages']:.4f}"
        lines.append(f"| {r['pipeline']} | {r['title']} | {r['cpu_us']:.3g} |"
                     f" {r['cpu_ratio']:.2f}x | {r['per_s']:,.0f} | {_us(r['p50'])} |"
                     f" {messages} |")
    return "\n".join(lines)
