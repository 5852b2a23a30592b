# SPDX-License-Identifier: BSD-3-Clause
"""shard-ports: each shard as the node of a Redis Cluster, on a port of its own."""
import random
import re
import socket
import time

import pytest

from lib.check import arity, check, eventually, info
from lib.resp import SLOW, Client, ConnectionClosed, Error
from lib.server import ServerDied, free_port, free_run
from lib.target import Target

pytestmark = [pytest.mark.torc_only, pytest.mark.few]
SLOTS = 16384
SHARDS_MAX = 8  # of the servers here
DISABLED = Error("ERR This instance has cluster support disabled")
CROSSSLOT = Error("CROSSSLOT Keys in request don't hash to the same slot")
ABORTED = Error("EXECABORT Transaction discarded because of previous errors.")


class Fleet:
    """A server with shard ports, a client of each, and one of the plain port."""

    def __init__(self, start, protocol=2, **options):
        self.server = start_with_ports(start, **options)
        self.plain = self.server.client(protocol=protocol)
        self.count = int(info(self.plain, "shards")["shards"])
        self.nodes = [self.node(i, protocol=protocol) for i in range(self.count)]

    def node(self, i, host="127.0.0.1", protocol=2, **options):
        """A new connection to the port of shard i."""
        return Client((host, self.port(i)), resp=protocol, **options)

    def port(self, i):
        """The port of shard i."""
        return self.server.port + 1 + i

    def slot(self, key):
        """The hash slot of a key."""
        return self.nodes[0]("CLUSTER", "KEYSLOT", key)

    def owner(self, key):
        """The shard of a key."""
        return self.slot(key) * self.count // SLOTS

    def key_of(self, shard, prefix="key"):
        """A key that the shard owns."""
        return next(k for k in ("%s:%d" % (prefix, i) for i in range(10000))
                    if self.owner(k) == shard)

    def moved(self, key, host="127.0.0.1"):
        """The redirection for a key."""
        return Error("MOVED %d %s:%d" % (self.slot(key), host, self.port(self.owner(key))))


def start_with_ports(start, **options):
    """A server whose shard ports were free; another one may have taken them just before."""
    for _ in range(20):
        ports = {} if "port" in options else {"port": free_run(1 + SHARDS_MAX)}
        server = start(ready=False, shard_ports="yes", **ports, **options)
        try:
            server.wait_ready()
            return server
        except ServerDied:
            if "can't be opened" not in server.log():
                raise
    raise RuntimeError("no free run of ports")


@pytest.fixture
def fleet(start):
    """A fleet in the current configuration."""
    return Fleet(start)


def counters(node):
    """What this shard has sent to others."""
    fields = info(node, "shards")
    return int(fields["cross_shard_requests"]), int(fields["cross_shard_messages"])


# ---- topology ----------------------------------------------------------------------------------


def test_slots(fleet):
    for i, node in enumerate(fleet.nodes):
        slots = node("CLUSTER", "SLOTS")
        assert slots == fleet.nodes[0]("CLUSTER", "SLOTS")
        assert len(slots) == fleet.count
        covered = 0
        for shard, (first, last, (host, port, name, more)) in enumerate(slots):
            assert first == covered and last >= first
            covered = last + 1
            assert (host, port, more) == (b"127.0.0.1", fleet.port(shard), [])
            assert re.fullmatch(b"[0-9a-f]{40}", name)
        assert covered == SLOTS
        assert node("CLUSTER", "MYID") == slots[i][2][2]


def test_shards(fleet):
    slots = fleet.nodes[0]("CLUSTER", "SLOTS")
    shards = fleet.nodes[-1]("CLUSTER", "SHARDS")
    assert [shard[1] for shard in shards] == [range_[:2] for range_ in slots]
    for i, shard in enumerate(shards):
        assert shard[::2] == [b"slots", b"nodes"] and len(shard[3]) == 1
        assert shard[3][0] == [
            b"id", slots[i][2][2], b"port", fleet.port(i), b"ip", b"127.0.0.1", b"endpoint",
            b"127.0.0.1", b"role", b"master", b"replication-offset", 0, b"health", b"online"]


