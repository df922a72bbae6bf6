"""Keeps the planner informed about tables that the run has just filled or is about to read whole."""

from __future__ import annotations

from jobs.engine.feed import Work, run_sql
from mappings.sql import compose, ident, joined, verbatim

FEW = 10_000
"""So few rows are joined quickly in any way."""


def pays(work: Work, rows: int) -> bool:
    """Whether a table into which so many rows were brought is worth fresh statistics."""
    return rows >= FEW or any(work.table.name in other.parents for other in work.plan.tables)


def analyse(work: Work) -> None:
    """Fresh statistics of what a table that was just filled will be searched by; and of the map, where it is asked.

    All other columns, and the map where it is only written, are left to autovacuum, which comes in its own time.
    """
    table = work.table
    if table.link.link_by == "source_id":
        names = dict.fromkeys([*table.link.source_id, *(key.column for key in table.into.target_key)])
        run_sql(
            work.target,
            compose("ANALYZE {} ({})", table.into.target_sql, joined(", ", (ident(name) for name in names))),
        )
        return
    run_sql(work.target, compose("ANALYZE {}", table.into.target_sql))
    run_sql(work.target, verbatim("ANALYZE migrator.migration_map"))


def before_looking(work: Work) -> None:
    """Fresh statistics of what tells whether rows are there already; else the planner reads all rows for each.

    However few rows there are: knowing nothing, it takes the index of the map that leads to none of them.
    """
    table = work.table
    looked_up = (
        table.link.source_id
        if table.link.link_by == "source_id"
        else [key.column for key in table.into.target_key]
    )
    names = joined(", ", (ident(name) for name in looked_up))
    run_sql(work.target, compose("ANALYZE {} ({})", table.into.target_sql, names))
    if table.link.link_by == "map":
        run_sql(
            work.target,
            verbatim("ANALYZE migrator.migration_map (mapping, table_name, source_key, target_key)"),
        )
