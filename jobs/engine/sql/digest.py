"""Statements that digest one range on each side: both give the same figures exactly where all its rows agree.

A digest is the number of rows, how many of them are flagged, and two sums of 64-bit hashes of each row's image: its
key, the mapped columns and the references, in PostgreSQL's binary form (record_send). A reference counts as the key
of its parent's source row, so that both sides can say it without the other.

The hashes of single values would not do: those of 5 and -5 (numeric), or of 1 and 4294967296 (bigint), are the
same, and a sum of row hashes made of them does not tell when two rows swap a value. The image is taken as a whole.
It is stricter than `=`, so equal digests prove equal rows; ranges whose digests differ have to be compared row
by row, whatever the reason.
"""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.sql import key_sql
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan, Value
from mappings.sql import Sql, compose, ident, joined, verbatim

SEEDS = (7_046_029_254_386_353_131, 1_609_587_929_392_839_161)
"""Any two numbers, the same on both sides: 128 bits, for evidence that is not a matter of luck."""

HASHES_BYTES = 180_000
"""From this version on a server hashes a bytea by itself; before it does so within a record, to the same value."""

BLANK_PADDED = frozenset({"bpchar", "character"})
"""Types whose trailing blanks mean nothing; without them as text, where it is not asked for identical values."""

OF_ONE_FORM = frozenset({"smallint", "integer", "bigint", "uuid", "date", "text", "character varying"})
"""Types of which equal values are identical, in the database's own collation."""


class Images(NamedTuple):
    """Rows to take the images of: what each is made of, whether it is flagged, and the FROM clause they come from."""

    columns: tuple[Sql, ...]
    flag: Sql
    rows: Sql


def digestible(plan: Plan, table: TablePlan, identical: bool = False) -> bool:
    """Whether ranges of keys can be digested on both sides."""
    return table.link.aligned and digestible_by_part(plan, table, identical)


def digestible_by_part(plan: Plan, table: TablePlan, identical: bool = False) -> bool:
    """Whether parts by the hash of the key can be digested on both sides: rows carry their source id, and so do all
    parents.

    identical: and whether the digests say then that the rows are identical. A reference counts as its parent's key,
    to which it is equal.
    """
    if identical and any(ref.collation or ref.type not in OF_ONE_FORM for ref in table.references):
        return False
    return not plan.same_database and _says_it_alone(plan, table)


def provable(plan: Plan, table: TablePlan) -> bool:
    """Whether both sides can say the same of a range of keys without the other, in one database or in two."""
    return table.link.aligned and _says_it_alone(plan, table)


def _says_it_alone(plan: Plan, table: TablePlan) -> bool:
    if table.link.link_by != "source_id":
        return False
    alone = len(table.referring) == len(table.references) and not any(
        ref.inside or ref.assigned for ref in table.references
    )
    return alone and all(_is_key_of_linked_parent(plan, ref) for ref in table.references)


def _is_key_of_linked_parent(plan: Plan, ref: Reference) -> bool:
    """Whether the reference leads back to one parent, by an index."""
    parent = plan.table(ref.parent)
    return parent.link.link_by == "source_id" and [key.column for key in parent.into.target_key] == [
        ref.value_column
    ]


def at_source(table: TablePlan, chunk: Range, version: int, identical: bool = False) -> Sql:
    """The digest of what the mapping yields. version: the server's, as libpq says it (180001)."""
    return digest_of(source_images(table, chunk, identical), version)


def at_target(plan: Plan, table: TablePlan, chunk: Range, version: int, identical: bool = False) -> Sql:
    """The digest of what is there. version: the server's."""
    return digest_of(target_images(plan, table, chunk, identical), version)


def keys_at_source(table: TablePlan, chunk: Range, version: int) -> Sql:
    """The same of the keys alone: which source rows are meant."""
    keys = list(key_sql.feed_columns(table, "verify"))[: len(table.feed.key)]
    feed = compose("(\n{}\n) AS f", key_sql.projected(table, chunk, keys))
    return digest_of(Images(tuple(key_sql.key_of(table, verbatim("f"))), verbatim("true"), feed), version)


def keys_at_target(table: TablePlan, chunk: Range, version: int) -> Sql:
    """The source ids that are there."""
    bounds = compose(
        "t.{} IS NOT NULL AND {}",
        ident(table.link.source_id[0]),
        key_sql.target_range(table, chunk, verbatim("t")),
    )
    rows = compose("{} AS t\n WHERE {}", table.into.target_sql, bounds)
    return digest_of(Images(tuple(key_sql.source_ids(table, verbatim("t"))), verbatim("true"), rows), version)


def by_part(images: Images, keys: int, of: int, version: int) -> Sql:
    """The same figures for each of `of` parts by the hash of the key, which is the images' first `keys` columns:
    (part, rows, flagged, sum, sum). Parts without rows have none."""
    part = compose("({} & {}) AS part", key_sql.hashed(images.columns[:keys], by_image=True), of - 1)
    return compose(
        "SELECT d.part, {figures} FROM (\nSELECT {part}, {rows}) AS d GROUP BY d.part",
        figures=_figures(version), part=part, rows=_rows(images),
    )  # fmt: skip


