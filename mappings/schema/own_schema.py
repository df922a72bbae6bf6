"""The schema `migrator` of a target: how it is made, and whether the one that is there is this product's."""

from __future__ import annotations

import re

import psycopg

from mappings.sql import compose, encoded, verbatim

SCHEMA = verbatim("""
CREATE SCHEMA IF NOT EXISTS migrator;
CREATE TABLE IF NOT EXISTS migrator.run (
  number bigint PRIMARY KEY, uid uuid NOT NULL UNIQUE, mapping text NOT NULL, sha256 text NOT NULL,
  environment text NOT NULL, epoch integer NOT NULL, started_at timestamptz NOT NULL DEFAULT now(),
  rolled_back_at timestamptz);
CREATE TABLE IF NOT EXISTS migrator.migration_map (
  mapping text COLLATE "C" NOT NULL, table_name text COLLATE "C" NOT NULL, source_key text COLLATE "C" NOT NULL,
  target_key text COLLATE "C", run bigint NOT NULL, action text NOT NULL, superseded_by bigint,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (mapping, table_name, source_key));
CREATE TABLE IF NOT EXISTS migrator.ledger (
  run bigint NOT NULL, table_name text NOT NULL, phase text NOT NULL, chunk integer NOT NULL,
  low text[], high text[], inserted bigint NOT NULL, updated bigint NOT NULL, kept bigint NOT NULL,
  quarantined bigint NOT NULL, keys text[], writer text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, table_name, phase, chunk));
ALTER TABLE migrator.ledger ADD COLUMN IF NOT EXISTS pages int8range;
CREATE TABLE IF NOT EXISTS migrator.before_image (
  run bigint NOT NULL, table_name text NOT NULL, target_key text NOT NULL, columns text[] NOT NULL,
  old_values text[] NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (run, table_name, target_key));
CREATE TABLE IF NOT EXISTS migrator.quarantine (
  mapping text COLLATE "C" NOT NULL, table_name text COLLATE "C" NOT NULL, source_key text COLLATE "C" NOT NULL,
  run bigint NOT NULL, column_name text NOT NULL, sqlstate text NOT NULL, message text NOT NULL,
  source_row json, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (mapping, table_name, source_key));
CREATE TABLE IF NOT EXISTS migrator.released (LIKE migrator.quarantine, released_by bigint NOT NULL);
CREATE TABLE IF NOT EXISTS migrator.schema_step (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run bigint NOT NULL, mapping text NOT NULL,
  side text NOT NULL, kind text NOT NULL, relation text NOT NULL, name text NOT NULL, title text NOT NULL,
  sql text[] NOT NULL, undo text[] NOT NULL, alone boolean NOT NULL, fits text NOT NULL, sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(), undone_at timestamptz);
ALTER TABLE migrator.schema_step
  ADD COLUMN IF NOT EXISTS before text NOT NULL DEFAULT '', ADD COLUMN IF NOT EXISTS after text NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS views_first integer NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS views_last integer NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS migrator.difference (
  run bigint NOT NULL, comparison integer NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_name text COLLATE "C" NOT NULL, chunk integer NOT NULL, kind text COLLATE "C" NOT NULL,
  source_key text COLLATE "C", target_key text COLLATE "C", place text COLLATE "C" NOT NULL,
  column_name text COLLATE "C" NOT NULL, expected text, found text, why text NOT NULL);
CREATE INDEX IF NOT EXISTS difference_by_key ON migrator.difference (run, table_name, place, id);
CREATE INDEX IF NOT EXISTS difference_by_column ON migrator.difference (run, column_name, table_name, place, id);
CREATE INDEX IF NOT EXISTS difference_by_kind ON migrator.difference (run, kind, table_name, place, id);
CREATE INDEX IF NOT EXISTS difference_by_target_key ON migrator.difference USING hash (target_key);
CREATE TABLE IF NOT EXISTS migrator.left_row (
  run bigint NOT NULL, mapping text COLLATE "C" NOT NULL, table_name text COLLATE "C" NOT NULL,
  source_key text COLLATE "C" NOT NULL, target_key text COLLATE "C", why text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (run, table_name, source_key));
CREATE TABLE IF NOT EXISTS migrator.assigned_value (
  mapping text COLLATE "C" NOT NULL, table_name text COLLATE "C" NOT NULL, column_name text COLLATE "C" NOT NULL,
  source_key text COLLATE "C" NOT NULL, place text COLLATE "C" NOT NULL, base text, value text, problem text,
  run bigint NOT NULL, PRIMARY KEY (mapping, table_name, column_name, source_key));
CREATE TABLE IF NOT EXISTS migrator.remembered_chunk (
  mapping text COLLATE "C" NOT NULL, table_name text COLLATE "C" NOT NULL, run bigint NOT NULL,
  source_keys text[], target_keys text[]);
ALTER TABLE migrator.remembered_chunk
  ADD COLUMN IF NOT EXISTS source_numbers bigint[], ADD COLUMN IF NOT EXISTS target_numbers bigint[],
  ALTER source_keys DROP NOT NULL, ALTER target_keys DROP NOT NULL,
  ALTER source_keys SET STORAGE EXTERNAL, ALTER target_keys SET STORAGE EXTERNAL,
  ALTER source_numbers SET STORAGE EXTERNAL, ALTER target_numbers SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS migrator.remembered_key (
  mapping text COLLATE "C" NOT NULL, table_name text COLLATE "C" NOT NULL, source_key text COLLATE "C" NOT NULL,
  target_key text COLLATE "C" NOT NULL, run bigint NOT NULL, PRIMARY KEY (mapping, table_name, source_key));
ALTER TABLE migrator.run ADD COLUMN IF NOT EXISTS revision integer;
ALTER TABLE migrator.run ADD COLUMN IF NOT EXISTS operator text;
CREATE OR REPLACE FUNCTION migrator.row_passport(
  table_name text, source_key text DEFAULT NULL, target_key text DEFAULT NULL, mapping text DEFAULT NULL)
RETURNS TABLE (mapping text, table_name text, source_key text, target_key text, action text, at timestamptz,
  run bigint, chunk integer, revision integer, sha256 text, environment text, operator text, before jsonb,
  quarantined jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
SELECT m.mapping, m.table_name, m.source_key, m.target_key, m.action, m.at, m.run,
       (SELECT min(l.chunk) FROM migrator.ledger l
         WHERE l.run = m.run AND l.table_name = m.table_name AND l.writer = m.xmin::text),
       r.revision, r.sha256, r.environment, r.operator,
       (SELECT jsonb_object_agg(c.name, b.old_values[c.nth])
          FROM migrator.before_image b, unnest(b.columns) WITH ORDINALITY AS c(name, nth)
         WHERE b.run = m.run AND b.table_name = m.table_name COLLATE pg_catalog."default"
           AND b.target_key = m.target_key COLLATE pg_catalog."default"),
       NULL::jsonb
  FROM migrator.migration_map m JOIN migrator.run r ON r.number = m.run
 WHERE m.table_name = $1 AND (m.source_key = $2 OR m.target_key = $3) AND ($4 IS NULL OR m.mapping = $4)
UNION ALL
SELECT q.mapping, q.table_name, q.source_key, NULL, 'quarantined', q.at, q.run, NULL,
       r.revision, r.sha256, r.environment, r.operator, NULL,
       jsonb_build_object('column', q.column_name, 'sqlstate', q.sqlstate, 'message', q.message)
  FROM migrator.quarantine q JOIN migrator.run r ON r.number = q.run
 WHERE q.table_name = $1 AND q.source_key = $2 AND ($4 IS NULL OR q.mapping = $4)
$body$;
CREATE OR REPLACE FUNCTION migrator.missing_parent(column_name text, parent text, key text, sample anyelement)
RETURNS anyelement LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'MG001', COLUMN = column_name, DETAIL = key,
    MESSAGE = CASE parent WHEN '' THEN key ELSE format('the %s row %s was not migrated', parent, key) END;
END $body$;""")

