"""What a query gives, described like a table of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg

from mappings.catalog import equality
from mappings.catalog.tables import Column, Table
from mappings.sql import NOTHING, Sql, encoded, verbatim

NO_EQUALITY = ("json", "xml", "point", "polygon")
"""Types without an `=` of their own."""


DERIVED = verbatim("""
SELECT format_type(t.oid, -1) AS base, t.typcategory::text AS category, t.typtype::text AS kind,
       t.typcollation <> 0 AS collatable
  FROM pg_type t WHERE t.oid = $1
""")


def derived(like: Table, conn: psycopg.Connection, sql: Sql, columns: Mapping[str, int]) -> Table:
    """What a query gives, as if it were a table. sql: what stands before AS; columns: by name the oid of the type."""
    result = []
    for number, (name, oid) in enumerate(columns.items(), start=1):
        with psycopg.RawCursor(conn) as cursor:
            row: Any = cursor.execute(encoded(DERIVED), [oid]).fetchone()
        base, category, kind, collatable = row
        (operators,) = equality.of_types(conn, [oid])
        result.append(
            Column(
                number, name, base, base, oid, base, -1, False, category, kind, False, None, "", "", collatable, None,
                False, None, None, None, None, None, False, NOTHING, base not in NO_EQUALITY, operators,
            )
        )  # fmt: skip
    none: Any = {
        name: ()
        for name in ("keys", "indexes", "foreign_keys", "dependents", "index_definitions", "triggers")
    }
    return replace(
        like, oid=0, sql=sql, kind="u", has_children=False, columns=tuple(result), rules=(), **none
    )
