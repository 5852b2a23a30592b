# SPDX-License-Identifier: BSD-3-Clause
"""What bench/tls makes of its samples: percentiles and the table."""

import statistics

PIPELINES = {1: 0.7, 50: 0.45}  # the aims: CPU time per command beside Redis's
STORM = 1000  # new clients at once
AT_A_TIME = 64  # handshakes under way

ROWS = [("cpu-p1", "CPU us per command, no pipeline", 3),
        ("cpu-p50", "CPU us per command, pipeline 50", 3),
        ("cpu-handshake", "CPU us per handshake", 0),
        ("handshakes/s", f"handshakes per second, {AT_A_TIME} at a time", 0),
        ("p99-calm", "p99 of a connected client, ms", 3),
        ("p99-storm", f"p99 while {STORM} new clients come, ms", 3),
        ("max-storm", f"worst while {STORM} new clients come, ms", 3),
        ("idle", "bytes per idle connection", 0)]


def percentile(values, share):
    """The value that this share of all does not exceed."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def report(samples, versions):
    """The table, as Markdown; ratios are medians of those within a round."""
    lines = ["| | torc | redis | ratio |", "| --- | ---: | ---: | ---: |"]
    for name, title, digits in ROWS:
        ours, theirs = samples["torc"][name], samples["redis"][name]
        ratio = statistics.median(x / y if y else float("inf") for x, y in zip(ours, theirs))
        pipeline = int(name[5:]) if name.startswith("cpu-p") else None
        aim = f" (aim {PIPELINES[pipeline]})" if pipeline else ""
        lines.append(f"| {title} | {statistics.median(ours):,.{digits}f} | "
                     f"{statistics.median(theirs):,.{digits}f} | {ratio:.2f}{aim} |")
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join(lines) + f"\n\n({names}; one CPU each, medians)"
