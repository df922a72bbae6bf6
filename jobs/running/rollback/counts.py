"""What the control database counted of a run: what the target's own records are held against at a rollback."""

from __future__ import annotations

from django.db.models import Q

from jobs import states
from jobs.engine.target.witnesses import Counted
from jobs.models import Run, TableRun
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.schema import kinds


def counted(run: Run) -> dict[str, Counted]:
    """By table, what the run did."""
    reported = run.reports.exists()
    return {table.name: _of_table(run, table, reported) for table in run.tables.all()}


def _of_table(run: Run, table: TableRun, reported: bool) -> Counted:
    others = TableRun.objects.filter(
        name=table.name, run__mapping_id=run.mapping_id, run__environment_id=run.environment_id
    )
    others = others.exclude(run=run)
    gone = Q(run__status=states.ROLLED_BACK)
    later = others.filter(Q(run__pk__gt=run.pk) | Q(run__finished__gt=run.created), guarded=True)
    others = others.exclude(gone)
    rows = {
        other.run_id: other.inserted + other.by_hand for other in others if other.inserted + other.by_hand
    }
    return Counted(
        inserted=table.inserted + table.by_hand,
        updated=table.updated,
        kept=table.kept,
        exact=reported or not table.guarded,
        takers=tuple(later.exclude(gone).values_list("run_id", flat=True)),
        took=sum(taker.done_rows for taker in later.filter(gone)),
        before=table.target_before - table.by_hand,
        others=rows,
    )


def applied_steps(run: Run) -> list[Step]:
    """The schema steps that the run itself applied, and that would show."""
    done = set(run.steps.filter(backward=False, state="done", note="").values_list("position", flat=True))
    steps = enumerate(Plan.from_json(run.plan).steps, start=1)
    return [step for position, step in steps if position in done and kinds.of(step).stands_by_itself]
