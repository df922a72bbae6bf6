"""Statements that keep the old values of rows which are overwritten, and put them back."""

from __future__ import annotations

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP, RunNumber
from jobs.engine.sql.merge import overwritten, own_columns, paired, stage_name
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal


def imaged(table: TablePlan) -> list[tuple[str, str]]:
    """(column, type) of what a rollback restores: what an update overwrites, and what a trigger may change with it."""
    return overwritten(table) + [(other.name, other.type) for other in table.into.others if table.rewritten]


def before_images(plan: Plan, table: TablePlan, run: RunNumber) -> str:
    """The old values, once for each target row, of rows that this run did not insert itself."""
    inserted = inserted_by(plan, table, run, "w.target")
    mine = own_columns(table)
    columns = imaged(table)
    names = key_sql.texts([name for name, _ in columns])
    values = ", ".join(f"t.{ident(name)}::text" for name, _ in columns)
    return (
        "INSERT INTO migrator.before_image (run, table_name, target_key, columns, old_values)\n"
        f"SELECT {run}, {literal(table.name)}, w.target, {names}, ARRAY[{values}]::text[]\n"
        f"  FROM (SELECT DISTINCT {mine.target} AS target FROM {stage_name(table)}\n"
        f"         WHERE {mine.action} = 'updated') AS w\n"
        f"  JOIN {table.into.target_sql} AS t ON {paired(table, 'w.target')}\n"
        f"  LEFT JOIN LATERAL ({inserted}) AS own ON true\n"
        " WHERE own.found IS NULL\n"
        "ON CONFLICT DO NOTHING"
    )


def inserted_by(plan: Plan, table: TablePlan, run: RunNumber, target_key: str) -> str:
    """A query with one row `found` where a run inserted the row with that target key; to be joined LATERAL, so that it
    is asked for each row by migration_map_target (superseded.TARGET_INDEX).

    Without statistics the planner takes what a run brought for one row, and would go through all of it for each; what
    hides mapping and table keeps it from the index by source key, which leads to all of them as well.
    """
    return (
        f"SELECT true AS found FROM {MAP} AS m WHERE m.target_key = {target_key} AND m.run = {run}"
        f" AND m.mapping || '' = {literal(plan.mapping)} AND m.table_name || '' = {literal(table.name)}"
        " AND m.action = 'inserted' LIMIT 1"
    )


def image_of(table: TablePlan, run: RunNumber, alias: str, target_key: str) -> str:
    """Whether an image is that of a row, by its whole key.

    target_key: a column of the map, whose collation is not that of the images' index: without saying so the index would
    lead to all images of the run, for each row.
    """
    return (
        f"{alias}.run = {run} AND {alias}.table_name = {literal(table.name)}"
        f' AND {alias}.target_key = {target_key} COLLATE pg_catalog."default"'
    )


def restore(table: TablePlan, run: RunNumber, gone: str) -> str:
    """Puts the old values back into rows that the map rows `gone` updated, and takes the images away.

    Each image is looked up by its key and deleted where it lies. OFFSET 0: without statistics the planner would as soon
    go through all that is gone for each image.
    """
    columns = imaged(table)
    sets = ", ".join(
        f"{ident(name)} = (b.old_values[{place}])::{kind}"
        for place, (name, kind) in enumerate(columns, start=1)
    )
    found = (
        f"SELECT i.ctid FROM {gone} CROSS JOIN LATERAL (SELECT x.ctid FROM migrator.before_image AS x"
        f" WHERE {image_of(table, run, 'x', f'{gone}.target_key')} OFFSET 0) AS i"
    )
    return (
        f"images AS (\nDELETE FROM migrator.before_image AS b WHERE b.ctid = ANY (ARRAY({found}))\n"
        " RETURNING b.target_key, b.old_values), restored AS (\n"
        f"UPDATE {table.into.target_sql} AS t SET {sets} FROM images AS b\n"
        f" WHERE {paired(table, 'b.target_key')} RETURNING 1)"
    )
