"""A walk over a source table's pages: how it is frozen, how its sweeps are, and whether it still stands."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.errors import PlanBroken
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql.walks import pages
from jobs.engine.sql.walks.pages import Pages
from mappings.sql import compose


def freeze(work: Work) -> Pages:
    """All pages of the table as they are now, of which only versions that are certainly older than now are taken."""
    row = run_sql(work.source, pages.frozen(work.table.feed.source_sql)).fetchone()
    if row is None or None in row:
        raise PlanBroken(
            f"{work.table.source} has no pages any more; start anew, for a plan of how it is now"
        )
    file, server, below, count = row
    return Pages(first=0, end=count, file=file, server=server, below=below)


def sweep(work: Work, before: int) -> tuple[Pages, int]:
    """(all pages as they are now, of which all else is taken than what is certainly older than `before`, and the same
    for the next sweep). Its chunks go one after the other: of one row two versions may be met."""
    now = freeze(work)
    assert now.below is not None
    return replace(now, below=None, since=before), now.below


def stands(work: Work, walk: Pages) -> bool:
    """Whether places meant until now what they mean to the walk: else some of its chunks found no rows."""
    row = run_sql(
        work.source, compose("SELECT {}", pages.standing(work.table.feed.source_sql, walk))
    ).fetchone()
    return bool(row and row[0])
