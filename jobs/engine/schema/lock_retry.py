"""Changes that need a lock: a short try, a pause, another try; so that nobody queues behind them for long."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from jobs.engine.errors import StepFailed
from mappings.sql import FIXED_PATH, Sql, compose, encoded, literal, verbatim

TRIES = 6
LOCK_TIMEOUT_MS = 2_000
LONGEST_WAIT = 8.0
"""Seconds between two tries, at most."""

QUEUE_MS = 100
"""How long others may stand behind us at a time while we stand in line for a table's strongest lock."""

REST_SECONDS = 0.15
"""How long they have it to themselves before we stand in line again."""

LOOK_EVERY, LOOK_SELDOM = 0.04, 0.4
"""Seconds between two questions who blocks: less than we stand in line, and once a try for the lock must be over."""

VACUUMED = verbatim("""
EXISTS (
  SELECT FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
   WHERE l.relation = to_regclass({name}) AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND coalesce(a.backend_type, 'autovacuum worker') = 'autovacuum worker')
""")

LOCK_ALONE = verbatim("""
SELECT set_config('lock_timeout', CASE WHEN {vacuumed} THEN '{patient}' ELSE '{moment}' END, true);
LOCK TABLE {relation} IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = {further}
""")

BLOCKERS = verbatim("""
WITH RECURSIVE before_us(pid, depth) AS (
  SELECT unnest(pg_blocking_pids(%s)), 1
   UNION SELECT x.pid, before_us.depth + 1 FROM before_us, unnest(pg_blocking_pids(before_us.pid)) AS x(pid)
          WHERE before_us.depth < 4)
SELECT pid, max(depth), (SELECT concat_ws(', ', 'user ' || usename, state || ': ' || left(query, 80))
                           FROM pg_stat_activity a WHERE a.pid = before_us.pid)
  FROM before_us GROUP BY pid ORDER BY 2 DESC, 1 LIMIT 4
""")


class Lookout(threading.Thread):
    """Asks on a connection of its own who blocks a session, while that waits; who: the last answer."""

    def __init__(self, conn: psycopg.Connection) -> None:
        super().__init__(name="lookout", daemon=True)
        self.who = ""
        self._pid = conn.info.backend_pid
        self._dsn, self._password = conn.info.dsn, conn.info.password
        self._ended = threading.Event()

    def __enter__(self) -> Lookout:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        if self._ended.wait(LOOK_EVERY):
            return
        more: dict[str, Any] = {
            "connect_timeout": 2,
            "application_name": "migrator lookout",
            "autocommit": True,
        }
        try:
            with psycopg.connect(self._dsn, password=self._password, **more) as conn:
                conn.execute(
                    encoded(compose("SELECT pg_catalog.set_config('search_path', '{}', false)", FIXED_PATH))
                )
                over = time.monotonic() + LOCK_TIMEOUT_MS / 1000
                while True:
                    self.who = _blockers(conn, self._pid) or self.who
                    if self._ended.wait(LOOK_EVERY if time.monotonic() < over else LOOK_SELDOM):
                        return
        except psycopg.Error:
            return  # no connection to spare: the wait goes on without a name


def _blockers(conn: psycopg.Connection, pid: int) -> str:
    """Who stands before a session: those that hold the lock first, then those that queue for it in between."""
    rows = conn.execute(encoded(BLOCKERS), [pid]).fetchall()
    return "; ".join(
        ", ".join(part for part in (f"pid {other}" if other else "a prepared transaction", doing) if part)
        for other, _, doing in rows
    )


def patiently(
    conn: psycopg.Connection,
    title: str,
    change: Callable[[], None],
    wait: Callable[[str], None],
    tries: int = TRIES,
) -> None:
    """Tries a change several times, which waits for no lock for longer than LOCK_TIMEOUT_MS: that is the change's to
    see to, by lock_alone or lock_timeout. wait(reason) is told of each delay.

    Raises StepFailed, naming who holds the lock where that is the cause.
    """
    for attempt in range(1, tries + 1):
        lookout = Lookout(conn)
        try:
            with lookout:
                change()
            return
        except psycopg.errors.LockNotAvailable as error:
            who = f"the table is locked by {lookout.who or 'someone'}"
            if attempt == tries:
                made = "one try was" if tries == 1 else f"{tries} tries were"
                raise StepFailed(f"{title}: {who}; {made} made") from error
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise StepFailed(f"{title}: {_sentence(error)}") from error
        wait(f"{title}: waiting because {who}")
        time.sleep(min(LONGEST_WAIT, 0.5 * 2**attempt) * random.uniform(0.5, 1.0))


def lock_alone(conn: psycopg.Connection, relation: Sql, further: int) -> None:
    """The table's strongest lock, in a transaction that holds nothing yet. LockNotAvailable after LOCK_TIMEOUT_MS.

    Whoever wants to read queues behind one who waits for it, so it is asked for a moment at a time; longer only
    where the table is being vacuumed, as an autovacuum gives way to nobody who has not waited for a second.
    further: how many milliseconds the rest of the transaction may wait for another lock.
    """
    until = time.monotonic() + LOCK_TIMEOUT_MS / 1000
    statement = compose(
        LOCK_ALONE, vacuumed=compose(VACUUMED, name=literal(relation)), relation=relation,
        patient=LOCK_TIMEOUT_MS, moment=QUEUE_MS, further=further,
    )  # fmt: skip
    while True:
        try:
            with conn.transaction():
                conn.execute(encoded(statement))
            return
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > until:
                raise
        time.sleep(REST_SECONDS)


def _sentence(error: psycopg.Error) -> str:
    parts = [error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint]
    return f"{'; '.join(part.rstrip('.') for part in parts if part)} (SQLSTATE {error.sqlstate})"


def wait_shortly(conn: psycopg.Connection) -> None:
    """LOCK_TIMEOUT_MS for the rest of the transaction."""
    conn.execute(encoded(compose("SET LOCAL lock_timeout = {}", LOCK_TIMEOUT_MS)))


@contextmanager
def lock_timeout(conn: psycopg.Connection, milliseconds: int) -> Iterator[None]:
    """That lock timeout for a while, then the one before; outside of a transaction."""
    row: Any = conn.execute(encoded(SET_TIMEOUT), [f"{milliseconds}ms"]).fetchone()
    try:
        yield
    finally:
        if not conn.broken and conn.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            conn.execute(encoded(SET_TIMEOUT), [row[0]])


SET_TIMEOUT = verbatim("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, false)")
"""Which it was, and which it is from now on."""
