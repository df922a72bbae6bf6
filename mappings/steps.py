"""Composes the schema steps: each change with its SQL, its undo, its weight and its lock."""

from __future__ import annotations

import hashlib

from mappings import catalog
from mappings.plan import KeyPart, Step
from mappings.projection import ident

LONGEST_NAME = 63
"""PostgreSQL: NAMEDATALEN - 1, in bytes."""

LARGE = 10_000
"""From this many rows on a unique index is built CONCURRENTLY."""


def widen(table: str, target: catalog.Table, column: catalog.Column, new_type: str) -> Step:
    """ALTER COLUMN TYPE to a type that holds all that the old one did."""
    name = ident(column.name)
    forward = _through_generated(
        target, column, f"ALTER TABLE {target.sql} ALTER COLUMN {name} TYPE {new_type}"
    )
    back = _through_generated(
        target, column, f"ALTER TABLE {target.sql} ALTER COLUMN {name} TYPE {column.type}"
    )
    catalog_only = column.base in ("character varying", "bit varying") and len(forward) == 1
    return Step(
        kind="widen",
        table=table,
        relation=target.sql,
        side="target",
        name=column.name,
        title=f"Widen {target.display}.{column.name} from {column.type} to {new_type}",
        sql=forward,
        undo=back,
        weight="catalog only" if catalog_only else "full rewrite",
        lock="ACCESS EXCLUSIVE",
        alone=False,
        before=column.type,
        after=new_type,
        fits=_fits(target, column),
    )


def _fits(target: catalog.Table, column: catalog.Column) -> str:
    """SQL that says whether every value fits the old type."""
    name = ident(column.name)
    sizes = {
        "character varying": f"length({name}) > {column.modifier - 4}",
        "bpchar": f"length({name}) > {column.modifier - 4}",
        "bit varying": f"length({name}) > {column.modifier}",
        "smallint": f"{name} NOT BETWEEN -32768 AND 32767",
        "integer": f"{name} NOT BETWEEN -2147483648 AND 2147483647",
    }
    return f"SELECT NOT EXISTS (SELECT FROM {target.sql} WHERE {sizes[column.base]})"


def _through_generated(target: catalog.Table, column: catalog.Column, change: str) -> tuple[str, ...]:
    """The change, with generated columns that depend on the column taken off its back and put on again."""
    generated = [d for d in target.dependents if d.kind == "generated column" and d.column == column.name]
    off = [
        f"ALTER TABLE {target.sql} ALTER COLUMN {ident(d.name)} SET EXPRESSION AS (NULL)" for d in generated
    ]
    on = [
        f"ALTER TABLE {target.sql} ALTER COLUMN {ident(d.name)} SET EXPRESSION AS ({d.definition})"
        for d in generated
    ]
    return (*off, change, *on)


def add_source_id(table: str, target: catalog.Table, name: str, part: KeyPart, collation: str | None) -> Step:
    """The column that holds one part of the source row's key."""
    kind = f"{part.type} COLLATE {collation}" if collation else part.type
    return _add_column(
        table, target, name, kind, f"Add {target.display}.{name}, the source row's key", "target"
    )


def add_flag(table: str, target: catalog.Table, name: str) -> Step:
    """The is_migrated flag."""
    title = f"Add {target.display}.{name}, the flag of migrated rows"
    return _add_column(table, target, name, "boolean NOT NULL DEFAULT false", title, "target")


def add_backref(table: str, source: catalog.Table, name: str, kind: str) -> Step:
    """The source's column that receives the target's id."""
    return _add_column(
        table, source, name, kind, f"Add {source.display}.{name}, the target row's id", "source"
    )


def _add_column(table: str, relation: catalog.Table, name: str, kind: str, title: str, side: str) -> Step:
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
    )


def add_index(table: str, target: catalog.Table, columns: tuple[str, ...]) -> Step:
    """The index by which a source row's target row is found; unique, except on a partitioned table."""
    name = index_name(target.name, columns)
    partitioned = target.kind == "p"
    large = target.estimate >= LARGE and not partitioned
    unique = "" if partitioned else "UNIQUE "
    concurrently = "CONCURRENTLY " if large else ""
    listed = ", ".join(ident(column) for column in columns)
    return Step(
        kind="add_index",
        table=table,
        relation=target.sql,
        side="target",
        name=name,
        title=f"Build the {unique.lower()}index on {target.display} ({', '.join(columns)})",
        sql=(f"CREATE {unique}INDEX {concurrently}{ident(name)} ON {target.sql} ({listed})",),
        undo=(f"DROP INDEX IF EXISTS {ident(target.schema, name)}",),
        weight="index build",
        lock="SHARE UPDATE EXCLUSIVE" if large else "SHARE",
        alone=large,
        before="",
        after=listed,
        fits="",
    )


def index_name(table: str, columns: tuple[str, ...]) -> str:
    """table_columns_key, shortened by a hash where PostgreSQL would cut it."""
    name = "_".join((table, *columns, "key"))
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    short = name.encode()[: LONGEST_NAME - 11].decode(errors="ignore")
    return f"{short}_{digest}"
