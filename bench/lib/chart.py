# SPDX-License-Identifier: BSD-3-Clause
"""One SVG chart of a result: grouped horizontal bars of the ratios to the baseline server.

Two panels share the rows (one group of bars for each scenario, one bar for each server): on the
left what a command or key costs, where shorter is better, on the right the throughput, where longer
is better. The baseline is the line at 1. Everything is placed by arithmetic on row heights, so
nothing can overlap, however many scenarios or servers there are.
"""

from xml.sax.saxutils import escape

BAR = 16
BAR_GAP = 3
GROUP_GAP = 18
LABELS = 204
PANEL = 300
PANEL_GAP = 60
VALUE_ROOM = 54
TOP = 112
BOTTOM = 64
COLOURS = ["#0f766e", "#94a3b8", "#b45309", "#6d28d9", "#be123c", "#0369a1", "#4d7c0f"]
FONT = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\""


def _text(x, y, text, size=13, anchor="start", colour="#1e293b", weight="normal"):
    """Text with a white edge, so that it stays readable where it crosses a line."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}" font-weight="{weight}" paint-order="stroke" stroke="#ffffff" '
            f'stroke-width="4" stroke-linejoin="round">{escape(text)}</text>')


def _cost_metric(row):
    return row["metric"]


def _nice_limit(values):
    """The right end of an axis: the next quarter above the largest ratio, at least 1.25."""
    return max(1.25, -(-max(values, default=1.0) * 1.02 // 0.25) * 0.25)


def _axis(x, top, bottom, limit, title, subtitle):
    parts = [_text(x, TOP - 34, title, 14, weight="600"),
             _text(x, TOP - 17, subtitle, 11.5, colour="#64748b")]
    step = 0.25 if limit <= 1.5 else 0.5 if limit <= 4 else 1.0 if limit <= 8 else 5.0
    marks = [step * i for i in range(int(limit / step + 1e-9) + 1)]
    for mark in [m for m in marks if m != 1.0] + [1.0]:
        px = x + PANEL * mark / limit
        colour, width = ("#475569", 1.5) if mark == 1.0 else ("#e2e8f0", 1)
        parts.append(f'<line x1="{px:.1f}" y1="{top}" x2="{px:.1f}" y2="{bottom}" '
                     f'stroke="{colour}" stroke-width="{width}"/>')
        if mark in marks:
            parts.append(_text(px, bottom + 15, f"{mark:g}x", 11, "middle", "#64748b"))
    return parts


def _bar(x, y, ratio, limit, colour, label):
    width = PANEL * min(ratio, limit) / limit
    return [f'<rect x="{x}" y="{y}" width="{max(width, 1):.1f}" height="{BAR}" rx="2" '
            f'fill="{colour}"/>', _text(x + width + 5, y + BAR - 4, label, 11)]


def _legend(names, versions, baseline, width):
    """Server names with their colours, in as many lines as they need; returns (svg, height)."""
    parts, x, y = [], 24, 0
    for i, name in enumerate(names):
        label = f"{name} {versions.get(name, '')}".strip()
        if name == baseline:
            label += " (= 1)"
        needed = 34 + 7.4 * len(label)
        if x > 24 and x + needed > width - 24:
            x, y = 24, y + 20
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="13" height="13" rx="2" '
                     f'fill="{COLOURS[i % len(COLOURS)]}"/>')
        parts.append(_text(x + 19, y + 11, label, 12.5))
        x += needed
    return parts, y + 20


def _groups(rows, names, limits, xs):
    """Labels and bars of all scenarios; returns (svg, bottom)."""
    parts, y = [], TOP
    for row in rows:
        present = [n for n in names if n in row["servers"]]
        height = len(present) * (BAR + BAR_GAP) - BAR_GAP
        parts.append(_text(24 + LABELS - 34, y + height / 2 + 4.5, row["title"], 13, "end"))
        for i, name in enumerate(present):
            entry = row["servers"][name]
            colour = COLOURS[names.index(name) % len(COLOURS)]
            top = y + i * (BAR + BAR_GAP)
            for x, limit, metric in zip(xs, limits, (_cost_metric(row), "commands_per_s")):
                if metric in entry["ratio"]:
                    ratio = entry["ratio"][metric]
                    parts += _bar(x, top, ratio, limit, colour, f"{ratio:.2f}x")
        y += height + GROUP_GAP
    return parts, y - GROUP_GAP + 8


def svg(result):
    """The chart as SVG text."""
    rows = [r for r in result["scenarios"] if result["baseline"] in r["servers"]]
    names = [s["name"] for s in result["servers"]]
    versions = {s["name"]: s["version"] for s in result["servers"]}
    xs = [24 + LABELS - 20, 24 + LABELS - 20 + PANEL + VALUE_ROOM + PANEL_GAP]
    width = xs[1] + PANEL + VALUE_ROOM + 16
    limits = []
    for pick in (_cost_metric, lambda r: "commands_per_s"):
        limits.append(_nice_limit([e["ratio"][pick(r)] for r in rows
                                   for e in r["servers"].values() if pick(r) in e["ratio"]]))
    groups, bottom = _groups(rows, names, limits, xs)
    axes = _axis(xs[0], TOP - 6, bottom, limits[0], "Cost: CPU time per command, bytes",
                 f"relative to {result['baseline']}, shorter is better")
    axes += _axis(xs[1], TOP - 6, bottom, limits[1], "Throughput: commands per second",
                  f"relative to {result['baseline']}, longer is better")
    legend, legend_height = _legend(names, versions, result["baseline"], width)
    height = bottom + BOTTOM + legend_height - 20
    note = (f"Medians over {result['settings']['rounds']} x "
            f"{result['settings']['seconds']:g} s, loaded by {result['settings']['load']}; "
            f"{result['machine']['cpu']}, Linux {result['machine']['kernel']}")
    body = [_text(24, 34, "torc beside " + ", ".join(n for n in names if n != names[0]), 19,
                  weight="700"),
            _text(24, 55, note, 11.5, colour="#64748b"), *axes, *groups,
            f'<g transform="translate(0 {bottom + 34})">', *legend, "</g>"]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
            f'viewBox="0 0 {width} {height:.0f}" {FONT}>\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n")
