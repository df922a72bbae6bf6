"""Whether a run brings rows again that were rolled back, so that they get the keys that they had."""

from __future__ import annotations

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import remember
from mappings.sql import compose


def is_any(work: Work) -> bool:
    """Whether keys of rows of this table are remembered; then they are at hand, and new ones lie beyond them.

    Asked once, while the run is prepared: a run that finds none copies as if there were no such thing.
    """
    plan, table = work.plan, work.table
    if not remember.is_remembered(table):
        return False
    arrays, keys = (remember.is_any(plan, table, place) for place in (remember.CHUNKS, remember.KEYS))
    if run_sql(work.target, compose("SELECT {} OR {}", arrays, keys)).fetchone() != (True,):
        return False
    with work.target.transaction():
        for statement in remember.gather(plan, table):
            run_sql(work.target, statement)
        for counter in remember.counters(table):
            run_sql(work.target, compose("SELECT {}", remember.put_past(plan, table, counter)))
    return True
