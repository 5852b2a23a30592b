# SPDX-License-Identifier: BSD-3-Clause
"""The parts of bench/ that turn measurements into figures, verdicts, tables and charts."""
import pathlib
import sys
import xml.dom.minidom

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
# The tests' own `lib` may be loaded already: the benchmarks' package has the same name.
kept = {name: sys.modules.pop(name) for name in list(sys.modules)
        if name == "lib" or name.startswith("lib.")}
from lib import callgrind, chart, families, guarding, latencies, page  # noqa: E402
from lib import scenarios, snapshots, stalls, table, tls  # noqa: E402
for name in [n for n in sys.modules if n == "lib" or n.startswith("lib.")]:
    del sys.modules[name]
sys.modules.update(kept)
sys.path.remove(str(ROOT / "bench"))


def speed(cpu, per_s=1000.0):
    return {"cpu_us_per_command": cpu, "commands_per_s": per_s, "p50_us": 10.0, "p99_us": 20.0,
            "p999_us": 200.0}


def result(samples, names=("torc", "redis", "floor")):
    chosen = [s for s in scenarios.ALL if s.name in samples]
    return {"baseline": "redis", "scenarios": table.summarize(samples, chosen, names, "redis"),
            "servers": [{"name": n, "version": "1"} for n in names],
            "settings": {"rounds": 3, "seconds": 1.0, "load": "x"},
            "machine": {"cpu": "c", "kernel": "k"}}


def test_ratios_are_taken_within_each_round():
    # The machine was twice as slow in the second round: ratios do not notice.
    ratios = table.ratios([speed(1.0), speed(2.2), speed(1.2)],
                          [speed(2.0), speed(4.0), speed(2.0)])
    assert ratios["cpu_us_per_command"] == pytest.approx(0.55)
    assert table.ratios([speed(1.0)], []) == {}


@pytest.mark.parametrize("torc, floor, met", [(1.0, 0.9, [True, True]), (1.7, 1.0, [False, False]),
                                              (1.0, 0.5, [True, False])])
def test_verdicts_hold_figures_against_aims(torc, floor, met):
    rows = result({"p10": {"torc": [speed(torc)], "redis": [speed(2.0)],
                           "floor": [speed(floor)]}})["scenarios"]
    verdicts = rows[0]["verdicts"]
    assert [v["against"] for v in verdicts] == ["redis", "floor"]
    assert [v["met"] for v in verdicts] == met
    assert verdicts[0]["value"] == pytest.approx(torc / 2.0)
    assert verdicts[1]["value"] == pytest.approx(torc / floor)


def test_what_was_not_measured_is_not_met():
    rows = result({"p10": {"torc": [speed(0.1)]}})["scenarios"]
    assert [(v["value"], v["met"]) for v in rows[0]["verdicts"]] == [(None, False)] * 2
    shown = table.aims_markdown(result({"p10": {"torc": [speed(0.1)]}}))
    assert "not measured (aim 0.5x)" in shown and "NOT met: redis, floor" in shown


def test_memory_is_held_against_an_absolute_aim():
    memory = {"memory": {"torc": [{"bytes_per_key": 77.0}], "redis": [{"bytes_per_key": 141.0}]}}
    shown = table.aims_markdown(result(memory))
    assert "77.0 (aim 72)" in shown and "NOT met: absolute" in shown
    memory["memory"]["torc"] = [{"bytes_per_key": 70.0}]
    assert "| met |" in table.aims_markdown(result(memory))


def test_the_tables_show_medians_and_ratios():
    text = table.markdown(result({
        "p1": {"torc": [speed(1.0), speed(3.0), speed(2.0)], "redis": [speed(4.0)] * 3},
        "idle": {"torc": [{"bytes_per_connection": 400.0}],
                 "redis": [{"bytes_per_connection": 800.0}]}}))
    assert "| no pipeline | torc | 2 (0.50x) | 1,000 (1.00x) | 10.0 (1.00x) |" in text
    assert "|  | redis | 4 | 1,000 |" in text
    assert "| bytes per idle connection | torc | 400.0 (0.50x) |" in text
    assert table.aims_markdown(result({"zipfian": {"torc": [speed(1.0)]}})) == ""


