# SPDX-License-Identifier: BSD-3-Clause
"""A small RESP client made for tests, not for applications.

It keeps apart what a test must tell apart: a simple string is `str`, a bulk string is `bytes`,
an error is an `Error` that is returned and never raised, and the exact bytes of a reply can be
asked for. It sends whatever it is given, well-formed or not. One client serves one thread.
"""
import os
import socket
import threading
import time


# How much slower than an optimised build the server is: sanitizer builds set it to 10 or so.
SLOW = float(os.environ.get("TORC_SLOW", "1"))


class Error(str):
    """An error reply: its text without the leading '-'."""

    __slots__ = ()

    def __repr__(self):
        return "Error(%s)" % str.__repr__(self)

    def __eq__(self, other):
        return isinstance(other, Error) and str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


class Double(float):
    """A RESP3 double: a number; two of them are equal when they are written alike."""

    __slots__ = ("text",)

    def __new__(cls, text):
        self = float.__new__(cls, text)
        self.text = text
        return self

    def __eq__(self, other):
        return self.text == other.text if isinstance(other, Double) else float(self) == other

    def __ne__(self, other):
        return not self == other

    __hash__ = float.__hash__


class Push(list):
    """An out-of-band RESP3 push message."""


class Verbatim(bytes):
    """A RESP3 verbatim string, with its three letters of format and the colon cut off."""


class ConnectionClosed(Exception):
    """The server closed the connection where a reply was expected."""


def encode(args):
    """One command as a RESP array of bulk strings. `args`: bytes, str, int or float."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n" % len(arg))
        parts.append(arg)
        parts.append(b"\r\n")
    return b"".join(parts)


class Client:
    """A connection. `address` is (host, port) or the path of a Unix socket."""

    def __init__(self, address, timeout=10.0, resp=2):
        self.address = address
        timeout *= SLOW
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, timeout=timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buf = bytearray()
        self.pos = 0
        self.attributes = []
        self.resp = 2
        if resp == 3:
            assert isinstance(self("HELLO", "3"), dict)
            self.resp = 3

    def close(self):
        """Close at once. Harmless when closed already."""
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending.

    def send_raw(self, data):
        """Send these bytes as they are."""
        self.sock.sendall(data)

    def send(self, *args):
        """Send one command and read nothing."""
        self.sock.sendall(encode(args))

    def __call__(self, *args):
        """Send one command and return its reply."""
        self.sock.sendall(encode(args))
        return self.read()

    def line(self, text):
        """Send an inline command and return its reply."""
        self.send_raw(text.encode() + b"\r\n")
        return self.read()

    def raw(self, *args):
        """Send one command and return its reply's exact bytes."""
        self.sock.sendall(encode(args))
        return self.read_raw()

    def pipeline(self, commands):
        """Send all commands together and return the list of replies.

        Sending has a thread of its own, so that neither side's full buffer stops the other."""
        data = b"".join(map(encode, commands))
        return self.exchange(data, len(commands))

    def exchange(self, data, replies):
        """Send raw bytes while reading that many replies."""
        if len(data) < 32768:
            self.sock.sendall(data)
            return [self.read() for _ in range(replies)]
        sender = threading.Thread(target=self._send_quietly, args=(data,), daemon=True)
        sender.start()
        result = [self.read() for _ in range(replies)]
        sender.join(self.timeout)
        return result

    def _send_quietly(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # the reader sees the same end and reports it

    # Receiving.

    def _fill(self):
        if self.pos > (1 << 20):
            del self.buf[:self.pos]
            self.pos = 0
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError as reset:
            raise ConnectionClosed("connection reset") from reset
        if not data:
            raise ConnectionClosed("closed with %r pending" % bytes(self.buf[self.pos:][:100]))
        self.buf += data

    def _line(self):
        start = self.pos
        while True:
            end = self.buf.find(b"\r\n", start)
            if end >= 0:
                line = bytes(self.buf[self.pos:end])
                self.pos = end + 2
                return line
            before = self.pos
            start = max(self.pos, len(self.buf) - 1)
            self._fill()
            start -= before - self.pos

    def _bytes(self, count):
        while len(self.buf) - self.pos < count + 2:
            self._fill()
        data = bytes(self.buf[self.pos:self.pos + count])
        assert self.buf[self.pos + count:self.pos + count + 2] == b"\r\n", "bulk without CRLF"
        self.pos += count + 2
        return data

    def read_raw(self):
        """The exact bytes of the next reply."""
        del self.buf[:self.pos]
        self.pos = 0
        self._parse()
        data = bytes(self.buf[:self.pos])
        del self.buf[:self.pos]
        self.pos = 0
        return data

    def read(self, timeout=None):
        """The next reply or push message. Raises socket.timeout or ConnectionClosed."""
        if self.pos == len(self.buf) and self.pos:
            self.buf.clear()
            self.pos = 0
        if timeout is None:
            return self._parse()
        self.sock.settimeout(timeout)
        try:
            return self._parse()
        finally:
            self.sock.settimeout(self.timeout)

    def _parse(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        parser = _PARSERS.get(kind)
        if parser is None:
            raise AssertionError("not RESP: %r" % line[:100])
        return parser(self, rest)

    def _parse_many(self, count):
        return [self._parse() for _ in range(count)]

    def is_silent(self, seconds=0.1):
        """True when nothing arrives for so long."""
        try:
            self.read(timeout=seconds)
        except socket.timeout:
            return True
        return False

    def wait_closed(self, timeout=5.0):
        """True when the server closes the connection in time; what it still sent is dropped."""
        self.sock.settimeout(timeout)
        end = time.monotonic() + timeout
        try:
            while time.monotonic() < end:
                if not self.sock.recv(1 << 16):
                    return True
        except socket.timeout:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(self.timeout)
        return False


def _bulk(client, rest):
    count = int(rest)
    return None if count < 0 else client._bytes(count)


def _array(client, rest):
    count = int(rest)
    return None if count < 0 else client._parse_many(count)


def _freeze(value):
    return tuple(map(_freeze, value)) if isinstance(value, list) else value


def _map(client, rest):
    return {_freeze(client._parse()): client._parse() for _ in range(int(rest))}


def _set(client, rest):
    items = list(map(_freeze, client._parse_many(int(rest))))
    return items if any(isinstance(item, (dict, set)) for item in items) else set(items)


def _attribute(client, rest):
    client.attributes.append(_map(client, rest))
    return client._parse()


_PARSERS = {
    b"+": lambda client, rest: rest.decode("utf-8", "surrogateescape"),
    b"-": lambda client, rest: Error(rest.decode("utf-8", "surrogateescape")),
    b":": lambda client, rest: int(rest),
    b"$": _bulk,
    b"*": _array,
    b"_": lambda client, rest: None,
    b"#": lambda client, rest: {b"t": True, b"f": False}[rest],
    b",": lambda client, rest: Double(rest),
    b"(": lambda client, rest: int(rest),
    b"=": lambda client, rest: Verbatim(client._bytes(int(rest))[4:]),
    b"!": lambda client, rest: Error(client._bytes(int(rest)).decode()),
    b"%": _map,
    b"~": _set,
    b">": lambda client, rest: Push(client._parse_many(int(rest))),
    b"|": _attribute,
}
