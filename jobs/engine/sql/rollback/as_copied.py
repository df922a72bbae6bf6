"""Statements that take back what one transaction of the copy wrote, target and map each in its own order."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from jobs.engine.sql.remove import mapped
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal


def copied_by(table: TablePlan, run: RunNumber, writers: Sequence[str]) -> str:
    """(writer, low, high, rows) of the chunks that these transactions of the run's copy committed, of such as were
    ranges of keys."""
    by_keys = "to_jsonb(l) ->> 'pages' IS NULL"  # an older version's ledger has no such column
    return (
        "SELECT l.writer, l.low, l.high, l.inserted FROM migrator.ledger AS l"
        f" WHERE l.run = {run} AND l.table_name = {literal(table.name)} AND l.phase = 'copy'"
        f" AND l.writer = ANY ({key_sql.texts(writers)}) AND {by_keys}"
    )


def remove_written(table: TablePlan, copied: Range, writer: str) -> str:
    """Deletes the target rows in a range of source keys that are still as one transaction wrote them."""
    first, bounds = f"t.{ident(table.link.source_id[0])}", key_sql.target_range(table, copied, "t")
    return (
        f"DELETE FROM {table.into.target_sql} AS t\n"
        f" WHERE {first} IS NOT NULL AND {bounds} AND t.xmin = {literal(writer)}::xid"
    )


def unmap(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> str:
    """Deletes the map rows of a stretch. Its row count says how many."""
    return f"DELETE FROM {MAP} AS m WHERE {mapped(plan, table, run, chunk)}"
