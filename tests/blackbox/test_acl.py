# SPDX-License-Identifier: BSD-3-Clause
"""ACL users over real sockets: logging in, what is allowed on any shard, changes that reach all
connections, the log of denials, users in files. But for what is marked, stock Redis passes, too.
"""
import os
import random
import threading

import pytest

from lib.check import SYNTAX, arity, check, eventually, info
from lib.resp import ConnectionClosed, Error
from lib.server import Server, ServerDied, default_binary, redis_version

NOAUTH = Error("NOAUTH Authentication required.")
WRONGPASS = Error("WRONGPASS invalid username-password pair or user is disabled.")
NO_KEY = Error("NOPERM No permissions to access a key")
NO_CHANNEL = Error("NOPERM No permissions to access a channel")
CHANGED = ("NOPERM ACLs rules changed between the moment the transaction was accumulated and the "
           "EXEC call. This command is no longer allowed for the following reason: ")
EXECABORT = Error("EXECABORT Transaction discarded because of previous errors.")
NO_FILE = Error(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration.")
REDIS = redis_version(default_binary())
KEYS = ["key%d" % i for i in range(8)]  # of any shard
PW = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4"  # of "pw"


def no_command(user, name):
    return Error("NOPERM User %s has no permissions to run the '%s' command" % (user, name))


def wrong_rule(rule, why):
    return Error("ERR Error in ACL SETUSER modifier '%s': %s" % (rule, why))


@pytest.fixture
def own(start):
    """A server of the test's own, and a function that opens connections, logged in if asked to."""
    server = start()
    clients = []

    def connect(user=None, password="pw", protocol=2):
        clients.append(server.client(protocol=protocol))
        if user:
            assert clients[-1]("AUTH", user, password) == "OK"
        return clients[-1]

    connect.server = server
    yield connect
    for client in clients:
        client.close()


def test_logging_in(own):
    c = own()
    check(c, ("ACL WHOAMI", b"default"), ("ACL USERS", [b"default"]),
          ("ACL LIST", [b"user default on nopass sanitize-payload ~* &* +@all"]),
          ("AUTH x", Error("ERR AUTH <password> called without any password configured for the "
                           "default user. Are you sure your configuration is correct?")),
          ("AUTH default anything", "OK"),
          ("ACL SETUSER alice >pw", "OK"), ("AUTH alice pw", WRONGPASS),
          ("ACL SETUSER alice on", "OK"), ("AUTH alice no", WRONGPASS),
          ("AUTH nobody pw", WRONGPASS),
          ("AUTH a b c", SYNTAX), ("ACL WHOAMI", b"default"), ("AUTH alice pw", "OK"))
    check(c, ("ACL WHOAMI", no_command("alice", "acl|whoami")),
          ("PING", no_command("alice", "ping")),
          ("RESET", "RESET"), ("ACL WHOAMI", b"default"),
          ("ACL SETUSER alice +ping +acl|whoami >second", "OK"), ("AUTH alice second", "OK"),
          ("PING", "PONG"), ("ACL WHOAMI", b"alice"), ("QUIT", "OK"))
    d = own()
    assert d("HELLO", "3", "AUTH", "alice", "no") == WRONGPASS
    assert d("HELLO", "3", "AUTH", "alice", "pw", "SETNAME", "me")[b"proto"] == 3
    check(d, ("ACL WHOAMI", b"alice"))


def test_rules_are_shown(own):
    for c in (own(), own(protocol=3)):
        check(c, ("ACL DELUSER u", 0),
              ("ACL SETUSER u on >pw ~a:* %R~b +@read -get +config|get &c (~x +set)", "OK"),
              ("ACL SETUSER u (%W~y", Error("ERR Unmatched parenthesis in acl selector starting at "
                                            "'(%W~y'.")),
              ("ACL SETUSER u (%W~y +del )", "OK"))
        line = ("on sanitize-payload #%s ~a:* %%R~b resetchannels &c -@all +@read -get +config|get "
                "(~x resetchannels -@all +set) (%%W~y resetchannels -@all +del)" % PW)
        assert c("ACL", "LIST")[1] == b"user u " + line.encode()
        user = c("ACL", "GETUSER", "u")
        if isinstance(user, list):
            user = dict(zip(user[::2], user[1::2]))
        assert sorted(user[b"flags"]) == [b"on", b"sanitize-payload"]
        assert user[b"passwords"] == [PW.encode()]
        assert user[b"commands"] == b"-@all +@read -get +config|get"
        assert user[b"keys"] == b"~a:* %R~b" and user[b"channels"] == b"&c"
        first = user[b"selectors"][0]
        if isinstance(first, list):
            first = dict(zip(first[::2], first[1::2]))
        assert first == {b"commands": b"-@all +set", b"keys": b"~x", b"channels": b""}
        assert len(user[b"selectors"]) == 2
        check(c, ("ACL GETUSER nobody", None), ("ACL DELUSER u nobody", 1))


def test_refused_rules(own):
    c = own()
    unknown = "Unknown command or category name in ACL"
    check(c, ("ACL SETUSER u +nosuch", wrong_rule("+nosuch", unknown)),
          ("ACL SETUSER u on +@nosuch", wrong_rule("+@nosuch", unknown)),
          ("ACL SETUSER u huh", wrong_rule("huh", "Syntax error")),
          ("ACL SETUSER u +config|get|x", wrong_rule(
              "+config|get|x", "Allowing first-arg of a subcommand is not supported")),
          ("ACL SETUSER u #12", wrong_rule(
              "#12", "The password hash must be exactly 64 characters and contain only lowercase "
              "hexadecimal characters")),
          ("ACL SETUSER u <x", wrong_rule(
              "<x", "The password you are trying to remove from the user does not exist")),
          (("ACL", "SETUSER", "a b"),
           Error("ERR Usernames can't contain spaces or null characters")),
          ("ACL SETUSER", arity("acl|setuser")),
          ("ACL DELUSER default", Error("ERR The 'default' user cannot be removed")),
          ("ACL USERS", [b"default"]), ("ACL LOAD", NO_FILE), ("ACL SAVE", NO_FILE),
          ("ACL NOSUCH", Error("ERR unknown subcommand 'NOSUCH'. Try ACL HELP.")))
    assert len(c("ACL", "HELP")) > 20


def test_categories_dry_runs_and_passwords(own):
    c = own()
    categories = c("ACL", "CAT")
    assert len(categories) == 21 and b"dangerous" in categories
    assert sorted(c("ACL", "CAT", "hyperloglog")) == [b"pfadd", b"pfcount", b"pfdebug", b"pfmerge",
                                                      b"pfselftest"]
    assert b"config|set" in c("ACL", "CAT", "ADMIN")
    assert len(c("ACL", "GENPASS")) == 64 and len(c("ACL", "GENPASS", "5")) == 2
    assert c("ACL", "GENPASS") != c("ACL", "GENPASS")
    bits = Error("ERR ACL GENPASS argument must be the number of bits for the output password, a "
                 "positive number up to 4096")
    check(c, ("ACL CAT nosuch", Error("ERR Unknown category 'nosuch'")), ("ACL GENPASS 0", bits),
          ("ACL GENPASS 4097", bits), ("ACL SETUSER u +get ~a &c +publish", "OK"),
          ("ACL DRYRUN u GET a", "OK"),
          ("ACL DRYRUN nobody GET a", Error("ERR User 'nobody' not found")),
          ("ACL DRYRUN u NOSUCH a", Error("ERR Command 'NOSUCH' not found")),
          ("ACL DRYRUN u GET", arity("get")),
          ("ACL DRYRUN u GET b", b"User u has no permissions to access the 'b' key"),
          ("ACL DRYRUN u SET a 1", b"User u has no permissions to run the 'set' command"),
          ("ACL DRYRUN u CONFIG GET x",
           b"User u has no permissions to run the 'config|get' command"),
          ("ACL DRYRUN u PUBLISH d m", b"User u has no permissions to access the 'd' channel"))


def test_commands_and_keys_on_all_shards(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw ~key* %R~r* %W~w* +@all -flushall -@dangerous", "OK"))
    u = own("u")
    for key in KEYS:
        check(u, (("SET", key, "v"), "OK"), (("GET", key), b"v"), (("SET", "w" + key, "v"), "OK"),
              (("GET", "w" + key), NO_KEY), (("GET", "r" + key), None),
              (("DEL", "r" + key), NO_KEY),
              (("GET", "other" + key), NO_KEY), (("INCR", "w" + key), NO_KEY),
              (("SET", "w" + key, "v", "GET"), NO_KEY))
    assert u("MGET", *KEYS) == [b"v"] * 8
    check(u, (["MGET"] + KEYS + ["other"], NO_KEY), (["DEL"] + KEYS, 8), ("FLUSHALL", no_command(
        "u", "flushall")), ("KEYS *", no_command("u", "keys")),
        ("COPY rk wk", 0), ("COPY wk rk", NO_KEY), ("PUBLISH c m", NO_CHANNEL))
    # Pipelines: each command for itself, in order.
    commands = [("SET", KEYS[i % 8] if i % 3 else "no", str(i)) for i in range(90)]
    assert u.pipeline(commands) == [NO_KEY if i % 3 == 0 else "OK" for i in range(90)]
    check(c, ("ACL SETUSER u resetkeys ~no", "OK"))
    assert u.pipeline(commands) == ["OK" if i % 3 == 0 else NO_KEY for i in range(90)]


def test_changes_reach_all_connections(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw ~* &* +@all", "OK"))
    users = [own("u") for _ in range(12)]
    for rule, reply in (("-get", no_command("u", "get")), ("+get", None), ("resetkeys", NO_KEY),
                        ("~key*", None), ("allkeys", None), ("+@all", None), ("off", None)):
        assert c("ACL", "SETUSER", "u", rule) == "OK"
        for i, u in enumerate(users):
            check(u, (("GET", KEYS[i % 8]), reply))
    check(own(), ("AUTH u pw", WRONGPASS))  # off: those who are in stay


def test_deleted_users_leave(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw ~* &* +@all", "OK"), ("ACL SETUSER w on >pw ~* +@all", "OK"))
    users, other = [own("u") for _ in range(12)], own("w")
    waiting = own("u")
    waiting.send("BLPOP", "queue", "0")
    eventually(lambda: info(c)["blocked_clients"] == "1")
    me = users.pop()
    check(me, ("ACL DELUSER u nobody", 1))  # the reply still comes
    for u in users + [me, waiting]:
        assert u.wait_closed()
    check(other, ("ACL WHOAMI", b"w"))
    check(c, ("ACL SETUSER u on >pw", "OK"), ("ACL USERS", [b"default", b"u", b"w"]),
          ("AUTH u pw", "OK"), ("GET k", no_command("u", "get")))


def test_subscribers_that_may_not_listen_any_more(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw &a &b &p* +@all", "OK"))
    channels = [("SUBSCRIBE", "a"), ("SUBSCRIBE", "b"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "b")]
    users = []
    for words in channels:
        users.append(own("u"))
        assert users[-1](*words)[2] == 1
    check(own("u"), ("SUBSCRIBE x", NO_CHANNEL), ("PSUBSCRIBE p", NO_CHANNEL),
          ("PSUBSCRIBE a", [b"psubscribe", b"a", 1]))
    check(c, ("ACL SETUSER u resetchannels &b &p*", "OK"), ("PUBLISH b hello", 1),
          ("SPUBLISH b hello", 1), ("PUBLISH pp hello", 1), ("PUBLISH a hello", 0))
    assert users[0].wait_closed()
    assert [u.read()[-1] for u in users[1:]] == [b"hello"] * 3
    check(c, ("ACL SETUSER u resetchannels (&b)", "OK"))
    assert users[2].wait_closed()
    check(c, ("PUBLISH b again", 1))
    assert users[1].read()[-1] == b"again"
    check(c, ("ACL SETUSER u reset", "OK"))
    assert users[1].wait_closed() and users[3].wait_closed()


def test_blocked_commands_that_are_not_allowed_any_more(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw ~* +@all", "OK"), ("ACL SETUSER w on >pw ~* +@all", "OK"))
    waiting = [own("u") for _ in KEYS]
    other = own("w")
    other.send("BLPOP", "for other", "0")
    for u, key in zip(waiting, KEYS):
        u.send("BLPOP", key, "0")
    eventually(lambda: info(c)["blocked_clients"] == "9")
    check(c, ("ACL SETUSER u -blpop", "OK"))
    for key in KEYS + ["for other"]:
        c("RPUSH", key, "x")
    for u in waiting:
        assert u.read() == no_command("u", "blpop")
    assert other.read() == [b"for other", b"x"]
    assert [c("LLEN", key) for key in KEYS] == [1] * 8  # nobody has taken what they may not


def test_transactions(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw ~* +@all", "OK"))
    u = own("u")
    for keys in ([KEYS[0]], [KEYS[1]], KEYS):  # here, on another shard, over several
        commands = [("SET", key, "v") for key in keys]
        check(c, ("ACL SETUSER u resetkeys ~* +@all", "OK"))
        check(u, ("MULTI", "OK"))
        for command in commands:
            check(u, (command, "QUEUED"))
        check(u, (("GET", keys[0]), "QUEUED"))
        check(c, ("ACL SETUSER u -set", "OK"))
        denied = Error(CHANGED + "no permission to execute the command or subcommand")
        check(u, ("EXEC", [denied] * len(keys) + [None]))
        check(u, ("MULTI", "OK"), (("SET", keys[0], "v"), no_command("u", "set")),
              (("GET", keys[0]), "QUEUED"), ("EXEC", EXECABORT))
        check(c, ("ACL SETUSER u +set", "OK"))
        check(u, ("MULTI", "OK"), *[(command, "QUEUED") for command in commands])
        check(c, ("ACL SETUSER u resetkeys ~none", "OK"))
        denied = Error(CHANGED + "no permission to touch the specified keys")
        check(u, ("EXEC", [denied] * len(keys)))
        assert c("EXISTS", *KEYS) == 0
    check(c, ("ACL SETUSER u ~* &* -exec", "OK"))
    check(u, ("MULTI", "OK"), ("PUBLISH c m", "QUEUED"),
          ("EXEC", Error("EXECABORT Transaction discarded because of: NOPERM User u has no "
                         "permissions to run the 'exec' command")), ("PING", "PONG"))
    check(c, ("ACL SETUSER u +exec", "OK"))
    check(u, ("MULTI", "OK"), ("PUBLISH c m", "QUEUED"))
    check(c, ("ACL SETUSER u resetchannels", "OK"))
    check(u, ("EXEC", [Error(CHANGED + "no permission to access one of the channels used as "
                             "arguments")]))
    # Who one is may change within a block.
    check(c, ("ACL SETUSER w on >pw ~w +@all", "OK"), ("ACL SETUSER u ~*", "OK"))
    check(u, ("MULTI", "OK"), ("SET k v", "QUEUED"), ("AUTH w pw", "QUEUED"), ("GET k", "QUEUED"),
          ("GET w", "QUEUED"),
          ("EXEC", ["OK", "OK", denied, None]))


def test_patterns_of_sort(own):
    c = own()
    check(c, ("RPUSH l 2 1", 2), ("SET w1 2", "OK"), ("SET w2 1", "OK"),
          ("ACL SETUSER u on >pw ~l %W~* +@all", "OK"))
    u = own("u")
    by = Error("ERR BY option of SORT denied due to insufficient ACL permissions.")
    get = Error("ERR GET option of SORT denied due to insufficient ACL permissions.")
    check(u, ("SORT l", [b"1", b"2"]), ("SORT l BY nosort", [b"2", b"1"]), ("SORT l BY w*", by),
          ("SORT l GET #", get), ("SORT_RO l GET w*", get), ("MULTI", "OK"),
          ("SORT l BY w*", "QUEUED"), ("SORT l", "QUEUED"), ("EXEC", [by, [b"1", b"2"]]))
    check(c, ("ACL SETUSER u %R~*", "OK"))
    check(u, ("SORT l BY w* GET w*", [b"1", b"2"]))
    check(c, ("ACL SETUSER u resetkeys ~l (%R~* +sort)", "OK"))
    check(u, ("SORT l BY w* GET w*", [b"1", b"2"]), ("SORT_RO l GET w*", get))


def entries(c):
    return [dict(zip(e[::2], e[1::2])) for e in c("ACL", "LOG")]


def test_log(own):
    c = own()
    check(c, ("ACL LOG", []), ("ACL LOG -1", []), ("ACL LOG x", Error(
        "ERR value is not an integer or out of range")),
        ("ACL SETUSER u on >pw ~a +get +set +multi +exec +ping +subscribe", "OK"))
    u = own("u")
    u("CLIENT", "SETNAME", "x")
    for command in ("GET b", "GET b", "DEL a", "SUBSCRIBE d", "CONFIG GET x", "MULTI", "GET b",
                    "EXEC"):
        u(*command.split())
    check(own(), ("AUTH u wrong", WRONGPASS), ("AUTH nobody wrong", WRONGPASS),
          (("HELLO", "3", "AUTH", "u", "wrong"), WRONGPASS))
    got = [(e[b"reason"], e[b"context"], e[b"object"], e[b"username"], e[b"count"])
           for e in entries(c)]
    assert got == [(b"auth", b"toplevel", b"HELLO", b"u", 1),
                   (b"auth", b"toplevel", b"AUTH", b"nobody", 1),
                   (b"auth", b"toplevel", b"AUTH", b"u", 1),
                   (b"key", b"multi", b"b", b"u", 1),
                   (b"command", b"toplevel", b"config|get", b"u", 1),
                   (b"channel", b"toplevel", b"d", b"u", 1),
                   (b"command", b"toplevel", b"del", b"u", 1),
                   (b"key", b"toplevel", b"b", b"u", 2),
                   (b"command", b"toplevel", b"client|setname", b"u", 1)]
    last = entries(c)[3]
    assert b"cmd=get user=u" in last[b"client-info"] and last[b"entry-id"] == 5
    assert 0 <= float(last[b"age-seconds"]) < 60
    assert last[b"timestamp-created"] <= last[b"timestamp-last-updated"]
    assert len(c("ACL", "LOG", "2")) == 2
    stats = info(c, "stats")
    assert [stats["acl_access_denied_" + what] for what in ("auth", "cmd", "key", "channel")] == \
        ["3", "3", "3", "1"]
    check(c, ("CONFIG SET acllog-max-len 2", "OK"))
    u("GET", "c")
    assert [e[b"object"] for e in entries(c)] == [b"c", b"HELLO"]
    check(c, ("ACL LOG RESET", "OK"), ("ACL LOG", []))


def test_clients_show_their_users(own):
    c = own()
    check(c, ("ACL SETUSER u on >pw ~* &* +@all", "OK"))
    users = [own("u") for _ in range(5)]
    lines = c("CLIENT", "LIST").decode().splitlines()
    assert sum("user=u " in line for line in lines) == 5
    assert sum("user=default " in line for line in lines) == 1
    check(c, ("CLIENT KILL USER nobody", Error("ERR No such user 'nobody'")),
          ("CLIENT KILL USER u", 5))
    for u in users:
        assert u.wait_closed()


def test_the_default_user(own):
    c, old = own(), own()
    check(c, ("CONFIG SET requirepass one", "OK"), ("PING", "PONG"))
    assert c("ACL", "GETUSER", "default")[1] == [b"on", b"sanitize-payload"]
    check(old, ("PING", "PONG"))  # who is in stays
    new = own()
    check(new, ("PING", NOAUTH), ("AUTH two", WRONGPASS))
    check(c, ("ACL SETUSER default >two", "OK"))
    check(new, ("AUTH two", "OK"), ("CONFIG GET requirepass", [b"requirepass", b"one"]))
    waiting = own()
    check(waiting, ("PING", NOAUTH))
    check(c, ("ACL SETUSER default nopass", "OK"))
    check(waiting, ("PING", "PONG"))
    check(c, ("ACL SETUSER default off", "OK"), ("PING", "PONG"))
    check(own(), ("PING", NOAUTH), ("AUTH default x", WRONGPASS),
          ("HELLO 3", Error("NOAUTH HELLO must be called with the client already authenticated, "
                            "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
                            "authenticate the client and select the RESP protocol version at the "
                            "same time")))
    check(c, ("ACL SETUSER default on -@all +acl +config", "OK"),
          ("PING", no_command("default", "ping")))
    check(own(), ("GET k", no_command("default", "get")), ("ACL SETUSER default +@all", "OK"),
          ("GET k", None))


def test_new_users_and_channels(own):
    c = own()
    check(c, ("CONFIG SET acl-pubsub-default allchannels", "OK"), ("ACL SETUSER a", "OK"),
          ("CONFIG SET acl-pubsub-default resetchannels", "OK"), ("ACL SETUSER b", "OK"))
    assert [line.split()[4] for line in c("ACL", "LIST")[:2]] == [b"&*", b"resetchannels"]


# ---- files -------------------------------------------------------------------------------------

USERS = """user alice on >alice ~* &* +@all

user bob on >bob ~b* -@all +@string (+del ~d)
user default on nopass ~* &* +@all
"""


@pytest.fixture
def with_file(request, tmp_path):
    """A function that starts a server with a file of users, and tells its path; None: no file."""
    servers = []

    def make(text):
        path = tmp_path / "users.acl"
        if text is not None:
            path.write_text(text)
        options = {"aclfile": str(path)}
        if not REDIS:
            options["shards"] = "2"
        servers.append(Server(options, binary=default_binary()))
        request.node._servers = servers
        return servers[-1], path

    yield make
    for server in servers:
        server.stop()


def test_a_file_of_users(with_file):
    server, path = with_file(USERS)
    with server.client() as c, server.client() as bob:
        check(bob, ("AUTH bob bob", "OK"), ("SET b1 x", "OK"), ("SET c1 x", NO_KEY), ("DEL d", 0))
        check(c, ("ACL USERS", [b"alice", b"bob", b"default"]),
              ("ACL SETUSER carol on >carol +ping", "OK"), ("ACL SAVE", "OK"))
        lines = path.read_text().splitlines()
        assert lines == [line.decode() for line in c("ACL", "LIST")] and len(lines) == 4
        path.write_text("\n".join(lines) + "\nuser dave on >dave +@nosuch\nuser alice off\nhello\n")
        check(c, ("ACL LOAD", Error(
            "ERR {0}:5: Error in applying operation '+@nosuch': Unknown command or category name "
            "in ACL. WARNING: Duplicate user 'alice' found on line 6. {0}:7 should start with user "
            "keyword followed by the username. WARNING: ACL errors detected, no change to the "
            "previously active ACL rules was performed".format(path))),
            ("ACL USERS", [b"alice", b"bob", b"carol", b"default"]))
        check(bob, ("SET b1 y", "OK"))
        path.write_text("user alice on >new ~* +@all\nuser bob on nopass ~c* +@all\n")
        check(c, ("ACL LOAD", "OK"), ("ACL USERS", [b"alice", b"bob", b"default"]),
              ("AUTH alice alice", WRONGPASS), ("AUTH alice new", "OK"))


@pytest.mark.torc_only
def test_loading_keeps_whose_users_are_still_there(with_file):
    """As Redis does from 7.4 on; 7.2 closes the connections of all users but `default`."""
    server, path = with_file(USERS)
    with server.client() as c, server.client() as bob, server.client() as alice:
        check(bob, ("AUTH bob bob", "OK"))
        check(alice, ("AUTH alice alice", "OK"))
        path.write_text("user bob on nopass ~c* +@all\n")
        check(c, ("ACL LOAD", "OK"), ("ACL USERS", [b"bob", b"default"]))
        check(bob, ("SET b1 y", NO_KEY), ("SET c1 y", "OK"))
        assert alice.wait_closed()


@pytest.mark.parametrize("text, reason", [
    ("user a +nosuch\n", "Unknown command or category"), ("a b c\n", "should start with user"),
    (None, "No such file")])
def test_a_bad_file_stops_the_start(with_file, text, reason):
    with pytest.raises(ServerDied, match=reason):
        with_file(text)


@pytest.mark.torc_only
def test_a_file_that_cannot_be_written(with_file):
    server, path = with_file(USERS)
    with server.client() as c:
        path.unlink()
        path.mkdir()
        check(c, ("ACL SAVE", Error("ERR There was an error trying to save the ACLs. Please check "
                                    "the server logs for more information")), ("PING", "PONG"))
        assert "can't be written" in server.log()
        assert os.listdir(path) == [] and os.listdir(path.parent) == ["users.acl"]


def test_users_in_the_configuration(start):
    server = start("port 0\nuser alice on >alice ~a* +@all\nuser default on nopass ~* &* +@all\n")
    with server.client() as c:
        check(c, ("ACL USERS", [b"alice", b"default"]), ("ACL SETUSER bob on >bob (+get ~b)", "OK"),
              ("ACL DELUSER alice", 1), ("ACL SETUSER default -debug", "OK"),
              ("CONFIG REWRITE", "OK"))
        before = c("ACL", "LIST")
    server.stop(remove=False)
    server.start()
    with server.client() as c:
        assert c("ACL", "LIST") == before and len(before) == 2


# ---- many at once ------------------------------------------------------------------------------

def test_changes_at_the_same_time(own):
    """Administrators on all shards change users while others log in and work: what is
    acknowledged last is what all shards enforce."""
    c = own()
    names = ["u%d" % i for i in range(4)]
    for name in names:
        c("ACL", "SETUSER", name, "on", ">pw", "~*", "+@all")
    stop, failures = threading.Event(), []

    def administer(seed):
        rng = random.Random(seed)
        admin = own()
        while not stop.is_set():
            name = rng.choice(names)
            words = rng.choice([["SETUSER", name, "on", ">pw", "~*", "+@all"],
                                ["SETUSER", name, "-get"], ["SETUSER", name, "resetkeys", "~a*"],
                                ["SETUSER", name, "off"], ["DELUSER", name]])
            reply = admin("ACL", *words)
            if reply not in ("OK", 0, 1):
                failures.append(reply)

    def work(seed):
        rng = random.Random(seed)
        while not stop.is_set():
            try:
                client = own()
                client("AUTH", rng.choice(names), "pw")
                for _ in range(20):
                    replies = client.pipeline([("SET", rng.choice(KEYS), "v"), ("GET", "a"),
                                               ("BLPOP", "none", "0.001")])
                    failures.extend(r for r in replies if isinstance(r, Error) and
                                    not r.startswith("NOPERM"))
                client.close()
            except (ConnectionClosed, OSError):
                pass  # the user was deleted

    threads = [threading.Thread(target=administer, args=(i,)) for i in range(3)]
    threads += [threading.Thread(target=work, args=(10 + i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    stop.wait(1.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    # All shards agree in the end.
    lists = {tuple(own()("ACL", "LIST")) for _ in range(12)}
    assert len(lists) == 1
    for name in names:
        c("ACL", "SETUSER", name, "reset", "on", ">pw", "~a", "+get")
        for _ in range(6):
            check(own(name), ("GET a", None), ("GET b", NO_KEY),
                  ("SET a 1", no_command(name, "set")))
