"""Statements for map rows whose target row says what a later source row says, until that is taken back."""

from __future__ import annotations

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP, WRITER
from jobs.engine.sql.merging.merge import own_columns, stage_name
from mappings.plan.model import Plan
from mappings.sql import Sql, compose, literal


def supersede(scope: Scope) -> Sql:
    """Map rows whose target row now says what a later source row says."""
    table = scope.table
    mine = own_columns(table)
    return compose(
        "UPDATE {map} AS m SET superseded_by = {run}\n"
        "  FROM (SELECT {target}, max({n}) AS last FROM {stage_name}\n"
        "         WHERE {action} = 'updated' GROUP BY 1) AS u\n"
        "  JOIN {stage_name} AS l ON l.{n} = u.last\n"
        " WHERE {of_table} AND m.target_key = u.{target}"
        " AND m.source_key <> l.{key} AND m.superseded_by IS NULL",
        map=MAP, run=scope.run, target=mine.target, n=mine.n, stage_name=stage_name(table), action=mine.action,
        of_table=key_sql.of_table(scope.plan, table.name), key=mine.key,
    )  # fmt: skip


def release(plan: Plan, run: RunNumber) -> Sql:
    """Map rows of other runs that this run had superseded speak for their target rows again.

    Those rows were restored by this rollback, so its transactions become the other runs' own: by the writers in
    the ledger a later rollback tells whether anyone else changed the rows.
    """
    mine = compose("m.mapping = {} AND m.superseded_by = {}", literal(plan.mapping), run)
    return compose(
        "WITH released AS (UPDATE {map} AS m SET superseded_by = NULL WHERE {mine} RETURNING m.run, m.table_name)\n"
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        "SELECT r.run, r.table_name, 'restored by ' || {run}, row_number() OVER (PARTITION BY r.run, r.table_name),\n"
        "       0, 0, 0, 0, l.writer\n"
        "  FROM (SELECT DISTINCT run, table_name FROM released) AS r\n"
        "  JOIN migrator.ledger AS l ON l.run = {run} AND l.table_name = r.table_name AND l.phase = 'undo'",
        map=MAP, mine=mine, run=run,
    )  # fmt: skip


def speak_again(plan: Plan, run: RunNumber, chunk: int) -> Sql:
    """Map rows of other runs speak for their target rows again where nothing of this run does any more.

    Those rows were restored in this transaction, which the ledger therefore lists with the other runs' own.
    """
    updated = compose(
        "SELECT FROM {map} AS u WHERE (u.mapping, u.table_name, u.target_key) ="
        " (m.mapping, m.table_name, m.target_key) AND u.run = {run} AND u.action = 'updated'",
        map=MAP,
        run=run,
    )
    return compose(
        "WITH released AS (UPDATE {map} AS m SET superseded_by = NULL\n"
        " WHERE m.mapping = {mapping} AND m.superseded_by = {run} AND NOT EXISTS ({updated})\n"
        " RETURNING m.run, m.table_name)\n"
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        "SELECT DISTINCT r.run, r.table_name, 'restored in ' || {run}, {chunk}, 0, 0, 0, 0, {writer}\n"
        "  FROM released AS r",
        map=MAP, mapping=literal(plan.mapping), run=run, updated=updated, chunk=chunk, writer=WRITER,
    )  # fmt: skip


TARGET_INDEX = compose(
    "CREATE INDEX IF NOT EXISTS migration_map_target ON {map} (target_key, table_name, mapping)", map=MAP
)
"""By which superseded map rows are found; only made for mappings that update rows. The target key comes first: no
lookup by a source key then takes this index for its own."""
