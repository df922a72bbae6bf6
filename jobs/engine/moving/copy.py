"""One chunk forward: fence -> feed -> insert -> map -> quarantine -> ledger, in one transaction of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg

from jobs.engine import feed
from jobs.engine.errors import RowError, blames_row
from jobs.engine.feed import Work
from jobs.engine.moving import bad_rows, screening, sequences
from jobs.engine.moving.assigning import assign
from jobs.engine.moving.insert import place
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import exclusive, ledger
from jobs.engine.target.ledger import Done, Ticket


def copy_chunk(work: Work, ticket: Ticket) -> Done:
    """Copies one chunk, exactly once. Raises Fenced, RowError (stop), TooManyQuarantined, psycopg.Error.

    What looks for bad rows is rolled back, and the others are then brought by one writer, by which a rollback later
    tells whether anyone changed them.
    """
    if not bad_rows.keys(work) or not screening.is_possible(work):
        try:
            return _commit(work, ticket, ())
        except psycopg.Error as error:
            work.refusals.learn(_blaming(error))
        if not screening.is_possible(work):
            return _commit(work, ticket, bad_rows.find(work, ticket.range))
    return _commit_good_rows(work, ticket)


def _blaming(error: psycopg.Error) -> psycopg.Error:
    """The same error if it blames some row; raises it else."""
    if not blames_row(error):
        raise error
    return error


def _commit_good_rows(work: Work, ticket: Ticket) -> Done:
    """Finds bad rows in bulk, the way that reads least first; what the chunk fails with tells what to ask next."""
    unread = screening.unreadable(work, ticket.range)
    if unread:
        try:
            return _commit(work, ticket, unread)
        except psycopg.Error as error:
            work.refusals.learn(_blaming(error))
    all_tried = False
    while not all_tried:
        all_tried = work.refusals.written
        try:
            return _commit_screened(work, ticket, unread, all_tried)
        except psycopg.Error as error:
            if not work.refusals.learn(_blaming(error)):
                work.refusals.written = True
    work.refusals.written = (
        False  # they fail at the source, where the next chunk is searched by halves as well
    )
    return _commit(work, ticket, bad_rows.find(work, ticket.range))


def _commit(work: Work, ticket: Ticket, faulty: Sequence[RowError]) -> Done:
    sequences.put_ahead(work, work.table.into.ahead)
    with work.target.transaction():
        _begin(work, ticket)
        chunk = _without(ticket.range, faulty)
        done, keys = place(work, chunk, assign.assign_late(work, chunk, "copy"))
        return _end(work, ticket, faulty, done, keys)


def _commit_screened(work: Work, ticket: Ticket, unread: Sequence[RowError], all_tried: bool) -> Done:
    sequences.put_ahead(work, work.table.into.ahead)
    with work.target.transaction():
        _begin(work, ticket)
        chunk = _without(ticket.range, unread)
        relation = assign.assign_late(work, chunk, "copy") or feed.relation(work, chunk, "copy")
        (done, keys), result = screening.place_good(work, chunk, relation, all_tried)
        return _end(work, ticket, [*unread, *result], done, keys)


def _without(chunk: Range, faulty: Sequence[RowError]) -> Range:
    return replace(chunk, without=(*chunk.without, *(error.key for error in faulty)))


def _begin(work: Work, ticket: Ticket) -> None:
    ledger.fence(work.target, ticket)
    feed.hush(work)
    work.target.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _end(
    work: Work, ticket: Ticket, faulty: Sequence[RowError], done: Done, keys: Sequence[str] | None
) -> Done:
    bad_rows.release(work, ticket.range, faulty)
    bad = [error for error in faulty if not error.late]
    exclusive.unmap(work, [error.key for error in bad])
    bad_rows.set_aside(work, bad)
    if bad:
        bad_rows.refuse_too_many(work, bad)
    done = replace(done, quarantined=len(bad))
    feed.settle(work)
    ledger.record(work.target, ticket, done, keys)
    return done
