"""What is wrong with the SQL that an operator wrote into a table mapping, seen against the live source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from mappings.catalog import tables
from mappings.catalog.describe import describe
from mappings.compiling import projection
from mappings.compiling.names.bind_names import Names
from mappings.compiling.names.resolve import Resolved
from mappings.expressions.parser import (
    Expression,
    parse_expression,
    parse_ordering,
    parse_relation,
    without_clock,
)
from mappings.language.spec import Lookup
from mappings.problems import Problem
from mappings.sql import Sql, compose

CLOCKED = "depends on the clock; write the date or time itself"


def unknown_columns(table: Resolved) -> list[Problem]:
    """Each column that where, a join condition or order_by names and that does not exist."""
    expressions = [(where, parse_expression(text)) for where, text in _conditions(table)]
    expressions += _orderings(table)
    return [Problem(where, text) for where, item in expressions for text in table.complaints(item)]


def clocks(table: Resolved) -> Iterator[Problem]:
    """Where PostgreSQL takes a constant such as 'today' for a time: it refuses a text there that is none."""
    for use in _uses(table):
        for timeless in without_clock(use.names.bind(use.expression, use.from_sql).expression):
            try:
                describe(use.names.conn, projection.select([timeless.sql], use.from_sql))
            except psycopg.errors.InvalidDatetimeFormat:
                yield Problem(use.path, CLOCKED)
                break
            except psycopg.Error:
                continue  # a constant of another type, such as the label of an enum


def unbound(table: Resolved) -> Iterator[Problem]:
    """Where it cannot be told which operator or function is meant, or a text would read the clock."""
    for use in _uses(table):
        if complaint := use.names.bind(use.expression, use.from_sql).complaint:
            yield Problem(use.path, complaint)


@dataclass(frozen=True, slots=True)
class _Use:
    """An expression that the operator wrote. from_sql: what it is over; names: of the database where it runs."""

    path: str
    expression: Expression
    names: Names
    from_sql: Sql


def _uses(table: Resolved) -> Iterator[_Use]:
    """Every expression of a table mapping, but for those of lookups whose table is not known yet."""
    spec, source = table.spec, (table.names, table.scope)
    for column in spec.columns:
        if column.expr is not None:
            yield _Use(f"{table.path}.columns.{column.name}", parse_expression(column.expr), *source)
        if column.ref and column.ref.by:
            yield _Use(f"{table.path}.columns.{column.name}.ref.by", parse_expression(column.ref.by), *source)
        if column.lookup:
            yield from _lookup_uses(table, f"{table.path}.columns.{column.name}.lookup", column.lookup)
    for path, text in _conditions(table):
        yield _Use(path, parse_expression(text), *source)
    for path, item in _orderings(table):
        yield _Use(path, item, *source)
    for number, text in enumerate(spec.existing.match if spec.existing else ()):
        path, over = (
            f"{table.path}.existing.match[{number}]",
            compose("{} AS t", table.target.sql),
        )
        yield _Use(path, parse_expression(text, "t"), table.target_names, over)


def _orderings(table: Resolved) -> list[tuple[str, Expression]]:
    """What rows are ordered by, each with its path."""
    texts = [(f"{table.path}.order_by", table.spec.order_by)]
    texts += [
        (f"{table.path}.columns.{column.name}.number.order_by", column.number.order_by)
        for column in table.spec.columns
        if column.number
    ]
    return [(path, item) for path, text in texts if text for item in parse_ordering(text).items]


def _lookup_uses(table: Resolved, path: str, lookup: Lookup) -> Iterator[_Use]:
    """The key and the value, in the words of the table that is looked into."""
    name = parse_relation(lookup.table)
    oid = tables.find(table.names.conn, name.schema, name.name)
    if oid is None:
        return
    sql = tables.read_table(table.names.conn, oid).sql
    for part, text in (("key", lookup.key), ("value", lookup.value)):
        yield _Use(f"{path}.{part}", parse_expression(text), table.names, sql)


def _conditions(table: Resolved) -> list[tuple[str, str]]:
    """The join conditions and where, each with its path."""
    result = [
        (f"{table.path}.joins[{n}].unnest", join.unnest)
        if join.unnest
        else (f"{table.path}.joins[{n}].condition", join.condition)
        for n, join in enumerate(table.spec.joins)
    ]
    return [*result, (f"{table.path}.where", table.spec.where)] if table.spec.where else result
