# SPDX-License-Identifier: BSD-3-Clause
"""TLS: the port, certificates and who is let in, records, and certificates that are read again."""
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from lib.check import eventually, info
from lib.resp import SLOW, Client, ConnectionClosed, Error
from lib.npm import MODULES, ROOT
from lib.server import ServerDied, free_port

pytestmark = pytest.mark.torc_only


def kernel_has_tls():
    """Whether a socket can be given TLS keys (module tls)."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, 31, b"tls")  # TCP_ULP
            return True
        except OSError:
            return False


KERNEL_HAS_TLS = kernel_has_tls()


def openssl(*args, cwd):
    """Run the openssl program."""
    subprocess.run(["openssl", *args], cwd=cwd, check=True, timeout=60 * SLOW,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """A certificate authority in a directory, and what it issues."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = str(directory), name
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", name + ".key", "-out", name + ".crt", "-days", "30",
                "-subj", "/CN=" + name, cwd=directory)
        self.file = os.path.join(self.directory, name + ".crt")

    def issue(self, name, *, start=None, end=None, password=None):
        """The paths of a certificate and its key; `start`, `end`: YYYYMMDDHHMMSSZ."""
        d = self.directory
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                *(["-passout", "pass:" + password] if password else ["-nodes"]),
                "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name, cwd=d)
        if end:
            for file, text in (("index.txt", ""), ("serial", "01"), ("ca.cnf", "")):
                with open(os.path.join(d, file), "w", encoding="ascii") as out:
                    out.write(text or (
                        "" if file != "ca.cnf" else
                        "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\nserial=serial\n"
                        "new_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"))
            openssl("ca", "-batch", "-config", "ca.cnf", "-in", name + ".csr", "-out",
                    name + ".crt", "-cert", self.name + ".crt", "-keyfile", self.name + ".key",
                    "-startdate", start, "-enddate", end, cwd=d)
        else:
            with open(os.path.join(d, "ext"), "w", encoding="ascii") as out:
                out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            openssl("x509", "-req", "-in", name + ".csr", "-CA", self.name + ".crt", "-CAkey",
                    self.name + ".key", "-CAcreateserial", "-days", "20", "-out", name + ".crt",
                    "-extfile", "ext", cwd=d)
        return os.path.join(d, name + ".crt"), os.path.join(d, name + ".key")


class Files:
    """All certificates of these tests."""

    def __init__(self, directory):
        self.authority = Authority(directory)
        self.other = Authority(directory, "other")
        self.server = self.authority.issue("server")
        self.second = self.authority.issue("second")
        self.locked = self.authority.issue("locked", password="open sesame")
        self.client = self.authority.issue("client")
        self.stranger = self.other.issue("stranger")
        self.expired = self.authority.issue("expired", start="20200101000000Z",
                                            end="20200201000000Z")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("tls"))


class TlsClient(Client):
    """A client over TLS."""

    def __init__(self, port, context, timeout=10.0):
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout * SLOW)
        try:
            self.sock = context.wrap_socket(raw, server_hostname="127.0.0.1",
                                            suppress_ragged_eofs=False)
        except BaseException:
            raw.close()
            raise
        self.timeout = timeout * SLOW
        self.buf = bytearray()
        self.pos = 0
        self.attributes = []
        self.resp = 2


    def exchange(self, data, replies):
        """As in Client, in one thread: a session is no thing for two."""
        self.sock.setblocking(False)
        rest = memoryview(data)
        while rest:
            select.select([self.sock], [self.sock], [], self.timeout)
            try:
                rest = rest[self.sock.send(rest[:65536]):]
            except ssl.SSLWantWriteError:
                pass
            try:
                self.buf += self.sock.recv(1 << 18)
            except ssl.SSLWantReadError:
                pass
        self.sock.settimeout(self.timeout)
        return [self.read() for _ in range(replies)]


