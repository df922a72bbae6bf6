"""A TCP proxy before a server: passes everything on, until it is told to swallow all or to cut a COMMIT.

A process of its own: libpq waits for some answers with Python's global lock held.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

COMMIT = b"COMMIT\0"


class Proxy:
    """A running proxy. url: the server's database as reached through it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        command = [sys.executable, __file__, str(parts.hostname), str(parts.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        user, _, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self._heard()}"))

    def cut(self, when: Literal["before", "after", "between"]) -> None:
        """Cuts the next COMMIT: `before` it reaches the server, `after` the server has answered, or `between`: the
        client is cut off at once, and the server gets the COMMIT only at `deliver`."""
        self._say(f"cut {when}")

    def wait_for_the_cut(self) -> None:
        """Returns once a COMMIT was cut."""
        assert self._heard() == "cut"

    def deliver(self) -> None:
        """Lets the server have the COMMIT that was cut `between`."""
        self._say("deliver")

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Connections are taken and kept, and nothing passes either way."""
        self._say("stall")
        try:
            yield
        finally:
            self._say("pass")

    def close(self) -> None:
        """Cuts everything."""
        self._process.kill()
        self._process.communicate()

    def _say(self, words: str) -> None:
        assert self._process.stdin
        print(words, file=self._process.stdin, flush=True)
        assert self._heard() == words

    def _heard(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@dataclass
class Listener:
    """The proxy's process: listens on a port of its own, and to words on standard input."""

    server: tuple[str, int]
    trap: str = ""
    passing: threading.Event = field(default_factory=threading.Event)
    delivering: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        """Until standard input ends."""
        self.passing.set()
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        tell(str(listener.getsockname()[1]))
        for line in sys.stdin:
            self._obey(*line.split())
            tell(line.strip())

    def _obey(self, what: str, when: str = "") -> None:
        if what == "cut":
            self.trap = when
        elif what == "stall":
            self.passing.clear()
        elif what == "pass":
            self.passing.set()
        elif what == "deliver":
            self.delivering.set()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(self.server)
            pipe = Pipe(self, client, server)
            threading.Thread(target=pipe.forward, daemon=True).start()
            threading.Thread(target=pipe.back, daemon=True).start()


@dataclass
class Pipe:
    """One connection through the proxy."""

    proxy: Listener
    client: socket.socket
    server: socket.socket
    cut_at_answer: bool = False

    def forward(self) -> None:
        """Client to server."""
        for data in self._read(self.client):
            if COMMIT in data and (when := self.proxy.trap):
                self.proxy.trap = ""
                if when == "after":
                    self.cut_at_answer = True
                else:
                    self._cut_now(data if when == "between" else b"")
                    return
            self._write(self.server, data)
        shut(self.server)

    def back(self) -> None:
        """Server to client."""
        for data in self._read(self.server):
            if self.cut_at_answer:
                shut(self.client, self.server)
                tell("cut")
                return
            self._write(self.client, data)
        shut(self.client)

    def _cut_now(self, late: bytes) -> None:
        shut(self.client)
        tell("cut")
        if late:
            self.proxy.delivering.wait()
            self._write(self.server, late)
            return  # the server's side stays open: it has noticed nothing
        shut(self.server)

    def _read(self, sock: socket.socket) -> Iterator[bytes]:
        with suppress(OSError):
            while data := sock.recv(65536):
                self.proxy.passing.wait()
                yield data

    def _write(self, sock: socket.socket, data: bytes) -> None:
        with suppress(OSError):
            sock.sendall(data)


def shut(*socks: socket.socket) -> None:
    """Ends connections under whoever reads from them."""
    for sock in socks:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def tell(words: str) -> None:
    """To the test."""
    print(words, flush=True)


if __name__ == "__main__":
    Listener((sys.argv[1], int(sys.argv[2]))).serve()
