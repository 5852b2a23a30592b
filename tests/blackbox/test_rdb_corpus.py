# SPDX-License-Identifier: BSD-3-Clause
"""RDB files that other servers have written, whole and damaged: torc-rdb reads them as told.

The files are those of tests/data/rdb, or of the folder that $TORC_RDB_CORPUS names.
"""
import collections
import os
import pathlib
import subprocess

import pytest

from lib import rdb_manifest
from lib.server import default_binary

TOOL = str(pathlib.Path(default_binary()).parent / "torc-rdb")
FILES = rdb_manifest.files()
CORRUPT = rdb_manifest.corrupt()

pytestmark = pytest.mark.skipif(not os.path.exists(TOOL), reason="no torc-rdb beside the server")


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
