"""The stage that takes a run back: its beginning, its end, and the schema steps in reverse."""

from __future__ import annotations

import time

from jobs import states, transitions
from jobs.engine.moving import undo
from jobs.engine.schema import apply
from jobs.models import Run, StepRun
from jobs.running import prepare
from jobs.running.session import Session


def end_of_undoing(session: Session) -> None:
    """All chunks of the present phases are done: go from unlinking to deleting, else to the schema and the end."""
    run = session.run
    tables = list(run.tables.all())
    waiting = [table for table in tables if table.phase != "undo"]
    if waiting:
        begin(session)
        return
    works = [session.work(table) for table in tables]
    last = undo.is_last(works[0])
    undo.forget(works[0])
    if last and not run.keep_schema:
        _undo_schema(session)
    with session.alone():
        transitions.move(run, states.ROLLED_BACK)


def begin(session: Session) -> None:
    """First shuts out whoever may still be copying, then unlinks; once nothing is linked, sets all to be deleted."""
    tables = list(session.run.tables.all())
    phase = "undo"
    if all(table.phase not in ("unlink", "undo") for table in tables):
        prepare.enter(session)
        if not undo.wrote(session.target, session.run.pk):
            with session.alone():
                session.run.tables.update(phase="undo", cut_done=True)
            return
        linked = [table for table in tables if undo.needs_unlinking(session.plan.table(table.name))]
        tables, phase = (linked, "unlink") if linked else (tables, "undo")
    names = [table.name for table in tables]
    with session.alone():
        session.run.tables.filter(name__in=names).update(phase=phase, cut_done=False, cut_until=None)


def _undo_schema(session: Session) -> None:
    """Undoes the mapping's steps, the last first. A width that other rows need is kept, and said so."""
    run = session.run
    for position, step in enumerate(apply.applied(session.target, session.plan.mapping), start=1):
        row, _ = StepRun.objects.update_or_create(
            run=run,
            position=position,
            backward=True,
            defaults={"title": f"Undo: {step.title}", "sql": ";\n".join(step.undo), "state": "running"},
        )
        began = time.monotonic()
        kept = apply.undo(session.sides, step, lambda reason: _waits(run, reason))
        row.state, row.note, row.seconds = ("kept" if kept else "done"), kept, time.monotonic() - began
        row.save()
        if kept:
            transitions.note(run, f"{step.title}: {kept}", level="warning")


def _waits(run: Run, reason: str) -> None:
    Run.objects.filter(pk=run.pk).update(waiting_for=reason)
