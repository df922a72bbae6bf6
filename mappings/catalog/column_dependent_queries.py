"""The queries for all that hangs on a column and would go with it."""

from __future__ import annotations

from mappings.sql import verbatim

COLUMN = verbatim("""
SELECT quote_ident(a.attname) AS printed, pg_get_expr(d.adbin, d.adrelid) AS default,
       col_description(c.oid, a.attnum) AS comment,
       a.attnotnull AS not_null,
       coalesce((SELECT k.conname::text FROM pg_constraint k
                  WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]), '') AS not_null_name,
       array_remove(ARRAY[
         CASE WHEN a.attstattarget >= 0 THEN format('SET STATISTICS %s', a.attstattarget) END,
         CASE WHEN a.attoptions IS NOT NULL THEN format('SET (%s)', array_to_string(a.attoptions, ', ')) END,
         CASE WHEN a.attstorage <> y.typstorage THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN'
              WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
         CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END],
         NULL) AS settings,
       (SELECT coalesce(json_agg(json_build_array(coalesce(g.rolname, ''), x.privilege_type, x.is_grantable,
                  x.grantor = c.relowner, a.attname) ORDER BY x.place), '[]')
          FROM aclexplode(a.attacl) WITH ORDINALITY x(grantor, grantee, privilege_type, is_grantable, place)
          LEFT JOIN pg_roles g ON g.oid = x.grantee) AS grants,
       has_parameter_privilege('session_replication_role', 'SET') AS may_silence,
       ARRAY(SELECT t.tgname::text FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                AND t.tgenabled <> 'D' AND t.tgtype & 16 = 16 AND t.tgattr = '' AND t.tgname NOT LIKE '~%\\_shadow\\_%'
              ORDER BY 1) AS on_update,
       ARRAY_REMOVE(ARRAY[
         CASE WHEN a.attcollation <> y.typcollation THEN 'it has a collation of its own' END,
         CASE WHEN c.relforcerowsecurity THEN 'row security is forced on the table''s owner' END,
         CASE WHEN c.relreplident = 'i' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident
                AND a.attnum = ANY (i.indkey::int2[])) THEN 'it is part of the replica identity' END,
         CASE WHEN EXISTS (SELECT FROM pg_seclabel l WHERE l.objoid = c.oid AND l.objsubid = a.attnum
                              AND l.classoid = 'pg_class'::regclass) THEN 'it has a security label' END,
         (SELECT 'publication ' || p.pubname || ' sends the table, and its subscribers would need the new column'
            FROM pg_publication p WHERE p.puballtables
              OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = c.oid)
              OR EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid
                            AND n.pnnspid = c.relnamespace) ORDER BY 1 LIMIT 1),
         (SELECT 'rule ' || r.rulename || ' rewrites updates of the table'
            FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '2' ORDER BY 1 LIMIT 1),
         (SELECT 'trigger ' || t.tgname || ' changes rows after the one that would keep the new column in step'
            FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 3 = 3
             AND t.tgtype & 20 > 0 AND t.tgname COLLATE "C" > '~' AND t.tgname NOT LIKE '~%\\_shadow\\_%'
           ORDER BY 1 LIMIT 1),
         (SELECT 'trigger ' || t.tgname || ' fires whoever writes, so also for every row that is filled'
            FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'R')
             AND t.tgtype & 16 = 16 AND t.tgattr = '' AND t.tgname NOT LIKE '~%\\_shadow\\_%' ORDER BY 1 LIMIT 1),
         (SELECT 'check ' || k.conname || ' was never made, so rows that break it could not be filled'
            FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND NOT k.convalidated
             AND k.conname NOT LIKE '%\\_shadow\\_%' ORDER BY 1 LIMIT 1)], NULL) AS problems
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped
  JOIN pg_type y ON y.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.oid = $1
""")
"""pg_trigger.tgtype: 1 row, 2 before, 4 insert, 16 update. pg_rewrite.ev_type: 2 update."""


