# SPDX-License-Identifier: BSD-3-Clause
"""torc-rdb: check, stats, export, convert, filter, on files of servers and on made ones."""
import json
import os
import pathlib
import pty
import random
import re
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import rdb_bytes, rdb_manifest  # noqa: E402
from lib.server import Server, default_binary  # noqa: E402

TOOL = str(pathlib.Path(default_binary()).parent / "torc-rdb")
REDIS = os.environ.get("TORC_ORACLE") or shutil.which("redis-server")
CLI = shutil.which("redis-cli")
DATA = rdb_manifest.ROOT / "tests/data/rdb"
SMALL = DATA / "redis-7.2.6-small.rdb"
NEWEST = DATA / "redis-7.4.1-small.rdb"
FUTURE = 4102444800000

needs_redis = pytest.mark.skipif(not REDIS or not CLI, reason="no redis-server and redis-cli")


def run(*args, stdin=None, status=0):
    """torc-rdb with these arguments; its output. `status` is what it must end with."""
    done = subprocess.run([TOOL, *map(str, args)], input=stdin, capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == status, (done.stdout[-2000:], done.stderr[-2000:])
    return done


def keys_of(path, *options, stdin=None):
    """What an export of the file holds."""
    done = run("export", path, "--keep-expired", *options, stdin=stdin)
    return rdb_manifest.exported(done.stdout.decode().splitlines())


def written(tmp_path, data, name="made.rdb"):
    """A file with these bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    return path


def a_bit_of_everything():
    """A file of all types in plain forms, in two databases, with a module's value."""
    return rdb_bytes.file(
        rdb_bytes.aux("redis-ver", "7.2.0"), rdb_bytes.select(0),
        rdb_bytes.text("user:1", "one"), rdb_bytes.text("user:2", b"\xff\x00two", FUTURE),
        rdb_bytes.text(b"bin\x80", "old", 1000), rdb_bytes.strings("list:a", ["x", "y", "-5"]),
        rdb_bytes.module("mod"), rdb_bytes.select(3),
        rdb_bytes.strings("set:a", ["m", "n"], 2), rdb_bytes.strings("hash:a", ["f", "v"], 4),
        rdb_bytes.text("user:1", "in three"))


# ---- the command line ----------------------------------------------------------------------------

@pytest.mark.parametrize("args, word", [
    ((), "a command is needed"), (("frobnicate",), "a command is needed"),
    (("check",), "check needs FILE"), (("convert", "x"), "convert needs IN OUT"),
    (("check", "a", "b"), "unexpected 'b'"), (("check", "a", "--match", "x"), "unknown here"),
    (("convert", "a", "b", "--rdb-version", "13"), "from 9 to 12"),
    (("convert", "a", "b", "--rdb-version"), "needs a value"),
    (("filter", "a", "b", "--type", "array"), "must be string"),
    (("filter", "a", "b", "--db", "x"), "numbers"), (("stats", "a", "--json=1"), "no value"),
    (("export", "a", "--format", "xml"), "json or resp")])
def test_wrong_usage_is_told(args, word):
    done = run(*args, status=2)
    assert word in done.stderr.decode() and not done.stdout


def test_help_names_all_commands_and_their_options():
    text = run("--help").stdout.decode()
    for command in ("check", "stats", "export", "convert", "filter"):
        assert command in text
        assert "Usage: torc-rdb " + command in run(command, "--help").stdout.decode()
    assert "--rdb-version" in run("convert", "--help").stdout.decode()
    assert "--rdb-version" not in run("filter", "--help").stdout.decode()
    assert run("--version").stdout.startswith(b"torc-rdb ")


def test_files_that_cannot_be_opened_or_written(tmp_path):
    assert b"No such file" in run("check", tmp_path / "none.rdb", status=3).stderr
    assert b"directory" in run("check", tmp_path, status=3).stderr
    out = tmp_path / "no/where.rdb"
    assert b"No such file" in run("convert", SMALL, out, status=3).stderr
    for command in ("export", "check", "stats"):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TOOL, command, str(SMALL)], stdout=full, stderr=subprocess.PIPE,
                                  timeout=60, check=False)
        assert done.returncode == 3 and b"standard output: No space left" in done.stderr


# ---- check ---------------------------------------------------------------------------------------

def test_check_sums_up_a_good_file():
    text = run("check", SMALL).stdout.decode()
    assert "RDB version 11, written by Redis 7.2.6" in text and "with a checksum" in text
    assert "26 keys in 1 database, 2 with an expiry" in text
    assert text.rstrip().endswith("OK: torc loads this file")


