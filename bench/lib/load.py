# SPDX-License-Identifier: BSD-3-Clause
"""The two load generators behind one shape: fill a server, then measure a scenario.

Both return the same `Measured`; latencies are in microseconds. Every run of a generator has a time
limit and is a direct child, so nothing is left behind when the script ends.
"""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from lib.server import child_setup

FILL_CONNECTIONS = 8
FILL_S = 600
MARGIN_S = 60


class LoadError(Exception):
    """A load generator failed or saw an error reply; the text says why."""


@dataclass(frozen=True)
class Measured:
    commands: int
    per_s: float
    p50_us: float
    p99_us: float
    p999_us: float


def _run(argv, cpus, limit_s):
    """Runs one generator to its end; its output on failure becomes the error text."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True,
                               preexec_fn=child_setup(cpus))
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired as e:
        raise LoadError(f"{argv[0]} did not end within {limit_s:.0f} s") from e
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    text = output.decode("utf-8", "replace")
    if process.returncode != 0:
        raise LoadError(f"{' '.join(argv[:12])} ... ended with status {process.returncode}:\n"
                        f"{text[-1500:]}")
    return text


class Generator:
    """What both generators share."""

    def __init__(self, path, cpus, seconds):
        self.path = path
        self.cpus = cpus
        self.seconds = seconds

    def _json_run(self, argv, flag, cpus, limit_s):
        handle, path = tempfile.mkstemp(prefix="torc-bench-", suffix=".json")
        os.close(handle)
        try:
            output = _run(argv + [flag, path], cpus, limit_s)
            with open(path, encoding="utf-8", errors="replace") as f:
                return json.load(f), output
        finally:
            os.unlink(path)

    def threads(self, connections, cpus):
        """As many threads as CPUs, but such that each has the same number of connections."""
        count = max(1, min(len(cpus), connections))
        while connections % count != 0:
            count -= 1
        return count


class TorcLoad(Generator):
    name = "torc-load"

    def _target(self, server):
        if server.socket:
            return ["--socket", server.socket]
        return ["--host", "127.0.0.1", "--port", str(server.port)]

    def supports(self, scenario):
        return not scenario.cluster

    def fill(self, server, s):
        _run([self.path, *self._target(server), "--preload-only", "--connections",
              str(FILL_CONNECTIONS), "--keys", str(s.keys), "--key-size", str(s.key_size),
              "--value-size", str(s.value_size), "--quiet",
              *(["--ttl", str(s.ttl_s)] if s.ttl_s else [])], self.cpus, FILL_S)

    def run(self, server, cpus, limit_s, arguments):
        """Runs torc-load with these arguments; the result that it writes as JSON."""
        return self._json_run([self.path, *self._target(server), "--quiet", *arguments], "--json",
                              cpus, limit_s)[0]

    def measure(self, server, s, cpus, seed):
        argv = ["--seconds", str(self.seconds), "--connections", str(s.connections),
                "--threads", str(self.threads(s.connections, cpus)),
                "--pipeline", str(s.pipeline), "--keys", str(s.keys), "--key-size",
                str(s.key_size), "--value-size", str(s.value_size), "--ratio", s.ratio,
                "--seed", str(seed)]
        if s.zipfian:
            argv += ["--distribution", "zipfian"]
        if s.mget:
            argv += ["--mget", str(s.mget)]
        result = self.run(server, cpus, self.seconds + MARGIN_S, argv)
        latency = result["all"]["latency_us"]
        misses = result["all"]["misses"]
        if misses:
            raise LoadError(f"{misses} reads missed on {server.kind.name}: keys were lost")
        return Measured(result["replies"], result["all"]["requests_per_s"], latency["p50"],
                        latency["p99"], latency["p99_9"])


class Memtier(Generator):
    name = "memtier_benchmark"

    def _common(self, server, s):
        """Keys have one width: numbers from 10^k on, behind a prefix that fills up to key_size."""
        first = 10 ** len(str(s.keys - 1))
        prefix = "key:".ljust(s.key_size - len(str(first)), "0")
        target = ["-s", "127.0.0.1", "-p", str(server.port + 1 if s.cluster else server.port)]
        if server.socket:
            target = ["-S", server.socket]
        elif s.cluster:
            target.append("--cluster-mode")
        return [self.path, *target, "--key-prefix", prefix, "--key-minimum", str(first),
                "--key-maximum", str(first + s.keys - 1), "--data-size", str(s.value_size),
                "--hide-histogram"]

    def supports(self, scenario):
        return scenario.mget == 0 and not scenario.zipfian

    def fill(self, server, s):
        _run([*self._common(server, s), "-t", "1", "-c", str(FILL_CONNECTIONS), "--ratio", "1:0",
              "--key-pattern", "P:P", "-n", "allkeys", "--pipeline", "50",
              *([f"--expiry-range={s.ttl_s}-{s.ttl_s}"] if s.ttl_s else [])], self.cpus, FILL_S)

    def measure(self, server, s, cpus, seed):
        threads = self.threads(s.connections, cpus)
        argv = [*self._common(server, s), "-t", str(threads), "-c",
                str(s.connections // threads), "--pipeline", str(s.pipeline), "--ratio", s.ratio,
                "--key-pattern", "R:R", "--test-time", str(max(1, round(self.seconds))),
                "--print-percentiles", "50,99,99.9", "--distinct-client-seed"]
        result, output = self._json_run(argv, "--json-out-file", cpus, self.seconds + MARGIN_S)
        if "handle error response" in output:
            raise LoadError(f"{server.kind.name} answered with errors:\n{output[-800:]}")
        stats = result["ALL STATS"]
        totals = stats["Totals"]
        if totals["Misses/sec"] > 0:
            raise LoadError(f"reads missed on {server.kind.name}: keys were lost")
        percentiles = totals["Percentile Latencies"]
        return Measured(totals["Count"], totals["Ops/sec"], percentiles["p50.00"] * 1000,
                        percentiles["p99.00"] * 1000, percentiles["p99.90"] * 1000)


def available(wanted, torc_load_path, cpus, seconds):
    """The generators to use, the preferred one first.

    `wanted` is 'memtier', 'torc-load', or None for memtier where it is there and can express the
    scenario, torc-load for the rest.
    """
    memtier = shutil.which("memtier_benchmark")
    if wanted == "memtier" and not memtier:
        raise LoadError("memtier_benchmark is not on PATH")
    found = []
    if memtier and wanted != "torc-load":
        found.append(Memtier(memtier, cpus, seconds))
    if wanted != "memtier":
        if not os.access(torc_load_path, os.X_OK):
            raise LoadError(f"{torc_load_path} is not built (tools/build makes it)")
        found.append(TorcLoad(torc_load_path, cpus, seconds))
    return found
