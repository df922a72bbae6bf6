"""Asks a server what a query would return, without running it, so that a mistake is found before the start."""

from __future__ import annotations

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result
from psycopg.pq.abc import PGresult

from mappings.catalog.types import Kind, kind_of
from mappings.sql import Sql, encoded

CANNOT_COERCE = ("42846", "42804", "42883")


def describe(conn: psycopg.Connection, query: Sql) -> tuple[Kind, ...]:
    """The types of the query's columns. Raises psycopg.Error as the server does."""
    result = _described(conn, query)
    return tuple(kind_of(result.ftype(number), result.fmod(number)) for number in range(result.nfields))


def types_of(conn: psycopg.Connection, query: Sql) -> tuple[int, ...]:
    """The oids of the same types, without domains."""
    result = _described(conn, query)
    return tuple(result.ftype(number) for number in range(result.nfields))


def _described(conn: psycopg.Connection, query: Sql) -> PGresult:
    pgconn = conn.pgconn
    for result in (pgconn.prepare(b"", encoded(query)), pgconn.describe_prepared(b"")):
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(result, encoding="utf-8")
    return result


def complaint(error: psycopg.Error) -> str:
    """The server's own sentence, with its hint, without the query."""
    parts = [error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint]
    return "; ".join(part.rstrip(".") for part in parts if part)
