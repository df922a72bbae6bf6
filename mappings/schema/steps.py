"""Composes the schema steps: each change with its SQL, its undo, its weight and its lock."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import numeric_size
from mappings.catalog.views import Views
from mappings.plan.keys import KeyPart
from mappings.plan.schema_steps import Affected, Index, Step
from mappings.schema.lock_cost import of_index, of_new_column, of_widening
from mappings.sql import ident, literal

LONGEST_NAME = 63
"""PostgreSQL: NAMEDATALEN - 1, in bytes."""

INTEGERS = {"smallint": "-32768 AND 32767", "integer": "-2147483648 AND 2147483647"}

ANYTHING = {"N": "0", "S": "", "B": "false", "D": "2000-01-01 00:00:00"}
"""A value that every type of a category takes (pg_type.typcategory)."""


def widen(
    table: str,
    target: tables.Table,
    column: tables.Column,
    new_type: str,
    set_expression: bool,
    over: Views,
) -> Step:
    """ALTER COLUMN TYPE to a type that holds all that the old one did.

    set_expression: whether the server can replace a generated column's expression (PostgreSQL 17); over: the views
    that read the column, which go for the moment of the change.
    """
    stored = sum(found.generated == "s" for found, _ in _generated(target, column))
    weight, heaviness, affected = of_widening(
        target, column, new_type, 2 * stored if set_expression else min(stored, 1)
    )
    return Step(
        kind="widen",
        table=table,
        relation=target.sql,
        side="target",
        name=column.name,
        title=f"Widen {target.display}.{column.name} from {column.type} to {new_type}",
        sql=over.around(_to_type(target, column, new_type, new_type, set_expression)),
        undo=over.around(_to_type(target, column, column.type, column.base, set_expression)),
        views_first=len(over.drop),
        views_last=len(over.make),
        weight=weight,
        lock="ACCESS EXCLUSIVE",
        alone=False,
        before=column.type,
        after=new_type,
        fits=_fits(target, column),
        heaviness=heaviness,
        affected=(*affected, *_sequence_affected(column)),
    )


def _to_type(
    target: tables.Table, column: tables.Column, kind: str, counts: str, set_expression: bool
) -> tuple[str, ...]:
    """The column with all that goes along to a type; counts: the type of its sequence."""
    through = _expressions_off if set_expression else _columns_off
    return (
        *through(target, column.name, kind, _generated(target, column)),
        *_storage_too(target, column),
        *sequence_too(column, counts),
    )


def _generated(target: tables.Table, column: tables.Column) -> Generated:
    """The generated columns that depend on the column, with their expressions."""
    return [
        (found, dependent.definition)
        for dependent in target.dependents
        if dependent.kind == "generated column" and dependent.column == column.name
        if (found := target.column(dependent.name))
    ]


def _storage_too(target: tables.Table, column: tables.Column) -> tuple[str, ...]:
    """How values are stored, which PostgreSQL forgets whenever the type changes."""
    return (f"ALTER TABLE {target.sql} {column.storage}",) if column.storage else ()


def sequence_too(column: tables.Column, kind: str) -> tuple[str, ...]:
    """A serial's sequence stays behind when its column is widened; an identity's goes along by itself."""
    if not column.sequence or column.identity or column.sequence_type != column.base:
        return ()
    return (f"ALTER SEQUENCE {column.sequence} AS {kind}",)


def _sequence_affected(column: tables.Column) -> tuple[Affected, ...]:
    if not column.sequence or column.sequence_type != column.base:
        return ()
    definition = f"{column.sequence} AS {column.sequence_type}, owned by the column"
    return (Affected("sequence", column.sequence, definition, "is widened as well"),)


def _fits(target: tables.Table, column: tables.Column) -> str:
    """SQL that says whether every value fits the old type."""
    name = ident(column.name)
    condition = _does_not_fit(name, column)
    if column.category == "A":
        element = replace(
            column, base=column.base.removesuffix("[]"), full_type=column.full_type.removesuffix("[]")
        )
        condition = f"EXISTS (SELECT FROM unnest({name}) AS e(v) WHERE {_does_not_fit('e.v', element)})"
    sequence = ""
    if column.sequence and column.base in INTEGERS:  # which must be able to count on in the old type
        sequence = f" AND (SELECT last_value BETWEEN {INTEGERS[column.base]} FROM {column.sequence})"
    return f"SELECT NOT EXISTS (SELECT FROM {target.sql} WHERE {condition}){sequence}"


def _does_not_fit(name: str, column: tables.Column) -> str:
    """The condition of values that the old type would cut, round or refuse."""
    kind = column.full_type
    precision, scale = numeric_size(column.modifier) if column.base == "numeric" else (0, 0)
    wrong = {
        "character varying": f"length({name}) > {column.modifier - 4}",
        "bpchar": f"length({name}) > {column.modifier - 4}",
        "bit varying": f"length({name}) > {column.modifier}",
        **{kind: f"{name} NOT BETWEEN {bounds}" for kind, bounds in INTEGERS.items()},
        "numeric": f"{name} <> round({name}, {scale}) OR abs({name}) >= 1e{precision - scale}::numeric",
    }
    return wrong.get(column.base, f"{name} <> {name}::{kind}")


Generated = list[tuple[tables.Column, str]]


def _alter(target: tables.Table, name: str, new_type: str) -> str:
    return f"ALTER TABLE {target.sql} ALTER COLUMN {ident(name)} TYPE {new_type}"


def _expressions_off(target: tables.Table, name: str, new_type: str, generated: Generated) -> tuple[str, ...]:
    """Generated columns that depend on the column lose their expression for a moment and keep their place."""
    set_ = [
        f"ALTER TABLE {target.sql} ALTER COLUMN {ident(found.name)} SET EXPRESSION AS"
        for found, _ in generated
    ]
    off = [f"{prefix} ({_nothing(found)})" for prefix, (found, _) in zip(set_, generated, strict=True)]
    on = [f"{prefix} ({definition})" for prefix, (_, definition) in zip(set_, generated, strict=True)]
    return (*off, _alter(target, name, new_type), *on)


def _nothing(column: tables.Column) -> str:
    """What a generated column holds for a moment: NULL, or some value of its type where it may not be NULL."""
    return (
        f"{literal(ANYTHING[column.category])}::{column.type}" if column.not_null else f"NULL::{column.type}"
    )


def _columns_off(target: tables.Table, name: str, new_type: str, generated: Generated) -> tuple[str, ...]:
    """Before PostgreSQL 17 they are dropped and added again, at the end of the table, with their indexes."""
    if not generated:
        return (_alter(target, name, new_type),)
    names = {found.name for found, _ in generated}
    drops = [f"DROP COLUMN {ident(found.name)}" for found, _ in generated]
    adds = [
        f"ADD COLUMN {ident(found.name)} {found.type} GENERATED ALWAYS AS ({definition}) STORED"
        + (" NOT NULL" if found.not_null else "")
        for found, definition in generated
    ]
    change = f"ALTER COLUMN {ident(name)} TYPE {new_type}"
    indexes = [index.definition for index in target.index_definitions if names & set(index.columns)]
    return (f"ALTER TABLE {target.sql} {', '.join([*drops, change, *adds])}", *indexes)


def add_source_id(table: str, target: tables.Table, name: str, part: KeyPart, collation: str | None) -> Step:
    """The column that holds one part of the source row's key."""
    kind = f"{part.type} COLLATE {collation}" if collation else part.type
    return _add_column(
        table, target, name, kind, f"Add {target.display}.{name}, the source row's key", "target"
    )


