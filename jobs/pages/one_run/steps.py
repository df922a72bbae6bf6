"""The schema steps of a run in groups: what is being undone stands first, and what is long done is folded away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs import states
from jobs.models import Run, StepRun

FEW = 12
"""So many steps stand open, done or not."""
SETTLED = ("done", "kept")
TO_BE_UNDONE = "Undone after the rows, last one first, with the last run that leaves"


@dataclass(frozen=True, slots=True)
class StepGroup:
    """Steps that belong together. is_open: whether they are shown before anybody asks."""

    title: str
    steps: Sequence[StepRun]
    is_open: bool

    @property
    def done(self) -> int:
        return sum(step.state in SETTLED for step in self.steps)


def groups_of(run: Run, steps: Sequence[StepRun]) -> tuple[StepGroup, ...]:
    """The steps back, if any, then the steps forth."""
    back = [step for step in steps if step.backward]
    forth = [step for step in steps if not step.backward]
    if back:
        return tuple(group for group in (StepGroup("Steps back", back, True), _forth(forth)) if group.steps)
    if run.status == states.ROLLING_BACK and forth and not run.keep_schema:
        return (StepGroup(TO_BE_UNDONE, forth[::-1], True),)
    return (StepGroup("Steps of this run", forth, _is_worth_opening(forth)),) if forth else ()


def _forth(steps: Sequence[StepRun]) -> StepGroup:
    return StepGroup("Steps of this run", steps, False)


def _is_worth_opening(steps: Sequence[StepRun]) -> bool:
    return len(steps) <= FEW or any(step.state not in SETTLED for step in steps)
