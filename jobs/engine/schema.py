"""Schema steps in the databases: applied once, registered with their hash, and undone in reverse."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from jobs.engine.errors import StepFailed
from jobs.engine.feed import run_sql
from mappings.plan import Plan, Step
from mappings.projection import literal

TRIES = 6
LOCK_TIMEOUT_MS = 2_000
LONGEST_WAIT = 8.0
"""Seconds between two tries, at most; each try blocks others for no longer than LOCK_TIMEOUT_MS."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A step as the register in the target remembers it."""

    id: int
    side: str
    kind: str
    relation: str
    name: str
    title: str
    undo: tuple[str, ...]
    alone: bool
    fits: str


@dataclass(frozen=True, slots=True)
class Sides:
    """The two connections; both in autocommit, both the same database where the plan says so."""

    source: psycopg.Connection
    target: psycopg.Connection

    def of(self, side: str) -> psycopg.Connection:
        """The connection on which a step runs."""
        return self.source if side == "source" else self.target


def digest(step: Step) -> str:
    """The hash under which a step's statements are registered."""
    return hashlib.sha256("\n".join(step.sql).encode()).hexdigest()


def apply(sides: Sides, plan: Plan, run: int, step: Step, wait: Callable[[str], None]) -> bool:
    """Applies a step unless the register has it. Returns whether it did. wait(reason) is told of each delay.

    Raises StepFailed, naming who holds the lock where that is the cause.
    """
    if _registered(sides.target, step):
        return False
    conn = sides.of(step.side)

    def change() -> None:
        if step.alone:
            _drop_invalid(conn, step)
            for statement in step.sql:
                run_sql(conn, statement)
            _register(sides.target, plan, run, step)
            return
        with conn.transaction():
            for statement in step.sql:
                run_sql(conn, statement)
            if step.side == "target":
                _register(sides.target, plan, run, step)
        if step.side == "source":
            _register(sides.target, plan, run, step)

    _patiently(conn, step.relation, step.title, change, wait)
    return True


def _registered(conn: psycopg.Connection, step: Step) -> bool:
    row = conn.execute(
        "SELECT sha256 FROM migrator.schema_step WHERE side = %s AND relation = %s AND kind = %s AND name = %s"
        " AND undone_at IS NULL ORDER BY id DESC LIMIT 1",
        [step.side, step.relation, step.kind, step.name],
    ).fetchone()
    return bool(row and row[0] == digest(step))


REGISTER = (
    "INSERT INTO migrator.schema_step (run, mapping, side, kind, relation, name, title, sql, undo, alone, fits,"
    " sha256) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
"""An applied step."""


def _register(conn: psycopg.Connection, plan: Plan, run: int, step: Step) -> None:
    conn.execute(
        REGISTER.encode(),
        [
            run,
            plan.mapping,
            step.side,
            step.kind,
            step.relation,
            step.name,
            step.title,
            list(step.sql),
            list(step.undo),
            step.alone,
            step.fits,
            digest(step),
        ],
    )


def _drop_invalid(conn: psycopg.Connection, step: Step) -> None:
    """A killed CREATE INDEX CONCURRENTLY leaves an index that guards nothing; it goes before the next try."""
    row = run_sql(
        conn,
        "SELECT i.indexrelid::regclass::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        f" WHERE i.indrelid = {literal(step.relation)}::regclass AND c.relname = {literal(step.name)}",
    ).fetchone()
    if row:
        run_sql(conn, f"DROP INDEX CONCURRENTLY {row[0]}")


def _patiently(
    conn: psycopg.Connection,
    relation: str,
    title: str,
    change: Callable[[], None],
    wait: Callable[[str], None],
) -> None:
    """Tries a change several times with a short lock timeout, so that nobody queues behind it for long."""
    conn.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_MS}ms'".encode())
    for attempt in range(1, TRIES + 1):
        holders = ""
        try:
            change()
            return
        except psycopg.errors.LockNotAvailable as error:
            holders = _holders(conn, relation)
            if attempt == TRIES:
                raise StepFailed(
                    f"{title}: the table is locked by {holders}; {TRIES} tries were made"
                ) from error
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise StepFailed(
                f"{title}: {error.diag.message_primary or error} (SQLSTATE {error.sqlstate})"
            ) from error
        wait(f"{title}: waiting because the table is locked by {holders}")
        time.sleep(min(LONGEST_WAIT, 0.5 * 2**attempt) * random.uniform(0.5, 1.0))


def _holders(conn: psycopg.Connection, relation: str) -> str:
    """Who holds locks on a table: pid, user and what they run."""
    rows = run_sql(
        conn,
        "SELECT DISTINCT a.pid, a.usename, a.state, left(a.query, 80) FROM pg_locks l JOIN pg_stat_activity a"
        f" ON a.pid = l.pid WHERE l.relation = {literal(relation)}::regclass AND l.granted"
        " AND a.pid <> pg_backend_pid() ORDER BY a.pid LIMIT 3",
    ).fetchall()
    return (
        "; ".join(f"pid {pid}, user {user}, {state}: {query}" for pid, user, state, query in rows)
        or "someone"
    )


def applied(conn: psycopg.Connection, mapping: str) -> list[Applied]:
    """The steps of a mapping that are in force, the last first."""
    rows = conn.execute(
        "SELECT id, side, kind, relation, name, title, undo, alone, fits FROM migrator.schema_step"
        " WHERE mapping = %s AND undone_at IS NULL ORDER BY id DESC",
        [mapping],
    )
    return [
        Applied(id_, side, kind, relation, name, title, tuple(undo), alone, fits)
        for id_, side, kind, relation, name, title, undo, alone, fits in rows
    ]


def undo(sides: Sides, step: Applied, wait: Callable[[str], None]) -> str:
    """Undoes a registered step. Returns '' if done, or why it was kept: newer rows need the width."""
    conn = sides.of(step.side)
    kept = ""

    def change() -> None:
        nonlocal kept
        with conn.transaction():
            if step.fits and not _fits(conn, step):
                kept = "rows that are not this mapping's need the new type, so it was kept"
                return
            for statement in step.undo:
                run_sql(conn, statement)
            if step.side == "target":
                _mark_undone(sides.target, step)
        if step.side == "source":
            _mark_undone(sides.target, step)

    _patiently(conn, step.relation, f"Undo: {step.title}", change, wait)
    return kept


def _fits(conn: psycopg.Connection, step: Applied) -> bool:
    row = run_sql(conn, step.fits).fetchone()
    return bool(row and row[0])


def _mark_undone(conn: psycopg.Connection, step: Applied) -> None:
    conn.execute("UPDATE migrator.schema_step SET undone_at = now() WHERE id = %s", [step.id])
