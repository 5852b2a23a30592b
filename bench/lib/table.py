# SPDX-License-Identifier: BSD-3-Clause
"""Medians, ratios and the Markdown table.

A result is {"scenarios": [...], "servers": [...], "baseline": name}; see build() for its shape. The
table, the chart and the JSON file all show the numbers of that one structure.
"""

from statistics import median

METRICS = ["cpu_us_per_command", "commands_per_s", "p50_us", "p99_us", "p999_us",
           "bytes_per_key"]


def summarize(samples, scenarios, names, baseline):
    """Medians and ratios from samples[scenario name][server name] = list of {metric: value}."""
    rows = []
    for s in scenarios:
        by_server = {}
        for name in names:
            rounds = samples.get(s.name, {}).get(name, [])
            if not rounds:
                continue
            medians = {m: median(r[m] for r in rounds) for m in METRICS if m in rounds[0]}
            by_server[name] = {"median": medians, "rounds": rounds}
        base = by_server.get(baseline, {}).get("median", {})
        for entry in by_server.values():
            entry["ratio"] = {m: v / base[m] for m, v in entry["median"].items() if base.get(m)}
        rows.append({"name": s.name, "title": s.title, "connections": s.connections,
                     "pipeline": s.pipeline, "keys": s.keys, "key_size": s.key_size,
                     "value_size": s.value_size, "ratio": s.ratio, "zipfian": s.zipfian,
                     "mget": s.mget, "unix": s.unix, "shards": s.shards, "servers": by_server})
    return rows


def _with_ratio(entry, metric, text, is_baseline):
    if is_baseline or metric not in entry["ratio"]:
        return text
    ratio = entry["ratio"][metric]
    return f"{text} ({ratio:.2f}x)"


def _latency(us):
    return f"{us:,.0f}" if us >= 100 else f"{us:.1f}"


def _speed_row(title, name, entry, is_baseline):
    m = entry["median"]
    cells = [
        title, name,
        _with_ratio(entry, "cpu_us_per_command", f"{m['cpu_us_per_command']:.2f}", is_baseline),
        _with_ratio(entry, "commands_per_s", f"{m['commands_per_s']:,.0f}", is_baseline),
    ]
    cells += [_with_ratio(entry, k, _latency(m[k]), is_baseline)
              for k in ("p50_us", "p99_us", "p999_us")]
    return "| " + " | ".join(cells) + " |"


def markdown(result):
    """The table for the README; ratios are to the baseline server of the same run."""
    lines = []
    speed = [r for r in result["scenarios"] if r["name"] != "memory"]
    if any(r["servers"] for r in speed):
        lines += ["| scenario | server | CPU us per command | commands/s | p50 us | p99 us |"
                  " p99.9 us |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
        for r in speed:
            title = r["title"]
            for name, entry in r["servers"].items():
                lines.append(_speed_row(title, name, entry, name == result["baseline"]))
                title = ""
    for r in result["scenarios"]:
        if r["name"] != "memory" or not r["servers"]:
            continue
        lines += ["", f"| {r['keys']:,} keys of {r['key_size']} bytes with values of "
                  f"{r['value_size']} bytes | bytes per key |", "| --- | ---: |"]
        for name, entry in r["servers"].items():
            text = f"{entry['median']['bytes_per_key']:.1f}"
            text = _with_ratio(entry, "bytes_per_key", text, name == result["baseline"])
            lines.append(f"| {name} | {text} |")
    return "\n".join(lines)
