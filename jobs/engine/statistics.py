"""Keeps the planner informed about tables that the run has just filled or is about to read whole."""

from __future__ import annotations

from jobs.engine.feed import Work, run_sql


def analyse(work: Work) -> None:
    """Fresh statistics of a table that was just filled; and of the map, where rows are found through it.

    Elsewhere the map is only written now: autovacuum looks at it in its own time.
    """
    run_sql(work.target, f"ANALYZE {work.table.target_sql}")
    if work.table.link_by == "map":
        run_sql(work.target, "ANALYZE migrator.migration_map")