def proof(images: Images) -> Sql:
    """Rows and a digest for evidence: two sums of 64 bits each of every image's SHA-256, as one text.

    Unlike the hashes of PostgreSQL's own it is the same in every version, and rows cannot be made up to fit it.
    """
    hashed = verbatim("pg_catalog.encode(pg_catalog.sha256(d.image), 'hex') AS hex")
    halves = (
        compose("('x' || pg_catalog.substr(h.hex, {}, 16))::bit(64)::bigint", start) for start in (1, 17)
    )
    sums = joined(" || '/' || ", (compose("coalesce(sum({}), 0)::text", half) for half in halves))
    inner = compose(
        "SELECT {hashed} FROM (\nSELECT {image}\n  FROM {rows}\nOFFSET 0) AS d",
        hashed=hashed, image=_image(images), rows=images.rows,
    )  # fmt: skip
    return compose("SELECT count(*), {} FROM (\n{}\nOFFSET 0) AS h", sums, inner)


def source_images(table: TablePlan, chunk: Range, identical: bool = False) -> Images:
    """What the mapping yields."""
    values = [_expected(number, value, identical) for number, value in enumerate(table.values, start=1)]
    refs = [part for number, ref in enumerate(table.references, start=1) for part in _asked(number, ref)]
    feed = compose("(\n{}\n) AS f", key_sql.feed(table, chunk, "verify"))
    return Images((*key_sql.key_of(table, verbatim("f")), *values, *refs), verbatim("true"), feed)


def target_images(plan: Plan, table: TablePlan, chunk: Range, identical: bool = False) -> Images:
    """What is there."""
    keys = key_sql.source_ids(table, verbatim("t"))
    values = [_found(value, identical) for value in table.values]
    refs: list[Sql] = []
    joins: list[Sql] = []
    for number, ref in enumerate(table.references, start=1):
        parent = plan.table(ref.parent)
        alias = compose("p{}", number)
        column = compose("t.{}", ident(ref.target))
        same = key_sql.equal(
            [compose("{}.{}", alias, ident(ref.value_column))], [column], key_sql.target_operators(parent)
        )
        joins.append(compose("\n  LEFT JOIN {} AS {} ON {}", parent.into.target_sql, alias, same))
        refs.append(compose("({} IS NULL)", column))
        refs += [
            compose("{}.{}::{}", alias, ident(name), by.type)
            for name, by in zip(parent.link.source_id, ref.by, strict=True)
        ]
    flag = compose("t.{}", ident(table.link.is_migrated)) if table.link.is_migrated else verbatim("true")
    bounds = compose(
        "t.{} IS NOT NULL AND {}",
        ident(table.link.source_id[0]),
        key_sql.target_range(table, chunk, verbatim("t")),
    )
    rows = compose("{} AS t{}\n WHERE {}", table.into.target_sql, joined("", joins), bounds)
    return Images((*keys, *values, *refs), flag, rows)


def _image(images: Images) -> Sql:
    return compose("pg_catalog.record_send(ROW({})) AS image", joined(", ", images.columns))


def digest_of(images: Images, version: int) -> Sql:
    """The digest of any rows. version: the server's. OFFSET 0: the image is made once, not once for each hash."""
    return compose("SELECT {} FROM (\nSELECT {}) AS d", _figures(version), _rows(images))


def _figures(version: int) -> Sql:
    hashed = verbatim(
        "hashbyteaextended(d.image" if version >= HASHES_BYTES else "hash_record_extended(ROW(d.image)"
    )
    sums = joined(", ", (compose("sum(pg_catalog.{}, {}))", hashed, seed) for seed in SEEDS))
    return compose("count(*), count(*) FILTER (WHERE d.flag), {}", sums)


def _rows(images: Images) -> Sql:
    return compose("{}, {} AS flag\n  FROM {}\nOFFSET 0", _image(images), images.flag, images.rows)


def _expected(number: int, value: Value, identical: bool) -> Sql:
    """As the target would hold it, of a type that both sides know by the same number."""
    if value.wire != value.type:
        return compose("f.c{}::text", number)
    rounded = compose("f.c{}::{}::{}", number, value.type, value.rounded)
    return compose("{}::text", rounded) if value.type in BLANK_PADDED and not identical else rounded


def _found(value: Value, identical: bool) -> Sql:
    column = compose("t.{}", ident(value.target))
    if value.wire != value.type or (value.type in BLANK_PADDED and not identical):
        return compose("{}::text", column)
    return compose("{}::{}", column, value.type)


def _asked(number: int, ref: Reference) -> list[Sql]:
    """Whether nothing is asked for, and the parent's key if something is."""
    parts = [compose("f.r{}_{}", number, place) for place in range(1, len(ref.by) + 1)]
    nothing = joined(" OR ", (compose("{} IS NULL", part) for part in parts))
    return [
        compose("({})", nothing),
        *(compose("CASE WHEN NOT ({}) THEN {} END", nothing, part) for part in parts),
    ]
