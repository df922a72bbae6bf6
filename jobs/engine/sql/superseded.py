"""Statements for map rows whose target row says what a later source row says, until that is taken back; and whether
another table mapping has the last say on a column."""

from __future__ import annotations

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP, WRITER, RunNumber
from jobs.engine.sql.merge import own_columns, stage_name
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import literal


def supersede(plan: Plan, table: TablePlan, run: RunNumber) -> str:
    """Map rows whose target row now says what a later source row says."""
    mine = own_columns(table)
    return (
        f"UPDATE {MAP} AS m SET superseded_by = {run}\n"
        f"  FROM (SELECT {mine.target}, max({mine.n}) AS last FROM {stage_name(table)}\n"
        f"         WHERE {mine.action} = 'updated' GROUP BY 1) AS u\n"
        f"  JOIN {stage_name(table)} AS l ON l.{mine.n} = u.last\n"
        f" WHERE {key_sql.of_table(plan, table.name)} AND m.target_key = u.{mine.target}"
        f" AND m.source_key <> l.{mine.key} AND m.superseded_by IS NULL"
    )


def release(plan: Plan, run: RunNumber) -> str:
    """Map rows of other runs that this run had superseded speak for their target rows again.

    Those rows were restored by this rollback, so its transactions become the other runs' own: by the writers in
    the ledger a later rollback tells whether anyone else changed the rows.
    """
    mine = f"m.mapping = {literal(plan.mapping)} AND m.superseded_by = {run}"
    return (
        f"WITH released AS (UPDATE {MAP} AS m SET superseded_by = NULL WHERE {mine} RETURNING m.run, m.table_name)\n"
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        f"SELECT r.run, r.table_name, 'restored by ' || {run}, row_number() OVER (PARTITION BY r.run, r.table_name),\n"
        "       0, 0, 0, 0, l.writer\n"
        "  FROM (SELECT DISTINCT run, table_name FROM released) AS r\n"
        f"  JOIN migrator.ledger AS l ON l.run = {run} AND l.table_name = r.table_name AND l.phase = 'undo'"
    )


def speak_again(plan: Plan, run: RunNumber, chunk: int) -> str:
    """Map rows of other runs speak for their target rows again where nothing of this run does any more.

    Those rows were restored in this transaction, which the ledger therefore lists with the other runs' own.
    """
    updated = (
        f"SELECT FROM {MAP} AS u WHERE (u.mapping, u.table_name, u.target_key) ="
        f" (m.mapping, m.table_name, m.target_key) AND u.run = {run} AND u.action = 'updated'"
    )
    return (
        f"WITH released AS (UPDATE {MAP} AS m SET superseded_by = NULL\n"
        f" WHERE m.mapping = {literal(plan.mapping)} AND m.superseded_by = {run} AND NOT EXISTS ({updated})\n"
        " RETURNING m.run, m.table_name)\n"
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        f"SELECT DISTINCT r.run, r.table_name, 'restored in ' || {run}, {chunk}, 0, 0, 0, 0, {WRITER}\n"
        "  FROM released AS r"
    )


TARGET_INDEX = f"CREATE INDEX IF NOT EXISTS migration_map_target ON {MAP} (target_key, table_name, mapping)"
"""By which superseded map rows are found; only made for mappings that update rows. The target key comes first: no
lookup by a source key then takes this index for its own."""


def overwritten(plan: Plan, table: TablePlan, column: str) -> str | None:
    """Whether another table mapping wrote this column after the map row `m` did; None where none can have.

    Told by the time of the map rows, which is the target's clock; what one transaction wrote (an exported script)
    by the mapping's order.
    """
    rivals = [other for other in table.into.overwriters if column in other.columns]
    if not rivals:
        return None
    at_once = [other.table for other in rivals if other.later]
    return (
        f"EXISTS (SELECT FROM {MAP} AS o WHERE o.mapping = {literal(plan.mapping)}"
        f" AND o.table_name = ANY ({key_sql.texts([other.table for other in rivals])}) AND o.target_key = m.target_key"
        " AND o.action = 'updated'"
        f" AND (o.at > m.at OR (o.at = m.at AND o.table_name = ANY ({key_sql.texts(at_once)}))))"
    )
