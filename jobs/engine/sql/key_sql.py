"""Pieces of statements: key ranges on both sides, the feed of one chunk, and references resolved from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.engine.sql.walks import pages
from jobs.engine.sql.walks.bounds import Bound, between, constant
from jobs.engine.sql.walks.chunk_range import LateRange, PageRange, Part, Range
from mappings.compiling.projection import key_text, select
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, operator, verbatim

Purpose = Literal["copy", "link", "verify", "assign", "file"]  # assign: values by what is taken; file: all

MAP = verbatim("migrator.migration_map")

WRITER = verbatim("mod(pg_current_xact_id()::text::numeric, 4294967296)::text")  # as rows carry it (xmin)


KEY_SEED = 3_935_559_000_370_003_845
"""Any number other than those of the digests of rows (jobs.engine.sql.digest)."""


def hashed(keys: Sequence[Sql], by_image: bool) -> Sql:
    """The hash of a whole key."""
    whole = compose("ROW({})", joined(", ", keys))
    what = compose("ROW(pg_catalog.record_send({}))", whole) if by_image else whole
    return compose("pg_catalog.hash_record_extended({}, {})", what, KEY_SEED)


def _of_part(keys: Sequence[Sql], part: Part | None) -> Sql:
    """Whether a row of that key belongs to a part; 'true' for the part that is all."""
    if part is None or part.of == 1:
        return verbatim("true")
    chosen = compose("{}::bigint[]", literal(f"{{{', '.join(map(str, part.chosen))}}}"))
    return compose("({} & {}) = ANY ({})", hashed(keys, part.by_image), part.of - 1, chosen)


def texts(values: Sequence[str]) -> Sql:
    """An array constant of texts."""
    return compose("ARRAY[{}]::text[]", joined(", ", (literal(value) for value in values)))


def ends(chunk: Range) -> tuple[Bound | None, Bound | None]:
    """Both ends of a range."""
    if isinstance(chunk, LateRange):
        return chunk.above, chunk.up_to
    return constant(chunk.low), constant(chunk.high)


def source_range(table: TablePlan, chunk: Range) -> Sql:
    """The chunk's condition at the source, in the mapping's FROM clause."""
    parts = table.feed.key[: table.feed.range_parts]
    columns, types = [part.sql for part in parts], [part.native for part in parts]
    conditions = [between(columns, types, *ends(chunk), [part.operators for part in parts])]
    if isinstance(chunk, PageRange):
        conditions = [pages.condition(table.feed.alias, table.feed.source_sql, chunk.pages)]
    whole = source_key_text(table)
    if chunk.only is not None:
        conditions.append(compose("{} = ANY ({})", whole, texts(chunk.only)))
        if not table.feed.key_is_content:
            first = table.feed.key[0]
            conditions.append(
                begins_as(first.sql, first.native, chunk.only, len(table.feed.key), first.operators)
            )
    if chunk.without:
        conditions.append(compose("NOT {} = ANY ({})", whole, texts(chunk.without)))
    if chunk.span:
        conditions.append(
            compose("{} BETWEEN {} AND {}", table.feed.key[table.feed.range_parts].sql, *chunk.span)
        )
    conditions.append(
        _of_part([compose("({})::{}", part.sql, part.fed) for part in table.feed.key], chunk.part)
    )
    return joined(" AND ", (condition for condition in conditions if condition != "true")) or verbatim("true")


def begins_as(sql: Sql, kind: Sql, keys: Sequence[str], parts: int, operators: str = "") -> Sql:
    """Whether a value is the first part of one of these keys, in its own type, so that an index on it is used."""
    first = decoded(verbatim("migrator_key"), [kind] * parts)[0]
    some = compose(
        "ARRAY(SELECT {first} FROM unnest({texts}) AS migrator_keys(migrator_key))",
        first=first,
        texts=texts(keys),
    )
    return compose("{} {} ANY ({})", sql, operator("=", operators), some)


def target_range(table: TablePlan, chunk: Range, alias: Sql) -> Sql:
    """The same condition on the target's source-id columns; its bounds are only valid where the plan says aligned, and
    those of a part are left out elsewhere."""
    assert not isinstance(chunk, PageRange)
    within = _of_part(source_ids(table, alias), chunk.part)
    if chunk.part and not table.link.aligned:
        return within
    parts = table.feed.key[: table.feed.range_parts]
    columns = [
        compose("{}.{}", alias, ident(name)) for name in table.link.source_id[: table.feed.range_parts]
    ]
    types, operators = [part.type for part in parts], [part.kept_operators for part in parts]
    keys = between(columns, types, *ends(chunk), operators)
    return keys if within == "true" else compose("{} AND {}", keys, within)


def source_id_columns(table: TablePlan, alias: Sql) -> list[Sql]:
    """The target row's source id, part by part."""
    return [compose("{}.{}", alias, ident(name)) for name in table.link.source_id]


def target_keys(table: TablePlan, alias: Sql) -> list[Sql]:
    """The target row's own key, part by part."""
    return [compose("{}.{}", alias, ident(part.column)) for part in table.into.target_key]


