"""Which values of a column are texts at the source that become of another type by what they say."""

from __future__ import annotations

import psycopg

from mappings.catalog.describe import describe
from mappings.catalog.types import TEXTS, Kind
from mappings.compiling import projection
from mappings.compiling.names.resolve import Resolved
from mappings.language.spec import Column
from mappings.plan.table_plan import Read
from mappings.sql import Sql, cast, verbatim

READABLE = ("text", *TEXTS)
"""Types whose values are read as others by what their text says."""


def by_type(expression: Sql, kind: Kind | None, wire: Sql) -> Read | None:
    """What a column does that is a text at the source, and of another type in the target."""
    if kind is None or kind.base not in READABLE or wire in READABLE:
        return None
    return Read(cast(expression, verbatim("text")), wire)


def by_last_cast(table: Resolved, column: Column, source: psycopg.Connection, from_sql: Sql) -> Read | None:
    """The last thing that an expression does, where that is a cast of a text that neither cuts nor rounds."""
    result = table.bound(column.expr) if column.expr and not column.lookup else None
    if result is None or result.last_cast is None or result.last_cast[1].endswith(")"):
        return None
    text, type_name = result.last_cast
    try:
        (kind,) = describe(source, projection.select([text], from_sql))
    except psycopg.Error:
        return None
    return Read(cast(text, verbatim("text")), type_name) if kind.base in READABLE else None
