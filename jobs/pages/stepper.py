"""The stepper of a run's page: what is done, where the run is, and what is to come."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import states
from jobs.models import Run

STAGES = (("prepare", "Prepare"), ("copy", "Copy"), ("verify", "Verify"))


@dataclass(frozen=True, slots=True)
class Stage:
    """One mark of the stepper. state: waiting, current, held, stopped or done."""

    title: str
    state: str
    seconds: float


def stages_of(run: Run) -> tuple[Stage, ...]:
    """The stepper: what is done, where the run is or stopped, and what is to come."""
    spent = {"prepare": run.prepare_seconds, "copy": run.copy_seconds, "verify": run.verify_seconds}
    undoing = run.stage == "undo"
    names = [name for name, _ in STAGES]
    over = run.status in (states.VERIFIED, states.MISMATCH)
    at = len(names) if over or undoing else names.index(run.stage)
    marks = []
    for index, (name, title) in enumerate(STAGES):
        state = "done" if index < at else (here(run) if index == at else "waiting")
        if undoing and not spent[name]:
            state = "waiting"
        marks.append(Stage(title, state, spent[name]))
    if undoing:
        state = "done" if run.status == states.ROLLED_BACK else here(run)
        return (*marks, Stage("Roll back", state, run.undo_seconds))
    ends = {states.VERIFIED: ("Verified", "verified"), states.MISMATCH: ("Differs", "stopped")}
    return (*marks, Stage(*ends.get(run.status, ("Done", "waiting")), 0))


def here(run: Run) -> str:
    """How the stage that a run stands at looks."""
    if run.status in (states.FAILED, states.CANCELLED):
        return "stopped"
    if run.status in (states.PAUSED, states.PAUSING):
        return "held"
    return "waiting" if run.status == states.QUEUED else "current"