def add_flag(table: str, target: tables.Table, name: str) -> Step:
    """The is_migrated flag. Another mapping into the same table may use it too: it goes with the last flagged row.

    Where nobody has anything in the ledger any more, there is no such mapping, and the table need not be read.
    """
    title = f"Add {target.display}.{name}, the flag of migrated rows"
    step = _add_column(table, target, name, "boolean NOT NULL DEFAULT false", title, "target")
    flagged = f"SELECT FROM {target.sql} WHERE {ident(name)}"
    return replace(step, fits=f"SELECT NOT EXISTS (SELECT FROM migrator.ledger) OR NOT EXISTS ({flagged})")


def add_backref(table: str, source: tables.Table, name: str, kind: str) -> Step:
    """The source's column that receives the target's id."""
    return _add_column(
        table, source, name, kind, f"Add {source.display}.{name}, the target row's id", "source"
    )


def as_foreign_key(step: Step, source: tables.Table, target: tables.Table, key: str, constraint: str) -> Step:
    """The same with its index and a foreign key, which is validated once all ids are written; with the column all of it
    goes. The column is new, so that nothing has to be read yet."""
    index = ident(index_name(source.name, (step.name,), "idx"))
    column = ident(step.name)
    return replace(
        step,
        title=f"{step.title}, and a foreign key to {target.display}",
        sql=(
            *step.sql,
            f"CREATE INDEX {index} ON {source.sql} ({column}) WHERE {column} IS NOT NULL",
            f"ALTER TABLE {source.sql} ADD CONSTRAINT {ident(constraint)} FOREIGN KEY ({column})"
            f" REFERENCES {target.sql} ({ident(key)}) NOT VALID",
        ),
    )


