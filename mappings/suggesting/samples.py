"""Reads a few hundred rows of a table, as texts: what its values look like."""

from __future__ import annotations

from typing import Any

import psycopg

from mappings.sql import NOTHING, Sql, compose, encoded, ident, joined, literal
from mappings.suggesting.sides import Column, Table

ROWS = 300
LONGEST = 200  # characters of a value that are looked at
TIMEOUT_MS = 3000
SPREAD_FROM = 20_000  # rows from which on the sample is taken from all over the table
NOT_LOOKED_AT = frozenset({"bytea", "tsvector", "tsquery", "xml", "pg_lsn"})

Sample = dict[str, list[str | None]]
"""The values of each column, in the order of the rows; of json and arrays their text forms."""


def read(conn: psycopg.Connection[Any], table: Table) -> Sample:
    """Up to ROWS rows; nothing where they may not be read, or not within the time."""
    columns = [column for column in table.columns if column.base not in NOT_LOOKED_AT]
    if not table.readable or not columns:
        return {}
    try:
        with conn.transaction():
            conn.execute(encoded(compose("SET LOCAL statement_timeout = {}", TIMEOUT_MS)))
            rows = conn.execute(encoded(_query(table, columns))).fetchall()
    except psycopg.Error:
        if conn.closed:
            raise
        return {}
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {column.name: list(result) for column, result in zip(columns, values, strict=True)}


def _query(table: Table, columns: list[Column]) -> Sql:
    """Of a large table a part of its pages, so that not only its oldest rows are seen."""
    texts = joined(
        ", ",
        (compose("left({}::text, {})", ident(column.name), LONGEST) for column in columns),
    )
    part = NOTHING
    if table.kind in ("r", "p", "m") and table.rows > SPREAD_FROM:
        percent = min(100.0, 100.0 * 5 * ROWS / table.rows)
        part = compose(" TABLESAMPLE system ({}) REPEATABLE (1)", literal(f"{max(percent, 0.01):.4f}"))
    return compose(
        "SELECT {texts} FROM {table}{part} LIMIT {rows}", texts=texts, table=table.sql, part=part, rows=ROWS
    )
