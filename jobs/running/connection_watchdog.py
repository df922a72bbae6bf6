"""Notices that a session waits for servers that do not work for it: a network or a proxy that swallows everything.

TCP's own timeouts end what nobody acknowledges; they do not see a proxy that acknowledges and passes nothing on.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress

import psycopg
from psycopg import pq

from mappings.connections import sessions, unreachable
from mappings.sql import encoded, verbatim

LOOK_SECONDS = 5.0
SILENT_SECONDS = 30.0
"""Without a byte for so long, the servers are asked whether they still work for the session."""

ANSWER_SECONDS = 10.0
LAST_DATA_RECEIVED = 52
"""Where Linux's struct tcp_info has the milliseconds since data came in."""

log = logging.getLogger(__name__)


class Lifeline(threading.Thread):
    """Breaks the connections of a session off once they are dead; whoever waits on them gets an ordinary error.

    data: connections that work together, such that the one may rightly be silent while the other works, with their
    addresses; control: connections on which no statement takes long.
    """

    def __init__(
        self,
        token: str,
        data: Sequence[tuple[psycopg.Connection, str]],
        control: Sequence[psycopg.Connection],
    ) -> None:
        super().__init__(name=f"lifeline of {token}", daemon=True)
        self.token, self.data, self.control = token, data, control
        self._ended = threading.Event()
        self._suspected: list[psycopg.Connection] = []

    def __enter__(self) -> Lifeline:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with suppress(OSError, psycopg.Error):  # closed meanwhile
                self._look()

    def _look(self) -> None:
        """Gives up what two looks in a row find dead: after a freeze, or a long chunk, one may just have been asked."""
        dead = [conn for conn in self.control if waits(conn) and is_silent(conn)]
        conns = [conn for conn, _ in self.data]
        if any(map(waits, conns)) and all(map(is_silent, conns)) and not self._anybody_works():
            dead += conns
        for conn in dead:
            if conn in self._suspected and not self._ended.is_set():
                cut(conn, self.token)
        self._suspected = dead

    def _anybody_works(self) -> bool:
        urls = dict.fromkeys(url for _, url in self.data)
        asked = [Question(self.token, url) for url in urls]
        for question in asked:
            question.start()
        for question in asked:
            question.join(ANSWER_SECONDS)
        return any(question.works for question in asked)


class Question(threading.Thread):
    """Asks a server whether it is at work for a session; the way to it may be the very one that is cut off."""

    def __init__(self, token: str, url: str) -> None:
        super().__init__(name=f"question about {token}", daemon=True)
        self.token, self.url, self.works, self.answered = token, url, False, False

    def run(self) -> None:
        with suppress(psycopg.Error, unreachable.DatabaseUnreachable):
            conn = sessions.connect(self.url, purpose="lifeline", read_only=True, statement_timeout_ms=5_000)
            with conn:
                self.works = conn.execute(encoded(WORKS), [f"migrator {self.token}"]).fetchone() is not None
                self.answered = True


WORKS = verbatim(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = left(%s, 63) AND state = 'active'"
    " AND wait_event_type IS DISTINCT FROM 'Client'"
)


def waits(conn: psycopg.Connection) -> bool:
    """Whether a command was sent whose answer is not complete."""
    return not conn.closed and conn.pgconn.transaction_status == pq.TransactionStatus.ACTIVE


def is_silent(conn: psycopg.Connection, seconds: float | None = None) -> bool:
    """Whether no byte has come over a TCP connection for so long, a long time by default; False where that cannot be
    told."""
    longest = SILENT_SECONDS if seconds is None else seconds
    with suppress(OSError, AttributeError), socket.socket(fileno=os.dup(conn.fileno())) as sock:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_RECEIVED + 4)
        return bool(struct.unpack_from("=I", info, LAST_DATA_RECEIVED)[0] > longest * 1000)
    return False


def cut(conn: psycopg.Connection, token: str) -> None:
    """Ends a connection under whoever waits on it."""
    log.warning(
        "worker %s: the server has been silent for %.0f s, the connection is given up", token, SILENT_SECONDS
    )
    with suppress(OSError), socket.socket(fileno=os.dup(conn.fileno())) as sock:
        sock.shutdown(socket.SHUT_RDWR)
