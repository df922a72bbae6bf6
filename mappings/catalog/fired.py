"""Functions of users that run when rows of a table are written: of triggers, checks, defaults and indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from mappings.catalog.kept import kept
from mappings.sql import encoded, verbatim


@dataclass(frozen=True, slots=True)
class Fired:
    """One function. what: what calls it, and of which table; function: with its arguments; loose: names in its body
    are looked up by the session's search_path, whenever it runs."""

    what: str
    function: str
    loose: bool


FIRED = verbatim("""
WITH RECURSIVE tree(oid) AS (
  SELECT $1::oid
  UNION SELECT x.oid FROM tree, LATERAL (
    SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = tree.oid
    UNION ALL SELECT k.conrelid FROM pg_constraint k
     WHERE k.contype = 'f' AND k.confrelid = tree.oid AND k.confdeltype IN ('c', 'n', 'd')) AS x(oid)),
calls(what, function) AS (
  SELECT format('trigger %s of %s', t.tgname, t.tgrelid::regclass), t.tgfoid
    FROM tree JOIN pg_trigger t ON t.tgrelid = tree.oid WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
  UNION ALL SELECT format('a default of %s', d.adrelid::regclass), p.refobjid
    FROM tree JOIN pg_attrdef d ON d.adrelid = tree.oid
    JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_proc'::regclass
  UNION ALL SELECT format('check %s of %s', k.conname, tree.oid::regclass), p.refobjid
    FROM tree JOIN pg_constraint k ON k.contype = 'c' AND (k.conrelid = tree.oid
      OR k.contypid IN (SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = tree.oid AND a.attnum > 0))
    JOIN pg_depend p ON p.classid = 'pg_constraint'::regclass AND p.objid = k.oid AND p.refclassid = 'pg_proc'::regclass
  UNION ALL SELECT format('index %s of %s', i.indexrelid::regclass, i.indrelid::regclass), p.refobjid
    FROM tree JOIN pg_index i ON i.indrelid = tree.oid
    JOIN pg_depend p ON p.classid = 'pg_class'::regclass AND p.objid = i.indexrelid
     AND p.refclassid = 'pg_proc'::regclass)
SELECT DISTINCT calls.what, f.oid::regprocedure::text AS function,
       l.lanname NOT IN ('c', 'internal') AND to_jsonb(f) ->> 'prosqlbody' IS NULL
         AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS s WHERE starts_with(s, 'search_path=')) AS loose
  FROM calls JOIN pg_proc f ON f.oid = calls.function JOIN pg_language l ON l.oid = f.prolang
 WHERE l.lanname <> 'internal' ORDER BY 1, 2
""")
"""$1: a table; with its partitions and children, and what its foreign keys change when a row is deleted."""


@kept(most=1000)
def of_table(conn: psycopg.Connection[Any], oid: int) -> tuple[Fired, ...]:
    """Every function of users that an insert, update or delete of the table's rows may run."""
    with psycopg.RawCursor(conn, row_factory=class_row(Fired)) as cursor:
        return tuple(cursor.execute(encoded(FIRED), [oid]))


LEFT_OUT = verbatim("""
SELECT s.name::text FROM unnest(current_setting('migrator.schemas')::name[]) WITH ORDINALITY AS s(name, place)
 WHERE s.name NOT IN ('pg_catalog') AND quote_ident(s.name) <> ALL
       (string_to_array(current_setting('migrator.firing_path'), ', ')) ORDER BY s.place
""")


def left_out(conn: psycopg.Connection[Any]) -> list[str]:
    """Schemas of the role's own path that such functions do not see here, as others may create objects in them."""
    return [str(name) for (name,) in conn.execute(encoded(LEFT_OUT))]
