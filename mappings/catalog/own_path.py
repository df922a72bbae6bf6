"""Names as an operator writes them, without a schema: found as in any other session of the role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from mappings.catalog.kept import kept
from mappings.sql import Sql, encoded, verbatim


@contextmanager
def own_path(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """The role's own search_path for a while (mappings.connections.state has another).

    Anyone may have put something into it, so what is executed meanwhile binds every name and has no operator.
    """
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL search_path = DEFAULT")
        yield


def relation(conn: psycopg.Connection[Any], name: str) -> int | None:
    """The oid of a relation by its verbatim name."""
    return _oid(
        conn,
        verbatim(
            "SELECT pg_catalog.to_regclass(pg_catalog.quote_ident($1))::pg_catalog.oid::pg_catalog.int8"
        ),
        name,
    )


@kept(most=1000)
def type_name(conn: psycopg.Connection[Any], text: str) -> str | None:
    """The type that SQL text names, as it is written under any path; None for none. text: of a parsed expression."""
    oid = _oid(conn, verbatim("SELECT pg_catalog.to_regtype($1)::pg_catalog.oid::pg_catalog.int8"), text)
    if oid is None:
        return None
    row = conn.execute("SELECT format_type(%s::oid, NULL)", [oid]).fetchone()
    return str(row[0]) if row else None


def _oid(conn: psycopg.Connection[Any], query: Sql, text: str) -> int | None:
    with own_path(conn), psycopg.RawCursor(conn) as cursor:
        row: Any = cursor.execute(encoded(query), [text]).fetchone()
    return row[0] if row else None