BOUND = verbatim("""
WITH it AS (SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped)
SELECT 'index' AS kind, i.indrelid::regclass::text AS relation, x.relname::text AS name,
       substr(pg_get_indexdef(x.oid), 1 + length(format('CREATE %sINDEX %I ON %s USING ',
         CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname, i.indrelid::regclass))) AS definition,
       '' AS columns, '' AS parent, '' AS parent_columns, i.indisunique AS is_unique,
       coalesce(CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END, '') AS constraint,
       concat(CASE WHEN k.condeferrable THEN ' DEFERRABLE' END, CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' END)
         AS deferral,
       i.indisvalid AS valid, i.indisclustered AS clustered,
       obj_description(k.oid, 'pg_constraint') AS comment, obj_description(x.oid, 'pg_class') AS index_comment,
       CASE WHEN i.indisexclusion OR k.contype = 'x' THEN 'exclusion constraint ' || x.relname || ' is over it'
            WHEN NOT i.indisvalid THEN 'index ' || x.relname || ' is not valid'
            WHEN x.reltablespace <> 0 THEN 'index ' || x.relname || ' has a tablespace of its own'
            WHEN EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid = x.oid AND s.attstattarget >= 0)
              THEN 'index ' || x.relname || ' has statistics targets of its own'
            ELSE coalesce((SELECT format('%s relies on %s, which holds the column as well',
                                         pg_describe_object(d.classid, d.objid, 0), x.relname)
                             FROM pg_depend d
                            WHERE d.deptype = 'n' AND (d.refclassid, d.refobjid) IN (('pg_class'::regclass, x.oid),
                                                                             ('pg_constraint'::regclass, k.oid))
                              AND NOT EXISTS (SELECT FROM pg_depend o
                                    WHERE (o.classid, o.objid) = (d.classid, d.objid) AND o.refobjid = it.attrelid
                                      AND o.refclassid = 'pg_class'::regclass AND o.refobjsubid = it.attnum)
                            ORDER BY 1 LIMIT 1), '') END AS problem
  FROM it JOIN pg_index i ON i.indrelid = it.attrelid JOIN pg_class x ON x.oid = i.indexrelid
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
 WHERE (it.attnum = ANY (i.indkey::int2[])
     OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = it.attrelid AND d.refobjsubid = it.attnum))
   AND NOT EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid = it.attrelid
                      AND s.attname = substring(x.relname FROM '^(.*_shadow_[0-9a-f]{8})_[0-9]+$'))
UNION ALL
SELECT CASE WHEN k.contype = 'c' THEN 'check' WHEN k.conrelid = it.attrelid AND it.attnum = ANY (k.conkey)
            THEN 'foreign key' ELSE 'foreign key of another' END,
       k.conrelid::regclass::text, k.conname::text,
       substr(pg_get_constraintdef(k.oid), CASE k.contype WHEN 'c' THEN 1 ELSE 1 + length(l.head) END),
       coalesce(l.columns, ''), coalesce(l.parent, ''), coalesce(l.parent_columns, ''), false, '', '',
       k.convalidated, false, obj_description(k.oid, 'pg_constraint'), NULL,
       CASE WHEN k.contype = 'c' THEN ''
            WHEN NOT starts_with(pg_get_constraintdef(k.oid), l.head)
              THEN 'foreign key ' || k.conname || ' is of a kind that is not known here'
            WHEN k.conrelid = k.confrelid AND it.attnum = ANY (k.conkey) AND it.attnum = ANY (k.confkey)
              THEN 'foreign key ' || k.conname || ' has it on both sides'
            WHEN k.conparentid <> 0 OR c.relkind <> 'r' OR p.relkind <> 'r'
              THEN 'foreign key ' || k.conname || ' is one of a partitioned table'
            WHEN NOT pg_has_role(c.relowner, 'USAGE')
              THEN 'foreign key ' || k.conname || ' is on a table of ' || c.relowner::regrole::text
            WHEN NOT has_table_privilege(k.confrelid, 'REFERENCES')
              THEN 'foreign key ' || k.conname || ' needs the right REFERENCES on ' || k.confrelid::regclass::text
            ELSE '' END
  FROM it JOIN pg_constraint k ON (k.conrelid = it.attrelid AND it.attnum = ANY (k.conkey) AND k.contype IN ('c', 'f'))
                               OR (k.confrelid = it.attrelid AND it.attnum = ANY (k.confkey) AND k.contype = 'f')
  JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_class p ON p.oid = k.confrelid
  LEFT JOIN LATERAL (
    SELECT format('FOREIGN KEY (%s) REFERENCES %s(%s)', m.columns, m.parent, m.parent_columns) AS head, m.*
      FROM (SELECT k.confrelid::regclass::text AS parent, string_agg(quote_ident(a.attname), ', ' ORDER BY u.place)
                     AS columns, string_agg(quote_ident(b.attname), ', ' ORDER BY u.place) AS parent_columns
              FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(mine, theirs, place)
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.mine
              JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.theirs) AS m) AS l ON k.contype = 'f'
 WHERE NOT EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid IN (k.conrelid, k.confrelid)
                      AND s.attname = substring(k.conname FROM '^(.*_shadow_[0-9a-f]{8})_[0-9]+$'))
 ORDER BY 1, 2, 3
""")
"""Without what stands beside another column of the table while that is widened the safe way (shadow.Change.name)."""


