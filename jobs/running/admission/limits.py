"""Who may take a chunk of a run: no more sessions at once than bring something (jobs/concurrency.py)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet, Sum

from jobs import clock, phases
from jobs.concurrency import Concurrency, Done, decided
from jobs.models import Run, TableRun
from jobs.processes import doorbell, seats
from jobs.running.claims import SurveyedTable
from jobs.running.session import Session

LOOK_EVERY = 1.0
"""Seconds between two looks of a session at what was measured."""

REST_SECONDS = 10.0
"""The same where there is nothing to decide for a while."""

MOST_MEASURED = 200
"""Chunks that are looked at."""


def room(run: Run, tables: Sequence[SurveyedTable]) -> int:
    """How many more sessions may take a chunk of a long table. Tables of few rows count for nothing: each of their
    chunks waits for answers most of the time, and the next table has indexes of its own."""
    return run.most_at_once - sum(table.busy for table in tables if table.is_long)


def is_shut_out(tables: Sequence[SurveyedTable], free: int) -> bool:
    """Whether of these tables, which have something left to do, nothing may be taken now. free: the run's `room`."""
    return bool(tables) and all(table.is_long and free <= 0 and not table.abandoned for table in tables)


def look(session: Session) -> None:
    """Decides by what was measured whether more sessions, or fewer, work on the run from now on.

    Whoever decides does so for all: the others find it with the run.
    """
    if time.monotonic() < session.look_at:
        return
    run, now, workers = session.run, clock.now().timestamp(), seats.live().count()
    session.look_at = time.monotonic() + LOOK_EVERY
    state = _state(run, now)
    if not state.before and (workers <= state.limit or now < state.again):
        session.look_at += REST_SECONDS
        return
    following = decided(state, _done(run, state), now, workers, _left(run))
    if following is None and run.concurrency is None:  # so that it is said
        following = replace(state, workers=workers)
    if following and _kept(run, following) and following.limit > state.limit:
        doorbell.ring_workers(run.pk)  # those that went to other runs


def _state(run: Run, now: float) -> Concurrency:
    if run.concurrency is None:
        since = run.stage_since.timestamp() if run.stage_since else now
        return Concurrency(settings.WORKERS_AT_FIRST, run.stage, since)
    return Concurrency.from_json(run.concurrency).of_stage(run.stage, now)


def _kept(run: Run, following: Concurrency) -> bool:
    """Whether nobody else has decided since this session knew."""
    as_known = Run.objects.filter(
        Q(concurrency__isnull=True) if run.concurrency is None else Q(concurrency=run.concurrency)
    )
    return as_known.filter(pk=run.pk).update(concurrency=following.to_json()) == 1


def _done(run: Run, state: Concurrency) -> list[Done]:
    since = max(state.since, run.stage_since.timestamp() if run.stage_since else 0.0)
    with connection.cursor() as cursor:
        given: list[Any] = [run.pk, list(phases.OF_STAGE[run.stage]), since, MOST_MEASURED]
        cursor.execute(DONE, given)
        return [Done(*row) for row in reversed(cursor.fetchall())]


DONE = """
SELECT c.table_id || ' ' || c.phase || coalesce(' ' || (c.pages->>'again'), ''), c.worker, c.rows, c.seconds,
       extract(epoch FROM c.seen)::float8
  FROM jobs_chunk AS c JOIN jobs_tablerun AS t ON t.id = c.table_id
 WHERE t.run_id = %s AND c.phase = ANY(%s) AND c.state = 'done' AND extract(epoch FROM c.seen) - c.seconds >= %s
 ORDER BY c.seen DESC LIMIT %s
"""
"""The last chunks of a run that were begun since and are done."""


def _left(run: Run) -> int:
    """Rows that are left to do in the run's stage, by estimate."""
    tables: QuerySet[TableRun] = run.tables.all()
    copied = F("inserted") + F("updated") + F("kept") + F("quarantined")
    by_stage = {
        "copy": F("estimated_rows") - copied, "verify": copied - F("compared"), "undo": copied - F("undone")
    }  # fmt: skip
    left = (
        tables.annotate(left_rows=by_stage[run.stage])
        .filter(left_rows__gt=0)
        .aggregate(rows=Sum("left_rows"))
    )
    return left["rows"] or 0
