"""Live tables, columns, keys and dependents as frozen values, read from pg_catalog."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from mappings import dependents
from mappings.dependents import Dependent
from mappings.plan import Trigger

BUILT_IN = 16384
"""PostgreSQL: the first oid that is not the same on every server (FirstNormalObjectId)."""


@dataclass(frozen=True, slots=True)
class Column:
    """type: as declared; base: without domain and modifier, as a cast names it; full_type: base with modifier.

    sequence: its own; counter: the one that its default counts by, its own or not; is_decorated: it has rights,
    options or a comment of its own, which would be lost with it; storage: ALTER COLUMN clauses that bring back how
    its values are stored, '' where that is as its type has it: PostgreSQL forgets it whenever the type changes.
    """

    number: int
    name: str
    type: str
    base: str
    base_oid: int
    full_type: str
    modifier: int
    is_domain: bool
    category: str
    kind: str
    not_null: bool
    default: str | None
    identity: str
    generated: str
    collatable: bool
    collation: str | None
    sequence: str | None
    sequence_type: str | None
    counter: str | None
    counts_up: bool | None
    is_decorated: bool
    storage: str
    has_equality: bool

    @property
    def fills_itself(self) -> bool:
        """Whether a row may leave it out even though it is NOT NULL."""
        return bool(self.default or self.identity or self.generated)


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

    definition: str
    columns: tuple[str, ...]
    of_constraint: bool


@dataclass(frozen=True, slots=True)
class Table:
    """kind: pg_class.relkind; sql: the quoted, schema-qualified name.

    size, index_size: bytes, with children; has_rows: it takes room on disk; rules: that may rewrite what is written
    to it; is_owned, may_index: whether this session may change it and build indexes on it; is_typed: made by
    CREATE TABLE ... OF a type.
    """

    oid: int
    schema: str
    name: str
    sql: str
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


COLUMNS = """
WITH counters AS NOT MATERIALIZED (
  SELECT q.*, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
    FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace)
SELECT a.attnum AS number, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       format_type(b.oid, -1) AS base, b.oid::bigint AS base_oid,
       format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) AS full_type,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
       t.typtype = 'd' AS is_domain, b.typcategory::text AS category, b.typtype::text AS kind,
       a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS not_null,
       coalesce(pg_get_expr(d.adbin, CASE WHEN a.attgenerated <> '' THEN d.adrelid ELSE 0 END),
                t.typdefault) AS default,
       a.attidentity::text AS identity, a.attgenerated::text AS generated,
       b.typcollation <> 0 AS collatable,
       (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c
          JOIN pg_namespace n ON n.oid = c.collnamespace
         WHERE c.oid = a.attcollation AND a.attcollation <> 0 AND c.collname <> 'default') AS collation,
       s.name AS sequence, format_type(s.seqtypid, NULL) AS sequence_type,
       coalesce(s.name, u.name) AS counter, coalesce(s.seqincrement, u.seqincrement) > 0 AS counts_up,
       a.attacl IS NOT NULL OR a.attoptions IS NOT NULL OR a.attstattarget > 0
         OR col_description(a.attrelid, a.attnum) IS NOT NULL
         OR a.attstorage <> t.typstorage OR a.attcompression <> '' AS is_decorated,
       concat_ws(', ',
         CASE WHEN a.attstorage <> t.typstorage THEN format('ALTER COLUMN %I SET STORAGE ', a.attname)
              || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                      ELSE 'EXTENDED' END END,
         CASE WHEN a.attcompression <> '' THEN format('ALTER COLUMN %I SET COMPRESSION ', a.attname)
              || CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END END) AS storage,
       NOT EXISTS (
         WITH RECURSIVE parts(oid) AS (
           SELECT b.oid
           UNION SELECT inner_part.oid FROM parts JOIN pg_type whole ON whole.oid = parts.oid,
             LATERAL (SELECT whole.typelem WHERE whole.typcategory = 'A'
                      UNION ALL SELECT whole.typbasetype WHERE whole.typtype = 'd'
                      UNION ALL SELECT f.atttypid FROM pg_attribute f WHERE whole.typtype = 'c'
                         AND f.attrelid = whole.typrelid AND f.attnum > 0 AND NOT f.attisdropped) inner_part(oid))
         SELECT FROM parts JOIN pg_type p ON p.oid = parts.oid
          WHERE p.typcategory <> 'A' AND p.typtype NOT IN ('c', 'd', 'e', 'r', 'm') AND p.oid <> 'varchar'::regtype
            AND NOT EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
                             WHERE m.amname IN ('btree', 'hash') AND o.opcdefault AND o.opcintype = p.oid)
       ) AS has_equality
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN LATERAL (WITH RECURSIVE up AS (
         SELECT t.oid, t.typtype, t.typbasetype
         UNION ALL SELECT n.oid, n.typtype, n.typbasetype FROM up JOIN pg_type n ON n.oid = up.typbasetype
          WHERE up.typtype = 'd')
       SELECT p.* FROM up JOIN pg_type p ON p.oid = up.oid WHERE up.typtype <> 'd') b ON true
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN LATERAL (SELECT q.* FROM pg_depend dep JOIN counters q ON q.seqrelid = dep.objid
        WHERE dep.classid = 'pg_class'::regclass AND dep.refclassid = 'pg_class'::regclass
          AND dep.refobjid = a.attrelid AND dep.refobjsubid = a.attnum AND dep.deptype IN ('a', 'i')
        LIMIT 1) s ON true
  LEFT JOIN LATERAL (SELECT q.* FROM pg_depend dep JOIN counters q ON q.seqrelid = dep.refobjid
        WHERE dep.classid = 'pg_attrdef'::regclass AND dep.objid = d.oid AND dep.refclassid = 'pg_class'::regclass
        LIMIT 1) u ON true
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""