class Tls:
    """A server with a TLS port, and clients of it."""

    def __init__(self, start, files, cert=None, **options):
        self.files = files
        self.port = free_port()
        cert, key = cert or files.server
        self.server = start(**{"tls_port": self.port, "tls_cert_file": cert, "tls_key_file": key,
                               "tls_ca_cert_file": files.authority.file, "tls_auth_clients": "no",
                               **options})

    def context(self, cert=None, version=None, verify=True):
        """A client's side; `version`: the only one it speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.files.authority.file)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if cert:
            context.load_cert_chain(*cert)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def client(self, context=None, **options):
        """A connection over TLS."""
        return TlsClient(self.port, context or self.context(**options))

    def refused(self, **options):
        """Whether such a client gets no reply."""
        try:
            with self.client(**options) as client:
                return client("PING") != "PONG"
        except (OSError, ConnectionClosed):  # ssl.SSLError is an OSError
            return True

    def shards(self):
        """INFO shards, asked over the plain port."""
        with self.server.client() as admin:
            return info(admin, "shards")

    def logged(self, text):
        """Wait until the log says so."""
        eventually(lambda: text in self.server.log())


@pytest.fixture
def tls(start, files):
    """A server that asks no client for a certificate."""
    return Tls(start, files)


# ---- serving ----

def test_commands(tls):
    with tls.client() as c, tls.server.client() as plain:
        assert c("SET", "key", "value") == "OK"
        assert plain("GET", "key") == b"value"
        assert c("CLIENT", "LIST").decode().count(" tls=TLSv1.3:TLS_") == 1
        assert " tls=" not in plain("CLIENT", "INFO").decode()
        where = "kernel" if KERNEL_HAS_TLS else "process"
        assert c("CLIENT", "INFO").decode().rstrip().endswith("tls-records=" + where)
        assert tls.shards()["tls_connections_in_kernel"] == ("1" if KERNEL_HAS_TLS else "0")
        assert c("HELLO", "3")[b"proto"] == 3
        assert tls.shards()["tls_connections"] == "1"
        assert tls.shards()["tls_handshakes"] == "1"
    eventually(lambda: tls.shards()["tls_connections"] == "0")
    tls.logged("Ready to accept connections tls on port %d" % tls.port)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("offload", ["yes", "no"])
def test_large_values_and_pipelines(start, files, version, offload):
    tls = Tls(start, files, tls_offload=offload)
    value = os.urandom(1 << 20) * 5
    with tls.client(version=version) as c:
        assert c("SET", "big", value) == "OK"
        in_kernel = KERNEL_HAS_TLS and offload == "yes"
        assert tls.shards()["tls_connections_in_kernel"] == ("1" if in_kernel else "0")
        assert c("GET", "big") == value
        assert c("STRLEN", "big") == len(value)
        commands = [("SET", "k%d" % i, "v%d" % i) for i in range(5000)]
        assert c.pipeline(commands) == ["OK"] * 5000
        assert c.pipeline([("GET", "k%d" % i) for i in range(5000)]) == [
            b"v%d" % i for i in range(5000)]
        assert [len(x) for x in c.pipeline([("GET", "big")] * 4)] == [len(value)] * 4
        # Byte by byte: each a record.
        for byte in b"*1\r\n$4\r\nPING\r\n":
            c.send_raw(bytes([byte]))
        assert c.read() == "PONG"


@pytest.mark.parametrize("version, cipher", [
    ("TLSv1.3", "TLS_AES_128_GCM_SHA256"), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"), ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("TLSv1.2", "ECDHE-ECDSA-AES128-SHA256")])
def test_ciphers(start, files, version, cipher):
    """Those that the kernel takes, and one that it does not."""
    name = "tls_ciphersuites" if version == "TLSv1.3" else "tls_ciphers"
    tls = Tls(start, files, tls_protocols=version, **{name: cipher})
    with tls.client() as c:
        assert c.sock.cipher()[0] == cipher
        assert c("SET", "k", "v" * 100000) == "OK" and c("GET", "k") == b"v" * 100000
        assert c("CLIENT", "LIST").count(b" tls=%s:" % version.encode()) == 1
        in_kernel = KERNEL_HAS_TLS and not cipher.endswith("AES128-SHA256")
        assert tls.shards()["tls_connections_in_kernel"] == ("1" if in_kernel else "0")
    with tls.client() as c:  # resumed or not
        assert c("GET", "k") == b"v" * 100000


def test_many_connections_and_pubsub(tls):
    context = tls.context()
    clients = [tls.client(context) for _ in range(60)]
    for c in clients:
        c("SUBSCRIBE", "news")
    with tls.server.client() as plain:
        for i in range(20):
            assert plain("PUBLISH", "news", "message %d" % i) == 60
    for c in clients:
        assert [c.read()[2] for _ in range(20)] == [b"message %d" % i for i in range(20)]
        c.close()
    eventually(lambda: tls.shards()["tls_connections"] == "0")


def test_a_port_that_is_taken_stops_the_start(start, files):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cert, key = files.server
        with pytest.raises(ServerDied, match="Could not create server TCP listening socket"):
            start(tls_port=taken.getsockname()[1], tls_cert_file=cert, tls_key_file=key,
                  tls_auth_clients="no", bind="127.0.0.1")


def test_without_a_plain_port(start, files):
    tls = Tls(start, files, port=0, ready=False)
    tls.logged("tls on port")
    with tls.client() as c:
        assert c("PING") == "PONG"


def test_resumption(tls):
    context = tls.context(version=ssl.TLSVersion.TLSv1_2)
    with tls.client(context) as first:
        session = first.sock.session
    raw = socket.create_connection(("127.0.0.1", tls.port), timeout=10 * SLOW)
    with context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as again:
        assert again.session_reused
        again.sendall(b"PING\r\n")
        assert again.recv(100) == b"+PONG\r\n"


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="no redis-cli")
def test_other_clients(tls):
    done = subprocess.run(["redis-cli", "--tls", "--cacert", tls.files.authority.file, "-p",
                           str(tls.port), "SET", "key", "value"], capture_output=True, text=True,
                          timeout=20 * SLOW)
    assert done.stdout == "OK\n"
    redis = pytest.importorskip("redis")
    client = redis.Redis(port=tls.port, ssl=True, ssl_ca_certs=tls.files.authority.file)
    assert client.get("key") == b"value"
    client.close()


def test_ioredis(start, files):
    assert MODULES.is_dir(), "no client libraries: run tools/install-deps --tests"
    tls = Tls(start, files, tls_auth_clients="yes")
    cert, key = files.client
    done = subprocess.run(
        ["node", str(ROOT / "tests/npm/ioredis_tls.js")], timeout=60 * SLOW, capture_output=True,
        text=True, check=False,
        env=dict(os.environ, NODE_PATH=str(MODULES), TORC_PORT=str(tls.port),
                 TORC_CA=files.authority.file, TORC_OTHER_CA=files.other.file, TORC_CERT=cert,
                 TORC_KEY=key))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "ok"


# ---- who is let in ----

def test_client_certificates(start, files):
    tls = Tls(start, files, tls_auth_clients="yes")
    with tls.client(cert=files.client) as c:
        assert c("PING") == "PONG"
    assert tls.refused()
    tls.logged("failed: peer did not return a certificate (addr=127.0.0.1:")
    assert tls.refused(cert=files.stranger)
    tls.logged("failed: the peer's certificate is refused: unable to get local issuer")
    assert tls.refused(cert=files.expired)
    tls.logged("failed: the peer's certificate is refused: certificate has expired")
    with tls.server.client() as admin:
        assert admin("CONFIG", "SET", "tls-auth-clients", "optional") == "OK"
        assert not tls.refused()
        assert not tls.refused(cert=files.client)
        assert tls.refused(cert=files.stranger)
        assert admin("CONFIG", "SET", "tls-auth-clients", "no") == "OK"
        assert not tls.refused(cert=files.stranger)
    assert tls.shards()["tls_handshakes_failed"] == "4"


def test_protocols_and_ciphers(start, files):
    tls = Tls(start, files, tls_protocols="TLSv1.2",
              tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
              tls_prefer_server_ciphers="yes")
    context = tls.context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    with tls.client(context) as c:
        assert c("PING") == "PONG"
        assert c.sock.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert tls.refused(version=ssl.TLSVersion.TLSv1_3)
    tls.logged("failed: unsupported protocol")


def test_plain_text_and_leaving(tls):
    with Client(("127.0.0.1", tls.port)) as plain:
        plain.send("PING")
        with pytest.raises((ConnectionClosed, OSError)):
            while True:
                plain.sock.recv(1000) or plain.read()
    eventually(lambda: tls.shards()["tls_handshakes_failed"] == "1")
    # Clients that connect and say nothing, or leave: none is in the way of another.
    quiet = [socket.create_connection(("127.0.0.1", tls.port)) for _ in range(20)]
    eventually(lambda: tls.shards()["tls_handshakes_waiting"] == "20")
    with tls.client() as c:
        assert c("PING") == "PONG"
    for peer in quiet:
        peer.close()
    eventually(lambda: tls.shards()["tls_handshakes_waiting"] == "0")
    # Half a hello, and gone.
    with socket.create_connection(("127.0.0.1", tls.port)) as peer:
        peer.sendall(bytes.fromhex("16030100c8010000c40303"))
    eventually(lambda: tls.shards()["tls_handshakes_failed"] == "22")


def test_maxclients(start, files):
    tls = Tls(start, files, maxclients=3)
    held = [tls.client() for _ in range(3)]
    assert tls.refused()
    held.pop().close()
    eventually(lambda: not tls.refused())
    for c in held:
        c.close()


def test_a_storm(start, files):
    """Many at once, who do not all stay: each is served or counted as failed, none is lost."""
    tls = Tls(start, files, tls_handshake_threads=3)
    context = tls.context()
    with tls.client(context) as c:
        raws = [socket.create_connection(("127.0.0.1", tls.port), timeout=10 * SLOW)
                for _ in range(200)]
        for raw in raws[::2]:
            raw.close()
        clients = [context.wrap_socket(raw, server_hostname="127.0.0.1") for raw in raws[1::2]]
        for client in clients:
            client.sendall(b"PING\r\n")
        assert [client.recv(100) for client in clients] == [b"+PONG\r\n"] * 100
        eventually(lambda: tls.shards()["tls_handshakes_failed"] == "100")
        assert tls.shards()["tls_connections"] == "101"
        for client in clients:
            client.close()
        eventually(lambda: tls.shards()["tls_connections"] == "1")
        assert c("PING") == "PONG"
    with tls.server.client() as admin:
        eventually(lambda: info(admin, "clients")["connected_clients"] == "1")


def test_stop(start, files):
    """The end comes with clients in all states, and leaves nothing behind (asan looks)."""
    tls = Tls(start, files)
    context = tls.context()
    quiet = [socket.create_connection(("127.0.0.1", tls.port)) for _ in range(20)]
    for peer in quiet[:10]:
        peer.sendall(bytes.fromhex("16030100c8010000c40303"))
    clients = [tls.client(context) for _ in range(5)]
    tls.server.process.send_signal(signal.SIGTERM)
    assert tls.server.wait_exit() == 0
    for c in clients:
        assert c.sock.recv(10) == b""  # with a close_notify
        c.close()
    for peer in quiet:
        peer.close()


# ---- endings ----

def test_endings(tls):
    with tls.client() as c:
        assert c("PING") == "PONG"
        raw = c.sock.unwrap()  # our close_notify, and the server's
        assert raw.recv(10) == b""
        raw.close()
    with tls.client() as c:
        c.send("QUIT")
        assert c.read() == "OK"
        # suppress_ragged_eofs is off: without a close_notify this would raise.
        assert c.sock.recv(10) == b""
    with tls.client() as c:
        os.write(c.sock.fileno(), bytes([23, 3, 3, 0, 40]) + bytes(40))  # forged
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            c.sock.recv(10)
    tls.logged("A TLS connection is closed: decryption failed or bad record mac (addr=")
    with tls.client() as c:
        os.write(c.sock.fileno(), bytes([23, 3, 3, 0, 40]) + bytes(10))
        c.sock.shutdown(socket.SHUT_WR)
        if not KERNEL_HAS_TLS:  # it does not tell the two ends apart
            tls.logged("A TLS connection is closed: the client has ended in the middle of a "
                       "record")
    eventually(lambda: tls.shards()["tls_connections"] == "0")


@pytest.mark.skipif(not KERNEL_HAS_TLS, reason="the kernel has no TLS")
def test_key_updates_that_the_kernel_cannot_take(tls):
    with tls.client() as c, tls.server.client() as plain:
        assert c("SET", "k", "v") == "OK"
        process = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % tls.port],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: tls.shards()["tls_connections"] == "2")
            process.stdin.write(b"k\n")
            process.stdin.flush()
            tls.logged("the client wants new keys, which the kernel cannot take")
            eventually(lambda: tls.shards()["tls_connections"] == "1")
        finally:
            process.kill()
            process.wait()
        assert c("GET", "k") == plain("GET", "k") == b"v"


def test_key_updates(start, files):
    """openssl s_client makes a key update of a line k; of K, one that asks for one, too."""
    tls = Tls(start, files, tls_offload="no")
    process = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % tls.port,
                                "-CAfile", tls.files.authority.file],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        for line in (b"INCR n\r\n", b"K\n", b"INCR n\r\n", b"k\n", b"INCR n\r\n", b"K\n",
                     b"INCR n\r\n"):
            process.stdin.write(line)
            process.stdin.flush()
            time.sleep(0.1 * SLOW)  # a line for itself: s_client takes what it finds
        with tls.server.client() as admin:
            eventually(lambda: admin("GET", "n") == b"4")
        process.stdin.write(b"Q\n")
        process.stdin.flush()
        text, _ = process.communicate(timeout=10 * SLOW)
        assert text.count(b"KEYUPDATE") == 3 and b":4" in text
    finally:
        process.kill()
        process.wait()


# ---- certificates that are read again ----

def certificate_of(client):
    """The name on the server's certificate."""
    return dict(field[0] for field in client.sock.getpeercert()["subject"])["commonName"]