def source_ids(table: TablePlan, alias: Sql) -> list[Sql]:
    """The target row's source id, each part in the type in which it is compared."""
    pairs = zip(table.link.source_id, table.feed.key, strict=True)
    return [compose("{}.{}::{}", alias, ident(name), part.type) for name, part in pairs]


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

    name: Sql
    sql: Sql
    type: Sql


def feed_columns(table: TablePlan, purpose: Purpose) -> Iterator[FeedColumn]:
    """k1.. the key, c1.. the values, r1_1.. what references are looked up by, o1.. the places of rows in an order."""
    for number, part in enumerate(table.feed.key, start=1):
        yield FeedColumn(
            compose("k{}", number),
            compose("({})::{}", part.sql, part.fed),
            part.type,
        )
    if purpose != "link":
        for number, value in enumerate(table.values, start=1):
            if purpose != "assign" or value.target in table.asked_to_assign:
                yield FeedColumn(compose("c{}", number), value.sql, value.wire)
    for number, ref in references(table, purpose):
        yield from (
            FeedColumn(compose("r{}_{}", number, n), by.sql, by.type) for n, by in enumerate(ref.by, start=1)
        )
        if ref.assigned and purpose in ("assign", "file"):
            yield FeedColumn(compose("o{}", number), ref.assigned.order, verbatim("bigint"))


def feed(table: TablePlan, chunk: Range, purpose: Purpose) -> Sql:
    """The chunk's source rows, projected: the one query that copying, linking and comparing share."""
    return projected(table, chunk, list(feed_columns(table, purpose)))


def projected(table: TablePlan, chunk: Range, wanted: Sequence[FeedColumn]) -> Sql:
    """The chunk's source rows with these columns."""
    columns = [compose("{} AS {}", column.sql, column.name) for column in wanted]
    conditions = (table.feed.where_sql, source_range(table, chunk))
    where = joined(" AND ", (part for part in conditions if part and part != "true")) or None
    if not table.feed.distinct:
        return select(columns, table.feed.from_sql, where)
    key = joined(", ", (part.sql for part in table.feed.key))
    columns[0] = compose("DISTINCT ON ({}) {}", key, columns[0])
    return select(
        columns, table.feed.from_sql, where, compose("\n ORDER BY {}{}", key, table.feed.order_sql or NOTHING)
    )


def key_of(table: TablePlan, alias: Sql) -> list[Sql]:
    """The feed's key columns."""
    return [compose("{}.k{}", alias, number) for number in range(1, len(table.feed.key) + 1)]


def feed_key_text(table: TablePlan, alias: Sql) -> Sql:
    """The feed row's key as the map writes it."""
    return key_text(
        [(sql, part.type) for sql, part in zip(key_of(table, alias), table.feed.key, strict=True)]
    )


def source_key_text(table: TablePlan) -> Sql:
    """The source row's key as the map writes it, in the mapping's FROM clause."""
    return key_text([(part.sql, part.native) for part in table.feed.key])


def source_id_text(table: TablePlan, alias: Sql) -> Sql:
    """The target row's source id as the map writes it."""
    names = [compose("{}.{}", alias, ident(name)) for name in table.link.source_id]
    return key_text([(name, part.type) for name, part in zip(names, table.feed.key, strict=True)])


def target_key_text(table: TablePlan, columns: Sequence[Sql]) -> Sql:
    """The target row's key as the map writes it; NULL for a table without a primary key."""
    if not table.into.target_key:
        return verbatim("NULL")
    return key_text(
        [(column, part.type) for column, part in zip(columns, table.into.target_key, strict=True)]
    )


def decoded(text: Sql, types: Sequence[Sql]) -> list[Sql]:
    """The parts of a key that was written as one text, each of its own type again."""
    if len(types) == 1:
        return [compose("({})::{}", text, types[0])]
    return [compose("(({})::jsonb ->> {})::{}", text, place, kind) for place, kind in enumerate(types)]


def equal(left: Sequence[Sql], right: Sequence[Sql], operators: Sequence[str] = ()) -> Sql:
    """Column by column. operators: the schemas of the types' own; none: PostgreSQL's."""
    schemas = [*operators, *[""] * (len(left) - len(operators))]
    pairs = zip(left, right, schemas, strict=True)
    return joined(" AND ", (compose("{} {} {}", a, operator("=", schema), b) for a, b, schema in pairs))


def kept_operators(table: TablePlan) -> list[str]:
    """The schemas of the operators by which the target's source ids and a feed's keys are equal."""
    return [part.kept_operators for part in table.feed.key]


def target_operators(table: TablePlan) -> list[str]:
    """The schemas of the operators by which the target's keys are equal."""
    return [part.operators for part in table.into.target_key]


def of_table(plan: Plan, table: str, alias: Sql = verbatim("m")) -> Sql:
    """The map's rows of one table mapping."""
    return compose(
        "{alias}.mapping = {mapping} AND {alias}.table_name = {table}",
        alias=alias, mapping=literal(plan.mapping), table=literal(table),
    )  # fmt: skip


def map_row(plan: Plan, table: TablePlan, key: Sql) -> Sql:
    """The condition of the map row `m` of a source row. key: the row's source key, as the map writes it."""
    return compose("{} AND m.source_key = {}", of_table(plan, table.name), key)
