"""Which schema steps a run has applied."""

from __future__ import annotations

from jobs.models import Run
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.schema import kinds


def applied_steps(run: Run) -> list[Step]:
    """The schema steps that the run itself applied, and that would show."""
    done = set(run.steps.filter(backward=False, state="done", note="").values_list("position", flat=True))
    steps = enumerate(Plan.from_json(run.plan).steps, start=1)
    return [step for position, step in steps if position in done and kinds.of(step).stands_by_itself]
