"""The stage that takes a run back: its beginning, its end, and the schema steps in reverse."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jobs import phases, states, transitions
from jobs.engine.errors import EngineError
from jobs.engine.feed import Work
from jobs.engine.moving import undo
from jobs.engine.schema import apply
from jobs.engine.target import left_of_run, rollback_proof
from jobs.models import Run, StepRun
from jobs.running import begin_phase, fingerprints, prepare
from jobs.running.rollback import edited
from jobs.running.rollback.counts import counted
from jobs.running.session import Session
from jobs.running.steps import helper_indexes
from jobs.running.steps.applied import applied_steps

WAY_OUT = "put back what is missing in schema migrator, or take the rows away by hand, then retry"

DIFFERS = "Every row of the run is undone, but the proof found a difference that nobody accounts for"


def end_of_undoing(session: Session) -> None:
    """All chunks of the present phases are done: go from unlinking to deleting, else to the schema and the end."""
    run = session.run
    tables = list(run.tables.all())
    waiting = [table for table in tables if table.phase != phases.UNDO]
    if waiting:
        begin(session)
        return
    helper_indexes.drop(session)
    works = [session.work(table) for table in tables]
    last = undo.is_last(works[0])
    if not undo.is_forgotten(session.target, run.pk):
        fingerprints.compare_rows(session, last, _proved(session, works, last))
    undo.forget(works[0])
    undone = _undo_schema(session) if last and not run.keep_schema else fingerprints.Undone()
    unexplained = fingerprints.compare_schema(session, last, undone)
    with session.alone():
        if unexplained:
            why = f"{DIFFERS}: {'; '.join(unexplained)}."
            transitions.move(run, states.ROLLED_BACK, why=why, level="warning", differs=True)
        else:
            transitions.move(run, states.ROLLED_BACK)


def _proved(session: Session, works: Sequence[Work], last: bool) -> dict[str, str]:
    """By target, rows of which nothing tells whether they are the run's. Raises EngineError, with counts and keys,
    where anything of the run is left for certain: what could tell then stays."""
    run = session.run
    left = left_of_run.left(works, counted(run), last=last, keep_schema=run.keep_schema)
    result = [f"{one.table}: {one.text}" for one in left.blockers]
    if last and not run.keep_schema:
        sides = {"source": session.source, "target": session.target}
        lost = rollback_proof.unregistered(sides, run.pk, applied_steps(run))
        result += [
            f"the register in the target does not know any more how to undo: {title}" for title in lost
        ]
    if result:
        raise EngineError(
            f"not everything is rolled back, so no schema step is undone. {'; '.join(result)}; {WAY_OUT}"
        )
    return left.doubts


def begin(session: Session) -> None:
    """First shuts out whoever may still be copying, then unlinks; once nothing is linked, sets all to be deleted."""
    tables = list(session.run.tables.all())
    phase = phases.UNDO
    if all(table.phase not in phases.BACKWARD for table in tables):
        prepare.enter(session)
        works = [session.work(table) for table in tables]
        if not undo.wrote(session.target, session.run.pk) and not undo.is_mapped(works[0]):
            with session.alone():
                begin_phase.enter(tables, phases.UNDO, cut=True)
            return
        if result := rollback_proof.dangers(works, counted(session.run)):
            raise EngineError("; ".join(f"{one.table}: {one.text}" for one in result))
        helper_indexes.build_for_links(session)
        if session.run.edited == edited.LEAVE:
            edited.leave(session)
        linked = [table for table in tables if undo.needs_unlinking(session.plan.table(table.name))]
        tables, phase = (linked, phases.UNLINK) if linked else (tables, phases.UNDO)
    if phase == phases.UNDO:
        helper_indexes.build(session)
    with session.alone():
        begin_phase.enter(tables, phase, cut=False)


def _undo_schema(session: Session) -> fingerprints.Undone:
    """Undoes the mapping's steps, the last first. A width that other rows need is kept, and said so."""
    run, undone = session.run, fingerprints.Undone()
    lines = {row.title: row for row in run.steps.filter(backward=True)}
    for step in apply.applied(session.target, session.plan.mapping):
        row = _beginning(run, lines, f"Undo: {step.title}", ";\n".join(step.undo))
        began = time.monotonic()
        kept = apply.undo(session.sides, step, lambda reason: _waits(run, reason))
        row.state, row.note, row.seconds = ("kept" if kept else "done"), kept, time.monotonic() - began
        row.save(update_fields=["state", "note", "seconds"])
        undone.note(step, kept)
        if kept:
            transitions.note(run, f"{step.title}: {kept}", level="warning")
    return undone


def _beginning(run: Run, lines: dict[str, StepRun], title: str, sql: str) -> StepRun:
    """The line of a step that is being undone: the one that it has already, where somebody was stopped in it.

    lines: those that there are, by title; the new one is added.
    """
    last = max((row.position for row in lines.values()), default=0)
    row = lines.setdefault(title, StepRun(run=run, backward=True, title=title, position=last + 1))
    row.sql, row.state, row.note = sql, "running", ""
    row.save()
    return row


def _waits(run: Run, reason: str) -> None:
    Run.objects.filter(pk=run.pk).update(waiting_for=reason)