def test_config_set(tls):
    cert, key = tls.files.second
    with tls.client() as old, tls.server.client() as admin:
        assert certificate_of(old) == "server"
        assert admin("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key) == "OK"
        assert admin("CONFIG", "GET", "tls-cert-file")[1].decode() == cert
        with tls.client() as new:
            assert certificate_of(new) == "second"
            assert new("SET", "key", "value") == "OK"
        assert old("GET", "key") == b"value"
        for name, value in (("tls-cert-file", "/none"), ("tls-key-file", tls.files.server[1]),
                            ("tls-ca-cert-file", "/none"), ("tls-protocols", "SSLv3"),
                            ("tls-ciphers", "none"), ("tls-dh-params-file", cert)):
            reply = admin("CONFIG", "SET", name, value)
            assert isinstance(reply, Error), name
            assert reply.startswith("ERR CONFIG SET failed (possibly related to argument '%s') - "
                                    "Unable to update TLS configuration: " % name)
        assert admin("CONFIG", "GET", "tls-cert-file")[1].decode() == cert
        with tls.client() as new:
            assert certificate_of(new) == "second"
        cert, key = tls.files.locked
        assert isinstance(admin("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key,
                                "tls-key-file-pass", "wrong"), Error)
        assert admin("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key,
                     "tls-key-file-pass", "open sesame") == "OK"
        with tls.client() as new:
            assert certificate_of(new) == "locked"


def test_the_port_moves(tls):
    """CONFIG SET tls-port: new clients come there, the old ones stay, the plain port is left be."""
    before, after = tls.port, free_port()
    with tls.client() as old, tls.server.client() as admin:
        try:
            assert admin("CONFIG", "SET", "tls-port", after) == "OK"
            assert tls.refused()
            tls.port = after
            assert not tls.refused() and old("PING") == "PONG"
            assert admin("CONFIG", "SET", "tls-port", 0) == "OK"
            assert tls.refused() and old("PING") == "PONG"
        finally:
            tls.port = before
            assert admin("CONFIG", "SET", "tls-port", before) == "OK"
        assert not tls.refused()
        with tls.server.client() as plain:
            assert plain("PING") == "PONG"


def test_hangup(start, files, tmp_path):
    paths = [shutil.copy(path, tmp_path / name)
             for path, name in zip(files.server, ("a.crt", "a.key"))]
    tls = Tls(start, files, cert=paths)
    with tls.client() as old:
        shutil.copy(files.second[0], paths[0])
        tls.server.process.send_signal(signal.SIGHUP)
        tls.logged("Received SIGHUP: TLS stays as it was: tls-key-file")
        with tls.client() as new:
            assert certificate_of(new) == "server"
        shutil.copy(files.second[1], paths[1])
        tls.server.process.send_signal(signal.SIGHUP)
        tls.logged("Received SIGHUP: the TLS certificates have been read again")
        with tls.client() as new:
            assert certificate_of(new) == "second"
        assert old("PING") == "PONG"


@pytest.mark.parametrize("options, reason", [
    ({"tls_cert_file": ""}, "tls-cert-file is not set"),
    ({"tls_key_file": "/none"}, "tls-key-file '/none': "),
    ({"tls_auth_clients": "yes", "tls_ca_cert_file": ""}, "tls-auth-clients asks for"),
])
def test_bad_start(start, files, options, reason):
    with pytest.raises(ServerDied) as died:
        Tls(start, files, **options)
    assert "TLS can't be configured: " + reason in str(died.value)
