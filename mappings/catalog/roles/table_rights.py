"""What a role lacks on a table that it is to write to: rights on it, and on what the server uses for its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from mappings.sql import encoded, verbatim

LACKING = verbatim("""
WITH t AS (
  SELECT c.oid, c.relnamespace, n.nspname::text AS schema, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1),
used AS (
  SELECT d.refclassid, d.refobjid FROM pg_attrdef f
    JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
   WHERE f.adrelid = $1 AND (a.attname <> ALL ($2) OR a.attgenerated <> '')
  UNION SELECT d.refclassid, d.refobjid FROM pg_constraint k
    JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
   WHERE k.conrelid = $1 AND k.contype = 'c'
  UNION SELECT d.refclassid, d.refobjid FROM pg_index i
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid WHERE i.indrelid = $1)
SELECT format('USAGE ON SCHEMA %I', t.schema) FROM t WHERE NOT has_schema_privilege(t.relnamespace, 'USAGE')
UNION ALL
SELECT format('%s ON %s', r.need, t.name) FROM t, unnest($3::text[]) AS r(need)
 WHERE NOT has_any_column_privilege(t.oid, r.need)
UNION ALL
SELECT format('USAGE ON SEQUENCE %I.%I', n.nspname, s.relname)
  FROM used JOIN pg_class s ON used.refclassid = 'pg_class'::regclass AND s.oid = used.refobjid
  JOIN pg_namespace n ON n.oid = s.relnamespace
 WHERE CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
UNION ALL
SELECT format('EXECUTE ON FUNCTION %s', p.oid::regprocedure)
  FROM used JOIN pg_proc p ON used.refclassid = 'pg_proc'::regclass AND p.oid = used.refobjid
 WHERE NOT has_function_privilege(p.oid, 'EXECUTE')
UNION ALL
SELECT DISTINCT format('USAGE ON TYPE %s', y.oid::regtype) FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ($2)
   AND NOT has_type_privilege(y.oid, 'USAGE')
 ORDER BY 1
""")
"""$1: the table; $2: columns that are filled, so that their defaults do not count; $3: rights on the table itself, or
on some of its columns. Triggers run whether or not one may call their functions."""

UNDELETABLE = verbatim("""
SELECT format('DELETE ON %I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = $1 AND NOT has_table_privilege(c.oid, 'DELETE')
""")

UNREADABLE = verbatim("""
SELECT DISTINCT format('SELECT ON %I.%I', n.nspname, c.relname)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = $1 AND k.conrelid <> $1
   AND NOT (has_any_column_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')) ORDER BY 1
""")
"""$1: a table. Those whose foreign keys lead to it, and that cannot be read."""


def lacking(
    conn: psycopg.Connection[Any], oid: int, filled: Iterable[str], rights: Iterable[str]
) -> list[str]:
    """Each right that is missing to write rows with these columns, as GRANT names it."""
    with psycopg.RawCursor(conn) as cursor:
        return [right for (right,) in cursor.execute(encoded(LACKING), [oid, list(filled), list(rights)])]


def lacking_to_take_back(conn: psycopg.Connection[Any], oid: int) -> list[str]:
    """Each right that is missing to delete rows of the table, and to look for rows that point to them."""
    with psycopg.RawCursor(conn) as cursor:
        asked = (UNDELETABLE, UNREADABLE)
        return [right for query in asked for (right,) in cursor.execute(encoded(query), [oid]).fetchall()]
