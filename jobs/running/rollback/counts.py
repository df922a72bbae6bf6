"""What the control database counted of a run: what the target's own records are held against at a rollback."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from jobs import states
from jobs.engine.target.witnesses import Counted
from jobs.models import Run, TableRun


def counted(run: Run) -> dict[str, Counted]:
    """By table, what the run did."""
    reported = run.reports.exists()
    tables, others = list(run.tables.all()), defaultdict[str, list[TableRun]](list)
    beside = TableRun.objects.filter(
        run__mapping_id=run.mapping_id, run__environment_id=run.environment_id,
        name__in=[table.name for table in tables],
    )  # fmt: skip
    for other in beside.exclude(run=run).select_related("run").defer("run__plan"):
        others[other.name].append(other)
    return {table.name: _of_table(run, table, reported, others[table.name]) for table in tables}


def _of_table(run: Run, table: TableRun, reported: bool, others: Sequence[TableRun]) -> Counted:
    """others: of the same name, of other runs of the mapping in the environment."""
    there = [other for other in others if other.run.status != states.ROLLED_BACK]
    gone = [other for other in others if other.run.status == states.ROLLED_BACK]
    return Counted(
        inserted=table.inserted + table.by_hand,
        updated=table.updated,
        kept=table.kept,
        exact=reported or not table.guarded,
        takers=tuple(other.run_id for other in there if _is_later(run, other)),
        took=sum(other.done_rows for other in gone if _is_later(run, other)),
        before=table.target_before - table.by_hand,
        others={
            other.run_id: other.inserted + other.by_hand for other in there if other.inserted + other.by_hand
        },
    )


def _is_later(run: Run, other: TableRun) -> bool:
    """Whether another run was there after this one, or beside it, and looked what rows were there."""
    ended = other.run.finished
    return other.guarded and (other.run_id > run.pk or bool(ended and ended > run.created))


def taken_back(run: Run) -> Counter[str]:
    """By target table, the rows that were there when the run counted it, and that rollbacks of other runs, of whatever
    mapping, took since."""
    began = run.started or run.created
    went = Run.objects.filter(plan_target=run.plan_target, status=states.ROLLED_BACK, created__lt=began)
    taken = Counter[str]()
    for other in went.filter(finished__gt=began).prefetch_related("tables"):
        targets = {table["name"]: table["target"] for table in other.plan["tables"]}
        for table in other.tables.all():
            taken[targets[table.name]] += table.inserted + table.by_hand - table.left.get("rows", 0)
    return taken
