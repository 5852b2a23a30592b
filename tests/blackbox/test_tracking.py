# SPDX-License-Identifier: BSD-3-Clause
"""Client-side caching: who has read a key is told when it changes, wherever both of them are."""
import os
import socket
import time

import pytest

from lib import caching
from lib.check import eventually, info
from lib.resp import Error, Push

SECONDS = float(os.environ.get("TORC_TRACKING_SECONDS", "2"))
CHANNEL = b"__redis__:invalidate"


def keys_told(client):
    """The keys of the next word, which must be one about keys."""
    word = client.read()
    assert isinstance(word, Push) and word[0] == b"invalidate", word
    return word[1]


def tracked(connect, *words):
    client = connect(protocol=3)
    assert client("CLIENT", "TRACKING", "ON", *words) == "OK"
    return client


def keys(count):
    """So many keys, of all shards if they are many."""
    return [b"k%d" % i for i in range(count)]


def test_what_was_read_is_told_once(connect, c):
    reader = tracked(connect)
    for key in keys(50):
        reader("GET", key)
        c("SET", key, "1")
        assert keys_told(reader) == [key]
        c("SET", key, "2") # has not been read since
    assert reader.is_silent(0.1)


@pytest.mark.parametrize("command", [
    ("GET", "k"), ("MGET", "k", "other"), ("EXISTS", "k"), ("STRLEN", "k"), ("TTL", "k"),
    ("TYPE", "k"), ("GETRANGE", "k", "0", "1"), ("SORT_RO", "k"), ("BITCOUNT", "k"),
    ("OBJECT", "ENCODING", "k"), ("DUMP", "k")], ids=lambda command: command[0])
def test_what_reads(connect, c, command):
    reader = tracked(connect)
    reader(*command)
    c("LPUSH", "k", "1")
    assert keys_told(reader) == [b"k"]


@pytest.mark.parametrize("command", [
    ("SET", "k", "2"), ("APPEND", "k", "x"), ("DEL", "k"), ("UNLINK", "k"), ("EXPIRE", "k", "100"),
    ("RENAME", "k", "k2"), ("RENAME", "other", "k"), ("COPY", "other", "k", "REPLACE"),
    ("GETDEL", "k"), ("MSET", "k", "3", "q", "4"), ("BITOP", "AND", "k", "other", "other"),
    ("SORT", "list", "STORE", "k"), ("MOVE", "k", "1"), ("PEXPIREAT", "k", "1"),
    ("SUNIONSTORE", "k", "set"), ("GETSET", "k", "7"), ("PFMERGE", "k")],
    ids=lambda command: command[0])
def test_what_changes(connect, c, command):
    c("MSET", "k", "1" if command[0] != "PFMERGE" else "", "other", "o")
    c("DEL", "k") if command[0] == "PFMERGE" else None
    c("RPUSH", "list", "1")
    c("SADD", "set", "a")
    reader = tracked(connect)
    reader("GET", "k")
    assert not isinstance(c(*command), Error)
    assert keys_told(reader) == [b"k"]
    assert reader.is_silent(0.05)


def test_expiry(connect, c):
    c("SET", "lazy", "1", "PX", "30")
    c("SET", "active", "1", "PX", "30")
    reader = tracked(connect)
    assert reader("MGET", "lazy", "active") == [b"1", b"1"]
    assert sorted(keys_told(reader) + keys_told(reader)) == [b"active", b"lazy"]


def test_eviction(start):
    server = start(maxmemory="100mb", maxmemory_policy="allkeys-random")
    with server.client(protocol=3) as reader, server.client() as c:
        reader("CLIENT", "TRACKING", "ON")
        c.pipeline([("SET", key, "x" * 1000) for key in keys(500)])
        reader("MGET", *keys(500))
        c("CONFIG", "SET", "maxmemory", "1")
        assert keys_told(reader)[0] in keys(500)


def test_a_missing_key_is_cached_too(connect, c):
    reader = tracked(connect)
    assert reader("MGET", *keys(20)) == [None] * 20
    for key in keys(20):
        c("SET", key, "1")
        assert keys_told(reader) == [key]


def test_databases_are_one(connect, c):
    reader = tracked(connect)
    reader("GET", "k")
    c("SELECT", "5")
    c("SET", "k", "1")
    assert keys_told(reader) == [b"k"]


@pytest.mark.parametrize("command", [("FLUSHALL",), ("FLUSHDB",), ("FLUSHALL", "ASYNC")],
                         ids=" ".join)
