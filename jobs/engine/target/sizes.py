"""What a rehearsal compares before and after: catalogs, sequences, and the room that rows take."""

from __future__ import annotations

from typing import Any, TypeAlias

import psycopg

from jobs.engine.feed import Work, run_sql
from mappings.plan.model import Plan
from mappings.sql import compose, encoded, literal, verbatim

Catalog: TypeAlias = dict[tuple[str, str, str], str]
"""(kind, relation, name) -> definition, of everything in the schemas of the target tables."""

CATALOG = verbatim("""
WITH tables AS (SELECT DISTINCT c.relnamespace AS schema FROM unnest(%s::text[]) AS t(name)
                  JOIN pg_class c ON c.oid = t.name::regclass)
SELECT 'column', a.attrelid::regclass::text, a.attname::text,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                 a.attcollation, a.attacl::text, col_description(c.oid, a.attnum), pg_get_expr(d.adbin, d.adrelid))
  FROM pg_class c JOIN tables ON tables.schema = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'relation', c.oid::regclass::text, c.relkind::text,
       concat_ws(' ', c.relowner, c.relacl::text, c.reloptions::text, obj_description(c.oid, 'pg_class'),
                 CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid)
                      WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END)
  FROM pg_class c JOIN tables ON tables.schema = c.relnamespace
UNION ALL
SELECT 'constraint', k.conrelid::regclass::text, k.conname::text, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN tables ON tables.schema = k.connamespace
UNION ALL
SELECT 'trigger', t.tgrelid::regclass::text, t.tgname::text, pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN tables ON tables.schema = c.relnamespace
 WHERE NOT t.tgisinternal
UNION ALL
SELECT 'sequence', s.seqrelid::regclass::text, '', concat_ws(' ', s.seqtypid::regtype, s.seqmin, s.seqmax)
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN tables ON tables.schema = c.relnamespace
""")

COUNTERS = verbatim("""
SELECT s.oid::regclass::text, pg_sequence_last_value(s.oid)
  FROM unnest(%s::text[]) AS t(name)
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.name::regclass AND d.refobjsubid > 0
   AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
""")

SIZES = """
SELECT pg_relation_size({table}), pg_table_size({table}) - pg_relation_size({table}), pg_indexes_size({table}),
       (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
         WHERE c.relnamespace = to_regnamespace('migrator') AND c.relkind = 'r'),
       pg_current_xact_id()::xid::text
"""

SMALL_ENOUGH = 400_000_000
"""Bytes of a table that is looked through for the pages that new rows fill."""

PAGE = 8192


def catalog(conn: psycopg.Connection, plan: Plan) -> Catalog:
    """Everything in the schemas of the plan's target tables."""
    rows = conn.execute(encoded(CATALOG), [[table.into.target_sql for table in plan.tables]])
    return {(kind, relation, name): text for kind, relation, name, text in rows}


def differences(one: Catalog, other: Catalog) -> list[str]:
    """What is in one catalog and not, or not the same, in the other."""
    keys = sorted({*one, *other})
    return [" ".join(part for part in key if part) for key in keys if one.get(key) != other.get(key)]


def counters(conn: psycopg.Connection, plan: Plan) -> dict[str, int | None]:
    """How far the sequences of the target tables have counted."""
    return dict(
        conn.execute(encoded(COUNTERS), [[table.into.target_sql for table in plan.tables]]).fetchall()
    )


def advanced(conn: psycopg.Connection, plan: Plan, before: dict[str, int | None]) -> list[str]:
    """Sequences that have counted on since."""
    return sorted(name for name, value in counters(conn, plan).items() if before.get(name) != value)


def of(work: Work) -> tuple[Any, ...]:
    """(heap, rest of the table, indexes, the migrator schema: bytes; the current transaction)."""
    row: Any = run_sql(
        work.target,
        compose(SIZES, table=compose("{}::regclass", literal(work.table.into.target_sql))),
    ).fetchone()
    return tuple(row)


def per_row(work: Work, before: tuple[Any, ...], rows: int) -> float:
    """Bytes that one row takes in the table, its indexes and the migrator schema.

    A stream makes a table larger by many pages at once, so the pages that hold new rows are counted where the
    table is not too large to look through.
    """
    if not rows:
        return 0.0
    after = of(work)
    heap, rest, indexes, ours = (
        max(0, int(new) - int(old)) for new, old in zip(after[:4], before[:4], strict=True)
    )
    if after[0] <= SMALL_ENOUGH:
        row: Any = run_sql(
            work.target,
            compose(
                "SELECT count(*), count(DISTINCT (ctid::text::point)[0]) FROM"
                " {target_sql} WHERE age(xmin) <= age({before}::xid)",
                target_sql=work.table.into.target_sql,
                before=literal(before[4]),
            ),
        ).fetchone()
        heap_per_row = row[1] * PAGE / max(row[0], 1)
    else:
        heap_per_row = heap / rows
    return float(heap_per_row + (rest + indexes + ours) / rows)
