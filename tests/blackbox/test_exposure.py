# SPDX-License-Identifier: BSD-3-Clause
"""A server that others can reach: the port of administrators, renamed commands, failed AUTHs that
are slowed down, strangers that take their time, and rights that the process gives up."""
import os
import pwd
import signal

import pytest

from lib.check import check, eventually, info
from lib.resp import SLOW, Client, ConnectionClosed, Error
from lib.server import Server, ServerDied, default_binary, free_port

ADMIN_ONLY = Error("NOPERM Administrative commands are served on the admin port only")
WRONGPASS = Error("WRONGPASS invalid username-password pair or user is disabled.")
EXECABORT = Error("EXECABORT Transaction discarded because of previous errors.")

pytestmark = pytest.mark.torc_only


def unknown(name, args=""):
    return Error("ERR unknown command '%s', with args beginning with: %s" % (name, args))


def admin_of(server):
    return Client(("127.0.0.1", int(server.options["admin-port"])))


# ---- the port of administrators ----------------------------------------------------------------

def test_administrators_have_a_port(start):
    server = start(admin_port=free_port(), unixsocket="admin.sock")
    refused = ["CONFIG GET port", "CONFIG SET maxmemory 0", "DEBUG SLEEP 0", "SHUTDOWN NOSAVE",
               "ACL LIST", "ACL SETUSER u on", "MONITOR", "BGSAVE", "SAVE", "CLIENT LIST",
               "CLIENT KILL USER default", "PFDEBUG ENCODING k", "PFSELFTEST", "CLIENT PAUSE 1"]
    with server.client() as c, admin_of(server) as admin, \
            Client(os.path.join(server.directory, "admin.sock")) as local:
        for client in (c, local):
            check(client, ("SET k v", "OK"), ("GET k", b"v"), ("ACL WHOAMI", b"default"),
                  *[(command, ADMIN_ONLY) for command in refused])
            assert client("CLIENT", "ID") > 0 and b"redis_version" in client("INFO", "server")
            check(client, ("MULTI", "OK"), ("CONFIG GET port", ADMIN_ONLY), ("GET k", "QUEUED"),
                  ("EXEC", EXECABORT))
            replies = client.pipeline([("PFADD", "h", "x"), ("PFDEBUG", "ENCODING", "h"),
                                       ("PFCOUNT", "h")] * 20)
            assert replies[1::3] == [ADMIN_ONLY] * 20 and replies[2::3] == [1] * 20
        check(admin, ("GET k", b"v"), ("CONFIG SET maxmemory 0", "OK"), ("DEBUG SLEEP 0", "OK"),
              ("PFDEBUG ENCODING h", "sparse"), ("SAVE", "OK"))
        assert b"laddr=127.0.0.1:%d" % server.options["admin-port"] in \
            admin("CLIENT", "LIST")
        assert info(c, "stats")["total_error_replies"] != "0"
        admin.send("SHUTDOWN", "NOSAVE")
        assert admin.wait_closed(20)
    assert server.wait_exit() == 0


def test_administrators_get_in_when_all_is_taken(start):
    server = start(admin_port=free_port(), maxclients="4")
    clients = []

    def is_full():
        """One client more; true: it was turned away."""
        clients.append(server.client())
        try:
            return clients[-1]("PING") != "PONG"
        except (ConnectionClosed, OSError):
            return True

    while not is_full():
        assert len(clients) <= 4
    with admin_of(server) as admin:
        check(admin, ("CONFIG SET maxclients 20", "OK"))
        with server.client() as c:
            check(c, ("PING", "PONG"))
    for client in clients:
        client.close()


def test_shard_ports_are_data_ports(start):
    for _ in range(20):
        port = free_port()
        try:
            server = start(port=port, shard_ports="yes", bind="127.0.0.1", admin_port=free_port())
            break
        except ServerDied:
            continue  # somebody has the port of a shard
    with Client(("127.0.0.1", port + 1)) as node:
        check(node, ("CONFIG GET port", ADMIN_ONLY), ("PING", "PONG"))


@pytest.mark.parametrize("address, reason", [("", "admin-bind names no address"),
                                             ("192.0.2.1", "Could not create")])
def test_an_admin_port_that_cannot_be_opened(start, address, reason):
    with pytest.raises(ServerDied, match=reason):
        start(admin_port=free_port(), admin_bind=address)


# ---- names -------------------------------------------------------------------------------------