def test_flush(connect, c, command):
    readers = [tracked(connect) for _ in range(5)] + [tracked(connect, "BCAST")]
    for reader in readers:
        reader("GET", "k")
    c(*command)
    for reader in readers:
        assert reader.read() == ["invalidate".encode(), None]
        assert reader.is_silent(0.02)
    assert info(c)["tracking_total_keys"] == "0"
    assert readers[0](*command) == "OK" # and behind one's own reply
    assert readers[0].read() == [b"invalidate", None]


def test_own_changes_come_behind_the_reply(connect):
    reader = tracked(connect)
    for key in keys(20):
        reader("GET", key)
        assert reader("SET", key, "1") == "OK"
        assert keys_told(reader) == [key]
    reader("MGET", "a", "b", "c")
    reader("MULTI")
    reader("GET", "a")
    reader("SET", "a", "1")
    reader("SET", "b", "1")
    assert reader("EXEC") == [None, "OK", "OK"]
    assert sorted(keys_told(reader) + keys_told(reader)) == [b"a", b"b"]


def test_noloop(connect, c):
    reader = tracked(connect, "NOLOOP")
    for key in keys(20):
        reader("GET", key)
        reader("SET", key, "1")
        reader("GET", key)
    assert reader.is_silent(0.05)
    c("SET", "k3", "2")
    assert keys_told(reader) == [b"k3"]


def test_broadcast(connect, c):
    everything = tracked(connect, "BCAST")
    some = tracked(connect, "BCAST", "PREFIX", "a", "PREFIX", "b:")
    c("MSET", "a1", "1", "b:1", "1", "c1", "1", "a2", "1", "b2", "1")
    assert keys_told(everything) == [b"a1", b"a2", b"b2", b"b:1", b"c1"]
    assert sorted([keys_told(some), keys_told(some)]) == [[b"a1", b"a2"], [b"b:1"]]
    c("MULTI")
    for _ in range(3):
        c("INCR", "a1")
    c("EXEC")
    assert keys_told(some) == [b"a1"]
    assert keys_told(everything) == [b"a1"]
    c("SET", "c2", "1")
    assert keys_told(everything) == [b"c2"]
    assert some.is_silent(0.05)
    assert info(c)["tracking_total_prefixes"] == "3"
    assert some("CLIENT", "TRACKING", "OFF") == "OK"
    assert info(c)["tracking_total_prefixes"] == "1"


def test_broadcast_noloop(connect, c):
    own = tracked(connect, "BCAST", "NOLOOP")
    own("MULTI")
    own("SET", "mine", "1", "PX", "20")
    own("SET", "too", "1")
    own("EXEC")
    assert keys_told(own) == [b"mine"] # by its time
    c("SET", "too", "2")
    assert keys_told(own) == [b"too"]


def test_optin_and_optout(connect, c):
    reader = tracked(connect, "OPTIN")
    reader("GET", "a")
    assert reader("CLIENT", "CACHING", "YES") == "OK"
    reader("MULTI")
    reader("GET", "b")
    reader("GET", "c")
    reader("EXEC")
    reader("GET", "d")
    for key in "abcd":
        c("SET", key, "1")
    assert sorted(keys_told(reader) + keys_told(reader)) == [b"b", b"c"]
    reader("CLIENT", "TRACKING", "OFF")
    reader("CLIENT", "TRACKING", "ON", "OPTOUT")
    assert reader("CLIENT", "CACHING", "NO") == "OK"
    reader("CLIENT", "GETNAME") # CLIENT is not what it was said for
    reader("GET", "a")
    reader("GET", "b")
    for key in "ab":
        c("SET", key, "2")
    assert keys_told(reader) == [b"b"]
    assert reader.is_silent(0.05)


@pytest.mark.parametrize("protocol", [2, 3])
def test_redirect(connect, c, protocol):
    for _ in range(6): # connections go round the shards
        to = connect(protocol=protocol)
        number = to("CLIENT", "ID")
        to("SUBSCRIBE", CHANNEL)
        reader = connect(protocol=2)
        assert reader("CLIENT", "TRACKING", "ON", "REDIRECT", number) == "OK"
        assert reader("CLIENT", "GETREDIR") == number
        reader("GET", "k")
        c("SET", "k", "1")
        word = to.read()
        assert word == ([b"message", CHANNEL, [b"k"]] if protocol == 2 else [b"invalidate", [b"k"]])
        c("FLUSHALL")
        assert to.read() == [*word[:-1], None]
        reader("CLIENT", "TRACKING", "OFF")


