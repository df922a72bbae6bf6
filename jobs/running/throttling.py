"""Whether a run may begin another chunk: its pace and stop signals, kept for all workers in the control database."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce, Greatest, Now

from jobs.engine.target import load_signals
from jobs.models import Run
from jobs.running.session import Session
from jobs.throttles import Throttles
from mappings.connections import sessions, unreachable

LOOK_EVERY = timedelta(seconds=1)
"""How often one of a run's workers looks for stop signals, for all of them."""

SPARE = timedelta(seconds=2)
"""How much of its pace a run that was late may make up for."""

NOT_LOOKED_YET = "its stop signals are being looked up"


def hold(session: Session) -> str:
    """Why the run may not begin another chunk now; '' if it may, and then the chunk must be paid for by `pay`."""
    run = session.run
    if not run.throttles:
        return ""
    throttles = Throttles.from_json(run.throttles)
    return (_signal(session, throttles) if throttles.signals else "") or _pace(run, throttles)


def pay(run: Run, rows: int) -> None:
    """Counts a chunk's rows against the pace, and begins the pause after it."""
    if not run.throttles:
        return
    throttles = Throttles.from_json(run.throttles)
    changes: dict[str, object] = {}
    if throttles.rows_per_second:
        due = Coalesce(F("paced_until"), Now()) + Value(timedelta(seconds=rows / throttles.rows_per_second))
        changes["paced_until"] = ExpressionWrapper(due, output_field=DateTimeField())
    if throttles.pause_between_chunks:
        changes["rests_until"] = Now() + timedelta(seconds=throttles.pause_between_chunks)
    if changes:
        Run.objects.filter(pk=run.pk).update(**changes)


def _pace(run: Run, throttles: Throttles) -> str:
    """A debt of time: each row costs its share of a second, and while any is owed no chunk begins.

    What was waited too long is credited, up to SPARE, so that the average is what was asked for.
    """
    if not (throttles.rows_per_second or throttles.pause_between_chunks):
        return ""
    rested = Q(rests_until__isnull=True) | Q(rests_until__lte=Now())
    if not Run.objects.filter(rested, pk=run.pk).exists():
        return f"it pauses {throttles.pause_between_chunks:g} s after each chunk"
    if not throttles.rows_per_second:
        return ""
    paid = Q(paced_until__isnull=True) | Q(paced_until__lte=Now())
    credited = Greatest(Coalesce(F("paced_until"), Now()), Now() - SPARE)
    if not Run.objects.filter(paid, pk=run.pk).update(paced_until=credited):
        return f"it moves {throttles.rows_per_second:,} rows a second"
    # A second's worth at a time, so that the pace is even.
    run.tables.filter(chunk_rows__gt=throttles.rows_per_second).update(chunk_rows=throttles.rows_per_second)
    return ""


def _signal(session: Session, throttles: Throttles) -> str:
    """What the last look at the stop signals found; the first worker that finds it a second old looks again."""
    run = session.run
    due = Q(looked_at__isnull=True) | Q(looked_at__lt=Now() - LOOK_EVERY)
    if Run.objects.filter(due, pk=run.pk).update(looked_at=Now()):
        result = _look(session, throttles)
        if Run.objects.filter(pk=run.pk, throttles=run.throttles).update(signal=result):
            run.signal = result
    return run.signal


def _look(session: Session, throttles: Throttles) -> str:
    try:
        return _look_at_target(session, throttles) or _ask(session, throttles)
    except psycopg.Error as error:
        if session.target.broken:
            raise
        return f"its stop signals cannot be looked up: {error.diag.message_primary or str(error).strip()}"


def _look_at_target(session: Session, throttles: Throttles) -> str:
    result, target = "", session.target
    if throttles.replication_lag_seconds is not None or throttles.replication_lag_bytes is not None:
        result = load_signals.replication_lag(
            target, throttles.replication_lag_seconds, throttles.replication_lag_bytes
        )
    if not result and throttles.active_sessions is not None:
        result = load_signals.active_sessions(target, throttles.active_sessions)
    if not result and throttles.lock_wait_seconds is not None:
        written = [table.into.target_sql for table in session.plan.moved]
        result = load_signals.lock_queue(target, written, throttles.lock_wait_seconds)
    return result


def _ask(session: Session, throttles: Throttles) -> str:
    environment = session.run.environment
    for side, query, url in (
        ("source", throttles.source_query, environment.source_url),
        ("target", throttles.target_query, environment.target_url),
    ):
        if query and (result := _answer(side, query, url)):
            return result
    return ""


def _answer(side: str, query: str, url: str) -> str:
    """Asked in a session of its own: what the query may set there ends with it."""
    try:
        conn = sessions.connect(
            url, purpose=f"asks the {side}", read_only=True, statement_timeout_ms=load_signals.TIMEOUT_MS
        )
    except unreachable.DatabaseUnreachable as error:
        return f"the query on the {side} could not be asked: {error}"
    with conn:
        return load_signals.answer(conn, query, side)
