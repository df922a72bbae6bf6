"""The fingerprint of a source table that gets back-references: its definition, and which rows name which target rows.

Nothing else of a source is ever written, and its rows are others' to change.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from jobs.engine.feed import run_sql
from jobs.engine.sql import digest
from jobs.engine.sql.digest import Images
from jobs.engine.sql.rollback import fingerprint as sql
from jobs.engine.target.fingerprints import Connection, Digested, Fingerprint, define
from mappings.sql import Sql, compose, ident, joined, verbatim

NONE = Digested(0, "0/0")
"""Of a source that has no such column yet, or not any more."""


def take(conn: Connection, source_sql: Sql, keys: Sequence[str], backrefs: Sequence[str]) -> Fingerprint:
    """keys, backrefs: the columns that tell its rows apart, and those that receive ids of the target."""
    row = run_sql(conn, sql.NOW).fetchone()
    assert row is not None
    named = rows_named(conn, source_sql, keys, backrefs)
    return Fingerprint(named, define(conn, source_sql), (), row[0], row[1])


def rows_named(conn: Connection, source_sql: Sql, keys: Sequence[str], backrefs: Sequence[str]) -> Digested:
    """How many rows have a back-reference, and the digest of those with their keys. Reads nothing where none can be."""
    there = {name for name, *_ in run_sql(conn, sql.columns(source_sql))}
    names = [compose("t.{}", ident(name)) for name in backrefs if name in there]
    if not names:
        return NONE
    some = joined(" OR ", (compose("{} IS NOT NULL", name) for name in names))
    columns = [compose("t.{}::text", ident(name)) for name in keys if name in there] + [
        compose("{}::text", name) for name in names
    ]
    rows = Images(
        tuple(columns),
        verbatim("true"),
        compose("{} AS t WHERE {}", source_sql, some),
    )
    try:
        row = run_sql(conn, digest.digest_of(rows, conn.info.server_version)).fetchone()
    except psycopg.Error as error:
        if conn.closed or isinstance(error, psycopg.errors.QueryCanceled):
            raise
        return Digested(
            None, "", f"its back-references could not be read: {error.diag.message_primary or error}"
        )
    assert row is not None
    return Digested(row[0], "/".join(str(one or 0) for one in row[2:]))
