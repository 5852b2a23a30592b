# SPDX-License-Identifier: BSD-3-Clause
"""Clients of the JavaScript world: pub/sub of ioredis and node-redis, Socket.IO's Redis adapters.

The programs are tests/npm/*.js; tools/install-deps --tests puts the libraries below the build
folder.
"""
import os
import subprocess

import pytest

from lib.npm import MODULES, ROOT

LIMIT_S = 60


@pytest.mark.parametrize("program", ["ioredis", "node_redis", "node_redis_cache", "socket_io"])
def test_program(server, program):
    assert MODULES.is_dir(), "no client libraries: run tools/install-deps --tests"
    done = subprocess.run(
        ["node", str(ROOT / "tests" / "npm" / (program + ".js"))], timeout=LIMIT_S,
        capture_output=True, text=True, check=False,
        env=dict(os.environ, NODE_PATH=str(MODULES), TORC_PORT=str(server.port)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "ok"
