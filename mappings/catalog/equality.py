"""By which operators values of a type are equal: the schema of the type's own ones, '' for PostgreSQL's.

A statement prints it by mappings.sql.operator and mappings.sql.unlike, and so never looks an operator up by the path.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from mappings.catalog.describe import types_of
from mappings.catalog.queries import OWN_OPERATORS
from mappings.sql import Sql, compose, encoded


def of_query(conn: psycopg.Connection, query: Sql) -> tuple[str, ...]:
    """The schema for each column of a query. Raises psycopg.Error where the server does not understand it."""
    return of_types(conn, types_of(conn, query))


def of_types(conn: psycopg.Connection, oids: Sequence[int]) -> tuple[str, ...]:
    """The schema for each of these types."""
    own = compose(
        "SELECT o.type::bigint, o.schema FROM ({own_operators}) AS o WHERE o.type = ANY (%s::oid[])",
        own_operators=OWN_OPERATORS,
    )
    rows: dict[int, str] = dict(conn.execute(encoded(own), [list(oids)]).fetchall())
    return tuple(rows.get(oid, "") for oid in oids)
