# SPDX-License-Identifier: BSD-3-Clause
"""Publish/subscribe: messages, confirmations, the subscribed mode, patterns, shard channels."""
import random
import socket
import threading

import pytest

from lib.check import check, eventually, info
from lib.resp import Error, Push, encode

pytestmark = pytest.mark.few

CONTEXT = ("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
           "are allowed in this context")


def subscribe(client, *channels, command="SUBSCRIBE", base=0):
    """Subscribe and check the confirmations."""
    client.send(command, *channels)
    for i, channel in enumerate(channels, 1):
        assert client.read() == [command.lower().encode(), channel.encode(), base + i]


def message(channel, payload):
    """What a subscriber of the channel gets."""
    return [b"message", channel.encode(), payload.encode()]


def test_messages_and_confirmations(both, c, connect):
    names = ["news", "weather", "sport", "news:2"]
    subscribe(both, *names)
    other = connect()
    subscribe(other, "news")
    assert c("PUBLISH", "news", "one") == 2
    assert c("PUBLISH", "weather", "two") == 1
    assert c("PUBLISH", "nobody", "three") == 0
    assert both.read() == message("news", "one")
    assert both.read() == message("weather", "two")
    assert isinstance(both.read() if c("PUBLISH", "sport", "x") else None,
                      Push if both.resp == 3 else list)
    assert other.read() == message("news", "one")
    assert both("UNSUBSCRIBE", "weather") == [b"unsubscribe", b"weather", 3]
    assert c("PUBLISH", "weather", "four") == 0
    assert both("UNSUBSCRIBE", "weather") == [b"unsubscribe", b"weather", 3]
    both.send("UNSUBSCRIBE")
    left = [both.read() for _ in range(3)]
    assert sorted(reply[1] for reply in left) == [b"news", b"news:2", b"sport"]
    assert [reply[2] for reply in left] == [2, 1, 0]
    assert both("UNSUBSCRIBE") == [b"unsubscribe", None, 0]
    assert both("PING") == "PONG"


def test_same_channel_twice(c, connect):
    listener = connect()
    listener.send("SUBSCRIBE", "a", "a", "b", "a")
    assert [listener.read()[1:] for _ in range(4)] == [[b"a", 1], [b"a", 1], [b"b", 2], [b"a", 2]]
    assert c("PUBLISH", "a", "x") == 1
    assert listener.read() == message("a", "x")
    listener.send("UNSUBSCRIBE", "a", "c", "a")
    assert [listener.read()[1:] for _ in range(3)] == [[b"a", 1], [b"c", 1], [b"a", 1]]
    assert listener.is_silent()


def test_patterns(both, c):
    subscribe(both, "n*", "*s", "n?ws", "[mn]ews", "x*", command="PSUBSCRIBE")
    subscribe(both, "news", base=5)
    assert c("PUBSUB", "NUMPAT") == 5
    assert c("PUBLISH", "news", "hi") == 5
    got = [both.read() for _ in range(5)]
    assert got[0] == message("news", "hi")
    assert sorted(reply[1] for reply in got[1:]) == [b"*s", b"[mn]ews", b"n*", b"n?ws"]
    assert all(reply[0] == b"pmessage" and reply[2:] == [b"news", b"hi"] for reply in got[1:])
    assert both("PUNSUBSCRIBE", "n*") == [b"punsubscribe", b"n*", 5]
    assert both("PUNSUBSCRIBE", "other") == [b"punsubscribe", b"other", 5]
    assert c("PUBLISH", "nx", "hi") == 0
    assert c("PUBSUB", "NUMPAT") == 4


def test_subscribed_mode_of_resp2(c, connect):
    listener = connect()
    subscribe(listener, "a")
    for command in (["GET", "k"], ["PUBLISH", "a", "b"], ["MULTI"], ["HELLO", "3"],
                    ["CLIENT", "ID"], ["PUBSUB", "NUMPAT"]):
        name = "|".join(word.lower() for word in command[:2]) \
            if command[0] in ("CLIENT", "PUBSUB") else command[0].lower()
        assert listener(*command) == Error(CONTEXT % name)
    check(listener, ("PING", [b"pong", b""]), ("PING hello", [b"pong", b"hello"]),
          ("PING a b", Error("ERR wrong number of arguments for 'ping' command")))
    assert listener("UNSUBSCRIBE", "a") == [b"unsubscribe", b"a", 0]
    check(listener, ("PING", "PONG"), ("GET k", None))
    subscribe(listener, "a")
    assert listener("RESET") == "RESET"
    check(listener, ("PING", "PONG"), ("SET k v", "OK"))
    assert c("PUBLISH", "a", "b") == 0
    subscribe(listener, "a")
    assert listener("QUIT") == "OK"
    assert listener.wait_closed()
    eventually(lambda: c("PUBLISH", "a", "b") == 0)


