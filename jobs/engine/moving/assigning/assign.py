"""Gives the rows of a range their values that depend on those that are taken, before any of them is copied.

They are given once, for all rows of a table, in one transaction, and kept in the target under the source's keys; so
chunks, retries, repairs and verifications find the same, whoever does them. Rows that come later get theirs when they
are copied.
"""

from __future__ import annotations

from dataclasses import replace

import psycopg

from jobs.engine import feed
from jobs.engine.errors import blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import bad_rows
from jobs.engine.sql.assigning import free_texts, next_numbers, stage
from jobs.engine.sql.key_sql import Purpose
from jobs.engine.sql.references import lookup
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Done, Ticket
from mappings.sql import Sql, compose, joined

ASSIGN_LOCK = 0x6D69_7161
"""Advisory lock, with the target's name, under which values are given."""


def assign_chunk(work: Work, ticket: Ticket) -> Done:
    """Values for all rows of a range that have none, but for those that cannot be read, which the copy deals with.

    Raises Fenced, RowError (stop), TooManyQuarantined, psycopg.Error.
    """
    try:
        return _commit(work, ticket, ticket.range)
    except psycopg.Error as error:
        if not blames_row(error):
            raise
    bad = tuple(error.key for error in bad_rows.find(work, ticket.range, assign))
    return _commit(work, ticket, replace(ticket.range, without=(*ticket.range.without, *bad)))


def _commit(work: Work, ticket: Ticket, chunk: Range) -> Done:
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        assign(work, chunk)
        run_sql(work.target, lookup.KNOWN)
        ledger.record(work.target, ticket, Done())
    return Done()


def assign(work: Work, chunk: Range) -> None:
    """The same inside a transaction that someone else opens and closes."""
    work.target.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [ASSIGN_LOCK, work.table.target])
    relation = feed.relation(work, chunk, "assign")
    run_sql(work.target, compose("SELECT {}", stage.NOT_ROW_BY_ROW))
    for number, ref in work.table.assigning:
        for statement in (stage.clear(), stage.fill(work.plan, work.table, number, relation)):
            run_sql(work.target, statement)
        run_sql(work.target, compose("ANALYZE {}", stage.STAGE))
        for statement in stage.of_rows_brought(work.plan, work.table, ref):
            run_sql(work.target, statement)
        if stage.told_of(ref):
            for statement in free_texts.first(work.plan, work.table, ref):
                run_sql(work.target, statement)
            while run_sql(work.target, free_texts.rows_wait()).fetchone() == (True,):
                run_sql(work.target, free_texts.next_round(work.plan, work.table, ref))
        else:
            run_sql(work.target, next_numbers.number(work.plan, work.table, ref))
        for statement in (*stage.follow(work.table), *stage.keep(work.plan, ref, work.run)):
            run_sql(work.target, statement)
    run_sql(work.target, compose("SELECT {}", stage.ROW_BY_ROW))


def assign_late(work: Work, chunk: Range, purpose: Purpose) -> Sql | None:
    """Gives rows that came, or changed, since the others got theirs their values. Where the chunk's feed is read from;
    None where no column of the table needs any."""
    if not work.table.assigning:
        return None
    relation = feed.relation(work, chunk, purpose)
    late = [
        lookup.is_any_unassigned(work.plan, number, ref, relation) for number, ref in work.table.assigning
    ]
    if run_sql(work.target, compose("SELECT {}", joined(" OR ", late))).fetchone() == (True,):
        assign(work, chunk)
    return relation