def test_shards_in_resp3(start):
    fleet = Fleet(start, protocol=3)
    shard = fleet.nodes[0]("CLUSTER", "SHARDS")[0]
    assert shard[b"slots"] == fleet.nodes[0]("CLUSTER", "SLOTS")[0][:2]
    assert shard[b"nodes"][0][b"port"] == fleet.port(0)
    assert fleet.nodes[0]("CLUSTER", "SLOTS")[0][2][3] == {}


def test_nodes(fleet):
    ids = [slots[2][2] for slots in fleet.nodes[0]("CLUSTER", "SLOTS")]
    for i, node in enumerate(fleet.nodes):
        lines = node("CLUSTER", "NODES").decode().splitlines()
        assert len(lines) == fleet.count
        for j, line in enumerate(lines):
            words = line.split(" ")
            first, last = fleet.nodes[0]("CLUSTER", "SLOTS")[j][:2]
            assert words[:5] == [ids[j].decode(), "127.0.0.1:%d@0" % fleet.port(j),
                                 "myself,master" if i == j else "master", "-", "0"]
            assert words[6:] == [str(j + 1), "connected", "%d-%d" % (first, last)]
            assert (words[5] == "0") == (i == j)


def test_cluster_info(fleet):
    for i, node in enumerate(fleet.nodes):
        lines = node("CLUSTER", "INFO").decode().splitlines()
        fields = dict(line.split(":") for line in lines)
        assert list(fields)[:9] == [
            "cluster_state", "cluster_slots_assigned", "cluster_slots_ok", "cluster_slots_pfail",
            "cluster_slots_fail", "cluster_known_nodes", "cluster_size", "cluster_current_epoch",
            "cluster_my_epoch"]
        assert list(fields.values())[:9] == [
            "ok", "16384", "16384", "0", "0", str(fleet.count), str(fleet.count),
            str(fleet.count), str(i + 1)]


def test_ids_stay_over_a_restart(fleet):
    def ids(node):
        return [node("CLUSTER", "MYID"), node("CLUSTER", "MYSHARDID"),
                [entry[2][2] for entry in node("CLUSTER", "SLOTS")]]

    before = ids(fleet.nodes[-1])
    assert before[0] != before[1]
    for client in fleet.nodes + [fleet.plain]:
        client.close()
    fleet.server.stop(remove=False)
    fleet.server.start()
    with fleet.node(fleet.count - 1) as node:
        assert ids(node) == before


def test_small_subcommands(fleet):
    node = fleet.nodes[0]
    own = node("CLUSTER", "MYID").decode()
    check(node, ("CLUSTER LINKS", []), ("CLUSTER REPLICAS " + own, []),
          ("CLUSTER SLAVES " + own, []), ("CLUSTER COUNT-FAILURE-REPORTS " + own, 0),
          ("CLUSTER REPLICAS nosuch", Error("ERR Unknown node nosuch")),
          ("CLUSTER COUNT-FAILURE-REPORTS nosuch", Error("ERR Unknown node nosuch")),
          ("CLUSTER KEYSLOT 123456789", 12739), ("CLUSTER KEYSLOT a{123456789}b", 12739),
          ("CLUSTER KEYSLOT", arity("cluster|keyslot")), ("CLUSTER", arity("cluster")),
          ("READONLY", "OK"), ("READWRITE", "OK"), ("ASKING", "OK"),
          ("CLUSTER MEET 127.0.0.1 1",
           Error("ERR unknown subcommand 'MEET'. Try CLUSTER HELP.")))
    assert node("CLUSTER", "HELP")[0].startswith("CLUSTER <subcommand>")


def test_plain_port_is_no_cluster(fleet):
    check(fleet.plain, *[(command, DISABLED) for command in (
        "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "CLUSTER INFO", "CLUSTER MYID",
        "CLUSTER KEYSLOT a", "CLUSTER COUNTKEYSINSLOT 1", "CLUSTER HELP", "READONLY", "READWRITE",
        "ASKING")])
    assert info(fleet.plain)["redis_mode"] == "standalone"
    assert info(fleet.plain)["cluster_enabled"] == "0"
    keys = ["key:%d" % i for i in range(50)]
    assert fleet.plain("MSET", *[word for key in keys for word in (key, key)]) == "OK"
    assert fleet.plain("MGET", *keys) == [key.encode() for key in keys]
    check(fleet.plain, ("SELECT 1", "OK"), ("SELECT 0", "OK"))


