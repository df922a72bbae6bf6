"""A chunk that took too long is cut into two, and the table's next ones become smaller."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest, Least

from jobs import phases
from jobs.engine.moving import ranges, undo_ranges
from jobs.engine.target import ledger
from jobs.models import Chunk, TableRun
from jobs.running import claims
from jobs.running.claims import SurveyedTable
from jobs.running.cutting import next_chunk, tickets
from jobs.running.session import Session


def is_divisible(session: Session, table: TableRun | SurveyedTable) -> bool:
    """Whether half a chunk of the table takes about half the time, so that a timeout can be mended by halving."""
    planned = session.plan.table(table.name)
    if table.phase == phases.VERIFY and table.passes:
        return False
    if table.phase == phases.COPY and planned.feed.walk == "pages":
        return True
    return table.phase not in phases.INDIVISIBLE and (
        bool(planned.feed.range_parts)
        and not planned.whole
        and (planned.feed.stepped or table.phase in phases.BACKWARD)
    )


def halve(session: Session, chunk: Chunk, error: str) -> bool:
    """Cuts a claimed chunk into two that wait. False if it cannot be cut: then it is only to be tried again."""
    if not is_divisible(session, session.tables[chunk.table.name]):
        return False
    smaller = Least(F("chunk_rows"), Greatest(Value(ranges.SMALLEST), F("chunk_rows") / 2))
    TableRun.objects.filter(pk=chunk.table_id).update(chunk_rows=smaller)
    if chunk.pages:
        return _cut_pages_in_two(session, chunk, error)
    middle = _middle(session, chunk)
    return middle is not None and _cut_in_two(session, chunk, list(middle), error)


def _cut_pages_in_two(session: Session, chunk: Chunk, error: str) -> bool:
    """The same for a range of pages, down to one page."""
    whole: dict[str, Any] = dict(chunk.pages or {})
    first, end = whole["first"], whole["end"]
    if end - first < 2 or _is_recorded(session, chunk):
        return False
    lower, upper = {**whole, "end": (first + end) // 2}, {**whole, "first": (first + end) // 2}
    with transaction.atomic():
        table = TableRun.objects.select_for_update().get(pk=chunk.table_id)
        if table.phase != chunk.phase or not claims.mine(session, chunk).update(
            pages=lower, size=chunk.size // 2, **ANEW, error=error
        ):
            return False
        number = next_chunk.free_number(table, chunk.phase)
        Chunk.objects.create(
            table=table, phase=chunk.phase, number=number, pages=upper, size=chunk.size - chunk.size // 2
        )
    return True


ANEW = {"state": "waiting", "worker": "", "attempts": 0, "troubles": 0}


def _is_recorded(session: Session, chunk: Chunk) -> bool:
    """Whether the ledger has a chunk already; also where nobody answers."""
    ticket = tickets.ticket(chunk, session.run.pk, session.plan.table(chunk.table.name))
    try:
        return ledger.recorded(session.target, ticket) is not None
    except psycopg.Error:
        return True


def _middle(session: Session, chunk: Chunk) -> tuple[str, ...] | None:
    """Where to cut; None also where the ledger has the chunk already, or where nobody answers."""
    work = session.work(session.tables[chunk.table.name])
    ticket = tickets.ticket(chunk, session.run.pk, work.table)
    find = undo_ranges.middle if chunk.phase in phases.BACKWARD else ranges.middle
    try:
        if ledger.recorded(session.target, ticket):
            return None
        return find(work, ticket.range)
    except psycopg.Error:
        return None


def _cut_in_two(session: Session, chunk: Chunk, middle: list[str], error: str) -> bool:
    """The chunk keeps its number and its lower half; the upper one gets the next number. Each starts anew."""
    with transaction.atomic():
        table = TableRun.objects.select_for_update().get(pk=chunk.table_id)
        if table.phase != chunk.phase or not claims.mine(session, chunk).update(
            high=middle, size=chunk.size // 2, **ANEW, error=error
        ):
            return False
        next_chunk.add(table, middle, chunk.high, chunk.size - chunk.size // 2, chunk.only)
    return True