def test_broken_redirect(connect, c):
    for _ in range(6):
        to = connect(protocol=3)
        number = to("CLIENT", "ID")
        reader = tracked(connect, "REDIRECT", number)
        to.close()
        other = connect()
        eventually(lambda: b"id=%d " % number not in other("CLIENT", "LIST"))
        reader("GET", "k")
        c("SET", "k", "1")
        assert reader.read() == [b"tracking-redir-broken", number]
        assert b"broken_redirect" in reader("CLIENT", "TRACKINGINFO")[b"flags"]
        assert b" flags=tR " in reader("CLIENT", "INFO")


def test_resp2_without_redirect_hears_nothing(connect, c):
    reader = connect()
    assert reader("CLIENT", "TRACKING", "ON") == "OK"
    reader("GET", "k")
    c("SET", "k", "1")
    assert reader.is_silent(0.05)


def test_without_replies(connect, c):
    """CLIENT REPLY OFF leaves messages on."""
    reader = tracked(connect)
    reader("MGET", *keys(8))
    reader.send("CLIENT", "REPLY", "OFF")
    reader.send("GET", "k0")
    time.sleep(0.05)
    for key in keys(8):
        c("SET", key, "1")
        assert keys_told(reader) == [key]


def test_reset_and_off(connect, c):
    for how in (("CLIENT", "TRACKING", "OFF"), ("RESET",)):
        reader = tracked(connect)
        reader("GET", "k")
        reader(*how)
        assert reader("CLIENT", "GETREDIR") == -1
        c("SET", "k", "1")
        assert reader.is_silent(0.05)


def test_a_waiting_read(connect, c):
    """What a client waited for is not to be kept: it is told so, behind the reply."""
    for stream in ("s1", "s2", "s3", "s4"):
        reader = tracked(connect)
        reader.send("XREAD", "BLOCK", "0", "STREAMS", stream, "$")
        eventually(lambda: info(c)["blocked_clients"] == "1")
        c("XADD", stream, "1-1", "f", "v")
        assert reader.read() == {stream.encode(): [[b"1-1", [b"f", b"v"]]]}
        assert keys_told(reader) == [stream.encode()]


def test_info_and_list(connect, c):
    reader = tracked(connect, "OPTIN", "NOLOOP")
    reader("CLIENT", "CACHING", "YES")
    told = reader("CLIENT", "TRACKINGINFO")
    assert set(told[b"flags"]) == {b"on", b"optin", b"caching-yes", b"noloop"}
    assert (told[b"redirect"], told[b"prefixes"]) == (0, [])
    reader("MGET", "x", "y", "z")
    assert b" flags=t " in reader("CLIENT", "INFO") and b" redir=0 " in reader("CLIENT", "INFO")
    stats = info(c)
    assert (stats["tracking_clients"], stats["tracking_total_keys"]) == ("1", "3")
    broadcasting = tracked(connect, "BCAST", "PREFIX", "q", "PREFIX", "p")
    assert broadcasting("CLIENT", "TRACKINGINFO")[b"prefixes"] == [b"p", b"q"]
    assert b" flags=tB " in broadcasting("CLIENT", "INFO")
    off = c("CLIENT", "TRACKINGINFO")
    assert off == [b"flags", [b"off"], b"redirect", -1, b"prefixes", []]


@pytest.mark.parametrize("words, error", [
    (("ON", "PREFIX", "a"), "ERR PREFIX option requires BCAST mode to be enabled"),
    (("ON", "BCAST", "OPTIN"), "ERR OPTIN and OPTOUT are not compatible with BCAST"),
    (("ON", "OPTIN", "OPTOUT"), "ERR You can't specify both OPTIN mode and OPTOUT mode"),
    (("ON", "REDIRECT", "99999999"), "ERR The client ID you want redirect to does not exist"),
    (("ON", "REDIRECT", "99999999", "NONSENSE"),
     "ERR The client ID you want redirect to does not exist"),
    (("ON", "REDIRECT", "x"), "ERR value is not an integer or out of range"),
    (("ON", "REDIRECT"), "ERR syntax error"),
    (("ON", "NONSENSE"), "ERR syntax error"),
    (("MAYBE",), "ERR syntax error"),
    (("ON", "BCAST", "PREFIX", "fo", "PREFIX", "foo"),
     "ERR Prefix 'fo' overlaps with another provided prefix 'foo'. Prefixes for a single client "
     "must not overlap.")], ids=lambda x: " ".join(x) if isinstance(x, tuple) else "")