KEYS = """
SELECT array_agg(a.attname::text ORDER BY k.place) AS columns, i.indisprimary AS is_primary
  FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
 WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
   AND k.place <= i.indnkeyatts
 GROUP BY i.indexrelid, i.indisprimary
 ORDER BY i.indisprimary DESC, i.indexrelid
"""

INDEXES = """
SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
 WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' AND k.place <= i.indnkeyatts
 GROUP BY i.indexrelid ORDER BY i.indexrelid
"""

INDEX_DEFINITIONS = """
SELECT pg_get_indexdef(i.indexrelid) AS definition,
       array_agg(DISTINCT a.attname::text) AS columns,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS of_constraint
  FROM pg_index i
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
 WHERE i.indrelid = $1 AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
 GROUP BY i.indexrelid ORDER BY i.indexrelid
"""

FOREIGN_KEYS = """
SELECT k.conname AS name,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
       k.confrelid::bigint AS parent,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS parent_columns
  FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = $1 AND k.conparentid = 0 ORDER BY k.conname
"""

TRIGGERS = """
SELECT t.tgname, t.tgenabled = 'A', t.tgtype & 4 <> 0, t.tgtype & 16 <> 0, t.tgtype & 8 <> 0
  FROM pg_trigger t
 WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 67 = 3 ORDER BY t.tgname
"""
"""Bits of tgtype: of rows 1, before 2, instead of 64, on insert 4, delete 8, update 16 (PostgreSQL: pg_trigger.h)."""

TABLE = """
WITH RECURSIVE tree(oid) AS (
  SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent)
SELECT c.oid::bigint, n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       c.relkind::text, c.relispartition,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition,
       greatest(c.reltuples, 0)::bigint, c.relpages,
       (SELECT coalesce(sum(pg_table_size(tree.oid)), 0)::bigint FROM tree),
       (SELECT coalesce(sum(pg_indexes_size(tree.oid)), 0)::bigint FROM tree),
       pg_has_role(c.relowner, 'USAGE'), has_schema_privilege(c.relnamespace, 'CREATE'), c.reloftype <> 0,
       coalesce(pg_relation_size(c.oid), 0) > 0,
       ARRAY(SELECT r.rulename::text FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
                AND r.ev_type IN ('2', '3', '4') ORDER BY 1),
       coalesce((SELECT array_agg(a.attname::text) FROM pg_partitioned_table p
          JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs::int2[])
         WHERE p.partrelid = c.oid), '{}')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = $1
"""


LOCKERS = """
SELECT l.relation::regclass::text, a.pid, a.usename, a.state, left(a.query, 80)
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
 WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND a.pid <> pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND c.relkind IN ('r', 'p', 'm')
 ORDER BY 1, 2 LIMIT 3
"""


def find(conn: psycopg.Connection, schema: str | None, name: str) -> int | None:
    """The oid of a relation by its verbatim name; without a schema by the session's search_path."""
    with psycopg.RawCursor(conn) as cursor:
        if schema is None:
            cursor.execute("SELECT to_regclass(quote_ident($1))::oid::bigint", [name])
        else:
            cursor.execute(
                "SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = $1 AND c.relname = $2",
                [schema, name],
            )
        row = cursor.fetchone()
    return row[0] if row else None


def read_table(conn: psycopg.Connection, oid: int) -> Table:
    """All that planning asks about one relation, in eight small queries."""
    with psycopg.RawCursor(conn) as cursor:
        row: Any = cursor.execute(TABLE, [oid]).fetchone()
        assert row is not None
        indexes = tuple(tuple(columns) for (columns,) in cursor.execute(INDEXES, [oid]))
        keys = tuple(Key(tuple(columns), primary) for columns, primary in cursor.execute(KEYS, [oid]))
        foreign = tuple(
            ForeignKey(name, tuple(columns), parent, tuple(parent_columns))
            for name, columns, parent, parent_columns in cursor.execute(FOREIGN_KEYS, [oid])
        )
        definitions = tuple(
            Index(definition, tuple(names), of_constraint)
            for definition, names, of_constraint in cursor.execute(INDEX_DEFINITIONS, [oid])
        )
        triggers = tuple(Trigger(*found) for found in cursor.execute(TRIGGERS, [oid]))
    with psycopg.RawCursor(conn, row_factory=class_row(Column)) as cursor:
        columns = tuple(cursor.execute(COLUMNS, [oid]))
    facts: list[Any]
    *facts, rules, partitioned_by = row
    facts.append(tuple(rules))
    read: Any = (
        columns,
        keys,
        indexes,
        foreign,
        dependents.read(conn, oid),
        definitions,
        tuple(partitioned_by),
        triggers,
    )
    return Table(*facts, *read)


def lockers(conn: psycopg.Connection) -> str:
    """Who keeps everyone from looking at a table of this database: which, pid, user, what they run; '' for nobody."""
    rows = conn.execute(LOCKERS).fetchall()
    found = (
        f"{table} is locked by pid {pid}, user {user}, {state}: {query}"
        for table, pid, user, state, query in rows
    )
    return "; ".join(found)


def list_tables(conn: psycopg.Connection) -> list[str]:
    """Every ordinary or partitioned table a user made, as quoted schema.name, for offering in forms."""
    return [
        name
        for (name,) in conn.execute(
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'migrator')"
            " AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%' ORDER BY 1"
        )
    ]
