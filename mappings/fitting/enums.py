"""Which values an enum of the target does not have: they are told before the start, by their rows."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from mappings.catalog import tables
from mappings.catalog.types import TEXTS
from mappings.compiling.columns import Compiler
from mappings.fitting.gauge import Gauge, loss
from mappings.sql import Sql, compose, encoded, joined, literal, verbatim


def enum_gauge(compiler: Compiler, number: int, target: tables.Column) -> Gauge | None:
    """For a text, or a column of an enum with more labels; None where the types say that every value is one."""
    if target.kind != "e":
        return None
    labels = _labels(compiler.databases.target, target)
    if compiler.kinds[number].base not in (*TEXTS, "text") and labels.issuperset(
        _source_labels(compiler, number)
    ):
        return None
    listed = joined(", ", (_plainly(label) for label in sorted(labels)))
    told = f"are no value of {target.base}"
    return replace(loss(compose("({{0}})::text NOT IN ({})", listed)), lost=told, refused=True)


def _plainly(label: str) -> Sql:
    """A label as SQL in which nothing looks like a gauge's place for the value."""
    return joined(" || chr(123) || ", (literal(part) for part in label.split("{")))


def _source_labels(compiler: Compiler, number: int) -> frozenset[str]:
    """Of the enum that a source column has; nothing is known of other values."""
    column = compiler.table.spec.columns[number]
    result = compiler.table.source_column(column.from_[0]) if column.from_ and not column.lookup else None
    return _labels(compiler.databases.source, result[1]) if result and result[1].kind == "e" else frozenset()


def _labels(conn: psycopg.Connection, column: tables.Column) -> frozenset[str]:
    query = verbatim("SELECT enumlabel::text FROM pg_catalog.pg_enum WHERE enumtypid = %s")
    return frozenset(label for (label,) in conn.execute(encoded(query), [column.base_oid]))