def test_renamed_commands(start):
    long_name = "b840fc02d524045429941cc15f59e41cb7be6c52"
    server = start('rename-command CONFIG %s\nrename-command flushall ""\nrename-command GET SET2\n'
                   'rename-command SLOWLOG ""\nrename-command exec commit\n'
                   'user u on nopass ~* +config|get +get\n' % long_name)
    with server.client() as c:
        check(c, ("CONFIG GET port", unknown("CONFIG", "'GET' 'port' ")),
              ("FLUSHALL", unknown("FLUSHALL")),
              ("flushall async", unknown("flushall", "'async' ")),
              ("SET k v", "OK"), ("GET k", unknown("GET", "'k' ")), ("set2 k", b"v"),
              ("SET2", Error("ERR wrong number of arguments for 'get' command")),
              ("MULTI", "OK"), ("SET2 k", "QUEUED"), ("COMMIT", [b"v"]))
        assert c(long_name.upper(), "GET", "port")[1] == str(server.port).encode()
        # Rules of ACLs speak of commands by the names that all servers have.
        check(c, ("AUTH u x", "OK"), ("SET2 k", b"v"), ("SET k w", Error(
            "NOPERM User u has no permissions to run the 'set' command")),
            (long_name + " SET maxmemory 1", Error(
                "NOPERM User u has no permissions to run the 'config|set' command")))
    with server.client() as c:
        assert c("COMMAND", "INFO", "GET", "FLUSHALL") == [None, None]
        assert c("COMMAND", "INFO", "SET2")[0][0] == b"get"
        names = c("COMMAND", "LIST")
        assert b"get" in names and b"flushall" not in names
        top = [name for name in names if b"|" not in name]
        assert c("COMMAND", "COUNT") == len(c("COMMAND")) == len(top)


@pytest.mark.parametrize("lines, reason", [
    ("rename-command nosuch x", "No such command in rename-command"),
    ("rename-command GET SET", "Target command name already exists"),
    ('rename-command GET ""\nrename-command GET x', "No such command in rename-command"),
    ("rename-command GET", "wrong number of arguments")])
def test_renames_that_stop_the_start(start, lines, reason):
    with pytest.raises(ServerDied, match=reason):
        start(lines + "\n")


def test_names_can_be_swapped(start):
    server = start("rename-command GET x\nrename-command SET GET\nrename-command x SET\n")
    with server.client() as c:
        check(c, ("GET k v", "OK"), ("SET k", b"v"))


# ---- logging in --------------------------------------------------------------------------------

def test_failures_to_log_in_are_slowed_down(start):
    server = start(shards="1", requirepass="secret")
    with server.client() as c, server.client() as other, server.client() as good:
        for i in range(10):
            check(c if i % 2 else other, ("AUTH wrong", WRONGPASS))
        check(good, ("AUTH secret", "OK"))
        assert info(good)["auth_delayed"] == "0"
        for i in range(3):  # a tenth of a second, two, four: also over other connections
            other.send("AUTH", "wrong")
            other.send("PING")  # waits behind it
            if SLOW == 1:
                assert other.is_silent(0.05)
            assert other.read() == WRONGPASS
            assert other.read() == Error("NOAUTH Authentication required.")
        c.send("HELLO", "2", "AUTH", "default", "wrong")
        eventually(lambda: info(good)["auth_delayed"] == "4")
        check(good, ("SET k v", "OK"), ("GET k", b"v"))  # nobody else waits
        with server.client() as late:
            check(late, ("AUTH secret", "OK"))  # nor does who knows the password
        assert c.read() == WRONGPASS
        # Who leaves meanwhile leaves nothing behind.
        other.send("AUTH", "wrong")
        eventually(lambda: info(good)["auth_delayed"] == "5")
    with server.client() as c:
        check(c, ("AUTH secret", "OK"))
        eventually(lambda: info(c)["connected_clients"] == "1")


def test_local_sockets_are_not_slowed_down(start):
    server = start(shards="1", requirepass="secret", unixsocket="local.sock")
    with Client(os.path.join(server.directory, "local.sock")) as c:
        for _ in range(30):
            check(c, ("AUTH wrong", WRONGPASS))
        check(c, ("AUTH secret", "OK"))
        assert info(c)["auth_delayed"] == "0"


def test_strangers_have_to_log_in_in_time(start):
    server = start(requirepass="secret", auth_timeout="1")
    with server.client() as known, server.client() as busy, server.client() as silent:
        check(known, ("AUTH secret", "OK"))
        for client in (busy, silent):
            with pytest.raises((ConnectionClosed, OSError)):
                while True:
                    if client is busy:
                        assert client("PING") == Error("NOAUTH Authentication required.")
                    else:
                        client.read(10)
        check(known, ("PING", "PONG"), ("RESET", "RESET"), ("AUTH secret", "OK"),
              ("CONFIG SET auth-timeout 0", "OK"))


# ---- rights ------------------------------------------------------------------------------------

def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def core_limit(pid):
    with open("/proc/%d/limits" % pid, encoding="ascii") as lines:
        return next(line for line in lines if line.startswith("Max core file size")).split()[4]


def test_rights_and_core_files(start):
    server = start()
    pid = server.process.pid
    assert status_of(pid)["NoNewPrivs"] == "1" and core_limit(pid) == "0"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_root_becomes_somebody_else(request):
    nobody = pwd.getpwnam("nobody")
    server = Server({"run-as": "nobody", "shards": "2"}, binary=default_binary(), ready=False)
    request.node._servers = [server]
    try:
        os.chown(server.directory, nobody.pw_uid, nobody.pw_gid)
        server.wait_ready()
        status = status_of(server.process.pid)
        assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
        assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        with server.client() as c:
            check(c, ("SET k v", "OK"), ("SAVE", "OK"), ("GET k", b"v"))
        assert os.stat(os.path.join(server.directory, "dump.rdb")).st_uid == nobody.pw_uid
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_exit(20) == 0
    finally:
        server.stop()


def test_somebody_who_is_not_there(start):
    with pytest.raises(ServerDied, match="run-as names a user that is not there"):
        start(run_as="nobody-by-this-name")
