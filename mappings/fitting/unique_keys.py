"""Source rows that a unique index of the target would refuse: because of each other, or of rows that are there.

Asked only where all columns of the index are mapped to values and nothing in the source makes them unique as well.
It stays a warning: a trigger of the target may change what is inserted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from mappings.catalog.describe import types_of
from mappings.catalog.equality import of_types
from mappings.catalog.extensions import type_sql
from mappings.catalog.types import INTEGERS
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.plan.keys import KeyPart
from mappings.plan.table_plan import Value
from mappings.problems import Problem
from mappings.sql import (
    NOTHING,
    Sql,
    cast,
    compose,
    encoded,
    ident,
    joined,
    operator,
    unlike,
    unused,
    verbatim,
)

MOST_GROUPS = 20
MOST_IN_A_GROUP = 5
MOST_ROWS_THERE = 10_000
"""Of the target, that are compared across two databases; more are left to the copy."""

UNTOLD = (
    "whether rows collide in the target's unique index {} is not known before the copy: the source has no such"
    " collation, by which texts are equal that are spelled otherwise"
)

TEXTS = ("text", "character varying")

UNIQUE_INDEXES = verbatim("""
SELECT c.relname::text AS name,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
                    || coalesce((SELECT format(' COLLATE %%I.%%I', n.nspname, l.collname) FROM pg_collation l
                                   JOIN pg_namespace n ON n.oid = l.collnamespace
                                  WHERE l.oid = i.indcollation[k - 1] AND NOT l.collisdeterministic), '')
               FROM generate_series(1, i.indnkeyatts) k) AS parts,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND (a.attnum = ANY (i.indkey::int2[])
                 OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
                             AND d.refobjsubid = a.attnum))) AS columns,
       i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_collation l WHERE l.oid = ANY (i.indcollation::oid[])
                                             AND NOT l.collisdeterministic) AS plain,
       pg_get_expr(i.indpred, i.indrelid) AS predicate,
       pg_get_indexdef(i.indexrelid) LIKE '%% NULLS NOT DISTINCT%%' AS nulls_collide
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid ORDER BY i.indexrelid
""")


TYPE_NAME = verbatim("SELECT typname::text FROM pg_type WHERE oid = %s")
TYPES_NAMED = verbatim("SELECT oid::bigint FROM pg_type WHERE typname = %s ORDER BY oid")


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index of the target. parts: SQL over its columns; plain: the columns themselves, told apart by `=`."""

    name: str
    parts: tuple[Sql, ...]
    columns: tuple[str, ...]
    plain: bool
    predicate: Sql | None
    nulls_collide: bool

    def entries(self, columns: Sql, rows: Sql) -> Sql:
        """(`columns`, e1, e2 …) of the rows that are in the index. rows: a FROM item with the target's column names."""
        parts = joined(
            ", ", (compose("({}) AS e{}", part, number) for number, part in enumerate(self.parts, 1))
        )
        conditions = [] if self.nulls_collide else [compose("({}) IS NOT NULL", part) for part in self.parts]
        conditions += [compose("({})", self.predicate)] if self.predicate else []
        return projection.select([columns, parts], rows, joined(" AND ", conditions) or None)

    @property
    def names(self) -> list[Sql]:
        """e1, e2 …"""
        return [compose("e{}", number) for number in range(1, len(self.parts) + 1)]