def test_resp3_mixes_commands_and_messages(c3):
    subscribe(c3, "a")
    check(c3, ("SET k v", "OK"), ("GET k", b"v"), ("PING", "PONG"))
    # The reply to a command comes before the message that it causes.
    assert c3("PUBLISH", "a", "one") == 1
    assert c3.read() == message("a", "one")
    replies = c3.pipeline([["PUBLISH", "a", str(i)] for i in range(20)] + [["GET", "k"]]
                          + [["PING"]] * 19)
    rest = [reply for reply in replies if not isinstance(reply, Push)]
    pushes = [reply for reply in replies if isinstance(reply, Push)]
    while len(rest) < 40:
        reply = c3.read()
        (pushes if isinstance(reply, Push) else rest).append(reply)
    while len(pushes) < 20:
        pushes.append(c3.read())
    assert rest == [1] * 20 + [b"v"] + ["PONG"] * 19
    assert pushes == [message("a", str(i)) for i in range(20)]


def test_protocol_can_change_while_subscribed(c, c3):
    subscribe(c3, "a")
    assert c3("HELLO", "2")[0:2] == [b"server", b"redis"]
    assert c3("GET", "k") == Error(CONTEXT % "get")
    assert c("PUBLISH", "a", "x") == 1
    reply = c3.read()
    assert reply == message("a", "x") and not isinstance(reply, Push)


