"""What a verification looks at besides the rows of the mapping: the schema steps, and rows that no run brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs import states
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import remains
from jobs.engine.target.witnesses import ask
from jobs.models import Run
from jobs.running.session import Session
from jobs.running.steps.applied import applied_steps
from mappings.plan.schema_steps import Step
from mappings.schema import kinds
from mappings.sql import compose, joined

STEPS_AT_ONCE = 100


def of_steps(session: Session) -> Mapping[str, dict[str, Any]]:
    """By table, the check that its schema steps still stand, those of earlier runs included."""
    run, tables = session.run, [table.name for table in session.plan.moved]
    runs = Run.objects.filter(mapping_id=run.mapping_id, environment_id=run.environment_id)
    earlier = runs.exclude(status=states.ROLLED_BACK).filter(
        pk__lt=run.pk, steps__note="", steps__state="done"
    )
    steps: dict[tuple[str, ...], Step] = {}
    for other in earlier.distinct().order_by("pk"):
        steps |= {_place(step): step for step in applied_steps(other)}
    steps |= {_place(step): step for step in session.plan.steps if kinds.of(step).stands_by_itself}
    by_table: dict[str, list[Step]] = {}
    for step in steps.values():
        by_table.setdefault(step.table if step.table in tables else tables[0], []).append(step)
    there = _standing(session, list(steps.values()))
    return {table: _check(result, there) for table, result in by_table.items()}


def _place(step: Step) -> tuple[str, ...]:
    return step.side, step.relation, step.kind, step.name


def _check(steps: list[Step], there: set[tuple[str, ...]]) -> dict[str, Any]:
    gone = [step.title for step in steps if _place(step) not in there]
    detail = f"not any more: {'; '.join(gone)}" if gone else f"{len(steps)} looked up"
    return {"title": "Every schema step stands as the run left it", "passed": not gone, "detail": detail}


def _standing(session: Session, steps: Sequence[Step]) -> set[tuple[str, ...]]:
    """The places of those that hold, many asked for at once: a run may have taken thousands."""
    result = set[tuple[str, ...]]()
    for side in ("source", "target"):
        of_side = [step for step in steps if step.side == side]
        for start in range(0, len(of_side), STEPS_AT_ONCE):
            some = of_side[start : start + STEPS_AT_ONCE]
            held = joined(", ", (kinds.of(step).holds(step) for step in some))
            row = run_sql(session.sides.of(side), compose("SELECT {}", held)).fetchone() or ()
            result |= {_place(step) for step, holds in zip(some, row, strict=True) if holds}
    return result


def beyond(work: Work, more: int) -> str:
    """What is known of `more` rows that a target has, and that neither were there before nor came with the run."""
    if more <= 0:
        return ""
    own = [row[0] for row in run_sql(work.target, remains.writers(work.run))]
    strays, _ = ask(work, remains.strays(work.plan, work.table, own))
    text = f"; {more:,} more than that, which this run did not bring"
    made = "written in its own transactions for no source row, as a trigger of the target does"
    return f"{text}: {strays:,} of them were {made}" if strays else text
