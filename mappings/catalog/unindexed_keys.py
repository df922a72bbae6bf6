"""Foreign keys onto a table whose referencing columns no index leads to: each deleted row reads the whole child."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg

from mappings.sql import Sql, encoded, printed, verbatim

ROWS_PER_PAGE = 80
"""Of a table of which nothing but the number of its rows is known."""

SECONDS_PER_PAGE = 0.5e-6
"""What it takes to look through one page that is in memory, about half of whose rows are gone."""

WORTH_PAGES = 100_000
"""Whoever reads fewer than so many pages in all is done before an index would be built."""


@dataclass(frozen=True, slots=True)
class Part:
    """A table, or a partition, that holds rows of the child, and is without an index. sql, display: its names;
    columns: the referencing ones; may_index: whether this session may build one."""

    schema: str
    sql: Sql
    display: str
    columns: tuple[str, ...]
    pages: int
    may_index: bool


@dataclass(frozen=True, slots=True)
class UnindexedKey:
    """A foreign key: the table that it is of, the one that it points to (SQL names), and where an index is missing."""

    name: str
    child: Sql
    display: str
    parent: Sql
    columns: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def pages(self) -> int:
        """What is read for each deleted row."""
        return sum(part.pages for part in self.parts)

    def reads(self, rows: int, child_rows: int = 0) -> int:
        """Pages that are read in all where so many rows are deleted. child_rows: that the child will have at least."""
        return rows * max(self.pages, child_rows // ROWS_PER_PAGE)


MISSING = verbatim("""
WITH leaf AS (
  SELECT k.oid AS key, k.conname, k.conrelid, k.confrelid, l.relid AS oid,
         (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns
    FROM pg_constraint k
    CROSS JOIN LATERAL (SELECT k.conrelid AS relid
                         UNION SELECT t.relid FROM pg_partition_tree(k.conrelid) AS t) AS l
   WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY (%s::text[]::regclass[]::oid[])
)
SELECT leaf.conname::text, quote_ident(n.nspname) || '.' || quote_ident(child.relname),
       n.nspname || '.' || child.relname, pn.nspname || '.' || parent.relname,
       quote_ident(pn.nspname) || '.' || quote_ident(parent.relname), leaf.columns,
       ln.nspname::text, quote_ident(ln.nspname) || '.' || quote_ident(c.relname), ln.nspname || '.' || c.relname,
       (pg_relation_size(c.oid) / current_setting('block_size')::int)::bigint,
       pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE')
  FROM leaf
  JOIN pg_class c ON c.oid = leaf.oid AND c.relkind = 'r' JOIN pg_namespace ln ON ln.oid = c.relnamespace
  JOIN pg_class child ON child.oid = leaf.conrelid JOIN pg_namespace n ON n.oid = child.relnamespace
  JOIN pg_class parent ON parent.oid = leaf.confrelid JOIN pg_namespace pn ON pn.oid = parent.relnamespace
 WHERE NOT EXISTS (
   SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
     CROSS JOIN LATERAL (
       SELECT array_agg(a.attname::text) AS columns, count(*) AS some
         FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(number, place)
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number AND u.number > 0
        WHERE u.place <= least(i.indnkeyatts, cardinality(leaf.columns))) AS leads
    WHERE i.indrelid = c.oid AND i.indisvalid AND m.amname IN ('btree', 'hash')
      AND leads.columns <@ leaf.columns AND (leads.some = cardinality(leaf.columns) OR i.indisunique)
      AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = ANY (
            SELECT format('(%%I IS NOT NULL)', name) FROM unnest(leaf.columns) AS u(name))))
 ORDER BY 2, 1, 8
""")
"""An index helps that begins with the referencing columns, in whatever order; one over some of them where it is
unique; one of those rows alone that refer to anything."""


def onto(conn: psycopg.Connection, targets: Iterable[str]) -> list[UnindexedKey]:
    """The foreign keys onto these tables (SQL names) that no index leads to, with what they read."""
    rows = conn.execute(encoded(MISSING), [list(targets)]).fetchall()
    result: dict[tuple[str, str], UnindexedKey] = {}
    parts: dict[tuple[str, str], list[Part]] = {}
    for name, child, display, parent_display, parent, columns, *part in rows:
        result[child, name] = UnindexedKey(
            name, child, f"{display} ({', '.join(columns)}), which points to {parent_display},",
            parent, tuple(columns), (),
        )  # fmt: skip
        parts.setdefault((child, name), []).append(_part(columns, part))
    return [_with_parts(key, parts[place]) for place, key in result.items()]


def _part(columns: Sequence[str], row: Sequence[object]) -> Part:
    schema, sql, display, pages, may_index = row
    return Part(
        str(schema), printed(str(sql)), str(display), tuple(columns), int(str(pages)), bool(may_index)
    )


def _with_parts(key: UnindexedKey, parts: Sequence[Part]) -> UnindexedKey:
    return UnindexedKey(key.name, key.child, key.display, key.parent, key.columns, tuple(parts))


PART = verbatim("""
SELECT n.nspname::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname || '.' || c.relname,
       (pg_relation_size(c.oid) / current_setting('block_size')::int)::bigint,
       pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)
""")


def part(conn: psycopg.Connection, relation: str, columns: Sequence[str]) -> Part | None:
    """A table (SQL name) as what an index over these columns is to be built on; None where it is gone."""
    row = conn.execute(encoded(PART), [relation]).fetchone()
    return _part(columns, row) if row else None
