"""Tables of a mapping whose rows the session may not all see, as blockers: row security hides them in silence."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from mappings.catalog import row_security, tables
from mappings.compiling.names.resolve import Databases, Resolved
from mappings.problems import Problem


def of_table(table: Resolved, databases: Databases) -> Iterator[Problem]:
    """Of the source, what is joined with it, and the target, where rows that are there must be found again."""
    paths = [
        f"{table.path}.source",
        *(f"{table.path}.joins[{n}].table" for n, _ in enumerate(table.spec.joins)),
    ]
    for path, source in zip(paths, table.aliases.values(), strict=True):
        if source.oid:  # the elements of a list are of the row itself
            yield from _problems(path, databases.source, source)
    yield from _problems(f"{table.path}.target", databases.target, table.target)


def of_lookup(path: str, lookup: tables.Table, databases: Databases) -> Iterator[Problem]:
    """Of a table that is looked up: values without an entry become NULL."""
    return _problems(path, databases.source, lookup)


def of_children(table: Resolved, databases: Databases) -> Iterator[Problem]:
    """A warning for each table with a foreign key onto the target: a rollback could not tell who hangs on its rows."""
    for result in row_security.hiding_children(databases.target, table.target.oid):
        text = f"a rollback could not look for rows that point to those of {table.target.display}: {result}"
        yield Problem(f"{table.path}.target", text)


def _problems(path: str, conn: psycopg.Connection, table: tables.Table) -> Iterator[Problem]:
    for result in row_security.hiding(conn, table.oid):
        yield Problem(path, str(result))
