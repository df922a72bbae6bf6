"""Puts one range's rows into the target, inside a transaction that someone else opens and closes."""

from __future__ import annotations

from jobs.engine import feed, statements
from jobs.engine.feed import Work, run_sql
from jobs.engine.pieces import Range


def insert(work: Work, chunk: Range) -> tuple[int, list[str] | None]:
    """Inserts a range's rows that are not there yet: (how many, their keys where the ledger must list them)."""
    relation = feed.relation(work, chunk, "copy")
    # Where no map says which run brought a row, the ledger lists the rows of every run but the first.
    lists_keys = not work.fresh and not work.table.keep_map
    statement = statements.insert(work.plan, work.table, relation, chunk, work.run, lists_keys, work.guarded)
    row = run_sql(work.target, statement).fetchone()
    assert row is not None
    return row[0], (row[1] or []) if lists_keys else None