def test_inside_multi(c, connect):
    c3 = connect(protocol=3)
    subscribe(c3, "foo", "bar")
    check(c3, ("MULTI", "OK"), ("PING abc", "QUEUED"), ("PUBLISH foo one", "QUEUED"),
          ("SET k v", "QUEUED"), ("PUBLISH foo two", "QUEUED"), ("UNSUBSCRIBE bar", "QUEUED"),
          ("SUBSCRIBE baz", "QUEUED"), ("SSUBSCRIBE x", "QUEUED"), ("PUBLISH baz three", "QUEUED"))
    assert c3("EXEC") == [
        b"abc", 1, "OK", 1, [b"unsubscribe", b"bar", 1], [b"subscribe", b"baz", 2],
        Error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"), 1]
    assert [c3.read() for _ in range(3)] == [message("foo", "one"), message("foo", "two"),
                                             message("baz", "three")]
    check(c, ("MULTI", "OK"), ("SUBSCRIBE a", "QUEUED"), ("GET k", "QUEUED"))
    assert c("EXEC") == [[b"subscribe", b"a", 1], b"v"]
    assert c("GET", "k") == Error(CONTEXT % "get")


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
def test_confirmations_and_messages_despite_client_reply(c, both, mode):
    both.send("CLIENT", "REPLY", mode)
    subscribe(both, "a", "b")
    both.send("CLIENT", "REPLY", mode)  # refused in RESP2, in silence or not
    if both.resp == 2 and mode == "SKIP":
        assert both.read() == Error(CONTEXT % "client|reply")
    assert c("PUBLISH", "a", "x") == 1
    assert both.read() == message("a", "x")
    assert both("UNSUBSCRIBE", "a") == [b"unsubscribe", b"a", 1]


def test_published_after_what_was_written(c, connect):
    """Who gets the message sees what its publisher wrote before it, wherever the keys are."""
    listener, reader = connect(), connect()
    subscribe(listener, "ready")
    for i in range(200):
        c.send_raw(encode(["SET", "k%d" % i, str(i)]) + encode(["MSET", "a%d" % i, i, "b%d" % i, i])
                   + encode(["PUBLISH", "ready", str(i)]))
        assert listener.read() == message("ready", str(i))
        assert reader("MGET", "k%d" % i, "a%d" % i, "b%d" % i) == [b"%d" % i] * 3
        assert [c.read() for _ in range(3)] == ["OK", "OK", 1]


def test_order_for_all_subscribers(c, connect):
    """Two publishers: everybody sees one order, and each publisher's own, over two channels."""
    listeners = [connect() for _ in range(6)]
    for listener in listeners:
        subscribe(listener, "one", "two")
    publishers = [connect(), connect()]
    count = 300

    def publish(which):
        publishers[which].pipeline([["PUBLISH", "one" if i % 3 else "two", "%d:%d" % (which, i)]
                                    for i in range(count)])

    threads = [threading.Thread(target=publish, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    seen = [[listener.read() for _ in range(2 * count)] for listener in listeners]
    for thread in threads:
        thread.join()
    for messages in seen:
        for which in range(2):
            own = [int(m[2].split(b":")[1]) for m in messages if m[2].startswith(b"%d:" % which)]
            assert own == list(range(count))
        for channel in (b"one", b"two"):
            assert ([m[2] for m in messages if m[1] == channel]
                    == [m[2] for m in seen[0] if m[1] == channel])


def test_many_subscribers_get_everything(c, server):
    listeners = [server.client() for _ in range(100)]
    try:
        for i, listener in enumerate(listeners):
            listener.send("PSUBSCRIBE" if i % 4 == 0 else "SUBSCRIBE", "many")
            assert listener.read()[2] == 1
        for first in range(0, 400, 100):
            numbers = range(first, first + 100)
            assert c.pipeline([["PUBLISH", "many", i] for i in numbers]) == [100] * 100
            assert c("PUBLISH", "many", "one") == 100  # without the others of a pipeline
            for i, listener in enumerate(listeners):
                for number in [*numbers, "one"]:
                    assert listener.read()[1 if i % 4 else 2:] == [b"many", b"%d" % number
                                                                  if number != "one" else b"one"]
    finally:
        for listener in listeners:
            listener.close()
    eventually(lambda: c("PUBLISH", "many", "x") == 0)


def test_long_messages(c, connect):
    listeners = [connect(protocol=2 + i % 2) for i in range(8)]
    for listener in listeners:
        subscribe(listener, "a")
        subscribe(listener, "a*", command="PSUBSCRIBE", base=1)
    for size in (15_000, 20_000, 100_000, 3_000_000):
        payload = bytes(i % 251 for i in range(1000)) * (size // 1000)
        assert c("PUBLISH", "a", payload) == 16
        for listener in listeners:
            assert listener.read() == [b"message", b"a", payload]
            assert listener.read() == [b"pmessage", b"a*", b"a", payload]
    eventually(lambda: int(info(c, "memory")["used_memory"]) < 40e6)


def test_pubsub_command(c, connect):
    listeners = [connect() for _ in range(5)]
    names = ["ch:%d" % i for i in range(8)]
    for i, listener in enumerate(listeners):
        subscribe(listener, *names[:4 + i])
        subscribe(listener, "s1", "s2", command="SSUBSCRIBE")
    assert sorted(c("PUBSUB", "CHANNELS")) == [name.encode() for name in names]
    assert c("PUBSUB", "CHANNELS", "*:7") == [b"ch:7"]
    assert sorted(c("PUBSUB", "SHARDCHANNELS")) == [b"s1", b"s2"]
    assert c("PUBSUB", "SHARDCHANNELS", "*2") == [b"s2"]
    check(c, ("PUBSUB NUMSUB ch:0 ch:7 no", [b"ch:0", 5, b"ch:7", 1, b"no", 0]),
          ("PUBSUB NUMSUB", []), ("PUBSUB NUMPAT", 0),
          ("PUBSUB SHARDNUMSUB s1 ch:0", [b"s1", 5, b"ch:0", 0]),
          ("PUBSUB CHANNELS a b",
           Error("ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. "
                 "Try PUBSUB HELP.")),
          ("PUBSUB NOPE", Error("ERR unknown subcommand 'NOPE'. Try PUBSUB HELP.")))
    assert c("PUBSUB", "HELP")[0].startswith("PUBSUB <subcommand>")
    stats = info(c, "stats")
    assert [stats[name] for name in ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels")
            ] == ["8", "0", "2"]
    lines = [line for line in c("CLIENT", "LIST", "TYPE", "pubsub").decode().splitlines()]
    assert len(lines) == 5 and all(" flags=P " in line and " ssub=2 " in line for line in lines)
    assert sum(" sub=%d " % n in line for n in range(4, 9) for line in lines) == 5
    assert c("CLIENT", "KILL", "TYPE", "pubsub") == 5
    eventually(lambda: c("PUBSUB", "CHANNELS") == [] == c("PUBSUB", "SHARDCHANNELS"))
    assert c("PUBLISH", "ch:0", "x") == 0


def test_shard_channels(both, c):
    subscribe(both, "x", "y", command="SSUBSCRIBE")
    subscribe(both, "x")  # another kind, counted apart
    assert c("SPUBLISH", "x", "one") == 1
    assert c("PUBLISH", "x", "two") == 1
    assert both.read() == [b"smessage", b"x", b"one"]
    assert both.read() == message("x", "two")
    assert both("SUNSUBSCRIBE", "x") == [b"sunsubscribe", b"x", 1]
    assert both("SUNSUBSCRIBE") == [b"sunsubscribe", b"y", 0]
    assert both("SUNSUBSCRIBE") == [b"sunsubscribe", None, 0]
    assert c("SPUBLISH", "x", "one") == 0


def test_slow_subscriber_is_disconnected(start):
    server = start(client_output_buffer_limit=["pubsub", "4mb", "1mb", "1"])
    with server.client() as c, server.client() as fast, server.client() as deaf:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        subscribe(deaf, "a")
        subscribe(fast, "a")
        before = int(info(c, "memory")["used_memory"])
        worst = 0
        for i in range(400):  # 100 KB each: far more than sockets hold
            assert c("PUBLISH", "a", "%05d" % i + "x" * 100_000) in (1, 2)
            assert fast.read()[2][:5] == b"%05d" % i
            if i % 20 == 0:
                worst = max(worst, int(info(c, "memory")["used_memory"]) - before)
        eventually(lambda: c("PUBLISH", "a", "x") == 1)
        assert worst < 12e6
        if server.is_torc:
            assert "over its output limit" in server.log()
        assert info(c, "stats")["client_output_buffer_limit_disconnections"] == "1"


def test_soft_limit_of_a_slow_subscriber(start):
    server = start(client_output_buffer_limit=["pubsub", "0", "100kb", "1"])
    with server.client() as c, server.client() as deaf:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        subscribe(deaf, "a")
        for _ in range(100):
            c("PUBLISH", "a", "x" * 100_000)
        assert c("PUBSUB", "NUMSUB", "a") == [b"a", 1]
        eventually(lambda: c("PUBSUB", "NUMSUB", "a") == [b"a", 0], 10)


def test_subscribers_that_leave(server, c, connect):
    for _ in range(20):
        client = server.client()
        client.send("SUBSCRIBE", *["ch:%d" % i for i in range(50)])
        client.send("PSUBSCRIBE", "*", "a*")
        client.close()
    eventually(lambda: c("PUBSUB", "CHANNELS") == [] and c("PUBSUB", "NUMPAT") == 0)
    listener = connect()
    subscribe(listener, *["ch:%d" % i for i in range(1000)])
    assert c("PUBLISH", "ch:999", "x") == 1
    assert listener.read() == message("ch:999", "x")


@pytest.mark.torc_only
def test_nodes_redirect_shard_channels(start):
    from test_shard_ports import CROSSSLOT, Fleet
    fleet = Fleet(start)
    names = [fleet.key_of(i) for i in range(fleet.count)]
    subscribed = [fleet.node(i) for i in range(fleet.count)]
    for i, (node, other) in enumerate(zip(subscribed, fleet.nodes)):
        node.send("SSUBSCRIBE", names[i])
        assert node.read() == [b"ssubscribe", names[i].encode(), 1]
        assert other("SPUBLISH", names[i], "x") == 1
        assert node.read() == [b"smessage", names[i].encode(), b"x"]
        assert other("PUBSUB", "SHARDCHANNELS") == [names[i].encode()]
        assert other("SSUBSCRIBE", names[i], names[i] + "2") == CROSSSLOT
        if fleet.count > 1:
            wrong = names[(i + 1) % fleet.count]
            assert other("SPUBLISH", wrong, "x") == fleet.moved(wrong)
            assert other("SSUBSCRIBE", wrong) == fleet.moved(wrong)
        node.send("SUBSCRIBE", "everywhere")
        assert node.read() == [b"subscribe", b"everywhere", 1]
    assert fleet.plain("PUBLISH", "everywhere", "x") == fleet.count
    assert fleet.plain("SPUBLISH", names[0], "y") == 1


def test_messages_in_a_row_keep_their_order(connect):
    """What stands in a row for one channel is delivered together, in both protocols, and never
    passes what was published to another channel between."""
    subscribers = [connect(protocol=2 + i % 2) for i in range(10)]
    for i, s in enumerate(subscribers):
        s("SUBSCRIBE", "a")
        if i % 3:
            s.send("SUBSCRIBE", "b")
            assert s.read()[1] == b"b"
        if i % 5 == 0:
            s.send("PSUBSCRIBE", "b*")
            assert s.read()[1] == b"b*"
    rng = random.Random(7)
    sent = []
    while len(sent) < 3000:
        channel = rng.choice("aaabc")
        for _ in range(rng.choice((1, 1, 2, 5, 60))):
            size = rng.choice((0, 3, 64, 900, 1100, 20000)) if rng.random() < 0.1 else 8
            sent.append((channel, ("%d:" % len(sent)).encode() + b"x" * size))
    publisher = connect()
    publisher.pipeline([("PUBLISH", *message) for message in sent])
    for i, s in enumerate(subscribers):
        for channel, text in sent:
            if channel == "a" or (channel == "b" and i % 3):
                assert s.read() == [b"message", channel.encode(), text]
            if channel == "b" and i % 5 == 0:
                assert s.read() == [b"pmessage", b"b*", b"b", text]
