"""Joins the table in which a column looks its values up."""

from __future__ import annotations

import psycopg

from mappings.catalog import equality, tables
from mappings.catalog.describe import types_of
from mappings.compiling import hidden_rows, projection
from mappings.compiling.names.resolve import Databases, Resolved, find_table
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column
from mappings.problems import Problem
from mappings.sql import Sql, compose


def table_of(column: Column, path: str, databases: Databases, problems: list[Problem]) -> tables.Table | None:
    """The table in which a column looks its values up; None and a Problem where its rows cannot all be read."""
    assert column.lookup is not None
    path = f"{path}.lookup.table"
    result = find_table(databases.source, column.lookup.table, "rpvmf", path, problems)
    hidden = list(hidden_rows.of_lookup(path, result, databases)) if result else []
    problems += hidden
    return None if hidden else result


def join_clauses(
    table: Resolved, databases: Databases, number: int, column: Column, result: tables.Table, from_sql: Sql
) -> list[Sql]:
    """The ways to join that table, to be tried in this order: values as they are, and as texts."""
    operators = _operators(table, databases, column, result, from_sql)
    return [
        projection.lookup_clause(table, number, column, result.sql, as_text, operators)
        for as_text in (False, True)
    ]


def _operators(
    table: Resolved, databases: Databases, column: Column, result: tables.Table, from_sql: Sql
) -> str:
    """The schema of the key's own operators where the value is of the same type."""
    assert column.lookup is not None
    key = parse_expression(column.lookup.key)
    sides = (
        projection.select([compose("({})", table.names.bind(key, result.sql).expression.sql)], result.sql),
        projection.select([compose("({})", projection.source_sql(table, column))], from_sql),
    )
    try:
        (of_key,), (of_value,) = (types_of(databases.source, query) for query in sides)
    except psycopg.Error:
        return ""  # the clause itself is tried next, and complained of
    return equality.of_types(databases.source, [of_key])[0] if of_key == of_value else ""
