"""A client's connection, as the loop has it that waits for the client, and as a thread that makes its page has it."""

from __future__ import annotations

import io
import re
import socket
from contextlib import suppress
from typing import Any

HEAD_BYTES = 64 * 1024
BODY_BYTES = 16 * 1024 * 1024
READ_BYTES = 64 * 1024
SLOWEST_BODY = 25_000  # bytes per second that a body may take longer for

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
NO_LENGTH = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
ASKS_FIRST = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


class Unwelcome(Exception):
    """A request that is not waited for; the text is the status that answers it."""


class Client(socket.socket):
    """A client's socket as a thread sees it: what is read is there already, what is written goes on by itself."""

    @classmethod
    def taken(cls, accepted: socket.socket) -> Client:
        client = cls(fileno=accepted.detach())
        socket.socket.setblocking(client, False)
        client.arrived, client.unsent = bytearray(), bytearray()
        client.request = io.BytesIO()
        client.until, client.was_asked = 0.0, False
        return client

    arrived: bytearray
    unsent: bytearray
    request: io.BytesIO
    until: float
    """When the loop stops waiting for it."""
    was_asked: bool

    def setblocking(self, flag: bool) -> None:
        """Never: the loop would stand still with it."""

    def settimeout(self, value: float | None) -> None:
        """Never waits, so that there is nothing to time out."""

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Of the whole request; b"" after its end."""
        return self.request.read(bufsize)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.unsent += data
        self.push()

    def send(self, data: Any, flags: int = 0) -> int:
        self.sendall(data)
        return len(data)

    def push(self) -> None:
        """Sends what the client takes now. Raises OSError where it is gone."""
        with suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: socket.socket.send(self, self.unsent)]

    def pull(self) -> int:
        """Reads what has come; how many bytes, 0 where the client has ended. Raises OSError where it is gone."""
        data = socket.socket.recv(self, READ_BYTES)
        self.arrived += data
        return len(data)

    def is_whole(self) -> bool:
        """Whether a request is there; then it is what a thread will read. Raises Unwelcome."""
        head = self.arrived.find(b"\r\n\r\n", 0, HEAD_BYTES) + 4
        if head < 4:
            if len(self.arrived) >= HEAD_BYTES:
                raise Unwelcome("431 Request Header Fields Too Large")
            return False
        size = head + self._body(bytes(self.arrived[:head]))
        if len(self.arrived) < size:
            return False
        self.request = io.BytesIO(bytes(self.arrived[:size]))
        del self.arrived[:size]
        self.was_asked = False
        return True

    def _body(self, head: bytes) -> int:
        """How long the body is; to a client that asks whether to send it, yes is said once."""
        if NO_LENGTH.search(head):
            raise Unwelcome("411 Length Required")
        given = LENGTH.search(head)
        length = int(given[1]) if given else 0
        if length > BODY_BYTES:
            raise Unwelcome("413 Content Too Large")
        if not self.was_asked:
            self.was_asked = True
            self.until += length / SLOWEST_BODY
            if length and ASKS_FIRST.search(head):
                self.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return length
