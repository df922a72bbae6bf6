"""Measures, on the data, whether values fit their target columns, and to what a column must be widened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from mappings import catalog, projection
from mappings.compiling import Compiler
from mappings.describing import complaint
from mappings.gauges import INTEGERS, Gauge, gauge_of
from mappings.plan import Measure
from mappings.problems import Problem


@dataclass(frozen=True, slots=True)
class Measured:
    """One column, its source SQL and how it is measured."""

    column: str
    sql: str
    gauge: Gauge

    def aggregates(self) -> list[str]:
        """The largest sizes, how many values need more, how many would change, and one that would."""
        value, gauge = self.sql, self.gauge
        over, loses = (condition.replace("{0}", value) for condition in (gauge.over, gauge.loses))
        return [
            *(f"max({size.replace('{0}', value)})::numeric" for size in gauge.sizes),
            f"count(*) FILTER (WHERE {over})",
            f"count(*) FILTER (WHERE {loses})",
            f"min(({value})::text) FILTER (WHERE {loses})",
        ]


@dataclass
class Finding:
    """What measuring one table found. widened: new full types by column; rows: source rows in scope."""

    rows: int = 0
    measures: list[Measure] = field(default_factory=list)
    widened: dict[str, str] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    blockers: list[Problem] = field(default_factory=list)


def measure(compiler: Compiler, widen: bool) -> Finding:
    """Counts the rows in scope and measures every column that could be too small, in one scan.

    Where an expression fails on some row, each column is measured alone, so that only that one is not known.
    """
    finding = Finding()
    columns = list(_columns(compiler))
    try:
        row = _ask(compiler, ["count(*)", *(part for column in columns for part in column.aggregates())])
        finding.rows, rest = row[0], list(row[1:])
        for column in columns:
            size = len(column.gauge.sizes) + 3
            _conclude(compiler, column, rest[:size], widen, finding)
            rest = rest[size:]
    except psycopg.Error:
        finding.rows = _ask(compiler, ["count(*)"])[0]
        for column in columns:
            _measure_alone(compiler, column, widen, finding)
    return finding


def unmatched_lookups(compiler: Compiler) -> list[Problem]:
    """A warning for each lookup that leaves values without an entry: those rows get NULL."""
    table = compiler.table
    found = []
    for number, column in enumerate(table.spec.columns):
        if not column.lookup:
            continue
        value = projection.source_sql(table, column)
        lost = f'({value}) IS NOT NULL AND {projection.lookup_alias(number)}."__key" IS NULL'
        some = [f"count(*) FILTER (WHERE {lost})", f"min(({value})::text) FILTER (WHERE {lost})"]
        try:
            count, example = _ask(compiler, some)
        except psycopg.Error:
            continue  # an expression fails on some row, which measuring reports
        if count:
            text = f"{count} values have no entry in {column.lookup.table} and become NULL, for example {example}"
            found.append(Problem(f"{table.path}.columns.{column.name}", text))
    return found


def _measure_alone(compiler: Compiler, column: Measured, widen: bool, finding: Finding) -> None:
    try:
        _conclude(compiler, column, list(_ask(compiler, column.aggregates())), widen, finding)
    except psycopg.Error as error:
        path = f"{compiler.table.path}.columns.{column.column}"
        finding.warnings.append(Problem(path, f"the values could not be measured: {complaint(error)}"))


def _ask(compiler: Compiler, columns: list[str]) -> tuple[Any, ...]:
    query = projection.select(columns, compiler.from_sql, compiler.where_sql)
    row = compiler.databases.source.execute(query.encode()).fetchone()
    assert row is not None
    return row


def _columns(compiler: Compiler) -> Iterator[Measured]:
    table = compiler.table
    for number, column in enumerate(table.spec.columns):
        target = table.target.column(column.name)
        if target is None or target.generated or column.ref or column.has_value:
            continue
        found = table.source_column(column.from_[0]) if column.from_ and not column.lookup else None
        gauge = gauge_of(target, found[1] if found else None)
        if gauge is None:
            continue
        looked_up = f'{projection.lookup_alias(number)}."__value"'
        yield Measured(
            column.name, looked_up if column.lookup else projection.source_sql(table, column), gauge
        )


def _conclude(compiler: Compiler, column: Measured, row: list[Any], widen: bool, finding: Finding) -> None:
    gauge, path = column.gauge, f"{compiler.table.path}.columns.{column.column}"
    *largest, over, losing, example = row
    sizes = tuple(int(size or 0) for size in largest)
    new_type = gauge.widen(sizes) if over and widen else None
    if new_type:
        finding.widened[column.column] = new_type
    elif over:
        text = f"{over} values do not fit: the largest has size {sizes[0]}, the column holds {gauge.limit}"
        finding.warnings.append(Problem(path, text))
    if losing and not (new_type and gauge.loses in gauge.over):
        text = f"{losing} values would be changed by the column's type, for example {example}"
        (finding.blockers if gauge.blocks else finding.warnings).append(Problem(path, text))
    measured = Measure(compiler.table.spec.name, column.column, sizes[0], gauge.limit, _size_of(new_type))
    finding.measures.append(measured)


def _size_of(new_type: str | None) -> int | None:
    """The new limit in the terms of the measure: a length, digits before the point, the largest integer."""
    if new_type is None:
        return None
    if new_type in INTEGERS:
        return INTEGERS[new_type]
    precision, _, scale = new_type.partition("(")[2].partition(")")[0].partition(",")
    return int(precision) - int(scale or 0)


def wider(one: str, other: str) -> str:
    """The type of one family that holds what both hold, where two tables fill one column."""
    if not one.startswith("numeric("):
        return max(one, other, key=lambda kind: _size_of(kind) or 0)
    (precision, scale), (other_precision, other_scale) = (
        (int(part) for part in kind.partition("(")[2].rstrip(")").split(",")) for kind in (one, other)
    )
    decimals = max(scale, other_scale)
    return f"numeric({max(precision - scale, other_precision - other_scale) + decimals},{decimals})"


def widened_table(table: catalog.Table, widened: dict[str, str]) -> catalog.Table:
    """The target as it will be once its columns are widened, for compiling against."""
    return replace(table, columns=tuple(_widened(column, widened) for column in table.columns))


def _widened(column: catalog.Column, widened: dict[str, str]) -> catalog.Column:
    new_type = widened.get(column.name)
    if new_type is None:
        return column
    base = new_type if new_type in INTEGERS else column.base
    return replace(column, type=new_type, full_type=new_type, base=base)
