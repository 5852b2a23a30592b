# SPDX-License-Identifier: BSD-3-Clause
"""Runs torc-driver under callgrind, and reads what it wrote.

Only the costs of each function's own instructions are taken, by the source file that they come
from: with inlining that is what still tells one part of the path from another. See the manual's
"Callgrind Format Specification" for the file.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass

LIMIT_S = 300
COUNTED = "counted_turn*"  # bench/driver/main.c; link-time optimisation adds to the name


class CallgrindError(Exception):
    """valgrind or the driver failed; the text says why."""


@dataclass(frozen=True)
class Place:
    """Where an instruction comes from: the object file, the source file, the function."""

    object: str
    file: str
    function: str


# Parts of the path, the first that fits: (stage, pattern of "object|file|function").
STAGES = [
    ("allocator", r"libmimalloc|engine/base/alloc\."),
    ("copy and compare (libc)", r"/libc\.so"),
    ("poll, receive, send", r"net/(io|listener|tls)|bench/driver/"),
    ("parse", r"net/resp_parser"),
    ("find the command", r"engine/commands/table"),
    ("check the rights", r"engine/acl/|shards/accounts"),
    ("hash", r"xxhash|engine/base/hash"),
    ("look up, prefetch", r"engine/keyspace/(table|expiry|watch)|engine/base/prefetch"),
    ("entry", r"engine/keyspace/entry"),
    ("execute", r"engine/(commands|keyspace|encoding|types|rdb|script)/|\|shard_run"),
    ("reply", r"engine/base/(reply|num|buf)"),
    ("dispatch, route", r"shards/(dispatch|request|session|multi|intents|statistics)"),
    ("connection, pass", r"shards/"),
    # What is inlined from headers that all use: by the function that it became part of.
    ("look up, prefetch", r"\|(table_|find_overflow)"),
    ("dispatch, route", r"engine/base/slice\.h"),
]
OTHER = "other"


def stage_of(place):
    text = f"{place.object}|{place.file}|{place.function}"
    return next((stage for stage, pattern in STAGES if re.search(pattern, text)), OTHER)


def parse(lines):
    """(names of the events, {Place: [cost of each event]}) of a callgrind file."""
    events, costs, names = [], {}, {}
    current = {"ob": "", "fl": "", "fn": ""}
    kinds = {"ob": "ob", "fl": "fl", "fi": "fl", "fe": "fl", "fn": "fn"}
    tables = {**kinds, "cob": "ob", "cfi": "fl", "cfl": "fl", "cfn": "fn"}
    skip_next = False
    for line in lines:
        key, equals, rest = line.partition("=")
        if equals and key in tables:
            number, _, name = rest.strip().partition(" ")
            if number.startswith("("):
                slot = (tables[key], number)
                name = names.setdefault(slot, name) if name else names.get(slot, "")
            else:
                name = rest.strip()
            if key in kinds:
                current[kinds[key]] = name
        elif key == "calls":
            skip_next = True
        elif line.startswith("events:"):
            events = line.split()[1:]
        elif line[:1] in "0123456789+-*" and line.strip():
            if skip_next:  # the cost of a call, which the callee has
                skip_next = False
                continue
            place = Place(current["ob"], current["fl"], current["fn"])
            total = costs.setdefault(place, [0] * len(events))
            for i, cost in enumerate(line.split()[1:]):
                total[i] += int(cost)
    return events, costs


def by_stage(costs):
    """Sums by stage, in the order of STAGES."""
    sums = {}
    for place, cost in costs.items():
        stage = stage_of(place)
        sums[stage] = [a + b for a, b in zip(sums.get(stage, [0] * len(cost)), cost)]
    order = [stage for stage, _ in STAGES] + [OTHER]
    return {stage: sums[stage] for stage in order if stage in sums}


def run(driver, scenario, keys, rounds, options=()):
    """Runs a scenario; (events, costs) of what is counted of it."""
    with tempfile.TemporaryDirectory(prefix="torc-guard-") as folder:
        out = os.path.join(folder, "out")
        argv = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                "--collect-atstart=no", f"--toggle-collect={COUNTED}", *options, driver, scenario,
                str(keys), str(rounds)]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  errors="replace", timeout=LIMIT_S, check=False)
        except FileNotFoundError as e:
            raise CallgrindError("valgrind is not there (tools/install-deps --tests installs it)"
                                 ) from e
        except subprocess.TimeoutExpired as e:
            raise CallgrindError(f"{scenario} did not end within {LIMIT_S} s") from e
        if done.returncode != 0:
            raise CallgrindError(f"{scenario} ended with status {done.returncode}:\n"
                                 f"{done.stderr[-1500:]}")
        with open(out, encoding="utf-8", errors="replace") as f:
            events, costs = parse(f)
    if not costs:
        raise CallgrindError(f"{scenario}: nothing was counted; is there a {COUNTED} in {driver}?")
    return events, costs
