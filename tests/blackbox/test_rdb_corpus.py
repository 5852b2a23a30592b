# SPDX-License-Identifier: BSD-3-Clause
"""RDB files that other servers have written, whole and damaged: torc-rdb reads them as told.

The files are those of tests/data/rdb, or of the folder that $TORC_RDB_CORPUS names.
"""
import collections
import os
import pathlib
import shutil
import subprocess

import pytest

from lib import rdb_manifest
from lib.resp import Error
from lib.server import Server, default_binary

TOOL = str(pathlib.Path(default_binary()).parent / "torc-rdb")
FILES = rdb_manifest.files()
CORRUPT = rdb_manifest.corrupt()

pytestmark = [pytest.mark.torc_only,
              pytest.mark.skipif(not os.path.exists(TOOL), reason="no torc-rdb beside the server")]


def run(*args, **options):
    """torc-rdb with these arguments, to its end."""
    return subprocess.run([TOOL, *map(str, args)], capture_output=True, timeout=60, check=False,
                          **options)


def export(path, *options):
    """The lines of an export, which must succeed."""
    done = run("export", path, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


def test_there_is_a_corpus():
    assert len(FILES) > 20 and len(CORRUPT) > 80


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_another_server_holds_what_its_manifest_says(path):
    told = rdb_manifest.manifest(path)
    check = run("check", path)
    if rdb_manifest.refused(told):
        assert check.returncode == 1 and b"NOT OK" in check.stdout
        return
    assert check.returncode == 0, check.stdout + check.stderr
    if rdb_manifest.is_big(told):
        held = rdb_manifest.digests(rdb_manifest.exported(export(path), rdb_manifest.whole))
        assert held == rdb_manifest.big_digests(told)
        return
    held, expected = rdb_manifest.exported(export(path)), rdb_manifest.expected(told)
    assert rdb_manifest.differences(held, expected) == []
    stated = check.stdout.split(b" keys in ")[0].split()[-1]
    assert int(stated) == told["rdb"]["keys_in_file"] - len(told.get("empty_in_file", []))


@pytest.mark.parametrize("path, row", CORRUPT, ids=[row["file"] for _, row in CORRUPT])
def test_a_damaged_file_is_refused_or_loaded_as_redis_does(path, row):
    done = run("check", path)
    text = done.stdout + done.stderr
    assert done.returncode in (0, 1), text
    refused = rdb_manifest.is_to_be_refused(row)
    if refused is not None:
        assert (done.returncode == 1) == refused, text
    if done.returncode == 1:
        assert b"offset " in text and b"NOT OK" in text
    elif refused is False and "dbsize" in row["redis_7_2_6"]:
        sizes = collections.Counter(
            str(db) for db, _ in rdb_manifest.exported(export(path)))
        assert sizes == row["redis_7_2_6"]["dbsize"]


# ---- a server loads them -------------------------------------------------------------------------

@pytest.fixture(scope="module", params=[1, 4], ids=["1-shard", "4-shards"])
def loader(request):
    """A server that reloads what stands in its directory, which is what a start does, too."""
    server = Server({"shards": request.param, "io-backend": "epoll"})
    yield server
    server.stop()


def reload(server, client, path):
    """Makes the file the server's and loads it; the reply."""
    shutil.copyfile(path, os.path.join(server.directory, "dump.rdb"))
    return client("DEBUG", "RELOAD", "NOSAVE")


def encodings(told):
    """OBJECT ENCODING of each key after a load by Redis 7.2 with its defaults, where it is sure."""
    names = {}
    for db, content in told["dbs"].items():
        for key in content["keys"]:
            if key["type"] == "hash" and any(len(field) > 2 for field in key["value"]):
                continue  # some of its fields may have expired
            name = key.get("encoding_reloaded", key["encoding"])
            names[int(db), rdb_manifest.name_of(key["key"])] = \
                (key.get("reference") or {}).get("encoding", name)
    return names


def uses(client, member, keys):
    """OBJECT FREQ or IDLETIME of these keys of database 0."""
    return {key["name"]: client("OBJECT", member, key["name"]) for key in keys if "name" in key}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_server_loads_what_other_servers_wrote(loader, path):
    told = rdb_manifest.manifest(path)
    with loader.client(timeout=60) as client:
        if rdb_manifest.refused(told):
            client("SELECT", 15)
            client("SET", "kept", "x")
            assert isinstance(reload(loader, client, path), Error)
            assert client("GET", "kept") == b"x"
            return
        assert reload(loader, client, path) == "OK", loader.log()
        if rdb_manifest.is_big(told):
            sizes = {db: content["size"] for db, content in told["dbs"].items()}
            assert {db: client("SELECT", db) and client("DBSIZE") for db in sizes} == sizes
            return
        held = rdb_manifest.read_server(client, range(16))
        assert rdb_manifest.differences(held, rdb_manifest.expected(told)) == []
        wanted = encodings(told)
        held = rdb_manifest.read_encodings(client, range(16))
        assert {place: held.get(place, name) for place, name in wanted.items()} == wanted
        assert set(wanted) & set(held) or not told["dbs"]


@pytest.mark.parametrize("name, policy, member", [
    ("redis-5.0.14-lru", "allkeys-lru", "IDLETIME"), ("redis-7.0.15-lfu", "allkeys-lfu", "FREQ")])
def test_idle_times_and_frequencies_are_loaded(loader, name, policy, member):
    path = rdb_manifest.ROOT / "tests/data/rdb" / (name + ".rdb")
    keys = rdb_manifest.manifest(path)["dbs"]["0"]["keys"]
    with loader.client() as client:
        client("CONFIG", "SET", "maxmemory-policy", policy)
        assert reload(loader, client, path) == "OK"
        told = {key["name"]: key["idle_s" if member == "IDLETIME" else "freq"] for key in keys}
        held = uses(client, member, keys)
        client("CONFIG", "SET", "maxmemory-policy", "noeviction")
    slack = 30 if member == "IDLETIME" else 1
    assert all(told[name] - 1 <= held[name] <= told[name] + slack for name in held), (told, held)