class Collisions:
    """The unique indexes of one table mapping's target that have to be asked about."""

    def __init__(self, compiler: Compiler, key: tuple[KeyPart, ...]) -> None:
        self.compiler, self.key = compiler, key
        self.uniques = list(self._doubtful()) if key and compiler.table.spec.existing is None else []

    def _doubtful(self) -> Iterator[Unique]:
        table = self.compiler.table
        columns = [table.spec.columns[number] for number in self.compiler.expressions]
        filled = {column.name for column in columns if not column.unique}
        result: Any = self.compiler.databases.target.execute(encoded(UNIQUE_INDEXES), [table.target.oid])
        for name, parts, columns, plain, predicate, nulls_collide in result:
            unique = Unique(name, tuple(parts), tuple(columns), plain, predicate, nulls_collide)
            if set(columns) <= filled and not (plain and self._promised(unique)):
                yield unique

    def _promised(self, unique: Unique) -> bool:
        """Whether a key of the only source table is copied, as it stands, into columns of the index."""
        table = self.compiler.table
        if table.spec.joins:
            return False
        copied = {
            source.name
            for column in table.spec.columns
            if column.name in unique.columns and column.from_ and not column.lookup and not column.ref
            if (result := table.source_column(column.from_[0])) and (source := result[1])
            if (target := table.target.column(column.name)) and _tells_apart(source.base, target.base)
        }
        not_null = {column.name for column in table.source.columns if column.not_null}
        return any(set(key.columns) <= copied & not_null for key in table.source.keys)

    @property
    def own_key(self) -> Sql:
        """What the key is called beside the target's columns."""
        return unused("__key", [column.name for column in self.compiler.table.spec.columns])

    def problems(self) -> Iterator[Problem]:
        """A warning for each index that would refuse rows; none where the source does not understand the index."""
        if not self.key:  # a blocker says so already; no row could be named
            return
        rows = self._mapped_rows()
        for unique in self.uniques:
            path = f"{self.compiler.table.path}.columns.{unique.columns[0]}"
            try:
                yield from (Problem(path, text) for text in self._among_themselves(unique, rows))
                yield from (Problem(path, text) for text in self._with_rows_there(unique, rows))
            except psycopg.errors.UndefinedObject:
                yield Problem(path, UNTOLD.format(unique.name))
            except psycopg.Error:
                continue  # a value or a function that the copy will report by its row

    def _mapped_rows(self) -> Sql:
        """The source rows in scope under the target's column names, with their key as text."""
        compiler = self.compiler
        text = projection.key_text([(part.sql, part.native) for part in self.key])
        values = [compose("{} AS {}", self._own(value), ident(value.target)) for value in compiler.values()]
        distinct, tail = NOTHING, NOTHING
        if compiler.table.spec.distinct:
            keys = joined(", ", (part.sql for part in self.key))
            by = compiler.table.spec.order_by
            distinct = compose("DISTINCT ON ({}) ", keys)
            order = compose(", {}", compiler.table.bound_ordering(by)) if by else NOTHING
            tail = compose("\n ORDER BY {}{}", keys, order)
        columns = [compose("{}{} AS {}", distinct, text, self.own_key), *values]
        return compose("({}) AS w", projection.select(columns, compiler.from_sql, compiler.where_sql, tail))

    def _own(self, value: Value) -> Sql:
        """The value as of the target's type, which takes others for equal than texts, where the source has it too."""
        databases, column = self.compiler.databases, self.compiler.table.target.column(value.target)
        if databases.same or not value.operators or column is None:
            return value.sql
        (name,) = databases.target.execute(encoded(TYPE_NAME), [column.base_oid]).fetchone() or ("",)
        oids = [oid for (oid,) in databases.source.execute(encoded(TYPES_NAMED), [name])]
        owned = [oid for oid, schema in zip(oids, of_types(databases.source, oids), strict=True) if schema]
        return cast(value.sql, type_sql(databases.source, owned[0])) if owned else value.sql

    def _among_themselves(self, unique: Unique, rows: Sql) -> Iterator[str]:
        names = joined(", ", unique.names)
        keys = compose(
            "array_to_string((array_agg(w.key ORDER BY w.key))[1:{most_in_a_group}], ' and ')",
            most_in_a_group=MOST_IN_A_GROUP,
        )
        entries = unique.entries(compose("w.{} AS key", self.own_key), rows)
        groups = compose(
            "SELECT count(*) AS n, {keys} AS keys FROM ({entries}) AS w GROUP BY {names} HAVING count(*) > 1",
            keys=keys,
            entries=entries,
            names=names,
        )
        row = self._ask(
            compose(
                "SELECT sum(n), (array_agg(keys ORDER BY keys))[1:{most_groups}], count(*) FROM ({groups}) AS g",
                most_groups=MOST_GROUPS,
                groups=groups,
            )
        )
        if row[0]:
            more = f"; and {row[2] - len(row[1])} more groups" if row[2] > len(row[1]) else ""
            yield (
                f"{row[0]} source rows collide with each other in the target's unique index {unique.name}:"
                f" rows {'; '.join(row[1])}{more}"
            )

    def _with_rows_there(self, unique: Unique, rows: Sql) -> Iterator[str]:
        there = self._rows_there(unique)
        if there is None:
            return
        source, parameters = there
        entries = unique.entries(compose("w.{} AS key", self.own_key), rows)
        kinds = self._kinds(unique, rows)
        on = joined(
            " AND ",
            (
                _same(compose("w.{}", name), compose("t.{}::{}", name, kind), operators, unique.nulls_collide)
                for name, (kind, operators) in zip(unique.names, kinds, strict=True)
            ),
        )
        row = self._ask(
            compose(
                "SELECT count(*), (array_agg(key ORDER BY key))"
                "[1:{most_groups}] FROM (SELECT DISTINCT w.key FROM ({entries}) AS w JOIN {source} ON {on}) AS x",
                most_groups=MOST_GROUPS,
                entries=entries,
                source=source,
                on=on,
            ),
            parameters,
        )
        if row[0]:
            more = f" and {row[0] - len(row[1])} more" if row[0] > len(row[1]) else ""
            yield (
                f"{row[0]} source rows collide in the target's unique index {unique.name} with rows that are"
                f" there: source rows {', '.join(row[1])}{more}"
            )

    def _kinds(self, unique: Unique, rows: Sql) -> list[tuple[Sql, str]]:
        """Of each part its type at the source, and the schema of that type's own operators."""
        conn, entries = self.compiler.databases.source, unique.entries(verbatim("1 AS one"), rows)
        oids = types_of(conn, compose("SELECT {} FROM ({}) AS w", joined(", ", unique.names), entries))
        return [(type_sql(conn, oid), of_types(conn, [oid])[0]) for oid in oids]

    def _rows_there(self, unique: Unique) -> tuple[Sql, list[Any]] | None:
        """What to join with, and its parameters; None where it is too much, or who brought them is not known."""
        table = self.compiler.table
        flag = table.spec.is_migrated
        if flag is None:
            return None
        mine = compose(" WHERE NOT {}", ident(flag)) if table.target.column(flag) else NOTHING
        entries = unique.entries(
            verbatim("1 AS one"), compose("(SELECT * FROM {}{}) AS t", table.target.sql, mine)
        )
        if self.compiler.databases.same:
            return compose("({}) AS t", entries), []
        texts = joined(", ", (compose("{}::text", name) for name in unique.names))
        rows = self.compiler.databases.target.execute(
            encoded(compose("SELECT {} FROM ({}) AS t LIMIT {}", texts, entries, MOST_ROWS_THERE + 1))
        ).fetchall()
        if len(rows) > MOST_ROWS_THERE:
            return None
        arrays = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in unique.names]
        places = joined(", ", (compose("${}::text[]", number) for number in range(1, len(arrays) + 1)))
        return compose("unnest({}) AS t({})", places, joined(", ", unique.names)), arrays

    def _ask(self, query: Sql, parameters: list[Any] | None = None) -> Any:
        with psycopg.RawCursor(self.compiler.databases.source) as cursor:
            return cursor.execute(encoded(query), parameters or []).fetchone()


def _same(left: Sql, right: Sql, operators: str, nulls_collide: bool) -> Sql:
    """Whether two values are one to a unique index. operators: the schema of their type's own ones."""
    if nulls_collide:
        return compose("NOT ({})", unlike(left, right, operators))
    return compose("{} {} {}", left, operator("=", operators), right)


def _tells_apart(source: str, target: str) -> bool:
    """Whether two different values of the source's type stay different in the target's."""
    return (
        source == target
        or (source in INTEGERS and target in INTEGERS)
        or (source in TEXTS and target in TEXTS)
        or (source in INTEGERS and target in TEXTS)
    )
