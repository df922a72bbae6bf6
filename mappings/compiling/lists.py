"""Rows whose list is none: they stay in scope, as one row with the place 0, and fail where they are read.

So such a row is named, stopped at or set aside like any other that cannot be converted, and never left out in silence.
"""

from __future__ import annotations

from mappings.compiling.names.resolve import Resolved
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column
from mappings.sql import Sql, compose, joined


def in_scope(table: Resolved, where: str | None) -> Sql | None:
    """The condition on source rows as SQL, which those rows meet whatever it says."""
    if where is None:
        return None
    meant = compose("({})", table.bound(where).sql)
    conditions = [meant, *(compose("{} = 0", place) for place, _ in table.unlisted)]
    return compose("({})", joined(" OR ", conditions)) if table.unlisted else meant


def guarded(table: Resolved, name: str, sql: Sql) -> Sql:
    """What fills a column; in the one that is to blame it fails, with a sentence, where the list is none."""
    if not table.unlisted or name != _to_blame(table):
        return sql
    fails = (compose("WHEN {} = 0 THEN ({})::text[]", place, sentence) for place, sentence in table.unlisted)
    return compose("CASE WHEN (CASE {} END) IS NULL THEN {} END", joined(" ", fails), sql)


def _to_blame(table: Resolved) -> str:
    """A column that is filled from an element, if there is one; references come last: they may not be asked."""
    lists = {join.alias for join in table.spec.joins if join.unnest}
    columns = [column for column in table.spec.columns if not column.number]
    return (
        min(columns, key=lambda column: (bool(column.parents), not _uses(column, lists))).name
        if columns
        else ""
    )


def _uses(column: Column, lists: set[str]) -> bool:
    if column.expr is not None:
        return any(name.qualifier in lists for name in parse_expression(column.expr).columns)
    return any(name.partition(".")[0] in lists for name in column.from_)