def test_errors(c, words, error):
    assert c("CLIENT", "TRACKING", *words) == Error(error)
    assert c("CLIENT", "GETREDIR") == -1
    assert info(c)["tracking_clients"] == "0"


def test_errors_of_state(connect, c):
    assert c("CLIENT", "CACHING", "YES") == Error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
        "OPTOUT mode enabled")
    c("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "ab")
    assert c("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a") == Error(
        "ERR Prefix 'a' overlaps with an existing prefix 'ab'. Prefixes for a single client must "
        "not overlap.")
    assert c("CLIENT", "TRACKING", "ON").startswith("ERR You can't switch BCAST mode on/off")
    assert c("CLIENT", "CACHING", "NO") == Error(
        "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    c("CLIENT", "TRACKING", "OFF")
    c("CLIENT", "TRACKING", "ON", "OPTIN")
    assert c("CLIENT", "TRACKING", "ON", "OPTOUT").startswith("ERR You can't switch OPTIN/OPTOUT")
    assert c("CLIENT", "CACHING", "PERHAPS") == Error("ERR syntax error")


def test_the_table_is_bounded(connect, c, config):
    """Shards that make room at the same moment may make a little more than they must."""
    config("tracking-table-max-keys", "100")
    reader = tracked(connect)
    reader.send_raw(b"".join(b"GET k%d\r\n" % i for i in range(1000)))
    items = [reader.read() for _ in range(1900)]
    while not reader.is_silent(0.1):
        pass
    kept = int(info(c)["tracking_total_keys"])
    assert 90 <= kept <= 100
    told = [item[1][0] for item in items if isinstance(item, Push)]
    assert items.count(None) == 1000 and len(set(told)) == len(told) == 900
    writer = connect()
    writer.pipeline([("SET", key, "1") for key in keys(1000)])
    assert len({keys_told(reader)[0] for _ in range(kept)}) == kept
    assert reader.is_silent(0.05)
    reader("MGET", *keys(100))
    config("tracking-table-max-keys", "10")
    eventually(lambda: int(info(c)["tracking_total_keys"]) <= 10)
    assert int(info(c)["tracking_total_keys"]) > 0


def test_clients_that_leave(server, c):
    """What nobody is tracked for any more is forgotten, and commands are plain again."""
    for abort in (False, True):
        readers = [server.client(protocol=3) for _ in range(8)]
        for i, reader in enumerate(readers):
            reader("CLIENT", "TRACKING", "ON", *(("BCAST", "PREFIX", "p%d" % i) if i % 2 else ()))
            reader.send_raw(b"".join(b"GET k%d\r\n" % i for i in range(200)))
            if abort:
                reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        for key in keys(200):
            c("SET", key, "1")
        for reader in readers:
            reader.close()
        eventually(lambda: info(c)["tracking_clients"] == "0")
        eventually(lambda: info(c)["tracking_total_keys"] == "0")
        assert info(c)["tracking_total_prefixes"] == "0"


def test_a_deep_pipeline_of_writes_is_answered(connect):
    """Replies that wait until all readers have been told do come, all and in order."""
    readers = [tracked(connect) for _ in range(4)] + [tracked(connect, "BCAST") for _ in range(4)]
    for reader in readers:
        reader("MGET", *keys(500))
    writer = connect()
    assert writer.pipeline([("INCR", key) for _ in range(10) for key in keys(500)]) == [
        i + 1 for i in range(10) for _ in range(500)]
    for reader in readers[:4]:
        assert sorted(keys_told(reader)[0] for _ in range(500)) == sorted(keys(500))


@pytest.mark.parametrize("broadcast", [False, True], ids=["read", "broadcast"])
def test_no_cache_serves_what_is_old(server, broadcast):
    caches = caching.check(SECONDS, ("127.0.0.1", server.port), broadcast=broadcast)
    assert all(cache.told > 0 and cache.fetched > 0 for cache in caches)
    assert sum(cache.served for cache in caches) > 0


@pytest.mark.few
def test_the_checker_sees_what_is_old(server):
    with pytest.raises(caching.Stale):
        caching.check(10, ("127.0.0.1", server.port), lose=True)
