# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one row for each scenario.

A scenario is data only. `compare` groups scenarios that need the same data set and the same kind of
server, so that a server is started and filled once for each group and round.
"""

from dataclasses import dataclass, replace


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
    is_memory: bool = False
    is_default: bool = False

    def group(self):
        """Scenarios with equal groups can share a running, filled server."""
        return (self.keys, self.key_size, self.value_size, self.unix, self.shards, self.is_memory)


ALL = [
    Scenario("p1", "no pipeline", is_default=True),
    Scenario("p10", "pipeline 10", pipeline=10, is_default=True),
    Scenario("p50", "pipeline 50", pipeline=50, is_default=True),
    Scenario("memory", "bytes per key", is_memory=True, is_default=True),
    Scenario("conn1", "1 connection", connections=1),
    Scenario("conn8", "8 connections", connections=8),
    Scenario("zipfian", "Zipfian keys, pipeline 10", pipeline=10, zipfian=True),
    Scenario("mget100", "MGET of 100 keys", mget=100, ratio="0:1"),
    Scenario("1k", "values of 1 KiB", value_size=1024, keys=200_000),
    Scenario("64k", "values of 64 KiB", value_size=65536, keys=5_000),
    Scenario("unix", "Unix socket", unix=True),
    Scenario("shards2", "2 shards, no pipeline", shards=2),
    Scenario("shards2-p10", "2 shards, pipeline 10", shards=2, pipeline=10),
    Scenario("shards2-p50", "2 shards, pipeline 50", shards=2, pipeline=50),
]


def select(names, keys=None, memory_keys=None):
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
        if s.is_memory and memory_keys:
            s = replace(s, keys=memory_keys)
        elif not s.is_memory and keys:
            s = replace(s, keys=min(s.keys, keys))
        chosen.append(s)
    return chosen
