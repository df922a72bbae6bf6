"""What the page before a rollback shows: the rows and the schema steps that it would undo."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import states
from jobs.models import Run, StepRun
from jobs.progress import planned_tables


@dataclass(frozen=True, slots=True)
class UndoneTable:
    """What a rollback does to one table: rows it deletes, restores to their old values, and lets go."""

    name: str
    target: str
    deleted: int
    restored: int
    released: int


@dataclass(frozen=True, slots=True)
class Undo:
    """What a rollback removes: rows per table in the order of undoing, and schema steps."""

    tables: tuple[UndoneTable, ...]
    steps: tuple[StepRun, ...]
    last_run: bool


def undo_of(run: Run) -> Undo:
    """The rollback of a run, from what the run recorded. last_run: no other run still holds the schema."""
    planned = planned_tables(run)
    tables = tuple(
        UndoneTable(
            table.name,
            planned[table.name].target if table.name in planned else "",
            table.inserted,
            table.updated,
            table.kept,
        )
        for table in run.tables.order_by("-position")
    )
    steps = tuple(run.steps.filter(backward=False, state="done").order_by("-position"))
    others = Run.objects.filter(mapping=run.mapping, environment=run.environment).exclude(pk=run.pk)
    holding = others.exclude(status__in=[states.ROLLED_BACK, states.QUEUED]).exists()
    return Undo(tables, steps, not holding)
