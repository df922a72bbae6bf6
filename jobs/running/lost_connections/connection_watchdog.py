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

from jobs.running.lost_connections.watch import Watch
from mappings.connections import sessions, unreachable
from mappings.sql import encoded, verbatim

LOOK_SECONDS = 5.0
SILENT_SECONDS = 30.0
"""Without a byte for so long, the servers are asked whether they still work for the session."""

ANSWER_SECONDS = 10.0
LAST_DATA_RECEIVED = 52
"""Where Linux's struct tcp_info has the milliseconds since data came in."""

log = logging.getLogger(__name__)


class Lifeline(Watch):
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
        super().__init__(f"lifeline of {token}")
        self.token, self.data, self.control = token, data, control
        self._suspected: list[psycopg.Connection] = []

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
    """Asks a server whether it is at work for a session; the way to it may be the very one that is cut off.

    lock: what the session waits for there and who holds it, '' where it waits for no lock; statement: what it executes
    there, and for how many seconds.
    """

    def __init__(self, token: str, url: str) -> None:
        super().__init__(name=f"question about {token}", daemon=True)
        self.token, self.url, self.works, self.answered, self.lock = token, url, False, False, ""
        self.statement: tuple[float, str] | None = None

    def run(self) -> None:
        with suppress(psycopg.Error, unreachable.DatabaseUnreachable):
            conn = sessions.connect(self.url, purpose="lifeline", read_only=True, statement_timeout_ms=5_000)
            with conn:
                rows = conn.execute(encoded(WORKS), [f"migrator {self.token}"]).fetchall()
                self.lock = next((lock for lock, _, _ in rows if lock), "")
                self.statement = max(((seconds, text) for _, seconds, text in rows), default=None)
                self.works, self.answered = bool(rows), True


WORKS = verbatim("""
SELECT CASE WHEN a.wait_event_type = 'Lock' THEN (
         SELECT format('%%s by %%s', coalesce(w.what, 'a row is locked'),
                       coalesce(string_agg(h.who, '; '), 'someone'))
           FROM (SELECT coalesce(max(l.relation::regclass || ' is locked'),
                                 max('an advisory lock is held') FILTER (WHERE l.locktype = 'advisory')) AS what
                   FROM pg_locks l WHERE l.pid = a.pid AND (NOT l.granted OR l.locktype = 'tuple')) AS w
           LEFT JOIN LATERAL (
                SELECT format('pid %%s, user %%s, %%s: %%s', b.pid, coalesce(b.usename, b.backend_type),
                              coalesce(b.state, 'active'), left(b.query, 80)) AS who
                  FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(a.pid))
                 ORDER BY b.pid LIMIT 3) AS h ON true
          GROUP BY w.what) END,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8,
       left(regexp_replace(left(a.query, 400), '[[:space:]]+', ' ', 'g'), 120)
  FROM pg_stat_activity a WHERE a.application_name = left(%s, 63) AND a.state = 'active'
   AND a.datname = current_database() AND a.wait_event_type IS DISTINCT FROM 'Client'
""")
"""A row for each connection of a session that the server is at work for: what it waits for if that is a lock, for how
many seconds it executes its statement, and how that begins. A row that is waited for is of the table on which the
waiting session holds a tuple lock."""


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