INSTALLED = verbatim(
    "to_regclass('migrator.released') IS NOT NULL AND to_regproc('migrator.missing_parent') IS NOT NULL"
)
"""Whether all of it is there that runs of any version write."""

UP_TO_DATE = compose(
    "{} AND to_regclass('migrator.difference_by_target_key') IS NOT NULL"
    " AND to_regclass('migrator.assigned_value') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute"
    " WHERE attrelid = to_regclass('migrator.schema_step') AND attname = 'views_last')"
    " AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('migrator.ledger') AND attname = 'pages')"
    " AND EXISTS (SELECT FROM pg_attribute"
    " WHERE attrelid = to_regclass('migrator.remembered_chunk') AND attname = 'target_numbers')",
    INSTALLED,
)
"""Whether all of it is there."""

OURS = {
    "run": {"number", "uid", "mapping", "sha256", "environment", "epoch", "rolled_back_at"},
    "migration_map": {"mapping", "table_name", "source_key", "target_key", "run", "action", "superseded_by"},
    "ledger": {"run", "table_name", "phase", "chunk", "low", "high", "inserted", "keys", "writer"},
    "before_image": {"run", "table_name", "target_key", "columns", "old_values"},
    "quarantine": {"mapping", "table_name", "source_key", "run", "column_name", "sqlstate", "source_row"},
    "released": {"mapping", "table_name", "source_key", "run", "released_by"},
    "assigned_value": {"mapping", "table_name", "column_name", "source_key", "place", "base", "value", "run"},
    "difference": {
        "run",
        "comparison",
        "id",
        "table_name",
        "kind",
        "source_key",
        "place",
        "expected",
        "found",
    },
    "left_row": {"run", "mapping", "table_name", "source_key", "target_key", "why"},
    "remembered_chunk": {"mapping", "table_name", "run", "source_keys", "target_keys"},
    "remembered_key": {"mapping", "table_name", "source_key", "target_key", "run"},
    "schema_step": {"id", "run", "mapping", "side", "kind", "relation", "name", "sql", "undo", "sha256"},
}
"""Our tables, each with columns by which it is recognised."""

