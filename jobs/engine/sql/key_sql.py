"""Pieces of statements: key ranges on both sides, the feed of one chunk, and references resolved from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jobs.engine.sql.walks import pages
from jobs.engine.sql.walks.pages import Pages
from mappings import sql as composed
from mappings.compiling.projection import key_text, select
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal, operator

Purpose = Literal["copy", "link", "verify", "assign", "file"]  # assign: values by what is taken; file: all

MAP = "migrator.migration_map"

WRITER = "mod(pg_current_xact_id()::text::numeric, 4294967296)::text"  # as rows carry it (xmin)


class Sql(str):
    """A key part's text as SQL instead of as a value: an exported script knows its ranges only when it runs."""


RunNumber = int | composed.Sql
"""A run's number, or SQL for one that is known only when the statement runs: a variable, a placeholder."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows by the hash of their whole key: those for which it is one of `chosen`, modulo `of`, a power of two.

    by_image: of the key's binary form, which two servers of any version hash alike; else as the types' equality has it.
    """

    of: int
    chosen: tuple[int, ...]
    by_image: bool


@dataclass(frozen=True, slots=True)
class Range:
    """Source keys above `low` up to and including `high`, as texts of the leading key parts; None: no bound.

    only / without: whole keys, as the map writes them, that the range is narrowed to or that it leaves out.
    part: rows by the hash of their key, which no index leads to: both sides are read as a whole.
    """

    low: tuple[str, ...] | None = None
    high: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    part: Part | None = None

    def narrowed(self, keys: Sequence[str]) -> Range:
        """The same range, but these keys alone."""
        return replace(self, only=tuple(keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRange(Range):
    """Source rows by where they lie instead of by their keys: pages of the source table. It has no bounds of keys, and
    what is in it says nothing of where its rows are in the target."""

    pages: Pages


KEY_SEED = 3_935_559_000_370_003_845
"""Any number other than those of the digests of rows (jobs.engine.sql.digest)."""


def hashed(keys: Sequence[str], by_image: bool) -> str:
    """The hash of a whole key."""
    whole = f"ROW({', '.join(keys)})"
    what = f"ROW(pg_catalog.record_send({whole}))" if by_image else whole
    return f"pg_catalog.hash_record_extended({what}, {KEY_SEED})"


def _of_part(keys: Sequence[str], part: Part | None) -> str:
    """Whether a row of that key belongs to a part; 'true' for the part that is all."""
    if part is None or part.of == 1:
        return "true"
    chosen = f"'{{{', '.join(map(str, part.chosen))}}}'::bigint[]"
    return f"({hashed(keys, part.by_image)} & {part.of - 1}) = ANY ({chosen})"


def texts(values: Sequence[str]) -> str:
    """An array constant of texts."""
    return f"ARRAY[{', '.join(literal(value) for value in values)}]::text[]"


def row(parts: Sequence[str]) -> str:
    """A row value, or the single part itself, so that an index on it is used."""
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def between(
    columns: Sequence[str],
    types: Sequence[str],
    low: Sequence[str] | None,
    high: Sequence[str] | None,
    operators: Sequence[str] = (),
) -> str:
    """`columns` above low and up to high, by row comparison; 'true' without bounds, and where SQL yields NULL.

    operators: the schemas of the types' own operators; none: PostgreSQL's.
    """
    conditions = []
    for strict, name, bound in ((">", ">", low), ("<", "<=", high)):
        if bound is not None:
            parts = list(zip(bound, types, strict=True))
            constants = [f"{_bound(text)}::{kind}" for text, kind in parts]
            condition = f"{row(columns)} {name} {row(constants)}"
            if any(operators):
                condition = _beyond(strict, name, list(zip(columns, constants, operators, strict=False)))
            late = isinstance(bound[0], Sql)
            conditions.append(f"({bound[0]} IS NULL OR {condition})" if late else condition)
    return " AND ".join(conditions) or "true"


def _beyond(strict: str, last: str, parts: Sequence[tuple[str, str, str]]) -> str:
    """The same comparison part by part: one of rows takes one operator for all of them. strict, last: < and <=."""
    (column, bound, schema), *rest = parts
    if not rest:
        return f"{column} {operator(last, schema)} {bound}"
    first = f"{column} {operator(strict, schema)} {bound}"
    same = f"{column} {operator('=', schema)} {bound}"
    within = (
        f"{column} {operator(f'{strict}=', schema)} {bound}"  # by which an index on the first part is used
    )
    return f"({within} AND ({first} OR ({same} AND {_beyond(strict, last, rest)})))"


def _bound(text: str) -> str:
    return f"({text})" if isinstance(text, Sql) else literal(text)


def source_range(table: TablePlan, chunk: Range) -> str:
    """The chunk's condition at the source, in the mapping's FROM clause."""
    parts = table.feed.key[: table.feed.range_parts]
    columns, types = [part.sql for part in parts], [part.native for part in parts]
    conditions = [between(columns, types, chunk.low, chunk.high, [part.operators for part in parts])]
    if isinstance(chunk, PageRange):
        conditions = [pages.condition(table.feed.alias, table.feed.source_sql, chunk.pages)]
    whole = source_key_text(table)
    if chunk.only is not None:
        conditions.append(f"{whole} = ANY ({texts(chunk.only)})")
        if not table.feed.key_is_content:
            first = table.feed.key[0]
            conditions.append(
                begins_as(first.sql, first.native, chunk.only, len(table.feed.key), first.operators)
            )
    if chunk.without:
        conditions.append(f"NOT {whole} = ANY ({texts(chunk.without)})")
    conditions.append(_of_part([f"({part.sql})::{part.fed}" for part in table.feed.key], chunk.part))
    return " AND ".join(condition for condition in conditions if condition != "true") or "true"


def begins_as(sql: str, kind: str, keys: Sequence[str], parts: int, operators: str = "") -> str:
    """Whether a value is the first part of one of these keys, in its own type, so that an index on it is used."""
    first = decoded("migrator_key", [kind] * parts)[0]
    some = f"ARRAY(SELECT {first} FROM unnest({texts(keys)}) AS migrator_keys(migrator_key))"
    return f"{sql} {operator('=', operators)} ANY ({some})"


def target_range(table: TablePlan, chunk: Range, alias: str) -> str:
    """The same condition on the target's source-id columns; its bounds are only valid where the plan says aligned, and
    those of a part are left out elsewhere."""
    assert not isinstance(chunk, PageRange)
    within = _of_part(source_ids(table, alias), chunk.part)
    if chunk.part and not table.link.aligned:
        return within
    parts = table.feed.key[: table.feed.range_parts]
    columns = [f"{alias}.{ident(name)}" for name in table.link.source_id[: table.feed.range_parts]]
    types, operators = [part.type for part in parts], [part.kept_operators for part in parts]
    bounds = between(columns, types, chunk.low, chunk.high, operators)
    return bounds if within == "true" else f"{bounds} AND {within}"


def source_ids(table: TablePlan, alias: str) -> list[str]:
    """The target row's source id, each part in the type in which it is compared."""
    pairs = zip(table.link.source_id, table.feed.key, strict=True)
    return [f"{alias}.{ident(name)}::{part.type}" for name, part in pairs]


def references(table: TablePlan, purpose: Purpose) -> list[tuple[int, Reference]]:
    """The numbered references that a purpose needs."""
    numbered = enumerate(table.references, start=1)
    if purpose in ("verify", "file"):
        return list(numbered)
    if purpose == "assign":
        return [(n, ref) for n, ref in numbered if ref.assigned or ref.target in table.asked_to_assign]
    return [(number, ref) for number, ref in numbered if ref.deferred == (purpose == "link")]


@dataclass(frozen=True, slots=True)
class FeedColumn:
    """One column of a feed row: its name in the feed, its SQL at the source, its type on the way."""

    name: str
    sql: str
    type: str


def feed_columns(table: TablePlan, purpose: Purpose) -> Iterator[FeedColumn]:
    """k1.. the key, c1.. the values, r1_1.. what references are looked up by, o1.. the places of rows in an order."""
    for number, part in enumerate(table.feed.key, start=1):
        yield FeedColumn(f"k{number}", f"({part.sql})::{part.fed}", part.type)
    if purpose != "link":
        for number, value in enumerate(table.values, start=1):
            if purpose != "assign" or value.target in table.asked_to_assign:
                yield FeedColumn(f"c{number}", value.sql, value.wire)
    for number, ref in references(table, purpose):
        yield from (FeedColumn(f"r{number}_{n}", by.sql, by.type) for n, by in enumerate(ref.by, start=1))
        if ref.assigned and purpose in ("assign", "file"):
            yield FeedColumn(f"o{number}", ref.assigned.order, "bigint")


def feed(table: TablePlan, chunk: Range, purpose: Purpose) -> str:
    """The chunk's source rows, projected: the one query that copying, linking and comparing share."""
    return projected(table, chunk, list(feed_columns(table, purpose)))


def projected(table: TablePlan, chunk: Range, wanted: Sequence[FeedColumn]) -> str:
    """The chunk's source rows with these columns."""
    columns = [f"{column.sql} AS {column.name}" for column in wanted]
    conditions = (table.feed.where_sql, source_range(table, chunk))
    where = " AND ".join(part for part in conditions if part and part != "true") or None
    if not table.feed.distinct:
        return select(columns, table.feed.from_sql, where)
    key = ", ".join(part.sql for part in table.feed.key)
    columns[0] = f"DISTINCT ON ({key}) {columns[0]}"
    return select(columns, table.feed.from_sql, where, f"\n ORDER BY {key}{table.feed.order_sql or ''}")


def key_of(table: TablePlan, alias: str) -> list[str]:
    """The feed's key columns."""
    return [f"{alias}.k{number}" for number in range(1, len(table.feed.key) + 1)]


def feed_key_text(table: TablePlan, alias: str) -> str:
    """The feed row's key as the map writes it."""
    return key_text(
        [(sql, part.type) for sql, part in zip(key_of(table, alias), table.feed.key, strict=True)]
    )


def source_key_text(table: TablePlan) -> str:
    """The source row's key as the map writes it, in the mapping's FROM clause."""
    return key_text([(part.sql, part.native) for part in table.feed.key])


def source_id_text(table: TablePlan, alias: str) -> str:
    """The target row's source id as the map writes it."""
    names = [f"{alias}.{ident(name)}" for name in table.link.source_id]
    return key_text([(name, part.type) for name, part in zip(names, table.feed.key, strict=True)])


def target_key_text(table: TablePlan, columns: Sequence[str]) -> str:
    """The target row's key as the map writes it; NULL for a table without a primary key."""
    if not table.into.target_key:
        return "NULL"
    return key_text(
        [(column, part.type) for column, part in zip(columns, table.into.target_key, strict=True)]
    )


def decoded(text: str, types: Sequence[str]) -> list[str]:
    """The parts of a key that was written as one text, each of its own type again."""
    if len(types) == 1:
        return [f"({text})::{types[0]}"]
    return [f"(({text})::jsonb ->> {place})::{kind}" for place, kind in enumerate(types)]


def equal(left: Sequence[str], right: Sequence[str], operators: Sequence[str] = ()) -> str:
    """Column by column. operators: the schemas of the types' own; none: PostgreSQL's."""
    schemas = [*operators, *[""] * (len(left) - len(operators))]
    pairs = zip(left, right, schemas, strict=True)
    return " AND ".join(f"{a} {operator('=', schema)} {b}" for a, b, schema in pairs)


def kept_operators(table: TablePlan) -> list[str]:
    """The schemas of the operators by which the target's source ids and a feed's keys are equal."""
    return [part.kept_operators for part in table.feed.key]


def target_operators(table: TablePlan) -> list[str]:
    """The schemas of the operators by which the target's keys are equal."""
    return [part.operators for part in table.into.target_key]


def of_table(plan: Plan, table: str, alias: str = "m") -> str:
    """The map's rows of one table mapping."""
    return f"{alias}.mapping = {literal(plan.mapping)} AND {alias}.table_name = {literal(table)}"