def test_check_reads_standard_input():
    assert b"OK: torc loads" in run("check", "-", stdin=SMALL.read_bytes()).stdout


def test_check_names_what_would_not_load_and_goes_on(tmp_path):
    path = written(tmp_path, rdb_bytes.file(
        rdb_bytes.module("mod\n1"), rdb_bytes.strings("dup", ["a", "a"], 2),
        rdb_bytes.select(20), rdb_bytes.text("far", "x"), rdb_bytes.select(0),
        rdb_bytes.text("k", "v"), rdb_bytes.text("k", "w")))
    text = run("check", path, status=1).stdout.decode()
    for word in ('key "mod\\x0a1": value of module type', 'key "dup": ',
                 'database 20, and `databases` allows 16', 'key "k": the key occurs a second',
                 "NOT OK: torc refuses this file\n"):
        assert word in text, text
    assert text.count("offset ") == 4
    assert run("check", path, "--problems", "0", status=1).stdout.count(b"offset ") == 0
    many = run("check", path, "--databases", "21", status=1).stdout
    assert b"`databases`" not in many


def test_check_knows_what_skip_would_leave_out(tmp_path):
    path = written(tmp_path, rdb_bytes.file(rdb_bytes.module("m"), rdb_bytes.text("k", "v")))
    text = run("check", path, status=1).stdout.decode()
    assert "unless 'rdb-unknown skip' lets it leave 1 thing out" in text


def test_check_tells_the_offset_of_a_truncation_and_of_a_wrong_checksum(tmp_path):
    data = SMALL.read_bytes()
    cut = run("check", written(tmp_path, data[:2000]), status=1)
    assert b"offset 2000: unexpected end of file" in cut.stderr
    assert b"keys stand before the error" in cut.stdout
    wrong = written(tmp_path, data[:-1] + bytes([data[-1] ^ 1]))
    told = run("check", wrong, status=1)
    assert b"offset %d: Wrong RDB checksum" % (len(data) - 8) in told.stderr
    run("check", wrong, "--ignore-checksum")


def test_check_mentions_what_follows_the_end(tmp_path):
    text = run("check", written(tmp_path, SMALL.read_bytes() + b"tail")).stdout
    assert b"note: 4 bytes follow the end" in text


# ---- stats ---------------------------------------------------------------------------------------

def test_stats_count_by_type_database_prefix_and_expiry(tmp_path):
    path = written(tmp_path, a_bit_of_everything())
    told = json.loads(run("stats", path, "--json", "--top", "3").stdout)
    assert told["keys"] == 8 and told["version"] == 11
    types = {row["type"]: (row["keys"], row["elements"]) for row in told["types"]}
    assert types == {"string": (4, 4), "list": (1, 3), "set": (1, 2), "hash": (1, 1),
                     "module": (1, 0)}
    assert {row["db"]: row["keys"] for row in told["databases"]} == {"0": 5, "3": 3}
    prefixes = {row["prefix"]: row["keys"] for row in told["prefixes"]}
    assert prefixes["user:"] == 3 and len(prefixes) == 3
    assert {row["class"]: row["keys"] for row in told["expiry"]} == {
        "none": 6, "expired": 1, "later": 1}
    sizes = [row["memory_bytes"] for row in told["biggest"]]
    assert len(sizes) == 3 and sizes == sorted(sizes, reverse=True)
    for rows in ("types", "databases", "expiry"):
        for member in ("keys", "elements", "file_bytes", "memory_bytes"):
            assert sum(row[member] for row in told[rows]) == told[member]


def test_stats_draw_tables(tmp_path):
    path = written(tmp_path, a_bit_of_everything())
    text = run("stats", path, "--delimiter", "a", "--depth", "1").stdout.decode()
    for word in ("by type", "by database", "by expiry", "by prefix", "biggest keys", "(no prefix)",
                 '"list:a"'):
        assert word in text
    assert "#" in text or "\u2588" in text


def test_stats_of_a_selection(tmp_path):
    path = written(tmp_path, a_bit_of_everything())
    told = json.loads(run("stats", path, "--json", "--match", "user:*", "--db", "0").stdout)
    assert told["keys"] == 2 and told["databases"][0]["db"] == "0"


