"""What has been committed, remembered in the target database itself; and the fence before each commit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from jobs.engine.errors import Fenced, PlanBroken, Transient
from jobs.engine.sql.key_sql import WRITER
from jobs.engine.sql.walks.chunk_range import PageRange, Range
from mappings.schema.own_schema import INSTALLED, SCHEMA, UP_TO_DATE
from mappings.sql import Sql, compose, encoded, joined, verbatim

INSTALL_LOCK = 0x6D69_6772
"""Advisory lock under which the schema is made, so that two workers do not make it at once."""

END_SECONDS = 5.0

RECORD = compose(
    "INSERT INTO migrator.ledger (run, table_name, phase, chunk, low, high, inserted, updated, kept, quarantined,"
    " keys, writer) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {writer})",
    writer=WRITER,
)
"""A committed chunk."""

RECORD_PAGES = verbatim(
    "UPDATE migrator.ledger SET pages = int8range(%s, %s)"
    " WHERE run = %s AND table_name = %s AND phase = %s AND chunk = %s"
)
"""The source's pages that a chunk took its rows from, where it has no range of keys."""


@dataclass(frozen=True, slots=True)
class Done:
    """What one committed chunk did: rows by what happened to them."""

    inserted: int = 0
    updated: int = 0
    kept: int = 0
    quarantined: int = 0

    @property
    def rows(self) -> int:
        """All source rows that were dealt with."""
        return self.inserted + self.updated + self.kept + self.quarantined

    def __add__(self, other: Done) -> Done:
        """What both did."""
        return Done(
            self.inserted + other.inserted, self.updated + other.updated, self.kept + other.kept,
            self.quarantined + other.quarantined,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to commit one chunk once: run, the epoch it was claimed under, and the chunk's place."""

    run: int
    epoch: int
    table: str
    phase: str
    chunk: int
    range: Range


def uid_by_hand(alias: Sql) -> Sql:
    """The uid of a run that exported scripts registered: it follows from what the run is, and tells it from others."""
    parts = joined(
        ", ",
        (
            compose("{}.{}", alias, name)
            for name in (verbatim("mapping"), verbatim("sha256"), verbatim("environment"), verbatim("number"))
        ),
    )
    return compose("md5(concat_ws(':', {}))::uuid", parts)


def by_hand(alias: Sql) -> Sql:
    """Whether a row of migrator.run is of exported scripts instead of a worker."""
    return compose("{}.uid = {}", alias, uid_by_hand(alias))


def install(conn: psycopg.Connection) -> None:
    """Makes the migrator schema where it, or a part of it, is not there yet. The connection must be in autocommit."""
    row = conn.execute(encoded(compose("SELECT {}", UP_TO_DATE))).fetchone()
    if row and row[0]:
        return
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        conn.execute(encoded(SCHEMA))


def enter(
    conn: psycopg.Connection,
    run: int,
    uid: UUID,
    mapping: str,
    sha256: str,
    environment: str,
    *,
    revision: int | None = None,
    operator: str = "",
) -> None:
    """Registers a run in the target; the same run again changes nothing. Raises PlanBroken for another's number.

    revision, operator: what the passports of its rows say.
    """
    conn.execute(
        "INSERT INTO migrator.run (number, uid, mapping, sha256, environment, epoch, revision, operator)"
        " VALUES (%s, %s, %s, %s, %s, 0, %s, %s) ON CONFLICT DO NOTHING",
        [run, uid, mapping, sha256, environment, revision, operator or None],
    )
    row = conn.execute("SELECT uid FROM migrator.run WHERE number = %s", [run]).fetchone()
    if row is None or row[0] != uid:
        raise PlanBroken(f"run number {run} belongs to another installation in this target; start again")


def raise_epoch(conn: psycopg.Connection, run: int, epoch: int) -> None:
    """Shuts out every claim of an older epoch. Waits for chunks that are committing just now."""
    conn.execute("UPDATE migrator.run SET epoch = %s WHERE number = %s AND epoch < %s", [epoch, run, epoch])


def shut_out_others(conn: psycopg.Connection, mapping: str, run: int) -> None:
    """Shuts out every claim of other runs of a mapping: one that was cancelled may be about to commit its last chunk.

    Waits for chunks that are committing just now. Exported scripts that no worker has taken over keep their epoch.
    """
    conn.execute(
        encoded(
            compose(
                "UPDATE migrator.run AS r SET epoch = epoch + 1 WHERE mapping = %s AND number <> %s"
                " AND rolled_back_at IS NULL AND NOT (epoch = 1 AND {by_hand})",
                by_hand=by_hand(verbatim("r")),
            )
        ),
        [mapping, run],
    )


def epoch(conn: psycopg.Connection, run: int) -> int:
    """The epoch that is in force; 0 where the run is not known."""
    row = conn.execute("SELECT epoch FROM migrator.run WHERE number = %s", [run]).fetchone()
    return row[0] if row else 0


FORGOTTEN = (
    "the target knows less of the run than it had acknowledged: it was set back to an earlier state, or a standby that"
    " lagged took its place"
)


FENCE = verbatim(
    "SELECT epoch, coalesce(pg_catalog.current_setting('migrator.backend', true)"
    " OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()::pg_catalog.text, false)"
    " FROM migrator.run WHERE number OPERATOR(pg_catalog.=) %s FOR SHARE"
)
UNSETTLED = (
    "this transaction is in another session of the server than the one whose settings were fixed: the target's address"
    " leads to a connection pooler in transaction mode; name the server itself"
)


def fence(conn: psycopg.Connection, ticket: Ticket) -> None:
    """First statement of each chunk's transaction: Fenced unless the ticket's epoch is still the run's own.

    PlanBroken where the target is behind: an epoch is raised there before anybody holds a ticket of it.
    """
    row = conn.execute(encoded(FENCE), [ticket.run]).fetchone()
    result, settled = row or (0, True)
    if not settled:
        raise PlanBroken(UNSETTLED)
    if result < ticket.epoch:
        raise PlanBroken(FORGOTTEN)
    if result != ticket.epoch:
        raise Fenced(f"the run was taken over: epoch {result} is in force, this worker holds {ticket.epoch}")


def record(conn: psycopg.Connection, ticket: Ticket, done: Done, keys: Sequence[str] | None = None) -> None:
    """Last statement of each chunk's transaction. UniqueViolation if the chunk was committed before."""
    conn.execute(
        encoded(RECORD),
        [
            ticket.run,
            ticket.table,
            ticket.phase,
            ticket.chunk,
            *map(_array, ticket.range.bounds()),
            done.inserted,
            done.updated,
            done.kept,
            done.quarantined,
            _array(keys),
        ],
    )
    if isinstance(ticket.range, PageRange):
        place = [ticket.range.pages.first, ticket.range.pages.end]
        conn.execute(encoded(RECORD_PAGES), [*place, ticket.run, ticket.table, ticket.phase, ticket.chunk])


def _array(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def recorded(conn: psycopg.Connection, ticket: Ticket) -> Done | None:
    """What the ledger says of a chunk: None if it was never committed."""
    row: Any = conn.execute(
        "SELECT inserted, updated, kept, quarantined FROM migrator.ledger"
        " WHERE run = %s AND table_name = %s AND phase = %s AND chunk = %s",
        [ticket.run, ticket.table, ticket.phase, ticket.chunk],
    ).fetchone()
    return Done(*row) if row else None


def left_unlinked(conn: psycopg.Connection, run: int) -> dict[str, list[str]]:
    """By table, the source keys of a run's rows that were linked without their parent, and are to be set aside."""
    rows = conn.execute(
        "SELECT l.table_name, array_agg(DISTINCT k.key) FROM migrator.ledger AS l, unnest(l.keys) AS k(key)"
        " WHERE l.run = %s AND l.phase = 'link' GROUP BY l.table_name",
        [run],
    )
    return dict(rows.fetchall())


def strike_out(conn: psycopg.Connection, run: int, gone: Mapping[str, Sequence[str]]) -> None:
    """Takes back what the ledger lists of a run's rows that are gone, and that rows are left unlinked."""
    conn.execute("UPDATE migrator.ledger SET keys = NULL WHERE run = %s AND phase = 'link'", [run])
    for table, keys in gone.items():
        conn.execute(
            "UPDATE migrator.ledger SET keys = ARRAY(SELECT k FROM unnest(keys) AS k WHERE k <> ALL (%(keys)s))"
            " WHERE run = %(run)s AND table_name = %(table)s AND keys && %(keys)s",
            {"run": run, "table": table, "keys": list(keys)},
        )


def others_wrote(conn: psycopg.Connection, mapping: str, run: int) -> bool:
    """Whether any other run of a mapping has committed chunks that were not rolled back."""
    row = conn.execute(encoded(compose("SELECT {}", INSTALLED))).fetchone()
    if not row or not row[0]:
        return False
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM migrator.ledger AS l JOIN migrator.run AS r ON r.number = l.run"
        " WHERE r.mapping = %s AND r.number <> %s AND r.rolled_back_at IS NULL)",
        [mapping, run],
    ).fetchone()
    return bool(row and row[0])


def recorded_of_all(conn: psycopg.Connection, ticket: Ticket) -> dict[str, Done]:
    """What the ledger says of a chunk of several tables, by table; empty if it was never committed."""
    rows = conn.execute(
        "SELECT table_name, inserted, updated, kept, quarantined FROM migrator.ledger"
        " WHERE run = %s AND phase = %s AND chunk = %s",
        [ticket.run, ticket.phase, ticket.chunk],
    ).fetchall()
    return {table: Done(*counts) for table, *counts in rows}


def end_sessions(conn: psycopg.Connection, token: str) -> None:
    """Ends what a worker that is gone, frozen or cut off left open here, and sees it out. Raises Transient if it stays.

    token: the worker's, as its sessions carry it in their application_name.
    """
    until = time.monotonic() + END_SECONDS
    while _end_some(conn, token):
        if time.monotonic() > until:
            raise Transient(f"what worker {token} left open in the database does not end")
        time.sleep(0.05)


def _end_some(conn: psycopg.Connection, token: str) -> bool:
    """Whether any was there. Asked as who signed in: a role that was SET since may not end the sessions."""
    with conn.transaction():
        conn.execute("SET LOCAL ROLE NONE")
        ended = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = left(%s, 63) AND pid <> pg_backend_pid() AND usename = session_user",
            [f"migrator {token}"],
        ).fetchall()
    return bool(ended)