FOUND = verbatim("""
SELECT c.relname::text, c.relkind::text,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                AND NOT a.attisdropped),
       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
  FROM pg_class c WHERE c.relnamespace = to_regnamespace('migrator') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY 1
""")
RIGHTS = verbatim("""
SELECT has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE')
  FROM pg_namespace n WHERE n.nspname = 'migrator'
""")


FED = re.compile("feed_.*_[0-9a-f]{8}")
"""What exported scripts that were begun may have left: tables of rows on their way (jobs.exporting.blocks)."""


def complaint(conn: psycopg.Connection) -> str:
    """Why the target's schema `migrator` cannot be this product's, or may not be used; '' where nothing is wrong."""
    rights = conn.execute(encoded(RIGHTS)).fetchone()
    if rights is None:
        return ""
    usage, create = rights
    rows = [row for row in conn.execute(encoded(FOUND)).fetchall() if not FED.fullmatch(row[0])]
    ours = [name for name, *_ in rows if name in OURS]
    strange = [name for name, kind, columns, _ in rows if name in OURS and not _is_ours(name, kind, columns)]
    if strange or (rows and not ours):
        names = ", ".join(strange or [name for name, *_ in rows][:3])
        return (
            f"the schema migrator of this database is not this product's: it holds {names}; what is migrated is kept"
            " in a schema of that name, so rename the other one"
        )
    shut = [name for name, *_, allowed in rows if name in OURS and not allowed]
    if not usage or shut or (len(ours) < len(OURS) and not create):
        lacks = "USAGE" if not usage else f"rights on {', '.join(shut)}" if shut else "CREATE"
        return f"this role lacks {lacks} in the schema migrator, in which it is kept what is migrated"
    return ""


def _is_ours(name: str, kind: str, columns: list[str]) -> bool:
    return kind == "r" and OURS[name] <= set(columns)
