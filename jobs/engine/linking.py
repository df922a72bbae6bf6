"""One chunk's links: deferred references in the target, the target's id back into the source, sequences ahead."""

from __future__ import annotations

import psycopg

from jobs.engine import backrefs, feed, late, ledger, statements
from jobs.engine.errors import MISSING_PARENT
from jobs.engine.feed import Work, run_sql
from jobs.engine.ledger import Done, Ticket
from mappings.plan import TablePlan


def needs_links(table: TablePlan) -> bool:
    """Whether a table has anything to link after all tables are copied."""
    return bool(table.backref) or any(ref.deferred for ref in table.references)


def link_chunk(work: Work, ticket: Ticket) -> Done:
    """Links one chunk. Doing it twice changes nothing, so what is written to the source may come before the ledger.

    References whose parent came too late stay NULL: they are found to differ, and linked again after the sweep.
    """
    try:
        return _commit(work, ticket, strict=True)
    except psycopg.Error as error:
        if error.sqlstate != MISSING_PARENT or not late.all_late(work, ticket.range):
            raise
    return _commit(work, ticket, strict=False)


def _commit(work: Work, ticket: Ticket, strict: bool) -> Done:
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        updated = _fill_deferred(work, ticket, strict)
        if work.table.backref:
            backrefs.write(work, ticket.range)
        done = Done(updated=updated)
        ledger.record(work.target, ticket, done)
    return done


def _fill_deferred(work: Work, ticket: Ticket, strict: bool) -> int:
    if not any(ref.deferred for ref in work.table.references):
        return 0
    relation = feed.relation(work, ticket.range, "link")
    statement = statements.link(work.plan, work.table, relation, work.run, work.fresh, strict)
    return run_sql(work.target, statement).rowcount


def advance_sequences(work: Work) -> None:
    """Puts each sequence of a mapped column past the largest value in it, so that the next insert is free."""
    for sequence in work.table.sequences:
        run_sql(work.target, statements.advance(work.table, sequence))
