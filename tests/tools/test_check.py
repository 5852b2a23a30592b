# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of tools/check notice what they are there for: each planted violation, and no other.

Every case is a small tree with one file more than a clean one.
"""
import pathlib
import shutil
import subprocess

import pytest

CHECKS = pathlib.Path(__file__).resolve().parents[2] / "tools/check"
HEAD = """// SPDX-License-Identifier: BSD-3-Clause
//
// A file of a test. It owns nothing.
// Any thread may run it.
// Its invariant is that it is clean.
"""
CLEAN = HEAD + '#include "engine/base/one.h"\n\nint one(void) { return 1; }\n'


@pytest.fixture
def tree(tmp_path):
    """A clean tree; the function adds a file to it."""
    def plant(path, text):
        full = tmp_path / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        return tmp_path

    plant("engine/base/one.h", HEAD + "int one(void);\n")
    plant("engine/base/one.c", CLEAN)
    plant("net/net.h", HEAD)
    plant("shards/shard.h", HEAD)
    plant("engine/keyspace/table.h", HEAD)
    plant("engine/commands/command.h", HEAD)
    return plant


def run(check, root):
    """(exit status, output) of a check over a tree."""
    done = subprocess.run([str(CHECKS / check), str(root)], capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("check", ["layers", "tidy", "format"])
def test_clean_tree_passes(tree, check):
    status, output = run(check, tree("engine/base/two.c", CLEAN))
    assert status == 0, output
    assert "0 violations" in output


@pytest.mark.parametrize("path, include", [
    ("engine/base/bad.c", '"engine/keyspace/table.h"'),
    ("engine/keyspace/bad.c", '"engine/commands/command.h"'),
    ("engine/encoding/bad.c", '"engine/keyspace/table.h"'),
    ("engine/commands/bad.c", '"net/net.h"'),
    ("net/bad.c", '"engine/keyspace/table.h"'),
    ("net/bad.h", '"shards/shard.h"'),
    ("persistence/bad.c", '"net/net.h"'),
    ("persistence/bad.c", '"shards/shard.h"'),
    ("tools/torc_load/bad.c", '"engine/base/one.h"'),
    ("engine/commands/bad.c", "<sys/socket.h>"),
    ("shards/bad.c", '"shard.h"'),
    ("shards/bad.c", '"shards/absent.h"'),
    ("elsewhere/../net/bad.inc", '"shards/shard.h"'),
])
def test_layers_refuses(tree, path, include):
    tree("elsewhere/file", "")
    root = tree(path, HEAD + "#include %s\n" % include)
    status, output = run("layers", root)
    assert status == 1
    assert "%s:6: " % path.replace("elsewhere/../", "") in output
    assert "1 violations" in output


@pytest.mark.parametrize("path, include", [
    ("engine/keyspace/good.c", '"engine/base/one.h"'),
    ("net/good.c", '"engine/base/one.h"'),
    ("net/good.c", "<sys/socket.h>"),
    ("persistence/good.c", '"engine/keyspace/table.h"'),
    ("shards/good.c", '"net/net.h"'),
    ("tools/torc/good.c", '"shards/shard.h"'),
    ("tests/unit/good.c", '"shards/shard.h"'),
])
def test_layers_allows(tree, path, include):
    status, output = run("layers", tree(path, HEAD + "#include %s\n" % include))
    assert status == 0, output


LONG_FUNCTION = "int f(int a) {\n" + "    a++;\n" * 70 + "    return a;\n}\n"
# Words that the check would find in this very file are put together here.
OPEN_END = "TO" "DO"


@pytest.mark.parametrize("line, reason, text", [
    (1, "SPDX", CLEAN.replace("SPDX-License-Identifier", "License")),
    (1, "first line", "\n" + CLEAN),
    (2, "says what the file owns", CLEAN.split("\n", 1)[0] + "\n\nint one(void);\n"),
    (6, "101 columns", HEAD + "// " + "x" * 98 + "\n"),
    (801, "801 lines", HEAD + "\n" * 795 + "int one(void);\n"),
    (7, "function of 73 lines", HEAD + "\n" + LONG_FUNCTION),
    (6, "open end", HEAD + "// %s: later\n" % OPEN_END),
    (6, "banned function strcpy", HEAD + "void f(char *a) { strcpy(a, \"x\"); }\n"),
    (6, "banned function sprintf", HEAD + "void f(char *a) { sprintf(a, \"x\"); }\n"),
    (6, "banned function atoi", HEAD + "int f(void) { return atoi(\"1\"); }\n"),
    (6, "malloc()", HEAD + "void *f(void) { return malloc(1); }\n"),
    (6, "free()", HEAD + "void f(void *p) { free(p); }\n"),
    (7, "magic 0x1234", HEAD + "#define A_MAGIC 0x1234u\n#define B_MAGIC 0x1234u\n"),
    (6, "a tab", HEAD + "int\tone(void);\n"),
    (6, "trailing blanks", HEAD + "int one(void); \n"),
])
def test_tidy_refuses(tree, line, reason, text):
    status, output = run("tidy", tree("shards/bad.c", text))
    assert status == 1
    found = [out for out in output.splitlines() if out.startswith("shards/bad.c:%d: " % line)]
    assert any(reason in out for out in found), output


@pytest.mark.parametrize("text", [
    HEAD + "// strcpy( is not called here, nor atoi(\n",
    HEAD + "const char *f(void) { return \"strcpy(a, b)\"; }\n",
    HEAD + "void f(void *p) { mem_free(p); }\n",
    HEAD + "#define A_MAGIC 0x1234u\n#define B_MAGIC 0x1235u\n",
    HEAD + "\n" + LONG_FUNCTION.replace("    a++;\n", "", 3),
])
def test_tidy_allows(tree, text):
    status, output = run("tidy", tree("shards/good.c", text))
    assert status == 0, output


def test_tidy_sees_magics_across_files(tree):
    tree("shards/a.c", HEAD + "#define A_MAGIC 0x77u\n")
    status, output = run("tidy", tree("shards/b.c", HEAD + "#define B_MAGIC 0x77u\n"))
    assert status == 1 and "shards/b.c:6: magic 0x77" in output


@pytest.mark.skipif(not shutil.which("clang-format"), reason="no clang-format")
def test_format_refuses(tree):
    status, output = run("format", tree("shards/bad.c", HEAD + "int  one( void );\n"))
    assert status == 1 and "shards/bad.c:6:" in output


def test_format_fixes_named_files_only(tree):
    root = tree("shards/bad.c", HEAD + "int  one( void );\n")
    tree("shards/other.c", HEAD + "int  two( void );\n")
    done = subprocess.run([str(CHECKS / "format"), "--fix"], capture_output=True, check=False)
    assert done.returncode == 2
    subprocess.run([str(CHECKS / "format"), "--fix", str(root / "shards/bad.c")], check=True,
                   capture_output=True)
    assert (root / "shards/bad.c").read_text().endswith("int one(void);\n")
    assert (root / "shards/other.c").read_text().endswith("int  two( void );\n")