def test_without_shard_ports(c):
    check(c, ("CLUSTER INFO", DISABLED), ("ASKING", DISABLED))


# ---- addresses ---------------------------------------------------------------------------------


def elsewhere(fleet):
    """A key that shard 0 does not own; None with one shard."""
    return fleet.key_of(fleet.count - 1) if fleet.count > 1 else None


def test_address_is_the_one_that_was_used(start):
    fleet = Fleet(start, bind=["127.0.0.1", "127.0.0.2"])
    with fleet.node(0, host="127.0.0.2") as node:
        assert [entry[2][0] for entry in node("CLUSTER", "SLOTS")] == [b"127.0.0.2"] * fleet.count
        if fleet.count > 1:
            assert node("GET", elsewhere(fleet)) == fleet.moved(elsewhere(fleet), "127.0.0.2")


def test_ipv6(start):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6")
    fleet = Fleet(start, bind=["127.0.0.1", "::1"])
    with fleet.node(0, host="::1") as node:
        assert node("CLUSTER", "SLOTS")[0][2][0] == b"::1"
        assert b" ::1:%d@0 " % fleet.port(0) in node("CLUSTER", "NODES")
        if fleet.count > 1:
            assert node("GET", elsewhere(fleet)) == fleet.moved(elsewhere(fleet), "::1")


def test_announced_address(fleet):
    node = fleet.nodes[0]
    key = elsewhere(fleet)
    names = ["cluster-announce-ip", "10.1.2.3", "cluster-announce-port", "7000"]
    assert node("CONFIG", "SET", *names) == "OK"
    slots = node("CLUSTER", "SLOTS")
    assert [entry[2][:2] for entry in slots] == [[b"10.1.2.3", 7001 + i]
                                                 for i in range(fleet.count)]
    assert b" 10.1.2.3:7001@0 " in node("CLUSTER", "NODES")
    if key:
        assert node("GET", key) == Error("MOVED %d 10.1.2.3:%d" %
                                         (fleet.slot(key), 7001 + fleet.owner(key)))


def test_announced_hostname(fleet):
    node = fleet.nodes[0]
    key = elsewhere(fleet)
    assert node("CONFIG", "SET", "cluster-announce-hostname", "cache.example") == "OK"
    assert node("CLUSTER", "SLOTS")[0][2][0::3] == [b"127.0.0.1", [b"hostname", b"cache.example"]]
    assert b":%d@0,cache.example " % fleet.port(0) in node("CLUSTER", "NODES")
    assert node("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname") == "OK"
    assert node("CLUSTER", "SLOTS")[0][2][0::3] == [b"cache.example", [b"ip", b"127.0.0.1"]]
    shard = node("CLUSTER", "SHARDS")[0][3][0]
    assert shard[4:10] == [b"ip", b"127.0.0.1", b"endpoint", b"cache.example", b"hostname",
                           b"cache.example"]
    if key:
        assert node("GET", key) == fleet.moved(key, "cache.example")
    assert node("CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint") == "OK"
    assert node("CLUSTER", "SLOTS")[0][2][0::3] == [
        None, [b"ip", b"127.0.0.1", b"hostname", b"cache.example"]]
    if key:
        assert node("GET", key) == fleet.moved(key, "")
    assert node("CONFIG", "SET", "cluster-announce-hostname", "no spaces") == Error(
        "ERR CONFIG SET failed (possibly related to argument 'cluster-announce-hostname') - "
        "Hostnames may only contain alphanumeric characters, hyphens or dots")
    assert isinstance(node("CONFIG", "SET", "cluster-announce-ip", "a b"), Error)


# ---- commands ----------------------------------------------------------------------------------


def test_each_key_at_its_node(fleet):
    for i in range(200):
        key = "key:%d" % i
        for shard, node in enumerate(fleet.nodes):
            mine = shard == fleet.owner(key)
            assert node("SET", key, i) == ("OK" if mine else fleet.moved(key))
            assert node("GET", key) == (b"%d" % i if mine else fleet.moved(key))
        assert fleet.plain("GET", key) == b"%d" % i


