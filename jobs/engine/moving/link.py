"""One chunk's links: deferred references in the target, the target's id back into the source."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from jobs.engine import feed
from jobs.engine.errors import MISSING_PARENT, TooManyQuarantined
from jobs.engine.feed import Work
from jobs.engine.moving import backrefs, bad_rows, blame, find_orphans
from jobs.engine.sql import past_triggers
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Done, Ticket
from mappings.plan.table_plan import TablePlan


def needs_links(table: TablePlan) -> bool:
    """Whether a table has anything to link after all tables are copied."""
    return bool(table.link.backref) or any(ref.deferred for ref in table.references)


def link_chunk(work: Work, ticket: Ticket) -> Done:
    """Links one chunk. Doing it twice changes nothing, so what is written to the source may come before the ledger.

    References whose parent came too late stay NULL: they are found to differ, and linked again after the sweep. So
    do those of rows that are to be set aside: the ledger lists their keys until they are. Raises RowError for a row
    that stops the run, TooManyQuarantined, psycopg.Error.
    """
    try:
        return _commit(work, ticket, None)
    except psycopg.Error as error:
        if error.sqlstate != MISSING_PARENT:
            raise
        orphaned = _may_wait(work, ticket, error)
    return _commit(work, ticket, orphaned)


def _may_wait(work: Work, ticket: Ticket, cause: psycopg.Error) -> list[str]:
    """The keys of rows that have to be set aside. Raises the first that may not be."""
    orphaned = find_orphans.of_range(work, ticket.range)
    for error in orphaned:
        if not blame.may_be_set_aside(work, error):
            raise error from cause
    if len(orphaned) > work.plan.max_quarantined:
        raise TooManyQuarantined(bad_rows.too_many(work, orphaned)) from cause
    return [error.key for error in orphaned]


def _commit(work: Work, ticket: Ticket, orphaned: list[str] | None) -> Done:
    """orphaned: keys of rows whose parent is missing; None: a missing parent is an error."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        feed.hush(work)
        updated = _fill_deferred(work, ticket, strict=orphaned is None)
        if work.table.link.backref:
            feed.settle(work)
            backrefs.write(work, replace(ticket.range, without=tuple(orphaned or ())))
        done = Done(updated=updated)
        feed.settle(work)
        ledger.record(work.target, ticket, done, orphaned or None)
    return done


def _fill_deferred(work: Work, ticket: Ticket, strict: bool) -> int:
    if not any(ref.deferred for ref in work.table.references):
        return 0
    relation = feed.relation(work, ticket.range, "link")
    linked = past_triggers.link(work, relation, strict=strict)
    return feed.run_between(work.target, *linked)