def test_stats_keep_the_heavy_prefixes_of_very_many(tmp_path):
    parts = [rdb_bytes.text("light%d:x" % i, "v") for i in range(60000)]
    parts[::60] = [rdb_bytes.text("heavy:%d" % i, "v" * 100) for i in range(1000)]
    path = written(tmp_path, rdb_bytes.file(*parts))
    told = json.loads(run("stats", path, "--json", "--top", "2").stdout)
    assert told["prefixes"][0]["prefix"] == "heavy:" and told["prefixes"][0]["keys"] == 1000
    assert "(all others)" in run("stats", path, "--top", "2").stdout.decode()


# ---- export --------------------------------------------------------------------------------------

def test_export_tells_bytes_exactly(tmp_path):
    odd = b"\xff\xc3(", "ü\u0000\n\"\\\u2028𝄞".encode(), b"\xed\xa0\x80", b"\xf4\x90\x80\x80"
    parts = [rdb_bytes.text(b"k" + key, key) for key in odd]
    path = written(tmp_path, rdb_bytes.file(*parts, rdb_bytes.text("", "")))
    lines = [json.loads(line) for line in run("export", path).stdout.splitlines()]
    held = {rdb_manifest.plain(line["key"]): rdb_manifest.plain(line["value"]) for line in lines}
    assert held == {**{b"k" + key: key for key in odd}, b"": b""}
    assert isinstance(lines[1]["value"], str) and isinstance(lines[0]["value"], dict)


def test_export_leaves_expired_keys_out_unless_told(tmp_path):
    path = written(tmp_path, rdb_bytes.file(rdb_bytes.text("old", "x", 1000),
                                            rdb_bytes.text("new", "x", FUTURE)))
    assert [json.loads(line)["key"] for line in run("export", path).stdout.splitlines()] == ["new"]
    lines = run("export", path, "--keep-expired").stdout.splitlines()
    assert [json.loads(line)["expire_at_ms"] for line in lines] == [1000, FUTURE]


def test_export_names_what_it_cannot_export(tmp_path):
    path = written(tmp_path, a_bit_of_everything())
    out = tmp_path / "out.json"
    out.write_text("old")
    done = run("export", path, out, "--skip", status=1)
    assert b'key "mod": value of module type' in done.stderr
    assert len(out.read_text().splitlines()) == 6
    out.write_text("old")
    run("export", path, out, status=1)
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["made.rdb", "out.json"]


def commands_of(data):
    """RESP as lists of arguments."""
    commands, at = [], 0

    def line():
        nonlocal at
        end = data.index(b"\r\n", at)
        text, at = data[at:end], end + 2
        return text
    while at < len(data):
        count, args = line(), []
        assert count[:1] == b"*"
        for _ in range(int(count[1:])):
            n = int(line()[1:])
            args.append(data[at:at + n])
            at += n + 2
        commands.append(args)
    return commands


def test_commands_come_in_chunks(tmp_path):
    items = ["item:%06d" % i for i in range(5000)]
    large = ["x" * 30000] * 10
    path = written(tmp_path, rdb_bytes.file(
        rdb_bytes.strings("long", items), rdb_bytes.strings("wide", large),
        rdb_bytes.select(2), rdb_bytes.text("s", "v", FUTURE)))
    commands = commands_of(run("export", path, "--format", "resp", "--replace").stdout)
    assert commands[0] == [b"SELECT", b"0"] and commands[1] == [b"DEL", b"long"]
    pushed = [args for args in commands if args[:2] == [b"RPUSH", b"long"]]
    assert len(pushed) == 10 and max(len(args) for args in pushed) <= 2 + 512
    assert [item.decode() for args in pushed for item in args[2:]] == items
    wide = [args for args in commands if args[:2] == [b"RPUSH", b"wide"]]
    assert len(wide) == 4 and sum(len(args) - 2 for args in wide) == 10
    assert commands[-4:] == [[b"SELECT", b"2"], [b"DEL", b"s"], [b"SET", b"s", b"v"],
                             [b"PEXPIREAT", b"s", b"%d" % FUTURE]]


def seen_by_redis_7_0(keys):
    """The same without what Redis 7.0 does not tell: when consumers were active."""
    plain = {}
    for place, (kind, expire, value) in keys.items():
        if kind == "stream":
            groups = [{**group, "consumers": sorted(name for name, *_ in group["consumers"])}
                      for group in value["groups"]]
            value = {**value, "groups": groups}
        plain[place] = (kind, expire, value)
    return plain


