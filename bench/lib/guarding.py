# SPDX-License-Identifier: BSD-3-Clause
"""What bench/guard thinks of its figures, apart from how they are measured."""

TOLERANCE = 0.03


def read_list(text):
    """(setting, {scenario: commands of one round}) of what torc-driver --list prints."""
    setting, scenarios = {}, {}
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "scenario":
            name, commands = value.split()
            scenarios[name] = int(commands)
        else:
            setting[key] = value
    return setting, scenarios


def judge(setting, figures, committed):
    """(text to print, whether all is well) for figures beside the committed ones.

    A scenario that is not committed is a failure: it would be compared with nothing for ever. On
    another compiler or allocator nothing is compared, and the text says so.
    """
    differing = [f"{key} is {value}, the figures are of {committed.get(key)}"
                 for key, value in setting.items() if committed.get(key) != value]
    known = committed["instructions_per_command"]
    lines, bad = [], []
    for name, value in figures.items():
        line = f"{name:22} {value:9.1f} instructions per command"
        if name in known:
            change = value / known[name] - 1
            line += f"  ({change:+.2%} to {known[name]:.1f})"
        if differing:
            lines.append(line)
            continue
        if name not in known:
            bad.append(f"{name} is not in bench/guard.json (bench/guard --update)")
        elif change > TOLERANCE:
            bad.append(f"{name} grew by {change:.1%}, more than {TOLERANCE:.0%}")
        elif change < -TOLERANCE:
            line += "  better: bench/guard --update keeps it"
        lines.append(line)
    if differing:
        lines.append("guard: NOT compared: " + "; ".join(differing))
    lines += ["guard: " + text for text in bad]
    if not bad and not differing:
        lines.append(f"guard: {len(figures)} figures, none grew by more than {TOLERANCE:.0%}")
    return "\n".join(lines), not bad


def stages_markdown(name, events, stages, commands):
    """A table of instructions and simulated cache misses per command, by stage."""
    def total(cost, wanted):
        return sum(cost[events.index(event)] for event in wanted) / commands

    columns = [["Ir"], ["D1mr", "D1mw"], ["DLmr", "DLmw"]]
    sums = [sum(total(cost, c) for cost in stages.values()) for c in columns]
    lines = [f"| {name} | instructions | share | first-level misses | last-level misses |",
             "| --- | ---: | ---: | ---: | ---: |"]
    for stage, cost in [*stages.items(), ("all", None)]:
        ir, d1, ll = [total(cost, c) for c in columns] if cost else sums
        lines.append(f"| {stage} | {ir:.1f} | {ir / sums[0]:.1%} | {d1:.2f} | {ll:.2f} |")
    return "\n".join(lines)
