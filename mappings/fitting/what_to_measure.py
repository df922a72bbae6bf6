"""What is measured of the columns of a table: those of which the types promise too little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg

from mappings.catalog.describe import describe
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.expressions.parser import parse_expression, without_limits
from mappings.fitting.enums import enum_gauge
from mappings.fitting.gauge import Gauge, loss
from mappings.fitting.gauges import gauge_of
from mappings.fitting.losses import losses_of
from mappings.fitting.remainders import dropped
from mappings.language.spec import Column
from mappings.sql import NOTHING, Sql, compose, encoded, ident, placed, verbatim

REMAINDER = replace(
    loss(verbatim("({0}) IS NOT NULL")), lost="would lose the remainder of a whole-number division"
)
CAST_LOSS = replace(
    loss(verbatim("({0}) IS DISTINCT FROM ({1})")), lost="would be changed by a cast in the expression"
)


JSON_SINCE = 160000
"""PostgreSQL: IS JSON."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One column, its source SQL ({0} in the gauge), what it is compared with ({1}), and how it is measured."""

    column: str
    sql: Sql
    gauge: Gauge
    other: Sql = NOTHING

    def over(self) -> Sql:
        """The condition of values that need a wider column."""
        return self._filled(self.gauge.over)

    def loses(self) -> Sql:
        """The condition of values that would be changed."""
        return self._filled(self.gauge.loses)

    def _filled(self, part: Sql) -> Sql:
        return placed(part, self.sql, self.other)

    def aggregates(self) -> list[Sql]:
        """The largest sizes, how many values need more, how many would change, and one that would."""
        return [
            *(compose("max({})::numeric", self._filled(size)) for size in self.gauge.sizes),
            compose("count(*) FILTER (WHERE {})", self.over()),
            compose("count(*) FILTER (WHERE {})", self.loses()),
            compose("min(({})::text) FILTER (WHERE {})", self.sql, self.loses()),
        ]


def measured_columns(compiler: Compiler) -> Iterator[Measured]:
    table = compiler.table
    json = compiler.databases.source.info.server_version >= JSON_SINCE
    for number, column in enumerate(table.spec.columns):
        target = table.target.column(column.name)
        if target is None or number not in compiler.kinds:
            continue
        sql = compiler.expressions[number]
        gauge = gauge_of(target, compiler.kinds[number], is_copied(column)) or enum_gauge(
            compiler, number, target
        )
        measured = Measured(column.name, sql, gauge) if gauge and (json or target.base != "jsonb") else None
        if measured and matters(compiler, measured):
            yield measured
        for gauge in losses_of(target, compiler.kinds[number]):
            yield Measured(column.name, sql, gauge)
        if column.expr and not column.lookup and (lossless := _lossless(compiler, column.expr)):
            yield Measured(column.name, lossless, CAST_LOSS, sql)
        if column.expr and not column.lookup and (division := dropped(compiler, column.expr)):
            yield Measured(column.name, division, REMAINDER)


def is_copied(column: Column) -> bool:
    """Whether a source value is taken as it stands, by name, as a bare column of an expression, or by a lookup."""
    text = column.lookup.value if column.lookup else column.expr
    if text is None:
        return bool(column.from_)
    expression = parse_expression(text)
    names = [name for result in expression.columns for name in (result.qualifier, result.name) if name]
    return expression.sql == ident(*names) if names else False


def matters(compiler: Compiler, measured: Measured) -> bool:
    """Whether rows have to be read: a constant needs a wider column or would change, or it needs no row to know."""
    constants = (column.has_value for column in compiler.table.spec.columns if column.name == measured.column)
    if not any(constants):
        return True
    query = compose("SELECT ({}) OR ({})", measured.over(), measured.loses())
    row = compiler.databases.source.execute(encoded(query)).fetchone()
    return bool(row and row[0])


def _lossless(compiler: Compiler, text: str) -> Sql | None:
    """The expression without what its casts cut and round; None where they do neither, or it cannot be compared.

    Casts to whole numbers count unless the expression divides: there they may be what is meant.
    """
    expression = compiler.table.bound(text)
    sql = expression.sql
    for unrounded in (not any(sign in text for sign in "/%"), False):
        candidate = without_limits(expression, unrounded).sql
        if candidate == sql:
            return None
        try:
            compared = compose("({}) IS DISTINCT FROM ({})", candidate, sql)
            describe(compiler.databases.source, projection.select([compared], compiler.from_sql))
        except psycopg.Error:
            continue
        return candidate
    return None