def piped(commands, binary=REDIS):
    """What a server holds into which redis-cli has piped the commands, and its libraries."""
    server = Server(binary=binary)
    try:
        done = subprocess.run([CLI, "-p", str(server.port), "--pipe"], input=commands, timeout=60,
                              capture_output=True, check=False)
        assert b"errors: 0," in done.stdout, done.stdout + done.stderr
        with server.client() as client:
            held = rdb_manifest.read_server(client, range(16), field_expiry=binary != REDIS)
            return held, len(client("FUNCTION", "LIST")) if binary == REDIS else 0
    finally:
        server.stop()


@needs_redis
@pytest.mark.parametrize("name", ["redis-7.2.6-small", "redis-2.4.18-small",
                                  "redis-7.2.6-low-limits", "redis-7.4.1-functions",
                                  "valkey-8.0.1-small"])
def test_redis_cli_pipes_the_commands_into_an_equal_server(name):
    path = DATA / (name + ".rdb")
    held, libraries = piped(run("export", path, "--format", "resp").stdout)
    told = rdb_manifest.manifest(path)
    expected = seen_by_redis_7_0(rdb_manifest.expected(told))
    assert rdb_manifest.differences(seen_by_redis_7_0(held), expected) == []
    assert libraries == len(told.get("functions", []))


@needs_redis
@pytest.mark.parametrize("path", [NEWEST, DATA / "redis-7.4-rc1-hash-field-ttl-pre-ga.rdb"],
                         ids=lambda path: path.stem)
def test_fields_that_expire_are_piped_into_torc(path):
    held, _ = piped(run("export", path, "--format", "resp").stdout, default_binary())
    expected = rdb_manifest.expected(rdb_manifest.manifest(path))
    assert any(kind == "hash" and any(len(field) > 2 for field in value)
               for kind, _, value in expected.values())
    assert rdb_manifest.differences(seen_by_redis_7_0(held), seen_by_redis_7_0(expected)) == []


@needs_redis
def test_streams_are_rebuilt_with_what_was_deleted_and_is_pending():
    server = Server(binary=REDIS)
    try:
        with server.client() as client:
            for key in ("some", "none", "trimmed"):
                for i in range(1, 7):
                    client("XADD", key, "%d-1" % i, "f", i)
                client("XGROUP", "CREATE", key, "g", 0)
                client("XGROUP", "CREATE", key, "h", "3-1", "ENTRIESREAD", 3)
                client("XREADGROUP", "GROUP", "g", "a", "COUNT", 4, "STREAMS", key, ">")
                client("XREADGROUP", "GROUP", "h", "b", "STREAMS", key, ">")
            client("XDEL", "some", "2-1", "4-1")
            client("XDEL", "none", *["%d-1" % i for i in range(1, 7)])
            client("XTRIM", "trimmed", "MAXLEN", 2)
            client("XADD", "empty", "MAXLEN", 0, "9-9", "f", "v")
            client("XGROUP", "CREATE", "never", "g", 0, "MKSTREAM")
            assert client("SAVE") == "OK"
            before = rdb_manifest.read_server(client, [0], field_expiry=False)
        path = pathlib.Path(server.directory, "dump.rdb")
        held, _ = piped(run("export", path, "--format", "resp").stdout)
    finally:
        server.stop()
    before, held = seen_by_redis_7_0(before), seen_by_redis_7_0(held)
    assert len(before) == 5
    # Trimming leaves no highest deleted id, and commands cannot but delete what is pending.
    trimmed = rdb_manifest.name_of(rdb_manifest.packed(b"trimmed"))
    assert held[0, trimmed][2].pop("deleted") == "4-1"
    assert before[0, trimmed][2].pop("deleted") == "0-0"
    assert rdb_manifest.differences(held, before) == []


# ---- convert -------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [9, 10, 11, 12])
@pytest.mark.parametrize("path", [DATA / (name + ".rdb") for name in (
    "redis-2.4.18-small", "redis-5.0.14-lru", "redis-7.0.15-lfu", "redis-7.2.6-small",
    "redis-7.2.6-low-limits", "valkey-8.0.1-small")], ids=lambda path: path.stem)
