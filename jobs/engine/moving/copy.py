"""One chunk forward: fence -> feed -> insert -> map -> quarantine -> ledger, in one transaction of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg

from jobs.engine import feed
from jobs.engine.errors import RowError, blames_row
from jobs.engine.feed import Work
from jobs.engine.moving import bad_rows, sequences
from jobs.engine.moving.insert import place
from jobs.engine.target import exclusive, ledger
from jobs.engine.target.ledger import Done, Ticket


def copy_chunk(work: Work, ticket: Ticket) -> Done:
    """Copies one chunk, exactly once. Raises Fenced, RowError (stop), TooManyQuarantined, psycopg.Error.

    A chunk with bad rows is gone through twice: once to find them, rolled back, and once without them. So all
    its rows have one writer, by which a rollback later tells whether anyone changed them.
    """
    try:
        return _commit(work, ticket, ())
    except psycopg.Error as error:
        if not blames_row(error):
            raise
    return _commit(work, ticket, bad_rows.find(work, ticket.range))


def _commit(work: Work, ticket: Ticket, poisoned: Sequence[RowError]) -> Done:
    chunk = replace(ticket.range, without=tuple(error.key for error in poisoned))
    sequences.put_ahead(work, work.table.ahead)
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        work.target.execute("SET CONSTRAINTS ALL IMMEDIATE")
        done, keys = place(work, chunk)
        bad_rows.release(work, ticket.range, poisoned)
        bad = [error for error in poisoned if not error.late]
        exclusive.unmap(work, [error.key for error in bad])
        for error in bad:
            bad_rows.set_aside(work, error)
        if bad:
            bad_rows.refuse_too_many(work, bad)
        done = replace(done, quarantined=len(bad))
        feed.settle(work)
        ledger.record(work.target, ticket, done, keys)
    return done
