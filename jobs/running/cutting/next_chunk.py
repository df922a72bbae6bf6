"""The next chunk of a table is cut: by its keys, by its pages, or all that are left at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from django.db import connection
from django.db.models import Max

from jobs import phases
from jobs.engine.moving import ranges, undo_ranges
from jobs.engine.sql.walks.chunk_range import Range
from jobs.models import Chunk, TableRun
from jobs.processes import seats
from jobs.running import in_passes
from jobs.running.cutting import page_walk
from jobs.running.session import STALE_AFTER, Session

Bound: TypeAlias = Sequence[str] | None


class CutSoFar(NamedTuple):
    """The chunks of a table's present phase: the last number, for how many rows they were cut, how many are not done,
    how many of these somebody holds, and how many of those have a holder that lives."""

    number: int
    rows: int
    undone: int
    claimed: int
    busy: int


def so_far(table: TableRun) -> CutSoFar:
    """In one query."""
    with connection.cursor() as cursor:
        given: list[Any] = [STALE_AFTER, table.pk, table.phase]
        cursor.execute(SO_FAR, given)
        return CutSoFar(*cursor.fetchone())


SO_FAR = """
SELECT coalesce(max(number), 0), coalesce(sum(size), 0)::bigint, count(*) FILTER (WHERE state <> 'done'),
       count(*) FILTER (WHERE state = 'claimed'), count(*) FILTER (WHERE state = 'claimed' AND seen >= now() - %s)
  FROM jobs_chunk WHERE table_id = %s AND phase = %s
"""


def cut(session: Session, table: TableRun, so_far: CutSoFar) -> Chunk | None:
    """The next chunk of a table, which must be locked; None where its phase is cut to its end."""
    if table.cut_done or table.phase in phases.INDIVISIBLE:
        return None if table.cut_done else _add_all(table, [Range()], so_far)
    if page_walk.of(table):
        return page_walk.cut(session, table, so_far.number + 1, _at_once(session))
    work = session.work(table)
    if table.phase == phases.VERIFY and in_passes.undecided(table, work):
        _be_patient()
        if in_passes.decide(session.run, table, work):
            return _add_passes(table)
    low, last = (tuple(key) if key else None for key in (table.cut_until, table.upper))
    if table.phase in phases.BACKWARD and work.table.link.keep_map:
        _be_patient()
        return _add_all(table, undo_ranges.map_ranges(work, table.chunk_rows, _workers()), so_far)
    number, size = so_far.number + 1, _next_size(session, table, so_far)
    if table.phase in phases.BACKWARD:
        high, last = undo_ranges.next_boundary(work, low, size), None
    elif work.table.feed.stepped or not work.table.feed.range_parts:
        high = ranges.next_boundary(work, low, last, size)
    else:
        _be_patient()
        bounds = [None, *ranges.all_boundaries(work, table.chunk_rows), None]
        return _add_all(table, [Range(low, high) for low, high in itertools.pairwise(bounds)], so_far)
    if high == last:  # nothing is left beyond: no empty chunk for it
        high = None
    chunk = _made(table, number, low, high or last, size)
    table.cut_until, table.cut_done = (list(high), False) if high else (None, True)
    table.save(update_fields=["cut_until", "cut_done"])
    return chunk


def _be_patient() -> None:
    """Lets this transaction of the control database wait for a scan of a large table."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _add_all(table: TableRun, cut: Sequence[Range], so_far: CutSoFar) -> Chunk | None:
    """All chunks of a phase at once; the first of them, which is not saved yet."""
    numbered = enumerate(cut, start=so_far.number + 1)
    made = [_made(table, number, *each.bounds(), 0) for number, each in numbered]
    Chunk.objects.bulk_create(made[1:])
    table.cut_done = True
    table.save(update_fields=["cut_done"])
    return made[0] if made else None


def _add_passes(table: TableRun) -> Chunk:
    """A chunk for each pass over the whole table; the first of them."""
    of = table.passes or 1
    made = [_made(table, 1 + number, None, table.upper, table.estimated_rows // of) for number in range(of)]
    for number, chunk in enumerate(made):
        chunk.part = [number, of]
        chunk.save()
    table.cut_done = True
    table.save(update_fields=["cut_done"])
    return made[0]


def _next_size(session: Session, table: TableRun, so_far: CutSoFar) -> int:
    """Of the chunk that is cut next: smaller towards the end, so that all workers end together."""
    if session.plan.table(table.name).into.serial:
        return table.chunk_rows
    rows = table.done_rows if table.phase != phases.COPY else table.estimated_rows
    least = undo_ranges.SMALLEST_GROUP if table.phase in phases.BACKWARD else ranges.SMALLEST_SHARE
    left = rows - so_far.rows
    # With so few rows it is the same for any number of workers.
    workers = 1 if table.chunk_rows <= least or left <= least else _at_once(session)
    return ranges.share(table.chunk_rows, left, workers, least)


def _workers() -> int:
    return max(1, seats.live().count())


def _at_once(session: Session) -> int:
    """How many of them work on the run."""
    return min(_workers(), session.run.most_at_once)


def free_number(table: TableRun, phase: str) -> int:
    """Of the next chunk of a phase. A number is never used twice: the ledger has it."""
    last = table.chunks.filter(phase=phase).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def _made(table: TableRun, number: int, low: Bound, high: Bound, size: int) -> Chunk:
    """Not saved yet: whoever takes it at once saves it."""
    low_, high_ = (list(bound) if bound else None for bound in (low, high))
    return Chunk(table=table, phase=table.phase, number=number, low=low_, high=high_, size=size)


def add(table: TableRun, low: Bound, high: Bound, size: int = 0, only: list[str] | None = None) -> Chunk:
    """One more chunk of the table's present phase, under the next number. The table must be locked."""
    chunk = _made(table, free_number(table, table.phase), low, high, size)
    chunk.only = only
    chunk.save()
    return chunk