def test_multi_key_rules(fleet):
    node = fleet.nodes[fleet.owner("{t}")]
    check(node, ("MSET {t}1 a {t}2 b", "OK"), ("MGET {t}1 {t}2 {t}3", [b"a", b"b", None]),
          ("RENAME {t}1 {t}4", "OK"), ("EXISTS {t}1 {t}2 {t}4", 2),
          ("COPY {t}2 {t}5", 1), ("BITOP OR {t}6 {t}2 {t}4", 1), ("DEL {t}2 {t}4 {t}9", 2))
    # Of one node, but not of one slot.
    other = next(k for k in ("x%d" % i for i in range(1000))
                 if fleet.owner(k) == fleet.owner("{t}") and fleet.slot(k) != fleet.slot("{t}"))
    for command in ("MGET {t}1 %s", "MSET {t}1 a %s b", "DEL %s {t}1", "RENAME {t}1 %s",
                    "WATCH {t}1 %s", "BITOP AND {t}1 {t}2 %s", "LCS {t}1 %s"):
        assert node(*(command % other).split()) == CROSSSLOT
    if fleet.count > 1:
        far = fleet.nodes[(fleet.owner("{t}") + 1) % fleet.count]
        for command in ("MGET {t}1 {t}2", "WATCH {t}1", "OBJECT ENCODING {t}1", "MEMORY USAGE {t}1",
                        "LCS {t}1 {t}2"):
            assert far(*command.split()) == fleet.moved("{t}1")
        check(far, ("GET", arity("get")), ("MGET {t}1 %s" % other, CROSSSLOT))


def test_transactions(fleet):
    key = fleet.key_of(0)
    node = fleet.nodes[0]
    assert node("WATCH", key) == "OK"
    check(node, ("MULTI", "OK"), ("SET %s 1" % key, "QUEUED"), ("INCR " + key, "QUEUED"),
          ("PING", "QUEUED"), ("DBSIZE", "QUEUED"), ("SCAN 0", "QUEUED"),
          ("EXEC", ["OK", 2, "PONG", 1, [b"0", [key.encode()]]]))
    assert node("WATCH", key) == "OK"
    assert fleet.plain("INCR", key) == 3
    check(node, ("MULTI", "OK"), ("GET " + key, "QUEUED"), ("EXEC", None))
    # Two slots of one node: each is admitted, both together are not.
    other = next(k for k in ("x%d" % i for i in range(1000))
                 if fleet.owner(k) == 0 and fleet.slot(k) != fleet.slot(key))
    check(node, ("MULTI", "OK"), ("SET %s 9" % key, "QUEUED"), ("SET %s 9" % other, "QUEUED"),
          ("EXEC", CROSSSLOT), ("EXEC", Error("ERR EXEC without MULTI")), ("GET " + key, b"3"))
    check(node, ("MULTI", "OK"), ("MGET %s %s" % (key, other), CROSSSLOT),
          ("GET " + key, "QUEUED"), ("GET " + other, "QUEUED"), ("EXEC", ABORTED))
    if fleet.count > 1:
        far = elsewhere(fleet)
        check(node, ("MULTI", "OK"), ("SET %s 9" % key, "QUEUED"),
              ("SET %s 9" % far, fleet.moved(far)), ("EXEC", ABORTED), ("GET " + key, b"3"))


def test_one_database(fleet):
    node = fleet.nodes[0]
    key = fleet.key_of(0)
    refused = Error("ERR DB index is out of range")
    check(node, ("SELECT 0", "OK"),
          ("SELECT 1", Error("ERR SELECT is not allowed in cluster mode")),
          ("SELECT 99", Error("ERR SELECT is not allowed in cluster mode")),
          ("SELECT x", Error("ERR value is not an integer or out of range")),
          ("SWAPDB 0 1", Error("ERR SWAPDB is not allowed in cluster mode")),
          ("MOVE %s 1" % key, Error("ERR MOVE is not allowed in cluster mode")),
          ("COPY %s %s DB 1" % (key, key), refused), ("SET %s 1" % key, "OK"),
          ("MULTI", "OK"), ("SELECT 0", "QUEUED"), ("MOVE %s 1" % key, "QUEUED"),
          ("GET " + key, "QUEUED"),
          ("EXEC", ["OK", Error("ERR MOVE is not allowed in cluster mode"), b"1"]))
    assert fleet.plain("MOVE", key, 1) == 1
    check(node, ("GET " + key, None), ("DBSIZE", 0))


