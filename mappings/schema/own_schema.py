"""The schema `migrator` of a target: whether the one that is there is this product's, and may be used."""

from __future__ import annotations

import psycopg

OURS = {
    "run": {"number", "uid", "mapping", "sha256", "environment", "epoch", "rolled_back_at"},
    "migration_map": {"mapping", "table_name", "source_key", "target_key", "run", "action", "superseded_by"},
    "ledger": {"run", "table_name", "phase", "chunk", "low", "high", "inserted", "keys", "writer"},
    "before_image": {"run", "table_name", "target_key", "columns", "old_values"},
    "quarantine": {"mapping", "table_name", "source_key", "run", "column_name", "sqlstate", "source_row"},
    "released": {"mapping", "table_name", "source_key", "run", "released_by"},
    "schema_step": {"id", "run", "mapping", "side", "kind", "relation", "name", "sql", "undo", "sha256"},
}
"""Our tables, each with columns by which it is recognised."""

FOUND = """
SELECT c.relname::text, c.relkind::text,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                AND NOT a.attisdropped),
       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
  FROM pg_class c WHERE c.relnamespace = to_regnamespace('migrator') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY 1
"""
RIGHTS = """
SELECT has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE')
  FROM pg_namespace n WHERE n.nspname = 'migrator'
"""


def complaint(conn: psycopg.Connection) -> str:
    """Why the target's schema `migrator` cannot be this product's, or may not be used; '' where nothing is wrong."""
    rights = conn.execute(RIGHTS).fetchone()
    if rights is None:
        return ""
    usage, create = rights
    found = conn.execute(FOUND).fetchall()
    ours = [name for name, *_ in found if name in OURS]
    strange = [name for name, kind, columns, _ in found if name in OURS and not _is_ours(name, kind, columns)]
    if strange or (found and not ours):
        names = ", ".join(strange or [name for name, *_ in found][:3])
        return (
            f"the schema migrator of this database is not this product's: it holds {names}; what is migrated is kept"
            " in a schema of that name, so rename the other one"
        )
    shut = [name for name, *_, allowed in found if name in OURS and not allowed]
    if not usage or shut or (len(ours) < len(OURS) and not create):
        lacks = "USAGE" if not usage else f"rights on {', '.join(shut)}" if shut else "CREATE"
        return f"this role lacks {lacks} in the schema migrator, in which it is kept what is migrated"
    return ""


def _is_ours(name: str, kind: str, columns: list[str]) -> bool:
    return kind == "r" and OURS[name] <= set(columns)