def test_a_converted_file_holds_the_same(tmp_path, path, version):
    out = tmp_path / "out.rdb"
    run("convert", path, out, "--rdb-version", version)
    assert out.read_bytes()[:9] == b"REDIS%04d" % version
    assert b"OK: torc loads" in run("check", out).stdout
    before, after = keys_of(path), keys_of(out)
    if version < 11:
        before, after = seen_by_redis_7_0(before), seen_by_redis_7_0(after)
    if version == 9:
        for keys in (before, after):
            for kind, _, value in keys.values():
                if kind == "stream":
                    value.update(added=0, deleted="")
                    for group in value["groups"]:
                        group["read"] = None
    assert rdb_manifest.differences(before, after) == []
    assert sorted(os.listdir(tmp_path)) == ["out.rdb"]


def test_idle_time_and_frequency_survive(tmp_path):
    for name, member in (("redis-5.0.14-lru", "idle_s"), ("redis-7.0.15-lfu", "freq")):
        out = tmp_path / name
        run("convert", DATA / (name + ".rdb"), out)
        lines = [[json.loads(line) for line in run("export", path).stdout.splitlines()]
                 for path in (DATA / (name + ".rdb"), out)]
        before, after = ({line["key"]: line.get(member) for line in told
                          if isinstance(line["key"], str)} for told in lines)
        assert before == after and any(value is not None for value in before.values())


def test_what_a_version_cannot_express_is_named_and_nothing_is_written(tmp_path):
    out = tmp_path / "out.rdb"
    out.write_text("old")
    told = run("convert", NEWEST, out, "--rdb-version", "11", status=1).stderr
    assert b"RDB version 11 has no hash field expiration" in told and b"offset" in told
    assert out.read_text() == "old" and os.listdir(tmp_path) == ["out.rdb"]
    run("convert", NEWEST, out, "--rdb-version", "11", "--skip", status=1)
    missing = set(keys_of(NEWEST)) - set(keys_of(out))
    assert len(missing) == 2
    functions = DATA / "redis-7.4.1-functions.rdb"
    assert b"function libraries" in run("convert", functions, out, "--rdb-version", "9",
                                        status=1).stderr
    run("convert", NEWEST, out, "--rdb-version", "12")
    assert keys_of(NEWEST) == keys_of(out)


def test_convert_without_compression_and_checksum(tmp_path):
    packed, plain = tmp_path / "packed.rdb", tmp_path / "plain.rdb"
    run("convert", SMALL, packed)
    run("convert", SMALL, plain, "--no-compression", "--no-checksum")
    assert plain.stat().st_size > 2 * packed.stat().st_size
    assert plain.read_bytes()[-8:] == bytes(8) and packed.read_bytes()[-8:] != bytes(8)
    assert keys_of(packed) == keys_of(plain)


def test_convert_from_and_to_pipes():
    data = run("convert", "-", "-", "--rdb-version", "10", stdin=SMALL.read_bytes()).stdout
    assert data[:9] == b"REDIS0010"
    assert keys_of("-", stdin=data).keys() == keys_of(SMALL).keys()


@needs_redis
@pytest.mark.parametrize("name", ["redis-7.2.6-small", "redis-2.8.24-small", "valkey-8.0.1-small",
                                  "redis-7.2.6-low-limits", "redis-7.4.1-functions"])
def test_redis_7_0_loads_version_10(tmp_path, name):
    run("convert", DATA / (name + ".rdb"), tmp_path / "dump.rdb", "--rdb-version", "10")
    server = Server({"dir": tmp_path, "sanitize-dump-payload": "yes"}, binary=REDIS)
    try:
        with server.client() as client:
            held = rdb_manifest.read_server(client, range(16), field_expiry=False)
            libraries = len(client("FUNCTION", "LIST"))
    finally:
        server.stop()
    told = rdb_manifest.manifest(DATA / (name + ".rdb"))
    expected = seen_by_redis_7_0(rdb_manifest.expected(told))
    assert rdb_manifest.differences(seen_by_redis_7_0(held), expected) == []
    assert libraries == len(told.get("functions", []))


# ---- filter --------------------------------------------------------------------------------------