def test_commands_without_keys_are_the_nodes_own(fleet):
    by_shard = [[] for _ in range(fleet.count)]
    for i in range(400):
        by_shard[fleet.owner("key:%d" % i)].append(b"key:%d" % i)
        assert fleet.plain("SET", "key:%d" % i, "x") == "OK"
    for node, keys in zip(fleet.nodes, by_shard):
        assert node("DBSIZE") == len(keys)
        assert sorted(node("KEYS", "*")) == sorted(keys)
        assert node("RANDOMKEY") in keys
        assert info(node, "keyspace")["db0"].startswith("keys=%d," % len(keys))
        found, cursor = set(), b"0"
        while True:
            cursor, part = node("SCAN", cursor, "COUNT", 7)
            found.update(part)
            if cursor == b"0":
                break
        assert found == set(keys)
    assert fleet.nodes[0]("FLUSHDB") == "OK"
    assert fleet.plain("DBSIZE") == 400 - len(by_shard[0])
    for node in fleet.nodes:
        assert node("FLUSHALL") == "OK"
    assert fleet.plain("DBSIZE") == 0


def test_info_and_hello(fleet):
    for i, node in enumerate(fleet.nodes):
        fields = info(node, "everything")
        assert fields["redis_mode"] == "cluster" and fields["cluster_enabled"] == "1"
        assert fields["tcp_port"] == str(fleet.port(i))
        assert [name for name in fields if re.fullmatch(r"shard\d+", name)] == ["shard%d" % i]
        hello = node("HELLO", 2)
        assert hello[hello.index(b"mode") + 1] == b"cluster"
    hello = fleet.plain("HELLO", 2)
    assert hello[hello.index(b"mode") + 1] == b"standalone"
    assert "listener%d" % fleet.count in info(fleet.plain, "server")


def test_client_commands_are_about_the_shard(fleet):
    ids = [node("CLIENT", "ID") for node in fleet.nodes]
    assert len(set(ids)) == fleet.count
    for i, node in enumerate(fleet.nodes):
        lines = node("CLIENT", "LIST").decode().splitlines()
        listed = {int(line.split()[0][3:]) for line in lines}
        assert listed & set(ids) == {ids[i]}
        others = [client for j, client in enumerate(ids) if j != i]
        if others:
            assert node("CLIENT", "KILL", "ID", others[0]) == 0
    assert fleet.plain("CLIENT", "KILL", "ID", ids[0]) == 1
    assert fleet.nodes[0].wait_closed()


def test_keys_of_a_slot(fleet):
    keys = [b"{tag}:%d" % i for i in range(3000)] + [b"other:%d" % i for i in range(5000)]
    for key in keys:
        fleet.plain.send("SET", key, "x")
    assert [fleet.plain.read() for _ in keys] == ["OK"] * len(keys)
    slot = fleet.slot("{tag}")
    for shard, node in enumerate(fleet.nodes):
        mine = shard == fleet.owner("{tag}")
        assert node("CLUSTER", "COUNTKEYSINSLOT", slot) == (3000 if mine else 0)
        some = node("CLUSTER", "GETKEYSINSLOT", slot, 10)
        assert len(set(some)) == (10 if mine else 0) and set(some) <= set(keys[:3000])
        every = node("CLUSTER", "GETKEYSINSLOT", slot, 100000)
        assert sorted(every) == (sorted(keys[:3000]) if mine else [])
        check(node, ("CLUSTER GETKEYSINSLOT %d 0" % slot, []),
              ("CLUSTER COUNTKEYSINSLOT 16384", Error("ERR Invalid slot")),
              ("CLUSTER COUNTKEYSINSLOT -1", Error("ERR Invalid slot")),
              ("CLUSTER COUNTKEYSINSLOT x",
               Error("ERR value is not an integer or out of range")),
              ("CLUSTER GETKEYSINSLOT 1 -1", Error("ERR Invalid slot or number of keys")),
              ("CLUSTER GETKEYSINSLOT 16384 1", Error("ERR Invalid slot or number of keys")))
    home = fleet.nodes[fleet.owner("{tag}")]
    # Behind and before other commands of one pipeline, and expired keys do not count.
    assert home("PEXPIRE", "{tag}:0", 1) == 1
    time.sleep(0.01)
    commands = [["SET", "{tag}:new", "x"], ["CLUSTER", "COUNTKEYSINSLOT", slot],
                ["DEL", "{tag}:new"], ["CLUSTER", "COUNTKEYSINSLOT", slot]]
    assert home.pipeline(commands) == ["OK", 3000, 1, 2999]
    assert home("MULTI") == "OK"
    assert home("CLUSTER", "COUNTKEYSINSLOT", slot) == "QUEUED"
    assert home("EXEC") == [
        Error("ERR CLUSTER COUNTKEYSINSLOT is not allowed inside MULTI")]


