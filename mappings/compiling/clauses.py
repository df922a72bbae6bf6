"""What is wrong with the SQL that an operator wrote into a table mapping, seen against the live source."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from mappings.catalog.describe import describe
from mappings.compiling import projection
from mappings.compiling.resolve import Resolved
from mappings.expressions.parser import parse_expression, parse_ordering, without_clock
from mappings.problems import Problem

CLOCKED = "depends on the clock; write the date or time itself"


def unknown_columns(table: Resolved) -> list[Problem]:
    """Each column that where, a join condition or order_by names and that does not exist."""
    expressions = [(where, parse_expression(text)) for where, text in _conditions(table)]
    if table.spec.order_by:
        items = parse_ordering(table.spec.order_by).items
        expressions += [(f"{table.path}.order_by", item) for item in items]
    return [Problem(where, text) for where, item in expressions for text in table.complaints(item)]


def clocks(table: Resolved, source: psycopg.Connection, from_sql: str) -> Iterator[Problem]:
    """Where PostgreSQL takes a constant such as 'today' for a time: it refuses a text there that is none."""
    columns = [(f"{table.path}.columns.{column.name}", column.expr) for column in table.spec.columns]
    written = [*((path, text) for path, text in columns if text), *_conditions(table)]
    for path, text in written:
        timeless = without_clock(text)
        if timeless == parse_expression(text).sql:
            continue
        try:
            describe(source, projection.select([timeless], from_sql))
        except psycopg.errors.InvalidDatetimeFormat:
            yield Problem(path, CLOCKED)
        except psycopg.Error:
            continue  # it is wrong in another way, which is said elsewhere


def _conditions(table: Resolved) -> list[tuple[str, str]]:
    """The join conditions and where, each with its path."""
    found = [
        (f"{table.path}.joins[{n}].condition", join.condition) for n, join in enumerate(table.spec.joins)
    ]
    return [*found, (f"{table.path}.where", table.spec.where)] if table.spec.where else found