def test_every_aim_of_the_table_has_a_scenario():
    aims = {s.name: (s.aim_redis, s.aim_floor, s.aim_absolute) for s in scenarios.ALL
            if s.aim_redis or s.aim_floor or s.aim_absolute}
    assert set(aims) == {s.name for s in scenarios.ALL if s.is_default}
    for s in scenarios.ALL:
        assert s.aim_floor is None or s.has_floor(), s.name


def test_selecting_scenarios():
    assert [s.name for s in scenarios.select("p1,p50")] == ["p50", "p1"]
    assert {s.name for s in scenarios.select("all")} == {s.name for s in scenarios.ALL}
    capped = {s.name: s for s in scenarios.select("all", 1000, 5000, is_quick=True)}
    assert capped["zipf10m"].keys == 1000 and capped["memory"].keys == 5000
    assert capped["idle"].connections == scenarios.QUICK_CONNECTIONS
    with pytest.raises(ValueError, match="unknown scenario 'p2'"):
        scenarios.select("p1,p2")


def test_the_chart_is_xml_and_names_all_servers():
    names = ("torc", "redis", "floor", "a<b")
    svg = chart.svg(result({"p1": {n: [speed(1.0)] for n in names},
                            "memory": {"torc": [{"bytes_per_key": 70.0}],
                                       "redis": [{"bytes_per_key": 140.0}]}}, names))
    document = xml.dom.minidom.parseString(svg)
    texts = ["".join(n.data for n in t.childNodes) for t in document.getElementsByTagName("text")]
    assert any(t.startswith("a<b") for t in texts)
    assert "bytes per key" in texts and "0.50x" in texts


# ---- bench/guard -------------------------------------------------------------------------------

CALLGRIND_FILE = """# callgrind format
version: 1
positions: line
events: Ir D1mr

ob=(1) /build/torc-driver
fl=(1) /src/net/resp_parser.c
fn=(1) dispatch_bytes
12 100 1
+3 20
fi=(2) /src/engine/keyspace/table.c
* 7 2
cob=(2) /lib/x86_64-linux-gnu/libc.so.6
cfi=(3) ???
cfn=(2) memcpy
calls=3 -4
15 900 40
fe=(1)
-2 5

ob=(2)
fl=(3)
fn=(2)
0 900 40

totals: 1032 43
"""


def test_callgrind_files_are_read_without_the_costs_of_calls():
    events, costs = callgrind.parse(CALLGRIND_FILE.splitlines(keepends=True))
    place = callgrind.Place
    assert events == ["Ir", "D1mr"]
    assert costs == {
        place("/build/torc-driver", "/src/net/resp_parser.c", "dispatch_bytes"): [125, 1],
        place("/build/torc-driver", "/src/engine/keyspace/table.c", "dispatch_bytes"): [7, 2],
        place("/lib/x86_64-linux-gnu/libc.so.6", "???", "memcpy"): [900, 40]}
    assert list(callgrind.by_stage(costs).items()) == [
        ("copy and compare (libc)", [900, 40]), ("parse", [125, 1]), ("look up, prefetch", [7, 2])]


def test_no_source_of_the_path_is_without_a_stage():
    sources = [p.relative_to(ROOT).as_posix() for layer in ("engine", "net", "shards")
               for p in (ROOT / layer).rglob("*.[ch]")]
    lost = [s for s in sources
            if callgrind.stage_of(callgrind.Place("torc-driver", "/src/" + s, "f")) == "other"]
    assert {s for s in lost if not s.startswith("engine/base/")} == set()


SETTING = {"compiler": "12.2.0", "allocator": "mimalloc-2.0.9"}
COMMITTED = {**SETTING, "instructions_per_command": {"get": 1000.0, "set": 2000.0}}


