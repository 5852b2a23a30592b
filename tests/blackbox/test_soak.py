# SPDX-License-Identifier: BSD-3-Clause
"""Concurrent histories at 4 shards: atomicity, pipeline order, SCAN; $TORC_SOAK_SECONDS each."""
import os

import pytest

from lib import checkers
from lib.checkers import Anomaly
from lib.resp import SLOW

SECONDS = float(os.environ.get("TORC_SOAK_SECONDS", "3"))

pytestmark = [pytest.mark.soak, pytest.mark.few]


@pytest.fixture
def connect_four(running, server):
    """Connections to a server of 4 shards."""
    if not running.name.startswith(("4-", "redis")):
        pytest.skip("for 4 shards")
    with server.client() as client:
        checkers.prepare(client)
    return lambda: server.client(timeout=30)


def test_transfers(connect_four):
    work = [checkers.transfer(1), checkers.transfer(2), checkers.watched_transfer(3),
            checkers.watched_transfer(4),
            checkers.audit(False), checkers.audit(True)]
    rounds = checkers.run(SECONDS, connect_four, work)
    assert all(rounds), rounds
    client = connect_four()
    checkers.check_total(client("MGET", *checkers.ACCOUNTS), checkers.TOTAL)
    client.close()


def test_pairs(connect_four):
    work = [checkers.write_pairs(1), checkers.write_pairs(2), checkers.read_pairs(3),
            checkers.read_pairs(4)]
    assert all(checkers.run(SECONDS, connect_four, work))


def test_rename_and_copy_chains(connect_four):
    work = [checkers.wander(1), checkers.wander(2), checkers.watch_the_token, checkers.copy_chain(),
            checkers.watch_the_chain]
    assert all(checkers.run(SECONDS, connect_four, work))


def test_pipeline_order(connect_four):
    work = [checkers.write_rounds(), checkers.watch_rounds, checkers.watch_flags(1),
            checkers.watch_flags(2)]
    assert all(checkers.run(SECONDS, connect_four, work))


def test_everything_at_once(connect_four):
    work = [checkers.transfer(1), checkers.watched_transfer(2), checkers.audit(False),
            checkers.write_pairs(3),
            checkers.read_pairs(4), checkers.wander(5), checkers.watch_the_token,
            checkers.copy_chain(),
            checkers.watch_the_chain, checkers.write_rounds(), checkers.watch_rounds,
            checkers.watch_flags(6)]
    checkers.run(SECONDS, connect_four, work)


def test_scan_under_churn(connect_four):
    stable = {b"stable:%d" % i for i in range(1000)}
    with connect_four() as client:
        client("MSET", *[x for name in stable for x in (name, "1")])
    work = [checkers.churn(1, 20000), checkers.churn(2, 3000),
            checkers.scan_repeatedly(stable, 100),
            checkers.scan_repeatedly(stable, 1000)]
    rounds = checkers.run(SECONDS, connect_four, work)
    assert rounds[2] and rounds[3], rounds


# The checkers can fail: a workload that writes wrongly is caught on any server.

@pytest.mark.parametrize("work", [
    [checkers.transfer(1, broken=True), checkers.transfer(2, broken=True), checkers.audit(False)],
    [checkers.watched_transfer(1, broken=True), checkers.watched_transfer(2, broken=True),
     checkers.audit(True)],
    [checkers.write_pairs(1, broken=True), checkers.write_pairs(2, broken=True),
     checkers.read_pairs(3)],
    [checkers.wander(1, broken=True), checkers.watch_the_token],
    [checkers.copy_chain(broken=True), checkers.watch_the_chain],
    [checkers.write_rounds(broken=True), checkers.watch_rounds],
    [checkers.write_rounds(broken=True), checkers.watch_flags(1)],
    [checkers.churn(1, 1000), checkers.scan_repeatedly({b"account:1", b"account:2"}, 100,
                                                       drop=b"account:2")],
], ids=["transfer", "watched", "pairs", "rename", "copy", "rounds", "flags", "scan"])
def test_wrong_workloads_are_caught(connect_four, work):
    with pytest.raises(Anomaly):
        checkers.run(20 * SLOW, connect_four, work)


@pytest.mark.parametrize("check, arguments", [
    (checkers.check_total, ([b"1", b"2"], 4)), (checkers.check_equal, ([b"1", b"2"],)),
    (checkers.check_equal, ([b"1", None],)), (checkers.check_single, ([None, None],)),
    (checkers.check_single, ([b"x", b"x"],)), (checkers.check_descending, ([b"3", b"4"],)),
    (checkers.check_descending, ([None, b"1"],)), (checkers.check_round, ([b"5", b"3"],)),
    (checkers.check_flag_then_data, (b"2", b"1")), (checkers.check_flag_then_data, (b"1", None)),
    (checkers.check_scan, ({b"a"}, {b"a", b"b"}))])
def test_checkers_refuse_what_cannot_be(check, arguments):
    with pytest.raises(Anomaly):
        check(*arguments)


@pytest.mark.parametrize("check, arguments", [
    (checkers.check_total, ([b"1", b"3"], 4)), (checkers.check_equal, ([None, None],)),
    (checkers.check_single, ([None, b"x"],)), (checkers.check_descending, ([b"4", b"4", None],)),
    (checkers.check_round, ([b"5", b"5", b"4"],)), (checkers.check_flag_then_data, (b"1", b"2")),
    (checkers.check_scan, ({b"a", b"b"}, {b"a"}))])
def test_checkers_accept_what_can_be(check, arguments):
    check(*arguments)
