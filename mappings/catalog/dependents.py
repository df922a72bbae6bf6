"""What depends on a table's columns: read from pg_catalog, each with its name and definition."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from mappings.sql import Sql, encoded, joined, verbatim

REFUSING = ("view", "materialised view", "rule", "policy", "trigger", "function", "publication")
"""Kinds under which PostgreSQL does not change a column's type (0A000)."""


@dataclass(frozen=True, slots=True)
class Dependent:
    """An object that depends on a column, or on the whole row type (column '').

    other: the table at the other end of a foreign key; rebuilt: an index that every change of type builds anew;
    checked: a check that every change of type repeats, by a scan of the table.
    """

    kind: str
    name: str
    column: str
    definition: Sql
    oid: int
    other: str | None = None
    rebuilt: bool = False
    checked: bool = False
    size: int = 0

    @property
    def refuses(self) -> bool:
        """Whether PostgreSQL refuses to change the column's type while this is there."""
        return self.kind in REFUSING


# Children take part: PostgreSQL changes their columns too, and refuses where something hangs on those. Columns of a
# type are found by their dependency on it, which has an index: pg_attribute has none by type, and is large.
FOUND = verbatim("""
WITH RECURSIVE tree(oid) AS (
  SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent),
found AS (
  SELECT DISTINCT d.classid, d.objid, a.attname::text AS name, a.attnum, tree.oid = $1 AS own
    FROM tree
    JOIN pg_attribute a ON a.attrelid = tree.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_attribute o ON o.attrelid = $1 AND o.attname = a.attname AND NOT o.attisdropped
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum),
types(oid) AS (
  SELECT c.reltype FROM pg_class c WHERE c.oid = $1
   UNION
  SELECT x.oid FROM types JOIN LATERAL (
         SELECT t.oid FROM pg_depend d JOIN pg_type t ON t.oid = d.objid AND types.oid IN (t.typelem, t.typbasetype)
          WHERE d.classid = 'pg_type'::regclass AND d.refclassid = 'pg_type'::regclass AND d.refobjid = types.oid
          UNION ALL
         SELECT c.reltype FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'c'
          WHERE d.classid = 'pg_class'::regclass AND d.objsubid > 0
            AND d.refclassid = 'pg_type'::regclass AND d.refobjid = types.oid) AS x ON types.oid <> 0)
""")

