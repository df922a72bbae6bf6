"""Measures, on the data, whether values fit their target columns, and to what a column must be widened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg

from mappings import catalog, projection
from mappings.compiling import Compiler
from mappings.describing import complaint
from mappings.plan import Measure
from mappings.problems import Problem
from mappings.resolving import Resolved

VARCHAR_LADDER = (255, 500, 1000, 2000, 4000, 8000)
"""Lengths to which a column is widened where the source declares none: room for later rows as well."""

INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one kind of column is measured.

    size: SQL over {0}, the value, whose largest result is measured; limit: the column's largest size;
    widen: the new full type for a measured size, None where no type of this kind is large enough.
    """

    size: str
    limit: int
    widen: Callable[[int, int], str | None]


def gauge_of(column: catalog.Column) -> Gauge | None:
    """How to measure a target column; None where nothing has to be measured."""
    if column.is_domain:
        return None
    limit = column.modifier - 4
    if column.base == "character varying" and column.modifier >= 0:
        return Gauge(
            "length(({0})::text)", limit, lambda size, declared: f"character varying({_room(size, declared)})"
        )
    if column.base == "bpchar" and column.modifier >= 0:
        return Gauge("length(({0})::text)", limit, lambda size, declared: f"character({max(size, declared)})")
    if column.base == "bit varying" and column.modifier >= 0:
        return Gauge("length(({0})::bit varying)", column.modifier, lambda size, _: f"bit varying({size})")
    if column.base in INTEGERS and column.base != "bigint":
        return Gauge("abs(({0})::numeric)", INTEGERS[column.base], lambda size, _: _integer(size))
    return None


def _room(size: int, declared: int) -> int:
    """The source's own declared length, where it has one; else the next length of the ladder."""
    if declared >= size:
        return declared
    return next((step for step in VARCHAR_LADDER if step >= size), size)


def _integer(size: int) -> str | None:
    return next((name for name, largest in INTEGERS.items() if size <= largest), None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What measuring one table found. widened: new full types by column; rows: source rows in scope."""

    rows: int
    measures: tuple[Measure, ...]
    widened: dict[str, str]


def measure(table: Resolved, compiler: Compiler, widen: bool, warnings: list[Problem]) -> Finding:
    """Counts the rows in scope and measures every column that could be too small, in one scan."""
    gauges = dict(_gauges(table, compiler))
    sizes = [f"max({gauge.size.format(sql)})::numeric" for gauge, sql, _ in gauges.values()]
    counts = [
        f"count(*) FILTER (WHERE {gauge.size.format(sql)} > {gauge.limit})"
        for gauge, sql, _ in gauges.values()
    ]
    query = projection.select(["count(*)", *sizes, *counts], compiler.from_sql, compiler.where_sql)
    try:
        row = compiler.databases.source.execute(query).fetchone()
    except psycopg.Error as error:
        warnings.append(Problem(table.path, f"column sizes could not be measured: {complaint(error)}"))
        row = compiler.databases.source.execute(
            projection.select(["count(*)"], compiler.from_sql, compiler.where_sql)
        ).fetchone()
        gauges = {}
    assert row is not None
    return _finding(table, gauges, row, widen, warnings)


def _gauges(table: Resolved, compiler: Compiler) -> list[tuple[str, tuple[Gauge, str, int]]]:
    """(target column, (gauge, source SQL, declared size at the source)) of what may be too small."""
    found = []
    for number, column in enumerate(table.spec.columns):
        target = table.target.column(column.name)
        gauge = gauge_of(target) if target and not column.ref else None
        if gauge is None or target is None or column.has_value:
            continue
        declared = _declared(table, column.from_[0]) if column.from_ and not column.lookup else None
        if declared and declared.base == target.base and 0 <= declared.modifier <= target.modifier:
            continue
        if declared and target.base in INTEGERS and _fits_by_type(declared, target):
            continue
        sql = (
            f'{projection.lookup_alias(number)}."__value"'
            if column.lookup
            else projection.source_sql(table, column)
        )
        size = declared.modifier - 4 if declared and declared.base in ("character varying", "bpchar") else 0
        found.append((column.name, (gauge, sql, size)))
    return found


def _declared(table: Resolved, name: str) -> catalog.Column | None:
    found = table.source_column(name)
    return found[1] if found else None


def _fits_by_type(source: catalog.Column, target: catalog.Column) -> bool:
    names = list(INTEGERS)
    return source.base in names and names.index(source.base) <= names.index(target.base)


def _finding(
    table: Resolved,
    gauges: dict[str, tuple[Gauge, str, int]],
    row: tuple[int, ...],
    widen: bool,
    warnings: list[Problem],
) -> Finding:
    measures: list[Measure] = []
    widened: dict[str, str] = {}
    for place, (name, (gauge, _, declared)) in enumerate(gauges.items(), start=1):
        size, over = int(row[place] or 0), row[place + len(gauges)]
        new_type = gauge.widen(size, declared) if over and widen else None
        if over and not new_type:
            text = f"{over} values do not fit: the largest is {size}, the column holds {gauge.limit}"
            warnings.append(Problem(f"{table.path}.columns.{name}", text))
        if new_type:
            widened[name] = new_type
        measures.append(Measure(table.spec.name, name, size, gauge.limit, _size_of(new_type)))
    return Finding(row[0], tuple(measures), widened)


def _size_of(new_type: str | None) -> int | None:
    if new_type is None:
        return None
    return INTEGERS.get(new_type) or int(new_type.rpartition("(")[2].rstrip(")"))


def widened_table(table: catalog.Table, widened: dict[str, str]) -> catalog.Table:
    """The target as it will be once its columns are widened, for compiling against."""
    return replace(
        table,
        columns=tuple(
            replace(
                column,
                type=widened[column.name],
                full_type=widened[column.name],
                base=widened[column.name] if widened[column.name] in INTEGERS else column.base,
            )
            if column.name in widened
            else column
            for column in table.columns
        ),
    )