def test_filter_without_conditions_copies_everything(tmp_path):
    out = tmp_path / "out.rdb"
    for path in sorted(DATA.glob("*.rdb")):
        if "pre-ga" in path.name:
            continue
        run("filter", path, out)
        texts = [subprocess.run([TOOL, "check", str(one)], capture_output=True, timeout=60,
                                check=False).stdout.decode().splitlines() for one in (path, out)]
        assert [re.sub("offset [0-9]+|^/[^ ]*", "", line) for line in texts[0]] == [
            re.sub("offset [0-9]+|^/[^ ]*", "", line) for line in texts[1]]
        if path.name != "redis-4.0.14-repl.rdb":  # its keys are in one database, named twice
            assert out.read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize("options, wanted", [
    (("--match", "user:*"), {(0, b"user:1"), (0, b"user:2"), (3, b"user:1")}),
    (("--match", "user:*", "--db", "3"), {(3, b"user:1")}),
    (("--type", "list,set"), {(0, b"list:a"), (3, b"set:a")}),
    (("--type", "hash", "--type", "module"), {(3, b"hash:a"), (0, b"mod")}),
    (("--not-match", "user:*", "--not-match", "bin*", "--db", "0"), {(0, b"list:a"), (0, b"mod")}),
    (("--match", "*:a", "--match", "mod", "--not-match", "set*", "--type", "list,hash,set"),
     {(0, b"list:a"), (3, b"hash:a")}),
    (("--match", "nothing"), set())])
def test_conditions_combine(tmp_path, options, wanted):
    path, out = written(tmp_path, a_bit_of_everything()), tmp_path / "out.rdb"
    done = run("filter", path, out, *options)
    assert b"%d of " % len(wanted) in done.stderr
    told = json.loads(run("stats", out, "--json", "--top", "100").stdout)
    assert {(row["db"], rdb_manifest.plain(row["key"])) for row in told["biggest"]} == wanted


def test_filter_keeps_expiry_version_and_fields(tmp_path):
    path, out = written(tmp_path, a_bit_of_everything()), tmp_path / "out.rdb"
    run("filter", path, out, "--match", "user:2")
    data = out.read_bytes()
    assert data == rdb_bytes.file(rdb_bytes.aux("redis-ver", "7.2.0"), rdb_bytes.select(0),
                                  rdb_bytes.text("user:2", b"\xff\x00two", FUTURE))
    old = DATA / "redis-2.4.18-small.rdb"
    run("filter", old, out, "--match", "ttl*")
    assert out.read_bytes()[:9] == b"REDIS0002"
    before, after = keys_of(old), keys_of(out)
    assert len(after) == 2 and all(before[place] == held for place, held in after.items())
    run("filter", SMALL, out, "--match", "hash")
    assert b"with a checksum" in run("check", out).stdout


# ---- size, signals, terminals --------------------------------------------------------------------

@pytest.mark.parametrize("args", [("stats", "-"), ("convert", "-", "/dev/null"),
                                  ("check", "-"), ("export", "-", "/dev/null")])
def test_memory_does_not_grow_with_the_file(args):
    if "/release/" not in TOOL:
        pytest.skip("sanitizers keep what is freed")
    values = random.Random(1)
    with subprocess.Popen([TOOL, *args], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as process:
        process.stdin.write(b"REDIS0011")
        for i in range(30):
            some = [rdb_bytes.text("key:%d:%d" % (i, j), values.randbytes(2000))
                    for j in range(1000)]
            process.stdin.write(b"".join(some))
        process.stdin.flush()
        status = pathlib.Path("/proc/%d/status" % process.pid).read_text(encoding="ascii")
        process.stdin.write(b"\xff" + bytes(8))
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))
    assert process.returncode == 0 and peak < 24 << 10


def test_a_signal_leaves_no_temporary_file(tmp_path):
    process = subprocess.Popen([TOOL, "convert", "-", str(tmp_path / "out.rdb")],
                               stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while not os.listdir(tmp_path) and time.monotonic() < end:
            time.sleep(0.01)
        assert os.listdir(tmp_path) == ["out.rdb.%d.tmp" % process.pid]
        process.terminate()
        assert process.wait(20) == -15
    finally:
        process.kill()
        process.stdin.close()
        process.wait()
    assert os.listdir(tmp_path) == []


def test_the_progress_bar_is_for_terminals():
    ours, theirs = pty.openpty()
    data = SMALL.read_bytes()
    try:
        process = subprocess.Popen([TOOL, "check", "-"], stdin=subprocess.PIPE, stderr=theirs,
                                   stdout=subprocess.PIPE)
        process.stdin.write(data[:2000])
        process.stdin.flush()
        time.sleep(0.4)
        process.stdin.write(data[2000:])
        assert b"OK: torc loads" in process.communicate(timeout=60)[0]
        os.write(theirs, b".")
        shown = os.read(ours, 10000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"\r\x1b[K" in shown and b"/s" in shown
    assert run("check", SMALL).stderr == b""
