# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one row for each scenario, with its aims.

A scenario is data only. `compare` groups scenarios that need the same data set and the same kind of
server, so that a server is started and filled once for each group and round.
"""

from dataclasses import dataclass, replace

CPU = "cpu_us_per_command"
PER_KEY = "bytes_per_key"
PER_CONNECTION = "bytes_per_connection"
QUICK_CONNECTIONS = 500


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    connections: int = 50
    pipeline: int = 1
    keys: int = 1_000_000
    key_size: int = 16
    value_size: int = 32
    ratio: str = "1:10"
    zipfian: bool = False
    mget: int = 0
    unix: bool = False
    shards: int = 1
    cluster: bool = False  # memtier as a cluster client, from the first of torc's shard ports on
    ttl_s: int = 0
    metric: str = CPU  # the figure that the aims are about
    # Aims for torc: at most so many times Redis's or the floor's figure, at most so much.
    aim_redis: float | None = None
    aim_floor: float | None = None
    aim_absolute: float | None = None
    is_default: bool = True

    def group(self):
        """Scenarios with equal groups can share a running, filled server."""
        return (self.keys, self.key_size, self.value_size, self.unix, self.shards, self.ttl_s,
                self.metric)

    def is_memory(self):
        return self.metric != CPU

    def has_floor(self):
        """The floor holds nothing and has one thread."""
        return not self.is_memory() and self.shards == 1


ALL = [
    Scenario("p50", "pipeline 50", pipeline=50, aim_redis=0.30, aim_floor=1.7),
    Scenario("p10", "pipeline 10", pipeline=10, aim_redis=0.50, aim_floor=1.25),
    Scenario("p1", "no pipeline", aim_redis=0.80, aim_floor=1.10),
    Scenario("unix", "no pipeline, Unix socket", unix=True, aim_redis=0.75, aim_floor=1.10),
    Scenario("mget100", "MGET of 100 keys, per key", mget=100, ratio="0:1", aim_redis=0.30),
    Scenario("1k", "values of 1 KiB, pipeline 10", value_size=1024, keys=500_000, pipeline=10,
             aim_redis=0.60, aim_floor=1.3),
    Scenario("64k", "values of 64 KiB, no pipeline", value_size=65536, keys=10_000,
             aim_redis=1.0, aim_floor=1.15),
    Scenario("zipf10m", "10 M keys, Zipfian, pipeline 50", pipeline=50,
             keys=10_000_000, value_size=100, zipfian=True, aim_redis=0.35, aim_floor=2.0),
    Scenario("shards2", "2 shards, no pipeline", shards=2, aim_redis=1.10),
    Scenario("shards2-p10", "2 shards, pipeline 10", shards=2, pipeline=10, aim_redis=0.65),
    Scenario("shards2-p50", "2 shards, pipeline 50", shards=2, pipeline=50, aim_redis=0.30),
    Scenario("memory", "bytes per key", keys=2_000_000, metric=PER_KEY, aim_absolute=72),
    Scenario("memory-ttl", "bytes per key with a TTL", keys=2_000_000, ttl_s=100_000,
             metric=PER_KEY, aim_absolute=80),
    Scenario("idle", "bytes per idle connection", connections=5000, keys=1, metric=PER_CONNECTION,
             aim_absolute=512),
    Scenario("zipfian", "Zipfian keys, pipeline 10", pipeline=10, zipfian=True, is_default=False),
]


def select(names, keys=None, memory_keys=None, is_quick=False):
    """The scenarios called `names` (comma-separated; 'default', 'all'), in the table's order.

    `keys` caps the key space, `memory_keys` sets the number of keys behind bytes per key.
    Raises ValueError for an unknown name.
    """
    wanted = set()
    for name in names.split(","):
        if name == "all":
            wanted.update(s.name for s in ALL)
        elif name == "default":
            wanted.update(s.name for s in ALL if s.is_default)
        elif name in {s.name for s in ALL}:
            wanted.add(name)
        else:
            known = ", ".join(s.name for s in ALL)
            raise ValueError(f"unknown scenario '{name}'; known: default, all, {known}")
    chosen = []
    for s in ALL:
        if s.name not in wanted:
            continue
        if s.metric == PER_KEY and memory_keys:
            s = replace(s, keys=memory_keys)
        elif s.metric == PER_CONNECTION and is_quick:
            s = replace(s, connections=QUICK_CONNECTIONS)
        elif not s.is_memory() and keys:
            s = replace(s, keys=min(s.keys, keys))
        chosen.append(s)
    return chosen
