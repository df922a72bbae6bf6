"""gunicorn's worker of threads, so that a client holds a thread only while its page is made.

As gunicorn has it, a thread reads the request from its client and writes the answer to it: a few clients that
send half a request, or take no answer, hold all threads, and nobody else gets a page. Here the worker's one
loop gathers requests until they are whole and passes on what an answer leaves unsent, for hundreds of clients
at once; a thread meets neither. What the application can answer at once, as it answered others a moment ago, the
loop answers itself: `at_once` makes bytes of an answer from those of a request, or b"" where the same answer is being
made for somebody else, so that it is worth asking again when it is, or None where a thread is to be asked.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from migrator_site.serving.client import READ_BYTES, Client, Unwelcome

SMALL_BYTES = 16 * 1024  # what a client may hold without a look at what all hold
ALL_BYTES = 64 * 1024 * 1024  # of all requests that are not whole yet, and all answers that are not taken yet
ARRIVAL_SECONDS = 20.0
SENDING_SECONDS = 60.0
CLOSING_SECONDS = 2.0


def _nothing(request: bytes) -> None:
    """What an application has to say at once that does not offer it."""


class PatientWorker(ThreadWorker):
    """Waits for clients in its loop, never in a thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waiting: dict[TConn, str] = {}  # arriving, sending or closing; oldest first
        self.held: list[TConn] = []  # whose answer is being made for somebody else
        self.at_once: Callable[[bytes], bytes | None] = _nothing

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.at_once = getattr(self.wsgi, "at_once", _nothing)

    def accept(self, listener: Any) -> None:
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                return
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
                return
            raise
        self.nr_conns += 1
        conn = TConn(self.cfg, Client.taken(accepted), address, listener.getsockname())
        conn.data_ready = True  # a thread need not look
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        self._wait(conn, "arriving", ARRIVAL_SECONDS)

    def _make_room(self) -> None:
        """The one that has been waited for the longest makes room for others."""
        for conn in list(self.waiting)[:1]:
            self._drop(conn)

    def _keep_bounded(self) -> None:
        """Room in memory, as far as it takes."""
        while sum(len(conn.sock.arrived) + len(conn.sock.unsent) for conn in self.waiting) > ALL_BYTES:
            self._make_room()

    def _wait(self, conn: TConn, what: str, seconds: float) -> None:
        events = selectors.EVENT_WRITE if what == "sending" else selectors.EVENT_READ
        conn.sock.until = time.monotonic() + seconds
        self.waiting[conn] = what
        self.poller.register(conn.sock, events, partial(self._moved, conn))

    def _stop_waiting(self, conn: TConn) -> None:
        if self.waiting.pop(conn, None):
            self.poller.unregister(conn.sock)

    def _drop(self, conn: TConn) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.close()

    def _moved(self, conn: TConn, client: Client) -> None:
        """The client has sent or taken something."""
        try:
            {"arriving": self._gather, "sending": self._pass_on, "closing": self._discard}[
                self.waiting[conn]
            ](conn)
        except BlockingIOError:
            return
        except OSError:
            self._drop(conn)

    def _gather(self, conn: TConn) -> None:
        client = conn.sock
        is_first = not client.arrived
        if not client.pull():
            self._drop(conn)
            return
        if is_first:
            client.until = time.monotonic() + ARRIVAL_SECONDS
        if len(client.arrived) > SMALL_BYTES:  # whatever many small ones come to, there is room for
            self._keep_bounded()
        if conn in self.waiting:
            self._consider(conn)

    def _consider(self, conn: TConn) -> None:
        """An answer to each request that is whole, or to a thread with it."""
        try:
            while conn.sock.is_whole() and self._has_answered(conn):
                pass
        except Unwelcome as unwelcome:
            self._refuse(conn, str(unwelcome))

    def _has_answered(self, conn: TConn) -> bool:
        """Whether the next request may be looked for: this one is answered, and the answer taken."""
        answer = self.at_once(conn.sock.request.getvalue()) if self.alive else None
        if answer:
            self._answer(conn, answer)
            return not conn.sock.unsent
        self._stop_waiting(conn)
        if answer is None:
            self.enqueue_req(conn)
        else:
            self.held.append(conn)
        return False

    def _look_at_held(self) -> None:
        held, self.held = self.held, []
        for conn in held:
            self._wait(conn, "arriving", ARRIVAL_SECONDS)
            if self._has_answered(conn):
                self._consider(conn)

    def _answer(self, conn: TConn, answer: bytes) -> None:
        """Goes on waiting for the client, which stays."""
        try:
            conn.sock.sendall(answer)
        except OSError:
            conn.sock.unsent.clear()  # it is gone, as the next look at it will find
        conn.stays = True
        if conn.sock.unsent:
            self._stop_waiting(conn)
            self._sent(conn)
        else:
            self.waiting[conn] = self.waiting.pop(conn)  # the youngest
            conn.sock.until = time.monotonic() + self.cfg.keepalive

    def _refuse(self, conn: TConn, status: str) -> None:
        self._stop_waiting(conn)
        conn.sock.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        self._close(conn)

    def _pass_on(self, conn: TConn) -> None:
        conn.sock.push()
        if not conn.sock.unsent:
            self._stop_waiting(conn)
            self._answered(conn)

    def _discard(self, conn: TConn) -> None:
        """Until the client has ended too: closing before would cut off what it has not read yet."""
        if not conn.sock.pull() or len(conn.sock.arrived) > READ_BYTES:
            self._drop(conn)

    def finish_request(self, conn: TConn, future: Future[Any]) -> None:
        """A thread has made its page, or broke off."""
        broken = future.cancelled() or future.exception() is not None
        if broken or conn.sock.fileno() < 0:
            self.nr_conns -= 1
            conn.close()
        else:
            # A rest that the parser did not read means that the two of us see different ends of the request.
            conn.stays = bool(future.result()) and self.alive and not conn.parser.unreader.buf.getvalue()
            self._sent(conn)
        self._look_at_held()

    def _sent(self, conn: TConn) -> None:
        if conn.sock.unsent:
            self._wait(conn, "sending", SENDING_SECONDS)
            self._keep_bounded()
        else:
            self._answered(conn)

    def _answered(self, conn: TConn) -> None:
        if not conn.stays:
            self._close(conn)
            return
        self._wait(conn, "arriving", ARRIVAL_SECONDS if conn.sock.arrived else self.cfg.keepalive)
        if conn.sock.arrived:
            self._consider(conn)

    def _close(self, conn: TConn) -> None:
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        self._wait(conn, "closing", CLOSING_SECONDS)

    def murder_pending(self) -> None:
        """Once a second: those whose time is over are waited for no longer; nor, at the end, those who sent nothing."""
        now = time.monotonic()
        for conn, what in list(self.waiting.items()):
            idle = not self.alive and what == "arriving" and not conn.sock.arrived
            if idle or conn.sock.until < now:
                self._drop(conn)
        self._look_at_held()