def test_keys_of_a_slot_while_the_table_changes(fleet):
    home = fleet.nodes[fleet.owner("{tag}")]
    slot = fleet.slot("{tag}")
    for i in range(5000):
        home.send("SET", "{tag}:%d" % i, "x")
    assert [home.read() for _ in range(5000)] == ["OK"] * 5000
    with fleet.node(fleet.owner("{tag}")) as asker:
        for round_ in range(20):
            asker.send("CLUSTER", "COUNTKEYSINSLOT", slot)
            verb = "SET" if round_ % 2 == 0 else "DEL"
            for i in range(2000):
                home.send(verb, *(["{tag}:more:%d" % i, "x"][:2 if verb == "SET" else 1]))
            assert len([home.read() for _ in range(2000)]) == 2000
            assert 5000 <= asker.read() <= 7000


def test_no_message_between_shards(fleet):
    before = [counters(node) for node in fleet.nodes]
    rng = random.Random(7)
    for _ in range(3000):
        key = "key:%d" % rng.randrange(1000)
        node = fleet.nodes[fleet.owner(key)]
        node.send(*rng.choice([("GET", key), ("SET", key, "x"), ("INCRBY", "{%s}n" % key, 1),
                               ("MGET", key, "{%s}n" % key), ("DEL", key), ("PEXPIRE", key, 1)]))
        node.read()
    for shard, node in enumerate(fleet.nodes):
        key = fleet.key_of(shard)
        for command in (["WATCH", key], ["MULTI"], ["SET", key, 1], ["DBSIZE"], ["EXEC"],
                        ["SCAN", 0], ["KEYS", "*"], ["RANDOMKEY"], ["CLIENT", "LIST"], ["INFO"],
                        ["CONFIG", "GET", "*"],
                        ["CLUSTER", "SLOTS"], ["CLUSTER", "COUNTKEYSINSLOT", fleet.slot(key)],
                        ["GET", fleet.key_of((shard + 1) % fleet.count)], ["FLUSHALL"]):
            node(*command)
    assert [counters(node) for node in fleet.nodes] == before


def test_resetstat_is_the_nodes_own(fleet):
    for node in fleet.nodes:
        assert node("GET", "nosuch") is None or fleet.count > 1
    assert fleet.nodes[0]("CONFIG", "RESETSTAT") == "OK"
    for i, node in enumerate(fleet.nodes):
        assert ("cmdstat_get" in info(node, "commandstats")) == (i > 0)


# ---- beside the plain port ---------------------------------------------------------------------


def test_nodes_beside_transactions_of_the_plain_port(fleet):
    """Increments by MULTI over all shards and by the nodes: none is lost."""
    keys = [fleet.key_of(i, "sum") for i in range(fleet.count)]
    rounds = 150
    with fleet.server.client() as other:
        for _ in range(rounds):
            for client in (fleet.plain, other):
                client.send("MULTI")
                for key in keys:
                    client.send("INCR", key)
                client.send("EXEC")
            for node, key in zip(fleet.nodes, keys):
                node.send("INCR", key)
                node.send("DBSIZE")
                node.send("MULTI")
                node.send("INCR", key)
                node.send("DBSIZE")
                node.send("EXEC")
        for client in (fleet.plain, other):
            for _ in range(rounds):
                replies = [client.read() for _ in range(len(keys) + 2)]
                assert len(replies[-1]) == len(keys)
        for node in fleet.nodes:
            for _ in range(rounds):
                replies = [node.read() for _ in range(6)]
                assert replies[5][1] == replies[1] == 1
    assert fleet.plain("MGET", *keys) == [b"%d" % (4 * rounds)] * len(keys)


