"""Live tables, columns, keys and dependents as frozen values, read from pg_catalog."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from mappings.catalog import dependents, own_path
from mappings.catalog.dependents import Dependent
from mappings.catalog.kept import kept
from mappings.catalog.queries import (
    COLUMNS,
    FOREIGN_KEYS,
    INDEX_DEFINITIONS,
    INDEXES,
    KEYS,
    LOCKERS,
    TABLE,
    TRIGGERS,
)
from mappings.catalog.triggers import Trigger
from mappings.sql import Sql, encoded

BUILT_IN = 16384
"""PostgreSQL: the first oid that is not the same on every server (FirstNormalObjectId)."""


ROUNDING_CATEGORIES = frozenset({"N", "D", "T"})
"""Categories whose modifier rounds on assignment (numeric, timestamp, interval); text and bits raise instead."""


@dataclass(frozen=True, slots=True)
class Column:
    """type: as declared; base: without domain and modifier, as a cast names it; full_type: base with modifier.

    loose: its collation takes different texts for equal; sequence: its own; counter: the one that its default counts
    by, its own or not, which this session may set where may_set_counter says so; is_decorated: it has rights,
    options or a comment of its own, which would be lost with it; storage: ALTER COLUMN clauses that bring back how
    its values are stored, '' where that is as its type has it: PostgreSQL forgets it whenever the type changes;
    operators: the schema of the base type's own `=`, '' for PostgreSQL's (equality).
    """

    number: int
    name: str
    type: Sql
    base: Sql
    base_oid: int
    full_type: Sql
    modifier: int
    is_domain: bool
    category: str
    kind: str
    not_null: bool
    default: Sql | None
    identity: str
    generated: str
    collatable: bool
    collation: Sql | None
    loose: bool
    sequence: Sql | None
    sequence_type: Sql | None
    counter: Sql | None
    counts_up: bool | None
    may_set_counter: bool | None
    is_decorated: bool
    storage: Sql
    has_equality: bool
    operators: str

    @property
    def fills_itself(self) -> bool:
        """Whether a row may leave it out even though it is NOT NULL."""
        return bool(self.default or self.identity or self.generated)

    @property
    def rounds(self) -> bool:
        """Whether its modifier changes what is assigned; arrays do by their elements."""
        element = self.base.removesuffix("[]")
        rounding = self.category in ROUNDING_CATEGORIES or (
            self.category == "A" and element.startswith(("numeric", "time", "interval"))
        )
        return rounding and self.modifier >= 0


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a valid unique index over plain columns, none of them partial or on expressions."""

    columns: tuple[str, ...]
    is_primary: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """column -> referenced table (oid) and column, one entry a column pair; kind of action left out."""

    name: str
    columns: tuple[str, ...]
    parent: int
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it can be built again. columns: all it depends on; of_constraint: it belongs to one."""

    definition: Sql
    columns: tuple[str, ...]
    of_constraint: bool


@dataclass(frozen=True, slots=True)
class Table:
    """kind: pg_class.relkind; sql: the quoted, schema-qualified name.

    size, index_size: bytes, with children; has_rows: it takes room on disk; rules: that may rewrite what is written
    to it; is_owned, may_index: whether this session may change it and build indexes on it; is_typed: made by
    CREATE TABLE ... OF a type; width: how many columns it has had; unfilled: materialised views that were never
    refreshed, itself or what a view reads; foreign: foreign tables, itself or among its partitions and children;
    holds_nothing: it is partitioned, and has no partition that a row could be in.
    """

    oid: int
    schema: str
    name: str
    sql: Sql
    kind: str
    is_partition: bool
    has_children: bool
    inherits: bool
    estimate: int
    pages: int
    size: int
    index_size: int
    is_owned: bool
    may_index: bool
    is_typed: bool
    has_rows: bool
    width: int
    unfilled: Sequence[str]
    foreign: Sequence[str]
    holds_nothing: bool
    rules: tuple[str, ...]
    columns: tuple[Column, ...]
    keys: tuple[Key, ...]
    indexes: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    dependents: tuple[Dependent, ...]
    index_definitions: tuple[Index, ...]
    partition_columns: tuple[str, ...]
    triggers: tuple[Trigger, ...]

    def column(self, name: str) -> Column | None:
        """The column called `name`, verbatim."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The primary key's columns; empty if there is none."""
        return next((key.columns for key in self.keys if key.is_primary), ())

    def row_key(self, but: AbstractSet[str] = frozenset()) -> tuple[str, ...]:
        """What tells rows apart: the primary key, else the first unique combination that takes no NULL; empty for none.

        but: columns that may not be part of it, unless it is the primary key.
        """
        sure = {column.name for column in self.columns if column.not_null} - but
        others = (key.columns for key in self.keys if set(key.columns) <= sure)
        return self.primary_key or next(others, ())

    @property
    def display(self) -> str:
        """schema.name for people."""
        return f"{self.schema}.{self.name}"


@kept(most=1000)
def find(conn: psycopg.Connection, schema: str | None, name: str) -> int | None:
    """The oid of a relation by its verbatim name; without a schema by the role's own search_path."""
    if schema is None:
        return own_path.relation(conn, name)
    with psycopg.RawCursor(conn) as cursor:
        cursor.execute(
            "SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = $1 AND c.relname = $2",
            [schema, name],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def find_all(conn: psycopg.Connection, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The oids of the relations that there are, by schema and verbatim name, in one query."""
    if not names:
        return {}
    with psycopg.RawCursor(conn) as cursor:
        rows = cursor.execute(
            "SELECT n.nspname::text, c.relname::text, c.oid::bigint"
            "  FROM unnest($1::text[], $2::text[]) AS w(schema, name) JOIN pg_namespace n ON n.nspname = w.schema"
            "  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name",
            [list(each) for each in zip(*names, strict=True)],
        ).fetchall()
    return {(schema, name): oid for schema, name, oid in rows}


@kept(most=60)
def read_table(conn: psycopg.Connection, oid: int) -> Table:
    """All that planning asks about one relation, in small queries that go out together."""
    asked = (TABLE, INDEXES, KEYS, FOREIGN_KEYS, INDEX_DEFINITIONS, TRIGGERS)
    with conn.pipeline():
        answers = [psycopg.RawCursor(conn).execute(encoded(text), [oid]) for text in asked]
        columns = psycopg.RawCursor(conn, row_factory=class_row(Column)).execute(encoded(COLUMNS), [oid])
    row, indexes, keys, foreign, definitions, triggers = (answer.fetchall() for answer in answers)
    facts: list[Any]
    assert row, f"table {oid} is gone"
    *facts, rules, partitioned_by = row[0]
    facts.append(tuple(rules))
    read: Any = (
        tuple(columns.fetchall()),
        tuple(Key(tuple(names), primary) for names, primary in keys),
        tuple(tuple(names) for (names,) in indexes),
        tuple(
            ForeignKey(name, tuple(names), parent, tuple(parents)) for name, names, parent, parents in foreign
        ),
        dependents.read(conn, oid),
        tuple(
            Index(definition, tuple(names), of_constraint) for definition, names, of_constraint in definitions
        ),
        tuple(partitioned_by),
        tuple(Trigger(*result) for result in triggers),
    )
    return Table(*facts, *read)


def lockers(conn: psycopg.Connection) -> str:
    """Who keeps everyone from looking at a table of this database: which, pid, user, what they run; '' for nobody."""
    rows = conn.execute(encoded(LOCKERS)).fetchall()
    result = (
        f"{table} is locked by pid {pid}, user {user}, {state}: {query}"
        for table, pid, user, state, query in rows
    )
    return "; ".join(result)
