"""What is asked of pg_catalog about one table, each part of it in one query. $1: the table's oid."""

from __future__ import annotations

from mappings.sql import compose, verbatim

OWN_OPERATORS = verbatim("""
SELECT DISTINCT ON (o.opcintype) o.opcintype AS type, n.nspname::text AS schema
  FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname IN ('btree', 'hash')
  JOIN pg_amop a ON a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype AND a.amoprighttype = o.opcintype
   AND a.amopstrategy = CASE m.amname WHEN 'btree' THEN 3 ELSE 1 END
  JOIN pg_operator p ON p.oid = a.amopopr AND p.oprname = '=' AND p.oprnamespace <> 'pg_catalog'::regnamespace
  JOIN pg_namespace n ON n.oid = p.oprnamespace
 WHERE o.opcdefault ORDER BY o.opcintype, m.amname
""")
"""Types whose own equality is not PostgreSQL's (citext, hstore, ltree), and the schema in which it is.

Enums, ranges, arrays and rows have those of PostgreSQL, which ask the types in them. An operator class takes a
superuser to make, so nobody else decides what is here. Strategies: 3 equal of btree, 1 equal of hash.
"""

COLUMNS = compose(
    """
WITH own_operators AS NOT MATERIALIZED ({own_operators}), counters AS NOT MATERIALIZED (
 SELECT q.*, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
   FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace)
SELECT a.attnum AS number, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
      format_type(b.oid, -1) AS base, b.oid::bigint AS base_oid,
      format_type(b.oid, b.modifier) AS full_type, b.modifier,
      t.typtype = 'd' AS is_domain, b.typcategory::text AS category, b.typtype::text AS kind,
      a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS not_null,
      coalesce(pg_get_expr(d.adbin, CASE WHEN a.attgenerated <> '' THEN d.adrelid ELSE 0 END),
               t.typdefault) AS default,
      a.attidentity::text AS identity, a.attgenerated::text AS generated,
      b.typcollation <> 0 AS collatable,
      (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c
         JOIN pg_namespace n ON n.oid = c.collnamespace
        WHERE c.oid = a.attcollation AND a.attcollation <> 0 AND c.collname <> 'default') AS collation,
      coalesce((SELECT NOT c.collisdeterministic FROM pg_collation c WHERE c.oid = a.attcollation), false) AS loose,
      s.name AS sequence, format_type(s.seqtypid, NULL) AS sequence_type,
      coalesce(s.name, u.name) AS counter, coalesce(s.seqincrement, u.seqincrement) > 0 AS counts_up,
      has_sequence_privilege(coalesce(s.seqrelid, u.seqrelid), 'SELECT')
        AND has_sequence_privilege(coalesce(s.seqrelid, u.seqrelid), 'UPDATE') AS may_set_counter,
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
      ) AS has_equality,
      coalesce((SELECT op.schema FROM own_operators op WHERE op.type = b.oid), '') AS operators
 FROM pg_attribute a
 JOIN pg_type t ON t.oid = a.atttypid
 JOIN LATERAL (WITH RECURSIVE up AS (
        SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, a.atttypmod AS modifier
        UNION ALL SELECT n.oid, n.typtype, n.typbasetype, n.typtypmod, up.typtypmod
          FROM up JOIN pg_type n ON n.oid = up.typbasetype WHERE up.typtype = 'd')
      SELECT p.*, up.modifier FROM up JOIN pg_type p ON p.oid = up.oid WHERE up.typtype <> 'd') b ON true
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
""",
    own_operators=OWN_OPERATORS,
)

KEYS = verbatim("""
SELECT array_agg(a.attname::text ORDER BY k.place) AS columns, i.indisprimary AS is_primary
  FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
 WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
   AND k.place <= i.indnkeyatts
 GROUP BY i.indexrelid, i.indisprimary
 ORDER BY i.indisprimary DESC, i.indexrelid
""")

INDEXES = verbatim("""
SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
 WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' AND k.place <= i.indnkeyatts
 GROUP BY i.indexrelid ORDER BY i.indexrelid
""")

INDEX_DEFINITIONS = verbatim("""
SELECT pg_get_indexdef(i.indexrelid) AS definition,
       array_agg(DISTINCT a.attname::text) AS columns,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS of_constraint
  FROM pg_index i
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
 WHERE i.indrelid = $1 AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
 GROUP BY i.indexrelid ORDER BY i.indexrelid
""")

FOREIGN_KEYS = verbatim("""
SELECT k.conname AS name,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
       k.confrelid::bigint AS parent,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS parent_columns
  FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = $1 AND k.conparentid = 0 ORDER BY k.conname
""")

TRIGGERS = verbatim("""
SELECT t.tgname, t.tgenabled = 'A', t.tgtype & 4 <> 0, t.tgtype & 16 <> 0, t.tgtype & 8 <> 0, t.tgtype & 3 = 3
  FROM pg_trigger t
 WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 64 = 0 ORDER BY t.tgname
""")
"""Bits of tgtype: of rows 1, before 2, instead of 64, on insert 4, delete 8, update 16 (PostgreSQL: pg_trigger.h)."""

TABLE = verbatim("""
WITH RECURSIVE tree(oid) AS (
  SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent),
read(oid) AS (
  SELECT $1::oid UNION SELECT d.refobjid
    FROM read JOIN pg_class v ON v.oid = read.oid AND v.relkind = 'v' JOIN pg_rewrite w ON w.ev_class = v.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
     AND d.refobjid <> v.oid)
SELECT c.oid::bigint, n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       c.relkind::text, c.relispartition,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition,
       greatest(c.reltuples, 0)::bigint, c.relpages,
       (SELECT coalesce(sum(pg_table_size(tree.oid)), 0)::bigint FROM tree),
       (SELECT coalesce(sum(pg_indexes_size(tree.oid)), 0)::bigint FROM tree),
       pg_has_role(c.relowner, 'USAGE'), has_schema_privilege(c.relnamespace, 'CREATE'), c.reloftype <> 0,
       coalesce(pg_relation_size(c.oid), 0) > 0, c.relnatts::integer,
       ARRAY(SELECT format('%s.%s', n.nspname, m.relname) FROM read JOIN pg_class m ON m.oid = read.oid
               JOIN pg_namespace n ON n.oid = m.relnamespace WHERE m.relkind = 'm' AND NOT m.relispopulated ORDER BY 1),
       ARRAY(SELECT format('%s.%s', n.nspname, f.relname) FROM tree JOIN pg_class f ON f.oid = tree.oid
               JOIN pg_namespace n ON n.oid = f.relnamespace WHERE f.relkind = 'f' ORDER BY 1),
       NOT EXISTS (SELECT FROM tree JOIN pg_class leaf ON leaf.oid = tree.oid WHERE leaf.relkind <> 'p'),
       ARRAY(SELECT r.rulename::text FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
                AND r.ev_type IN ('2', '3', '4') ORDER BY 1),
       coalesce((SELECT array_agg(a.attname::text) FROM pg_partitioned_table p
          JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs::int2[])
         WHERE p.partrelid = c.oid), '{}')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = $1
""")


LOCKERS = verbatim("""
SELECT l.relation::regclass::text, a.pid, a.usename, a.state, left(a.query, 80)
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
 WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND a.pid <> pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND c.relkind IN ('r', 'p', 'm')
 ORDER BY 1, 2 LIMIT 3
""")
