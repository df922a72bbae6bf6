"""Whether what fills a column fits it, in words: by the types, and where these do not tell, by a sample of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import psycopg

from mappings.catalog.describe import complaint
from mappings.compiling.columns import Compiler
from mappings.fitting.enums import enum_gauge
from mappings.fitting.gauges import gauge_of
from mappings.fitting.measure_columns import ask
from mappings.fitting.what_to_measure import Measured, is_copied
from mappings.sql import compose, verbatim

SAMPLE = 2000
"""Source rows that are looked at where the types do not tell."""

Tone = Literal["ok", "warn", "bad", "mute"]


@dataclass(frozen=True, slots=True)
class Fit:
    """word: the verdict; why: what it rests on, '' where the word says it."""

    tone: Tone
    word: str
    why: str = ""


DEFAULT = Fit("mute", "default")
EMPTY = Fit("bad", "must be filled", "NOT NULL without a default")


def sampled(compiler: Compiler) -> Compiler:
    """The same compilation over the first rows of the source table only."""
    source = compiler.table.source
    return compiler.over(replace(source, sql=compose("(SELECT * FROM {} LIMIT {})", source.sql, SAMPLE)))


def fits(compiler: Compiler, few: Compiler, widen: bool) -> dict[str, Fit]:
    """The fit of each column that is filled and compiled, references aside. few: over the sample."""
    result: dict[str, Fit] = {}
    measured: list[Measured] = []
    for number, kind in compiler.kinds.items():
        column = compiler.table.spec.columns[number]
        target = compiler.table.target.column(column.name)
        if target is None:
            continue
        result[column.name] = _by_type(kind.base, target.base, target.type)
        gauge = gauge_of(target, kind, is_copied(column)) or enum_gauge(compiler, number, target)
        if gauge:
            measured.append(Measured(column.name, compiler.expressions[number], gauge))
    if measured:
        result |= _by_sample(few, measured, widen)
    return result


def _by_type(source: str, target: str, declared: str) -> Fit:
    if not source or source == target or {source, target} <= {"text", "character varying", "bpchar"}:
        return Fit("ok", "fits")
    return Fit("ok", "fits", f"{short_type(source)} becomes {short_type(declared)}")


def _by_sample(compiler: Compiler, columns: list[Measured], widen: bool) -> dict[str, Fit]:
    """All columns in one look; each alone where some value fails, so that only that column is not known."""
    parts = [part for column in columns for part in column.aggregates()]
    try:
        row = list(ask(compiler, [verbatim("count(*)"), *parts]))
    except psycopg.Error:
        return {column.column: _alone(compiler, column, widen) for column in columns}
    looked_at, rest = row[0], row[1:]
    result = {}
    for column in columns:
        size = len(column.gauge.sizes) + 3
        result[column.column] = _concluded(column, rest[:size], looked_at, widen)
        rest = rest[size:]
    return result


def _alone(compiler: Compiler, column: Measured, widen: bool) -> Fit:
    try:
        looked_at, *row = ask(compiler, [verbatim("count(*)"), *column.aggregates()])
    except psycopg.Error as error:
        return Fit("bad", "fails on some row", complaint(error))
    return _concluded(column, row, looked_at, widen)


def _concluded(column: Measured, row: list[object], looked_at: int, widen: bool) -> Fit:
    gauge = column.gauge
    *largest, over, losing, example = row
    sizes = tuple(int(str(size or 0)) for size in largest)
    new_type = gauge.widen(sizes) if over and widen else None
    seen = f"of {looked_at:,} rows looked at"
    if new_type:
        return Fit("warn", f"widened to {short_type(new_type)}", f"the largest needs {sizes[0]:,}, {seen}")
    if over and gauge.over != gauge.loses:
        return Fit("bad", "does not fit", f"{over:,} {seen} are larger than {gauge.limit:,}")
    if losing:
        tone: Tone = "bad" if gauge.blocks else "warn"
        return Fit(tone, "loses", f"{losing:,} {seen} {gauge.lost}, for example {example}")
    return Fit("ok", "fits", f"as far as {looked_at:,} rows tell")


SHORT = (
    ("character varying", "varchar"),
    ("character(", "char("),
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
    ("time without time zone", "time"),
    ("time with time zone", "timetz"),
)


def short_type(name: str) -> str:
    """A type as people write it: varchar(20) for character varying(20)."""
    for long, short in SHORT:
        name = name.replace(long, short)
    return name
