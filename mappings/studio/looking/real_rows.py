"""Real rows: source values beside what the mapping makes of them, by the same projection that a run copies with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import psycopg

from mappings.catalog.describe import complaint
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.keys import source_key
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column
from mappings.plan.table_plan import Value
from mappings.sql import NOTHING, Sql, compose, encoded, joined, verbatim

PAGE = 10
LONGEST_SHOWN = 300

Filter = Literal["", "null", "longest", "fails"]

INPUT_CHECKED_SINCE = 160000
"""PostgreSQL: pg_input_is_valid."""


class Part(NamedTuple):
    """One id, or one value that may be taken, and what becomes of it. tone: as of a fit."""

    text: str
    becomes: str
    tone: str


class Pair(NamedTuple):
    """before: the source values that a value is made of; after: what it becomes, None for NULL; failed: the error.

    parts: what is known instead of a value that only the run can make.
    """

    before: tuple[str | None, ...]
    after: str | None
    failed: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class RealRow:
    """One source row: its key, and for each column shown what it becomes."""

    key: str
    pairs: tuple[Pair, ...]


def shown_values(compiler: Compiler) -> list[Value]:
    """The columns of which real rows can be shown: all that is compiled, references aside."""
    problems, compiler.problems = compiler.problems, []
    try:
        return compiler.values()
    finally:
        compiler.problems = problems


def real_rows(
    compiler: Compiler,
    values: Sequence[Value],
    limit: int = PAGE,
    offset: int = 0,
    column: str = "",
    filter_by: Filter = "",
) -> list[RealRow]:
    """Source rows from `offset`, those that the filter is about first or only. Raises psycopg.Error.

    values: the columns that are shown (`shown_values`).
    """
    befores = [_sources(compiler, value.target) for value in values]
    condition, order = _filtered(compiler, values, column, filter_by)
    where = joined(" AND ", (part for part in (compiler.where_sql, condition) if part)) or None
    tail = compose("{}\n LIMIT {} OFFSET {}", order, int(limit), int(offset))
    key = _key_text(compiler)
    flat = [key, *(part for before in befores for part in before)]
    afters = [compose("({})::text", value.sql) for value in values]
    query = projection.select([*flat, *afters], compiler.from_sql, where, tail)
    source = compiler.databases.source
    try:
        rows = source.execute(encoded(query)).fetchall()
        return [_row(row, befores) for row in rows]
    except psycopg.Error:
        rows = source.execute(encoded(projection.select(flat, compiler.from_sql, where, tail))).fetchall()
        columns = [_alone(compiler, after, where, tail, len(rows)) for after in afters]
        return [_patched(row, befores, [column[at] for column in columns]) for at, row in enumerate(rows)]


def _row(row: Sequence[str | None], befores: list[list[Sql]]) -> RealRow:
    count = 1 + sum(map(len, befores))
    return _patched(row[:count], befores, [(after, "") for after in row[count:]])


def _patched(
    row: Sequence[str | None], befores: list[list[Sql]], afters: Sequence[tuple[str | None, str]]
) -> RealRow:
    rest, pairs = list(row[1:]), []
    for before, (after, failed) in zip(befores, afters, strict=True):
        pairs.append(Pair(tuple(_cut(text) for text in rest[: len(before)]), after, failed))
        rest = rest[len(before) :]
    return RealRow(str(row[0]), tuple(pairs))


def shortened(rows: Sequence[RealRow]) -> list[RealRow]:
    """The rows as they are shown: of long values the beginning."""
    return [
        RealRow(row.key, tuple(pair._replace(after=_cut(pair.after)) for pair in row.pairs)) for row in rows
    ]


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _alone(
    compiler: Compiler, after: Sql, where: Sql | None, tail: Sql, count: int
) -> list[tuple[str | None, str]]:
    """One column by itself, row by row where some value of it fails."""
    source = compiler.databases.source
    try:
        rows = source.execute(encoded(projection.select([after], compiler.from_sql, where, tail))).fetchall()
        return [(value, "") for (value,) in rows]
    except psycopg.Error as error:
        return [(None, complaint(error))] * count


def _key_text(compiler: Compiler) -> Sql:
    problems, compiler.problems = compiler.problems, []
    try:
        key = source_key(compiler)
    finally:
        compiler.problems = problems
    return projection.key_text([(part.sql, part.native) for part in key]) if key else verbatim("''::text")


def _sources(compiler: Compiler, name: str) -> list[Sql]:
    """The source columns that a target column's value is made of, as texts."""
    column = next(column for column in compiler.table.spec.columns if column.name == name)
    return [
        compose("({})::text", projection.name_sql(compiler.table, source))
        for source in source_names(compiler, column)
    ]


def source_names(compiler: Compiler, column: Column) -> list[str]:
    """The names of the source columns that fill a target column, each once."""
    if column.expr is None:
        return list(column.from_)
    named = parse_expression(column.expr).columns
    names = [f"{name.qualifier}.{name.name}" if name.qualifier else name.name for name in named]
    return [name for name in dict.fromkeys(names) if compiler.table.source_column(name)]


def _filtered(
    compiler: Compiler, values: Sequence[Value], column: str, filter_by: Filter
) -> tuple[Sql | None, Sql]:
    """A condition and an ORDER BY, over the column that is meant."""
    value = next((value for value in values if value.target == column), None)
    if value is None or not filter_by:
        return None, NOTHING
    if filter_by == "null":
        return compose("({}) IS NULL", value.sql), NOTHING
    if filter_by == "longest":
        return compose("({}) IS NOT NULL", value.sql), compose(
            "\n ORDER BY length(({})::text) DESC", value.sql
        )
    number = next(n for n, c in enumerate(compiler.table.spec.columns) if c.name == column)
    if number not in compiler.expressions:
        return None, NOTHING  # a reference: which parents are missing is told for each row
    plain = compose("({})::text", compiler.expressions[number])
    if compiler.databases.source.info.server_version < INPUT_CHECKED_SINCE:
        return None, NOTHING
    target = compiler.table.target.column(column)
    kind = target.full_type if target and target.base == value.type else value.wire
    return compose("NOT pg_input_is_valid({}, '{}')", plain, kind), NOTHING