KINDS = verbatim("""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialised view' ELSE 'rule' END AS kind,
       CASE WHEN c.relkind IN ('v', 'm') THEN c.oid::regclass::text
            ELSE format('%I on %s', r.rulename, c.oid::regclass) END AS name,
       f.name AS column,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE pg_get_ruledef(r.oid) END AS definition,
       c.oid::bigint AS oid, NULL::text AS other, false AS rebuilt, false AS checked, 0::bigint AS size
  FROM found f JOIN pg_rewrite r ON r.oid = f.objid JOIN pg_class c ON c.oid = r.ev_class
 WHERE f.classid = 'pg_rewrite'::regclass
UNION
SELECT 'policy', format('%I on %s', p.polname, p.polrelid::regclass), f.name,
       format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, p.polrelid::regclass,
              CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                   ELSE 'ALL' END,
              (SELECT string_agg(coalesce(quote_ident(a.rolname), 'PUBLIC'), ', ') FROM unnest(p.polroles) AS x(oid)
                 LEFT JOIN pg_roles a ON a.oid = x.oid))
       || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
       || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
       p.oid::bigint, NULL, false, false, 0
  FROM found f JOIN pg_policy p ON p.oid = f.objid WHERE f.classid = 'pg_policy'::regclass
UNION
SELECT 'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass), f.name, pg_get_triggerdef(t.oid),
       t.oid::bigint, NULL, false, false, 0
  FROM found f JOIN pg_trigger t ON t.oid = f.objid AND NOT t.tgisinternal WHERE f.classid = 'pg_trigger'::regclass
UNION
SELECT 'function', p.oid::regprocedure::text, f.name, pg_get_functiondef(p.oid), p.oid::bigint, NULL, false, false, 0
  FROM found f JOIN pg_proc p ON p.oid = f.objid WHERE f.classid = 'pg_proc'::regclass AND p.prokind IN ('f', 'p')
UNION
SELECT 'publication', format('%I of %s', b.pubname, r.prrelid::regclass), f.name,
       concat_ws(' ', format('PUBLICATION %I TABLE %s', b.pubname, r.prrelid::regclass),
         (SELECT '(' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a
           WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[])),
         'WHERE ' || pg_get_expr(r.prqual, r.prrelid)),
       r.oid::bigint, NULL, false, false, 0
  FROM found f JOIN pg_publication_rel r ON r.oid = f.objid JOIN pg_publication b ON b.oid = r.prpubid
 WHERE f.classid = 'pg_publication_rel'::regclass
UNION
SELECT 'generated column', g.attname::text, f.name, pg_get_expr(x.adbin, x.adrelid), x.oid::bigint, NULL, false,
       false, 0
  FROM found f JOIN pg_attrdef x ON x.oid = f.objid
  JOIN pg_attribute g ON g.attrelid = x.adrelid AND g.attnum = x.adnum AND g.attgenerated <> '' AND g.attnum <> f.attnum
 WHERE f.classid = 'pg_attrdef'::regclass AND f.own
UNION
SELECT CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'check' END,
       format('%I on %s', k.conname, k.conrelid::regclass), f.name, pg_get_constraintdef(k.oid), k.oid::bigint,
       CASE k.contype WHEN 'f' THEN
         (CASE WHEN k.conrelid = $1 THEN k.confrelid ELSE k.conrelid END)::regclass::text END,
       false, k.contype = 'c' AND k.convalidated, 0
  FROM found f JOIN pg_constraint k ON k.oid = f.objid
 WHERE f.classid = 'pg_constraint'::regclass AND f.own AND k.contype IN ('f', 'c') AND k.conparentid = 0
UNION
SELECT 'index', i.indexrelid::regclass::text, f.name, pg_get_indexdef(i.indexrelid), i.indexrelid::bigint, NULL,
       i.indexprs IS NOT NULL OR i.indpred IS NOT NULL, false, pg_relation_size(i.indexrelid)
  FROM found f JOIN pg_index i ON i.indexrelid = f.objid WHERE f.classid = 'pg_class'::regclass AND f.own
UNION
SELECT 'index', k.conindid::regclass::text, f.name, pg_get_indexdef(k.conindid), k.conindid::bigint, NULL,
       i.indexprs IS NOT NULL OR i.indpred IS NOT NULL, false, pg_relation_size(k.conindid)
  FROM found f JOIN pg_constraint k ON k.oid = f.objid AND k.contype IN ('p', 'u', 'x')
  JOIN pg_index i ON i.indexrelid = k.conindid WHERE f.classid = 'pg_constraint'::regclass AND f.own
UNION
SELECT 'statistics', s.name, f.name, pg_get_statisticsobjdef(s.oid), s.oid::bigint, NULL, false, false, 0
  FROM found f
  JOIN (SELECT oid, format('%I.%I', stxnamespace::regnamespace, stxname) FROM pg_statistic_ext) s(oid, name)
    ON s.oid = f.objid
 WHERE f.classid = 'pg_statistic_ext'::regclass AND f.own
UNION
SELECT 'row type', format('%s.%I', c.oid::regclass, a.attname), '', format_type(a.atttypid, a.atttypmod),
       c.oid::bigint, NULL, false, false, 0
  FROM types
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = types.oid
                  AND d.classid = 'pg_class'::regclass AND d.objsubid > 0
  JOIN pg_attribute a ON a.attrelid = d.objid AND a.attnum = d.objsubid AND a.atttypid = types.oid
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm')
ORDER BY 1, 2, 3
""")


def read(conn: psycopg.Connection, oid: int) -> tuple[Dependent, ...]:
    """What depends on the columns of one table, and on those of its children."""
    with psycopg.RawCursor(conn, row_factory=class_row(Dependent)) as cursor:
        return tuple(cursor.execute(encoded(joined("", [FOUND, KINDS])), [oid]))
