# SPDX-License-Identifier: BSD-3-Clause
"""A server for MIGRATE that does what the test wants: accepts, refuses, waits, hangs up.

It takes RESP commands on any number of connections, notes them in `commands`, and answers with
what `answer(command)` returns: bytes to send, None to stay silent, or HANG_UP. While `gate` is
not set it answers no RESTORE. Used as a context manager.
"""
import socket
import threading

from .resp import SLOW

HANG_UP = object()
RESTORES = (b"RESTORE", b"RESTORE-ASKING")


class Target:
    """One listening socket with a thread for each connection."""

    def __init__(self, answer=None):
        self.answer = answer or (lambda command: b"+OK\r\n")
        self.commands = []
        self.accepted = 0
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()  # the first RESTORE
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def hang_up(self):
        """Ends all connections."""
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def restores(self):
        """The commands that restore keys, in the order of arrival."""
        return [command for command in self.commands if command[0] in RESTORES]

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _command(stream):
        """The next command's arguments; None: there is none any more."""
        head = stream.readline()
        if not head:
            return None
        assert head[:1] == b"*", head
        args = []
        for _ in range(int(head[1:])):
            length = stream.readline()
            assert length[:1] == b"$", length
            args.append(stream.read(int(length[1:])))
            assert stream.read(2) == b"\r\n"
        return args

    def _serve(self, sock):
        with sock, sock.makefile("rb") as stream:
            while True:
                try:
                    command = self._command(stream)
                    if command is None:
                        return
                    self.commands.append(command)
                    if command[0] in RESTORES:
                        self.arrived.set()
                        self.gate.wait(60 * SLOW)
                    answer = self.answer(command)
                    if answer is HANG_UP:
                        return
                    if answer is not None:
                        sock.sendall(answer)
                except OSError:
                    return