STATISTICS = verbatim("""
SELECT format('%I.%I', s.stxnamespace::regnamespace, s.stxname) AS name, pg_get_statisticsobjdef(s.oid) AS definition,
       nullif(to_jsonb(s) ->> 'stxstattarget', '-1')::int AS target,
       obj_description(s.oid, 'pg_statistic_ext') AS comment, quote_ident(pg_get_userbyid(s.stxowner)) AS owner,
       CASE WHEN NOT pg_has_role(s.stxowner, 'USAGE') THEN 'statistics ' || s.stxname || ' belong to another role'
            ELSE '' END AS problem
  FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE s.stxrelid = $1 AND a.attname = $2
   AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum)
 ORDER BY 1
""")


IDENTITY = verbatim("""
SELECT s.oid::regclass::text AS name, quote_ident(n.nspname) AS schema, s.relname::text AS bare,
       a.attidentity = 'a' AS always, q.seqcycle AS cycles,
       concat_ws(' ', 'START WITH', q.seqstart, 'INCREMENT BY', q.seqincrement, 'CACHE', q.seqcache,
         CASE WHEN q.seqcycle THEN 'CYCLE' END,
         CASE WHEN q.seqincrement > 0 AND q.seqmin <> 1 OR q.seqincrement < 0 AND q.seqmin <> t.low
              THEN 'MINVALUE ' || q.seqmin END,
         CASE WHEN q.seqincrement > 0 AND q.seqmax <> t.high OR q.seqincrement < 0 AND q.seqmax <> -1
              THEN 'MAXVALUE ' || q.seqmax END) AS options,
       obj_description(s.oid, 'pg_class') AS comment,
       coalesce((SELECT format('%s draws from %s, the sequence of its identity',
                               pg_describe_object(u.classid, u.objid, u.objsubid), s.relname)
                   FROM pg_depend u WHERE u.refclassid = 'pg_class'::regclass AND u.refobjid = s.oid
                    AND u.deptype = 'n' ORDER BY 1 LIMIT 1), '') AS problem,
       (SELECT coalesce(json_agg(json_build_array(coalesce(g.rolname, ''), x.privilege_type, x.is_grantable,
                  x.grantor = s.relowner, '') ORDER BY x.place), '[]')
          FROM aclexplode(s.relacl) WITH ORDINALITY x(grantor, grantee, privilege_type, is_grantable, place)
          LEFT JOIN pg_roles g ON g.oid = x.grantee WHERE x.grantee <> s.relowner) AS grants
  FROM pg_attribute a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
   AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_sequence q ON q.seqrelid = s.oid
  CROSS JOIN LATERAL (SELECT CASE q.seqtypid::regtype::text WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647
                             ELSE 9223372036854775807 END) AS m(high)
  CROSS JOIN LATERAL (SELECT m.high, -m.high - 1) AS t(high, low)
 WHERE a.attrelid = $1 AND a.attname = $2 AND a.attidentity <> ''
""")
"""Bounds that are the type's own are left out: the new sequence then takes those of its wider type."""