def test_password_and_maxclients(start):
    fleet = Fleet(start, maxclients=20)
    assert fleet.plain("CONFIG", "SET", "requirepass", "secret") == "OK"
    with fleet.node(0) as node:
        check(node, ("CLUSTER SLOTS", Error("NOAUTH Authentication required.")),
              ("AUTH secret", "OK"))
        assert len(node("CLUSTER", "SLOTS")) == fleet.count
        assert node("RESET") == "RESET"
        assert node("AUTH", "secret") == "OK"
        assert len(node("CLUSTER", "SLOTS")) == fleet.count  # it still is a node's connection
    assert fleet.plain("CONFIG", "SET", "requirepass", "") == "OK"
    eventually(lambda: _connected(fleet) == 1 + fleet.count)
    clients = [fleet.node(i % fleet.count) for i in range(30)]
    served = sum(is_served(client) for client in clients)
    # Shards that accept at the same moment may each leave the last place to the other.
    assert 20 - fleet.count <= served + 1 + fleet.count <= 20
    for client in clients:
        client.close()
    eventually(lambda: _connected(fleet) == 1 + fleet.count)


def _connected(fleet):
    return int(info(fleet.plain, "clients")["connected_clients"])


def is_served(client):
    """Whether the server took the connection."""
    try:
        reply = client("PING")
    except (ConnectionClosed, OSError):
        return False
    assert reply in ("PONG", Error("ERR max number of clients reached"))
    return reply == "PONG"


def test_ports_are_free_after_the_end(fleet):
    for client in fleet.nodes + [fleet.plain]:
        client.close()
    for _ in range(8):
        fleet.server.stop(remove=False)
        fleet.server.start()  # fails when it finds one of its ports in use


def listen_behind_a_free_port():
    """A listening socket on the port behind one that is free."""
    while True:
        taken = socket.socket()
        try:
            taken.bind(("127.0.0.1", free_port() + 1))
            taken.listen()
            return taken
        except OSError:
            taken.close()


def test_a_port_in_use_stops_the_start(start):
    with listen_behind_a_free_port() as taken:
        port = taken.getsockname()[1]
        server = start(ready=False, port=port - 1, bind="127.0.0.1", shard_ports="yes")
        assert server.wait_exit() == 1
        assert "The port of shard 0 (shard-ports) can't be opened" in server.log()
        assert "127.0.0.1:%d: Address already in use" % port in server.log()


@pytest.mark.parametrize("port", [0, 65535])
def test_ports_that_do_not_exist_stop_the_start(start, port, tmp_path):
    server = start(ready=False, port=port, shard_ports="yes", bind="127.0.0.1",
                   unixsocket=str(tmp_path / "socket"))
    assert server.wait_exit() == 1
    assert "shard-ports: there are no" in server.log()


def test_migrate(fleet):
    """A node's keys go to another cluster's node, in the words of a cluster."""
    node, own, foreign = fleet.nodes[0], fleet.key_of(0), fleet.key_of(fleet.count - 1)
    node("SET", own, "value")
    with Target() as target:
        address = ("127.0.0.1", target.port)
        if fleet.count > 1:
            assert node("MIGRATE", *address, foreign, 0, 1000) == fleet.moved(foreign)
            assert node("MIGRATE", *address, "", 0, 1000, "KEYS", own, foreign) == CROSSSLOT
        assert node("MIGRATE", *address, "", 0, int(20000 * SLOW), "KEYS", own) == "OK"
        assert [command[:2] for command in target.restores()] == [[b"RESTORE-ASKING",
                                                                   own.encode()]]
    assert node("EXISTS", own) == 0
