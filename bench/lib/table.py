# SPDX-License-Identifier: BSD-3-Clause
"""Medians, ratios, verdicts and the Markdown tables.

A result is {"scenarios": [...], "servers": [...], "baseline": name, ...}; summarize() makes the
scenarios. The tables, the chart and the JSON file all show the numbers of that one structure.
"""

from dataclasses import asdict
from statistics import median

TORC = "torc"
FLOOR = "floor"
REDIS = "redis"
METRICS = ["cpu_us_per_command", "commands_per_s", "p50_us", "p99_us", "p999_us",
           "bytes_per_key", "bytes_per_connection"]


def ratios(rounds, base_rounds):
    """Medians over the rounds of value / value of the base in the same round, by metric."""
    found = {}
    for metric in METRICS:
        pairs = [(r[metric], b[metric]) for r, b in zip(rounds, base_rounds)
                 if metric in r and b.get(metric)]
        if pairs:
            found[metric] = median(value / base for value, base in pairs)
    return found


def verdicts(scenario, by_server):
    """torc's figure beside each aim of the scenario: [{against, aim, value, met}].

    The aim beside Redis is judged only by a server of that name, since it is about no other; an aim
    that nothing was measured for has the value None and is not met.
    """
    entry = by_server.get(TORC)
    if entry is None:
        return []
    metric = scenario.metric
    aims = [("redis", scenario.aim_redis), ("floor", scenario.aim_floor)]
    found = []
    for against, aim in aims:
        if aim is None:
            continue
        base = by_server.get(against)
        value = base and ratios(entry["rounds"], base["rounds"]).get(metric)
        found.append({"against": against, "aim": aim, "value": value,
                      "met": value is not None and value <= aim})
    if scenario.aim_absolute is not None:
        value = entry["median"].get(metric)
        found.append({"against": "absolute", "aim": scenario.aim_absolute, "value": value,
                      "met": value is not None and value <= scenario.aim_absolute})
    return found


def summarize(samples, scenarios, names, baseline):
    """Medians and ratios from samples[scenario name][server name] = list of {metric: value}."""
    rows = []
    for s in scenarios:
        measured = samples.get(s.name, {})
        by_server = {}
        for name in names:
            rounds = measured.get(name, [])
            if not rounds:
                continue
            medians = {m: median(r[m] for r in rounds) for m in METRICS if m in rounds[0]}
            by_server[name] = {"median": medians, "rounds": rounds,
                               "ratio": ratios(rounds, measured.get(baseline, [])),
                               "ratio_floor": ratios(rounds, measured.get(FLOOR, []))}
        rows.append({**asdict(s), "servers": by_server, "verdicts": verdicts(s, by_server)})
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
        _with_ratio(entry, "cpu_us_per_command", f"{m['cpu_us_per_command']:.3g}", is_baseline),
        _with_ratio(entry, "commands_per_s", f"{m['commands_per_s']:,.0f}", is_baseline),
    ]
    cells += [_with_ratio(entry, k, _latency(m[k]), is_baseline)
              for k in ("p50_us", "p99_us", "p999_us")]
    return "| " + " | ".join(cells) + " |"


def _is_speed(row):
    return row["metric"] == "cpu_us_per_command"


def _memory_tables(result):
    """One line for each scenario and server of those that are about bytes."""
    rows = [r for r in result["scenarios"] if not _is_speed(r) and r["servers"]]
    lines = ["", "| memory | server | bytes |", "| --- | --- | ---: |"] if rows else []
    for r in rows:
        title = r["title"]
        if r["metric"] == "bytes_per_key":
            title += f" ({r['keys']:,} of {r['key_size']} + {r['value_size']} bytes)"
        for name, entry in r["servers"].items():
            text = f"{entry['median'][r['metric']]:,.1f}"
            text = _with_ratio(entry, r["metric"], text, name == result["baseline"])
            lines.append(f"| {title} | {name} | {text} |")
            title = ""
    return lines


def markdown(result):
    """All servers' figures; in brackets ratios to the baseline server of the same run."""
    lines = []
    speed = [r for r in result["scenarios"] if _is_speed(r) and r["servers"]]
    if speed:
        lines += ["| scenario | server | CPU us per command | commands/s | p50 us | p99 us |"
                  " p99.9 us |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
        for r in speed:
            title = r["title"]
            for name, entry in r["servers"].items():
                lines.append(_speed_row(title, name, entry, name == result["baseline"]))
                title = ""
    return "\n".join(lines + _memory_tables(result)).lstrip("\n")


def _figure(entry, metric):
    if entry is None:
        return ""
    value = entry["median"][metric]
    return f"{value:.3g}" if metric == "cpu_us_per_command" else f"{value:,.1f}"


def _aim_cell(verdict):
    if verdict is None:
        return ""
    value, aim = verdict["value"], f"{verdict['aim']:g}"
    if verdict["against"] != "absolute":
        aim += "x"
        text = "not measured" if value is None else f"{value:.2f}x"
    else:
        text = "not measured" if value is None else f"{value:,.1f}"
    return f"{text} (aim {aim})"


def aims_markdown(result):
    """torc beside its aims: a row for each scenario that has one. '' when there is none."""
    lines = []
    for r in result["scenarios"]:
        if not r["verdicts"]:
            continue
        by_against = {v["against"]: v for v in r["verdicts"]}
        figures = [_figure(r["servers"].get(name), r["metric"]) for name in (TORC, REDIS, FLOOR)]
        missed = [v["against"] for v in r["verdicts"] if not v["met"]]
        lines.append("| " + " | ".join([
            r["title"], *figures, *(_aim_cell(by_against.get(a))
                                    for a in ("redis", "floor", "absolute")),
            "met" if not missed else "NOT met: " + ", ".join(missed)]) + " |")
    if not lines:
        return ""
    head = ["| scenario (CPU us per command, or bytes) | torc | redis | floor | x Redis | x floor |"
            " absolute | |", "| --- | ---: | ---: | ---: | --- | --- | --- | --- |"]
    return "\n".join(head + lines)