@pytest.mark.parametrize("figures, is_good, said", [
    ({"get": 1000.0, "set": 2000.0}, True, "2 figures, none grew by more than 3%"),
    ({"get": 1029.0, "set": 2059.0}, True, "none grew"),
    ({"get": 1031.0, "set": 2000.0}, False, "get grew by 3.1%, more than 3%"),
    ({"get": 900.0, "set": 2000.0}, True, "better: bench/guard --update"),
    ({"get": 1000.0, "new": 1.0}, False, "new is not in bench/guard.json"),
])
def test_the_guard_turns_red_when_a_figure_grows(figures, is_good, said):
    text, good = guarding.judge(SETTING, figures, COMMITTED)
    assert good is is_good
    assert said in text


def test_the_guard_compares_nothing_on_another_compiler_and_says_so():
    text, good = guarding.judge({**SETTING, "compiler": "13.1"}, {"get": 5000.0}, COMMITTED)
    assert good
    assert "NOT compared: compiler is 13.1, the figures are of 12.2.0" in text
    assert "5000.0 instructions" in text


def test_the_list_of_the_driver():
    setting, known = guarding.read_list("compiler: 12.2.0\nallocator: m 1\nscenario: get 1\n"
                                        "scenario: mget-100 100\n")
    assert setting == {"compiler": "12.2.0", "allocator": "m 1"}
    assert known == {"get": 1, "mget-100": 100}


def test_the_stages_add_up():
    text = guarding.stages_markdown("get", ["Ir", "D1mr", "D1mw", "DLmr", "DLmw"],
                                    {"parse": [300, 1, 2, 3, 4], "reply": [100, 0, 0, 0, 1]}, 2)
    assert "| parse | 150.0 | 75.0% | 1.50 | 3.50 |" in text
    assert "| all | 200.0 | 100.0% | 1.50 | 4.00 |" in text


