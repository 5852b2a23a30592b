# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the black-box suite: one server for each configuration, emptied between tests.

Every test that asks for `server`, `c`, `c3` or `start` runs once for each configuration (shards
1, 2 and 4, both I/O backends). `$TORC_CONFIGS` narrows them, for instance "4-epoll,1-io_uring".
"""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib.server import (  # noqa: E402
    Server, default_binary, io_uring_works, options_of, redis_version)

BINARY = default_binary()
REDIS = redis_version(BINARY) if os.path.exists(BINARY) else None


def configurations():
    """The names of the configurations to run, "<shards>-<backend>"."""
    if REDIS:
        return ["redis"]
    names = ["%d-%s" % (shards, backend) for backend in ("io_uring", "epoll") for shards in (1, 2,
                                                                                             4)]
    wanted = os.environ.get("TORC_CONFIGS")
    return wanted.split(",") if wanted else names


def pytest_sessionstart():
    if not os.path.exists(BINARY):
        pytest.exit("no server at %s: build it, or set TORC_BINARY" % BINARY, returncode=3)


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: runs for $TORC_SOAK_SECONDS (default 3 s)")
    config.addinivalue_line("markers", "torc_only: has no meaning for stock Redis")
    config.addinivalue_line("markers", "few: long, and the same whatever the backend: half of the "
                            "configurations do, unless $TORC_CONFIGS asks for others")


FEW = ("1-io_uring", "2-epoll", "4-io_uring")


def is_one_too_many(item):
    """Whether the test is marked `few`, and this configuration is left out."""
    if REDIS or os.environ.get("TORC_CONFIGS") or not item.get_closest_marker("few"):
        return False
    running = item.callspec.params.get("running") if hasattr(item, "callspec") else None
    return running is not None and running not in FEW


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if is_one_too_many(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not is_one_too_many(item)]
    for item in items:
        if REDIS and item.get_closest_marker("torc_only"):
            item.add_marker(pytest.mark.skip(reason="an option only torc has"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in getattr(item, "_servers", []):
            try:
                report.sections.append(("server log (port %d)" % server.port, server.log()))
            except OSError:
                pass


class Running:
    """The server of one configuration, started again when a test has killed it."""

    def __init__(self, name):
        self.name = name
        self.server = None

    def get(self):
        """The running server."""
        if self.server is None or not self.server.is_alive():
            if self.server is not None:
                self.server.stop()
            self.server = Server(options_of(self.name), binary=BINARY)
        return self.server


@pytest.fixture(scope="session", params=configurations())
def running(request):
    """Session-wide holder of one configuration's server."""
    if request.param.endswith("io_uring") and not io_uring_works():
        pytest.skip("io_uring is not available on this host")
    holder = Running(request.param)
    yield holder
    if holder.server is not None:
        holder.server.stop()


@pytest.fixture
def server(running, request):
    """The shared server, empty. A test that ends it fails."""
    server = running.get()
    request.node._servers = getattr(request.node, "_servers", []) + [server]
    with server.client() as admin:
        assert admin("FLUSHALL") == "OK"
    yield server
    assert server.is_alive(), "the server died\n" + server.log()


@pytest.fixture
def connect(server):
    """A function that opens connections to the shared server; all are closed afterwards."""
    clients = []

    def open_client(protocol=2, timeout=10.0):
        clients.append(server.client(timeout=timeout, protocol=protocol))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def c(connect):
    """A RESP2 connection."""
    return connect()


@pytest.fixture
def c3(connect):
    """A RESP3 connection."""
    return connect(protocol=3)


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def both(request, connect):
    """A connection, once in RESP2 and once in RESP3."""
    return connect(protocol=request.param)


@pytest.fixture
def start(running, request):
    """A function that starts a server of one's own in the current configuration."""
    servers = []

    def start_server(config=None, ready=True, **options):
        merged = options_of(running.name)
        merged.update({name.replace("_", "-"): value for name, value in options.items()})
        server = Server(merged, binary=BINARY, config=config, ready=ready)
        servers.append(server)
        request.node._servers = getattr(request.node, "_servers", []) + [server]
        return server

    yield start_server
    for server in servers:
        server.stop()


@pytest.fixture
def config(server):
    """CONFIG SET whose old values come back after the test."""
    admin = server.client()
    old = {}

    def config_set(*pairs):
        for name in pairs[::2]:
            if name not in old:
                old[name] = admin("CONFIG", "GET", name)[1]
        return admin("CONFIG", "SET", *pairs)

    yield config_set
    if server.is_alive():
        for name, value in old.items():
            assert admin("CONFIG", "SET", name, value) == "OK"
    admin.close()


@pytest.fixture
def is_torc():
    """False when the suite runs against a stock redis-server."""
    return REDIS is None

