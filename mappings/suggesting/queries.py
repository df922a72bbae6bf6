"""What is asked of a whole database's catalog at once, each part of it in one query."""

from __future__ import annotations

from mappings.sql import verbatim

TABLES = verbatim("""
SELECT c.oid::bigint, n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text,
       greatest(c.reltuples, 0)::bigint, coalesce(pg_relation_size(c.oid), 0),
       coalesce(obj_description(c.oid, 'pg_class'), ''),
       coalesce(has_table_privilege(c.oid, 'SELECT'), false)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND n.nspname NOT IN ('information_schema', 'migrator') AND n.nspname NOT LIKE 'pg\\_%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
""")
"""Every table and view that users made; those of extensions, and partitions, left out."""

COLUMNS = verbatim("""
WITH RECURSIVE declared AS (
  SELECT DISTINCT a.atttypid AS oid FROM pg_attribute a
   WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
), up AS (
  SELECT d.oid AS declared, t.typtype = 'd' AND t.typnotnull AS never_null, t.oid, t.typtype, t.typbasetype
    FROM declared d JOIN pg_type t ON t.oid = d.oid
  UNION ALL
  SELECT up.declared, up.never_null, t.oid, t.typtype, t.typbasetype
    FROM up JOIN pg_type t ON t.oid = up.typbasetype WHERE up.typtype = 'd'
), kind AS MATERIALIZED (
  SELECT up.declared, up.never_null, format_type(b.oid, -1) AS base, b.typcategory::text AS category,
         b.typtype::text AS typtype, quote_ident(n.nspname) || '.' || quote_ident(b.typname) AS cast,
         ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder) AS labels
    FROM up JOIN pg_type b ON b.oid = up.oid JOIN pg_namespace n ON n.oid = b.typnamespace WHERE up.typtype <> 'd'
)
SELECT a.attrelid::bigint, a.attname, format_type(a.atttypid, a.atttypmod), k.base, k.category, k.typtype,
       a.attnotnull OR k.never_null,
       pg_get_expr(d.adbin, CASE WHEN a.attgenerated <> '' THEN d.adrelid ELSE 0 END) AS default,
       a.attidentity::text, a.attgenerated::text, coalesce(c.description, ''), k.labels, k.cast
  FROM pg_attribute a
  JOIN kind k ON k.declared = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_description c ON c.classoid = 'pg_class'::regclass AND c.objoid = a.attrelid AND c.objsubid = a.attnum
 WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
""")
"""The columns of many tables, with the base type behind a domain and the labels of an enum, asked once a type."""

KEYS = verbatim("""
SELECT i.indrelid::bigint, array_agg(a.attname::text ORDER BY k.place), i.indisprimary
  FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
 WHERE i.indrelid = ANY ($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
   AND k.place <= i.indnkeyatts
 GROUP BY i.indrelid, i.indexrelid, i.indisprimary
 ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid
""")
"""Primary keys and unique indexes over plain columns."""

FOREIGN_KEYS = verbatim("""
SELECT k.conrelid::bigint, k.confrelid::bigint,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number)
  FROM pg_constraint k
 WHERE k.contype = 'f' AND k.conrelid = ANY ($1) AND k.conparentid = 0 ORDER BY k.conrelid, k.conname
""")

CHECKS = verbatim("""
SELECT k.conrelid::bigint, a.attname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
 WHERE k.contype = 'c' AND k.conrelid = ANY ($1) AND cardinality(k.conkey) = 1
 ORDER BY k.conrelid, k.conname
""")
"""Checks of one column: a list of allowed values is read from them."""

ADDED = verbatim("""
SELECT relation, name FROM migrator.schema_step
 WHERE side = $1 AND kind IN ('add_column', 'shadow_column') AND undone_at IS NULL
""")
"""Columns that this product added: nobody maps them."""