def test_text_goes_between_its_marks(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- stages:begin -->\nold\n<!-- stages:end -->\nb\n")
    page.write(path, "stages", "new")
    assert path.read_text() == "a\n<!-- stages:begin -->\nnew\n<!-- stages:end -->\nb\n"
    with pytest.raises(ValueError, match="no marks"):
        page.write(path, "aims", "new")


# ---- bench/latency -----------------------------------------------------------------------------


def percentiles(p999, others=10.0):
    return {"p50": others, "p99": others, "p99_9": p999, "p99_99": others}


@pytest.mark.parametrize("per_s, p50, missed", [
    (1000.0, 50.0, []), (999.0, 50.0, ["throughput"]), (2000.0, 51.0, ["median"]),
    (1.0, 500.0, ["throughput", "median"])])
def test_few_connections_are_never_to_be_slower(per_s, p50, missed):
    figures = latencies.compare([{"per_s": per_s, "p50": p50}], [{"per_s": 1000.0, "p50": 50.0}],
                                ["per_s", "p50"])
    assert latencies.few_missed(figures) == missed
    text = latencies.few_markdown([{"title": "t", "connections": 8, "shards": 2,
                                    "figures": figures, "missed": missed}])
    assert text.endswith("| met |" if not missed else f"| NOT met: {', '.join(missed)} |")
    assert f"| t | 8 | 2 | {per_s:,.0f} | 1,000 |" in text


@pytest.mark.parametrize("torc, aim, missed", [
    (percentiles(50.0), 0.5, []), (percentiles(51.0), 0.5, ["p99_9"]), (percentiles(51.0), 1.0, []),
    (percentiles(50.0, 11.0), 0.5, ["p50", "p99", "p99_99"])])
def test_percentiles_are_held_against_redis(torc, aim, missed):
    figures = latencies.compare([torc] * 3, [percentiles(100.0)] * 3, latencies.PERCENTILES)
    assert latencies.open_missed(figures, aim) == missed
    text = latencies.open_markdown([{"title": "t", "share": 0.8, "rate": 5000, "figures": figures,
                                     "missed": missed}])
    assert "| t | 5,000 (80%) |" in text
    assert f"{torc['p99_9']:.1f} / 100 ({torc['p99_9'] / 100:.2f}x)" in text


def test_latency_ratios_are_taken_within_each_round():
    figures = latencies.compare([{"p50": 1.0}, {"p50": 30.0}, {"p50": 3.0}],
                                [{"p50": 2.0}, {"p50": 60.0}, {"p50": 4.0}], ["p50"])
    assert figures["p50"] == {"torc": 3.0, "redis": 4.0, "ratio": 0.5}


def test_shard_ports_beside_the_plain_port():
    def sample(cpu, **more):
        return {"cpu_us": cpu, "per_s": 1e5, "p50": 20.0, **more}

    rows = latencies.ports_rows({10: {
        "redis": [sample(2.0), sample(4.0)], "plain": [sample(1.0, messages=0.5)] * 2,
        "shard ports": [sample(0.5, messages=0.0), sample(1.5, messages=0.0)]}})
    assert [r["name"] for r in rows] == ["redis", "plain", "shard ports"]
    assert [r["messages"] for r in rows] == [None, 0.5, 0.0]
    assert [r["cpu_ratio"] for r in rows] == [1.0, 0.375, 0.3125]
    text = latencies.ports_markdown(rows)
    assert "| 10 | Redis | 3 | 1.00x | 100,000 | 20.0 |  |" in text
    assert "| 10 | torc, plain port | 1 | 0.38x | 100,000 | 20.0 | 0.5000 |" in text


# ---- bench/tls ---------------------------------------------------------------------------------

def test_the_table_of_tls_shows_medians_and_ratios_of_rounds():
    torc = {name: [1.0, 3.0, 2.0] for name, *_ in tls.ROWS}
    redis = {name: [2.0, 4.0, 8.0] for name, *_ in tls.ROWS}
    text = tls.report({"torc": torc, "redis": redis}, {"torc": "1", "redis": "7"})
    assert "| CPU us per command, pipeline 50 | 2.000 | 4.000 | 0.50 (aim 0.45) |" in text
    assert "| bytes per idle connection | 2 | 4 | 0.50 |" in text
    assert "(torc 1, redis 7; " in text


def test_percentiles_of_tls():
    values = list(range(100, 0, -1))
    assert tls.percentile(values, 0.99) == 100 and tls.percentile(values, 0.5) == 51
    assert tls.percentile([7], 0.99) == 7


# ---- bench/types -------------------------------------------------------------------------------

def test_families_are_selected_by_name():
    assert [r.name for r in families.select("xadd,zset,zadd", families.CPU)] == ["zadd", "xadd"]
    assert [r.name for r in families.select("xadd,zset", families.MEMORY)] == ["zset"]
    assert families.select("all", families.MEMORY) == families.MEMORY
    assert families.unknown("zset,zadd,all") == []
    assert families.unknown("zset,nonsense") == ["nonsense"]


def test_every_row_has_its_data_and_ends_with_what_it_says():
    assert len({r.name for r in families.MEMORY + families.CPU}) == len(families.MEMORY +
                                                                        families.CPU)
    assert families.data_sets(families.CPU) == families.DATA  # none is missing, none is for nothing
    assert [d.name for d in families.data_sets(families.select("hgetall,hset", families.CPU))] == [
        "hash"]
    for row in families.MEMORY:
        assert row.requests() * row.per_command == row.elements
        assert len(row.key_prefix) + len(str(row.requests() - 1)) <= row.key_size, row.name
    assert families.Fill("x").rounds_of(True) == families.Fill("x").rounds_of(False) == 1
    assert [families.Fill("x", 50).rounds_of(quick) for quick in (True, False)] == [5, 50]
    for data in families.DATA:
        assert len(data.name) + 1 + len(str(data.keys - 1)) <= 16, data.name


def test_both_servers_must_have_done_the_same():
    assert families.replies_agree(100.0, 100.0) and families.replies_agree(100.0, 95.1)
    assert not families.replies_agree(100.0, 94.9) and not families.replies_agree(4.0, 400.0)


def test_the_tables_of_families_show_ratios_of_rounds_and_aims():
    assert families.summarize([(1, 2), (4.4, 4), (1.2, 2)]) == (1.2, 2, pytest.approx(0.6))
    assert families.summarize([(1, 0)])[2] == float("inf")
    memory = {"zset": [(60.0, 120.0)], "list": [(21.0, 20.0)], "hashes": [(30.0, 30.0)]}
    cpu = {"zadd": [(1.0, 2.0)], "xadd": [(3.0, 2.0)], "hset": [(1.0, 1.0)]}
    text = families.memory_table(memory, ["torc", "redis"])
    assert text.splitlines()[0] == "| bytes per element | torc | redis | ratio | aim |"
    assert "| sorted set of 1 M members | 60.0 | 120.0 | 0.50x | 0.6x |" in text
    assert "| list of 1 M short items | 21.0 | 20.0 | 1.05x | 1x |" in text
    assert len(text.splitlines()) == 5
    assert "| ZADD | 1.00 | 2.00 | 0.50x | 0.6x |" in families.cpu_table(cpu, ["torc", "redis"])
    words = families.verdict(memory, cpu)
    assert "memory above its aim: list;" in words
    assert "0.6x: 1 of 3; dearer than 1x: xadd" in words
    assert families.verdict({"zset": [(60.0, 120.0)]}, {}) == "memory above its aim: none"


def test_stalls_beside_redis():
    """Of passes the least of the rounds' longest counts, of latencies the median."""
    assert stalls.encode("GET", b"k") == b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    assert stalls.figures([], 0, 0) == {"pass_ms": 0, "stalls": 0, "max_ms": 0, "p999_ms": 0}
    long = stalls.figures([1_000_000] * 999 + [5_000_000], 2_500_000, 3)
    assert long == {"pass_ms": 2.5, "stalls": 3, "max_ms": 5.0, "p999_ms": 5.0}
    short = {"pass_ms": 0.5, "stalls": 0, "max_ms": 1.0, "p999_ms": 1.0}
    shown = stalls.markdown(["DEL", "new"], {"torc": {"DEL": [long, short, long]},
                                             "redis": {"DEL": [{**long, "pass_ms": 50.0}]}})
    assert "| DEL | 0.50 | 0 | 5.00 | 5.00 | 50.00 | 3 | 5.00 | 5.00 | 0.01 |" in shown
    assert shown.endswith("| new |  |  |  |  |  |  |  |  |  |")


def test_snapshots_are_held_against_their_aims():
    def sample(save_cpu_s, extra, p999_x):
        return {"data_mb": 100.0, "save_cpu_s": save_cpu_s, "extra": extra, "p999_x": p999_x}

    samples = {"torc": [sample(1.0, 0.01, 1.0), sample(9.0, 0.03, 1.2), sample(2.0, 0.02, 9.0)],
               "redis": [sample(4.0, 0.9, 3.0), sample(18.0, 0.9, 3.0), sample(4.0, 0.9, 3.0)]}
    rows = {line.split(" | ")[0]: line for line in snapshots.markdown(samples).splitlines()}
    # The machine was slow in the second round: the ratio is that of each round.
    assert rows["| save: CPU s"] == "| save: CPU s | 2 | 4 | 0.50x | 0.5x | met |"
    assert "| 0.020 | 0.900 |" in rows["| extra memory meanwhile, parts of the data"]
    assert rows["| GET p99.9 during / without"].endswith("| 1.20 | 3.00 | 0.40x | 1.3 | met |")
    slow = snapshots.markdown({"torc": [sample(3.0, 0.06, 1.4)], "redis": [sample(4.0, 0.9, 3.0)]})
    assert slow.count("NOT met") == 3
    assert "NOT met" not in snapshots.markdown({"redis": samples["redis"]})


def test_snapshot_data_grow_with_the_gigabytes():
    for kind in snapshots.KINDS:
        assert snapshots.keys_of(kind, 2) == 2 * snapshots.keys_of(kind, 1)
        assert snapshots.keys_of(kind, 0.0001) >= 1
        assert kind.weight == 0 or kind.write.split()[1] == "__key__"
