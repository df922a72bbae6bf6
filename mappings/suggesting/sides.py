"""Reads all tables of one database, as far as proposing asks, in six queries."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from mappings.sql import Sql, encoded, verbatim
from mappings.suggesting import queries

LITERAL = re.compile(r"'((?:[^']|'')*)'")
NOT_A_LIST = re.compile(r"~|<|>|\bLIKE\b|\bAND\b|\(\s*\w+\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """type: as declared; base: without domain and modifier; kind: pg_type.typtype of base; cast: how a cast names it.

    labels: the values that an enum or a check allows, () for no such list.
    """

    name: str
    type: str
    base: str
    category: str = "S"
    kind: str = "b"
    not_null: bool = False
    default: str | None = None
    identity: str = ""
    generated: str = ""
    comment: str = ""
    labels: tuple[str, ...] = ()
    cast: str = ""

    @property
    def counts(self) -> bool:
        """Whether the server makes its values: an identity, a sequence, a random uuid."""
        made = ("nextval(", "gen_random_uuid(", "uuid_generate", "uuidv")
        return bool(self.identity) or any(function in (self.default or "") for function in made)


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key; parent: the oid of the other table. implied: by its name, there is no constraint."""

    columns: tuple[str, ...]
    parent: int
    parent_columns: tuple[str, ...]
    implied: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. keys: unique combinations, the primary key first where there is one; size: bytes."""

    oid: int
    schema: str
    name: str
    sql: Sql
    kind: str = "r"
    rows: int = 0
    size: int = 0
    comment: str = ""
    readable: bool = True
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column called `name`, verbatim."""
        return next((column for column in self.columns if column.name == name), None)

    def reference(self, name: str) -> Reference | None:
        """The foreign key that a column is part of; one of a single column before others."""
        result = sorted((ref for ref in self.references if name in ref.columns), key=lambda r: len(r.columns))
        return result[0] if result else None


@dataclass(frozen=True, slots=True)
class Side:
    """All tables of a database by oid."""

    tables: dict[int, Table]

    def named(self, schema: str | None, name: str) -> Table | None:
        """A table by its verbatim name; without a schema the one of that name, `public` before others."""
        result = [t for t in self.tables.values() if t.name == name and schema in (None, t.schema)]
        result.sort(key=lambda table: table.schema != "public")
        return result[0] if result else None


def read(conn: psycopg.Connection[Any], side: Literal["source", "target"]) -> Side:
    """The tables of the database that `conn` is in. psycopg.errors.LockNotAvailable where somebody locks one."""
    with psycopg.RawCursor(conn) as cursor:
        rows = cursor.execute(encoded(queries.TABLES)).fetchall()
        oids = [row[0] for row in rows]
        primary, keys = _keys(cursor.execute(encoded(queries.KEYS), [oids]))
        references: dict[int, list[Reference]] = defaultdict(list)
        for oid, parent, columns, parent_columns in cursor.execute(encoded(queries.FOREIGN_KEYS), [oids]):
            references[oid].append(Reference(tuple(columns), parent, tuple(parent_columns)))
        labels = _labels(cursor.execute(encoded(queries.CHECKS), [oids]))
        columns = _columns(cursor.execute(encoded(queries.COLUMNS), [oids]).fetchall(), labels)
        added = _added(cursor, side)
    return Side(
        {
            oid: Table(
                oid, schema, name, sql, kind, estimate, size, comment, readable,
                tuple(column for column in columns[oid] if (sql, column.name) not in added),
                primary.get(oid, ()), tuple(keys[oid]), tuple(references[oid]),
            )
            for oid, schema, name, sql, kind, estimate, size, comment, readable in rows
        }
    )  # fmt: skip


def allowed_values(definition: str) -> tuple[str, ...]:
    """The values that a CHECK of one column lists; () where it says something else."""
    body = re.sub(r"'(?:[^']|'')*'", "''", definition)
    if NOT_A_LIST.search(body) or "=" not in body:
        return ()
    return tuple(dict.fromkeys(result.replace("''", "'") for result in LITERAL.findall(definition)))


def _keys(rows: Iterable[Any]) -> tuple[dict[int, tuple[str, ...]], dict[int, list[tuple[str, ...]]]]:
    primary: dict[int, tuple[str, ...]] = {}
    keys: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for oid, columns, is_primary in rows:
        keys[oid].append(tuple(columns))
        if is_primary:
            primary[oid] = tuple(columns)
    return primary, keys


def _labels(rows: Iterable[Any]) -> dict[tuple[int, str], tuple[str, ...]]:
    return {(oid, name): result for oid, name, definition in rows if (result := allowed_values(definition))}


def _columns(rows: Iterable[Any], labels: dict[tuple[int, str], tuple[str, ...]]) -> dict[int, list[Column]]:
    columns: dict[int, list[Column]] = defaultdict(list)
    for oid, name, kind, base, category, typtype, *rest, enum, cast in rows:
        not_null, default, identity, generated, comment = rest
        one = sys.intern  # the same few texts for thousands of columns
        column = Column(
            one(name), one(kind), one(base), one(category), typtype, not_null, default, identity, generated, comment,
            tuple(enum) or labels.get((oid, name), ()), cast if typtype == "e" else base,
        )  # fmt: skip
        columns[oid].append(column)
    return columns


def _added(cursor: psycopg.RawCursor[Any], side: str) -> set[tuple[str, str]]:
    readable = verbatim(
        "SELECT coalesce(has_table_privilege(to_regclass('migrator.schema_step'), 'SELECT'), false)"
    )
    if not (cursor.execute(encoded(readable)).fetchone() or (False,))[0]:
        return set()
    return {(relation, name) for relation, name in cursor.execute(encoded(queries.ADDED), [side])}
