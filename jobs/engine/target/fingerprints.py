"""The fingerprint of a target table: what a rollback is held against. Nothing is changed, and nothing is locked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from jobs.engine.feed import run_sql
from jobs.engine.sql.rollback import fingerprint as sql
from jobs.engine.sql.rollback.fingerprint import Column
from mappings.sql import Sql, compose, verbatim

Connection = psycopg.Connection[Any]

STAYS_AWAY = "its rows were not digested when the run began"


@dataclass(frozen=True, slots=True)
class Digested:
    """The rows of a table. rows, digest: None and '' where they were not looked at, and `why_not` says why."""

    rows: int | None = None
    digest: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A column, index, constraint or trigger, how it is defined, and the columns that it is on."""

    kind: str
    name: str
    definition: str
    columns: tuple[str, ...] = field(default=(), compare=False)  # fingerprints of earlier versions have none


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence of the table, the last number that it handed out (None for none yet, or where nobody may look), and
    how it is defined ('' in fingerprints of earlier versions)."""

    name: str
    last: int | None
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Definitions:
    """How a table is defined, and where its sequences stand."""

    facts: tuple[Named, ...] = ()
    sequences: tuple[Sequence, ...] = ()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A table at the start of a run. snapshot: which transactions had ended; version: the server's."""

    digested: Digested
    definitions: Definitions
    columns: tuple[Column, ...]
    snapshot: str
    version: int


@dataclass(frozen=True, slots=True)
class Writers:
    """Who wrote rows of a table since its fingerprint was taken: other runs, and others. None: nobody can tell.

    rest: the rows that none of those wrote, and that were not left on request; doubt: of which of them nothing tells
    whether they are the run's own, in words.
    """

    ours: int | None = None
    others: int | None = None
    rest: Digested | None = None
    doubt: str = ""


def take(conn: Connection, target_sql: Sql, most: int) -> Fingerprint:
    """The fingerprint of a table. most: of a table of more rows than that only their number is taken."""
    snapshot, version = _one(conn, sql.NOW)
    columns = _columns(conn, target_sql)
    definitions = define(conn, target_sql)
    fingerprint = Fingerprint(Digested(), definitions, columns, snapshot, version)
    return replace(fingerprint, digested=_first(conn, target_sql, fingerprint, most))


def _first(conn: Connection, target_sql: Sql, fingerprint: Fingerprint, most: int) -> Digested:
    try:
        (estimate,) = _one(conn, sql.estimate(target_sql))
        if estimate > most:
            (rows,) = _one(conn, sql.count(target_sql))
            why = (
                f"{STAYS_AWAY}: it had more than the {most:,} that FINGERPRINT_ROWS allows; they were counted"
            )
            return Digested(rows, "", why)
        return _digest(conn, target_sql, fingerprint, fingerprint.columns)
    except psycopg.Error as error:
        return _not_looked_at(conn, error, STAYS_AWAY)


def digest_again(conn: Connection, target_sql: Sql, was: Fingerprint) -> Digested:
    """The same rows by the same columns, however those are by now."""
    try:
        if not was.digested.digest:
            (rows,) = _one(conn, sql.count(target_sql))
            return Digested(rows, "", was.digested.why_not)
        _, version = _one(conn, sql.NOW)
        if version // 10_000 != was.version // 10_000:
            return Digested(
                None, "", "the server is of another major version now, whose digests may be others"
            )
        return _digest(conn, target_sql, was, _columns(conn, target_sql))
    except psycopg.Error as error:
        return _not_looked_at(conn, error, "its rows could not be digested again")


def _digest_of(conn: Connection, target_sql: Sql, was: Fingerprint, rows: Sql) -> Digested:
    """The same of some of the rows."""
    if not was.digested.digest:
        (count,) = _one(conn, compose("{} AS t WHERE {}", sql.count(target_sql), rows))
        return Digested(count)
    return _digest(conn, target_sql, was, _columns(conn, target_sql), rows)


def _digest(
    conn: Connection,
    target_sql: Sql,
    was: Fingerprint,
    columns: tuple[Column, ...],
    some: Sql = verbatim("true"),
) -> Digested:
    """columns: as they are now; some: which rows `t`."""
    now = {column.name: column for column in columns}
    gone = [column.name for column in was.columns if column.name not in now]
    if gone or not now:
        return Digested(None, "", f"columns of it are gone: {', '.join(gone)}")
    rows, _, *sums = _one(conn, sql.rows(target_sql, was.columns, now, conn.info.server_version, some))
    return Digested(rows, "/".join(str(one or 0) for one in sums))


def define(conn: Connection, target_sql: str) -> Definitions:
    """How a table is defined now; empty where it is gone."""
    return Definitions(
        tuple(
            Named(kind, name, definition, tuple(of))
            for kind, name, definition, of in run_sql(conn, sql.facts(target_sql)).fetchall()
        ),
        tuple(Sequence(*row) for row in run_sql(conn, sql.sequences(target_sql)).fetchall()),
    )


def writers_since(conn: Connection, target_sql: Sql, was: Fingerprint, run: int) -> Writers:
    """Who but this run wrote rows that are there now, since a fingerprint; asked while the ledger lists its own."""
    try:
        first, under_way, can_be_told = _one(conn, sql.since(was.snapshot))
        if not can_be_told:
            return Writers()
        asked = (sql.KNOWN, sql.of_other_runs(run), sql.of_leaving(run))
        known, others, leaving = ([row[0] for row in run_sql(conn, of)] for of in asked)
        since = sql.Since(first, tuple(under_way), tuple(known))
        ours, strange = _one(conn, sql.written_since(target_sql, since, others))
        rest = _digest_of(conn, target_sql, was, sql.apart(since, [*others, *leaving]))
        return Writers(ours, strange, rest)
    except psycopg.Error as error:
        _not_looked_at(conn, error, "")
        return Writers()


def _columns(conn: Connection, target_sql: Sql) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in run_sql(conn, sql.columns(target_sql)).fetchall())


def _one(conn: Connection, statement: Sql) -> Any:
    row = run_sql(conn, statement).fetchone()
    assert row is not None
    return row


def _not_looked_at(conn: Connection, error: psycopg.Error, what: str) -> Digested:
    """What a server refuses to look at must not stop a run; a session that is gone must."""
    if conn.closed or isinstance(error, psycopg.errors.QueryCanceled):
        raise error
    return Digested(None, "", f"{what}: {error.diag.message_primary or error}")