def _add_column(table: str, relation: tables.Table, name: str, kind: str, title: str, side: str) -> Step:
    return Step(
        kind="add_column",
        table=table,
        relation=relation.sql,
        side="source" if side == "source" else "target",
        name=name,
        title=title,
        sql=(f"ALTER TABLE {relation.sql} ADD COLUMN {ident(name)} {kind}",),
        undo=(f"ALTER TABLE {relation.sql} DROP COLUMN IF EXISTS {ident(name)}",),
        weight="catalog only",
        lock="ACCESS EXCLUSIVE",
        alone=False,
        before="",
        after=kind,
        fits="",
        heaviness=of_new_column(),
    )


def add_index(table: str, target: tables.Table, columns: tuple[str, ...]) -> Step:
    """The index by which a source row's target row is found; unique, except on a partitioned table."""
    name = index_name(target.name, columns)
    partitioned = target.kind == "p"
    busy = target.has_rows and not partitioned  # one that is empty is done before anyone could notice
    listed = ", ".join(ident(column) for column in columns)
    index = Index(ident(name), f"{target.sql} ({listed})", unique=not partitioned)
    unique = "unique " if index.unique else ""
    return Step(
        kind="add_index",
        table=table,
        relation=target.sql,
        side="target",
        name=name,
        title=f"Build the {unique}index on {target.display} ({', '.join(columns)})",
        sql=(index.build(concurrently=busy),),
        undo=(f"DROP INDEX IF EXISTS {ident(target.schema, name)}",),
        weight="index build",
        lock="SHARE UPDATE EXCLUSIVE" if busy else "SHARE",
        alone=busy,
        before="",
        after=listed,
        fits="",
        heaviness=of_index(target, concurrently=busy),
        index=index,
    )


def plainly(step: Step) -> Step:
    """The same index, built inside a transaction: for what is rolled back anyway."""
    return replace(step, sql=(step.index.build(),) if step.index else step.sql, alone=False)


def index_name(table: str, columns: tuple[str, ...], end: str = "key") -> str:
    """table_columns_key, shortened by a hash where PostgreSQL would cut it."""
    name = "_".join((table, *columns, end))
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    short = name.encode()[: LONGEST_NAME - 11].decode(errors="ignore")
    return f"{short}_{digest}"
