"""One schema step of a run, with its line: under way, done, in force already, or failed and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from jobs.engine.errors import Fenced
from jobs.engine.schema import apply
from jobs.engine.schema import apply_together as together
from jobs.engine.schema.shadow_fill import Interrupted
from jobs.models import Run, StepRun
from jobs.processes import stop_signals
from jobs.running.session import Session
from mappings.plan.schema_steps import Step


def apply_step(
    session: Session, step: Step, row: StepRun, wanted: Callable[[Run], bool], tries: int = apply.TRIES
) -> None:
    """wanted: whether the run, read anew, still is where the step belongs; Interrupted where not, in a long filling."""
    began = time.monotonic()
    mine, waited = StepRun.objects.filter(pk=row.pk), []
    if step.weight != "catalog only":  # what is over in a moment need not be shown under way
        mine.update(state="running")

    def wait(reason: str) -> None:
        waited.append(reason)
        mine.update(state="running")
        Run.objects.filter(pk=session.run.pk).update(waiting_for=reason)

    def go_on(place: str) -> bool:
        mine.update(note=place)
        return wanted(session.run) and not stop_signals.requested()

    try:
        did = apply.apply(session.sides, session.plan, session.run.pk, step, wait, tries=tries, go_on=go_on)
    except Interrupted:
        raise  # it is half-way, and goes on from there
    except Exception as error:
        with suppress(Fenced), session.alone():  # else it is another's, who may be through with it
            mine.update(state="failed", note=str(error))
        raise
    finally:
        if waited:
            Run.objects.filter(pk=session.run.pk).update(waiting_for="")
    note = "" if did else "was in force already"
    mine.update(state="done", seconds=time.monotonic() - began, note=note)


def apply_together(session: Session, steps: Sequence[tuple[Step, StepRun]]) -> bool:
    """Takes small steps of one table at once, with their lines; False if they have to be taken one by one."""
    began, run = time.monotonic(), Run.objects.filter(pk=session.run.pk)
    taken = [step for step, _ in steps]
    waited: list[str] = []

    def wait(reason: str) -> None:
        waited.append(reason)
        run.update(waiting_for=reason)

    try:
        did = together.apply_together(session.sides, session.plan, session.run.pk, taken, wait)
    finally:
        if waited:
            run.update(waiting_for="")
    if did:
        seconds = (time.monotonic() - began) / len(steps)
        rows = StepRun.objects.filter(pk__in=[row.pk for _, row in steps])
        rows.update(state="done", seconds=seconds, note="")
    return did
