"""Statements that keep the old values of rows which are overwritten, and put them back."""

from __future__ import annotations

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, ident, joined, literal, verbatim


def overwritten(table: TablePlan) -> list[tuple[str, Sql]]:
    """(column, type) of what an update overwrites: all that is mapped, but not the key; the row keeps its id."""
    keys = {key.column for key in table.into.target_key}
    result: list[tuple[str, Sql]] = [(value.target, value.type) for value in table.values]
    result += [(target, refs[0][1].type) for target, refs in table.referring.items()]
    result += [(name, part.type) for name, part in zip(table.link.source_id, table.feed.key, strict=False)]
    result += [(table.link.is_migrated, verbatim("boolean"))] if table.link.is_migrated else []
    return [(column, kind) for column, kind in result if column not in keys]


def paired(table: TablePlan, text: Sql) -> Sql:
    """How target rows `t` are found by their key as one text."""
    keys = key_sql.target_keys(table, verbatim("t"))
    decoded = key_sql.decoded(text, [key.kept for key in table.into.target_key])
    return key_sql.equal(keys, decoded, key_sql.target_operators(table))


def imaged(table: TablePlan) -> list[tuple[str, Sql]]:
    """(column, type) of what a rollback restores: what an update overwrites, and what a trigger may change with it."""
    return overwritten(table) + [(other.name, other.type) for other in table.into.others if table.rewritten]


def written(value: Sql, kind: Sql) -> Sql:
    """A value of that type as text, as its type writes it: a cast takes the blanks at the end of a bpchar away."""
    if kind == "bpchar":
        return compose("pg_catalog.textin(pg_catalog.bpcharout({}))", value)
    return compose("{}::text", value)


def inserted_by(scope: Scope, target_key: Sql) -> Sql:
    """A query with one row `found` where a run inserted the row with that target key; to be joined LATERAL, so that it
    is asked for each row by migration_map_target (superseded.TARGET_INDEX).

    Without statistics the planner takes what a run brought for one row, and would go through all of it for each; what
    hides mapping and table keeps it from the index by source key, which leads to all of them as well.
    """
    return compose(
        "SELECT true AS found FROM {map} AS m WHERE m.target_key = {target_key} AND m.run = {run}"
        " AND m.mapping || '' = {mapping} AND m.table_name || '' = {name}"
        " AND m.action = 'inserted' LIMIT 1",
        map=MAP, target_key=target_key, run=scope.run, mapping=literal(scope.plan.mapping),
        name=literal(scope.table.name),
    )  # fmt: skip


def image_of(table: TablePlan, run: RunNumber, alias: Sql, target_key: Sql) -> Sql:
    """Whether an image is that of a row, by its whole key.

    target_key: a column of the map, whose collation is not that of the images' index: without saying so the index would
    lead to all images of the run, for each row.
    """
    return compose(
        "{alias}.run = {run} AND {alias}.table_name = {name}"
        ' AND {alias}.target_key = {target_key} COLLATE pg_catalog."default"',
        alias=alias, run=run, name=literal(table.name), target_key=target_key,
    )  # fmt: skip


def restore(table: TablePlan, run: RunNumber, gone: Sql) -> Sql:
    """Puts the old values back into rows that the map rows `gone` updated, and takes the images away.

    Each image is looked up by its key and deleted where it lies. OFFSET 0: without statistics the planner would as soon
    go through all that is gone for each image.
    """
    columns = imaged(table)
    sets = joined(
        ", ",
        (
            compose("{} = (b.old_values[{}])::{}", ident(name), place, kind)
            for place, (name, kind) in enumerate(columns, start=1)
        ),
    )
    result = compose(
        "SELECT i.ctid FROM {gone} CROSS JOIN LATERAL (SELECT x.ctid FROM migrator.before_image AS x"
        " WHERE {image_of} OFFSET 0) AS i",
        gone=gone,
        image_of=image_of(table, run, verbatim("x"), compose("{}.target_key", gone)),
    )
    return compose(
        "images AS (\nDELETE FROM migrator.before_image AS b WHERE b.ctid = ANY (ARRAY({found}))\n"
        " RETURNING b.target_key, b.old_values), restored AS (\n"
        "UPDATE {target_sql} AS t SET {sets} FROM images AS b\n"
        " WHERE {paired} RETURNING 1)",
        found=result, target_sql=table.into.target_sql, sets=sets,
        paired=paired(table, verbatim("b.target_key")),
    )  # fmt: skip
