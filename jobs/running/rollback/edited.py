"""What a rollback does with rows of its run that somebody edited since: refuses, leaves those, or takes them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from jobs import transitions
from jobs.engine.moving.rollback import leave_edited
from jobs.engine.moving.rollback.leave_edited import EDITED, LeftRow
from jobs.engine.target import rollback_blockers
from jobs.engine.target.rollback_blockers import Blocker
from jobs.models import TableRun
from jobs.running.session import Session

Choice = Literal["refuse", "leave", "force"]
REFUSE: Final = "refuse"
LEAVE: Final = "leave"
FORCE: Final = "force"
CHOICES: tuple[Choice, ...] = (REFUSE, LEAVE, FORCE)

MOST_NAMED = 1_000
"""So many rows of each table are named in the control database; the target lists all (migrator.left_row)."""

MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class EditedRows:
    """Of one table: how many rows were edited since, source keys of some, and how many they point to and would hold."""

    table: str
    edited: int
    held: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IfLeft:
    """What leaving edited rows would come to: the rows, and what stands in the way even so."""

    rows: tuple[EditedRows, ...] = ()
    blockers: tuple[Blocker, ...] = ()


def if_left(session: Session) -> IfLeft:
    """Tried out in a transaction that is taken back."""
    works = [session.work(table) for table in session.run.tables.all()]
    left = leave_edited.find(works)
    if not any(left.values()):
        return IfLeft()
    with session.target.transaction(force_rollback=True):
        for work in works:
            leave_edited.release(work, left[work.table.name])
        blockers = [one for one in rollback_blockers.of_run(works) if not one.edited]
    return IfLeft(tuple(_rows(name, rows) for name, rows in left.items() if rows), tuple(blockers))


def _rows(name: str, rows: dict[str, LeftRow]) -> EditedRows:
    edited = [key for key, row in rows.items() if row.why == EDITED]
    return EditedRows(name, len(edited), len(rows) - len(edited), tuple(edited[:MOST_SHOWN]))


def leave(session: Session) -> None:
    """Lets go of the edited rows before anything is undone, and keeps which those were."""
    tables = list(session.run.tables.all())
    left = leave_edited.leave_edited([session.work(table) for table in tables], session.run.epoch)
    for table in tables:
        table.left = _kept(left[table.name])
        if table.left:
            text = f"{table.left['rows']:,} rows are left as they are, {table.left['edited']:,} of them edited since"
            transitions.note(session.run, f"{table.name}: {text}.", level="warning")
    TableRun.objects.bulk_update(tables, ["left"])


def _kept(rows: dict[str, LeftRow]) -> dict[str, Any]:
    if not rows:
        return {}
    named = [[key, row.target, row.why] for key, row in rows.items()]
    named.sort(key=lambda row: row[2] != EDITED)
    edited = sum(row.why == EDITED for row in rows.values())
    return {"rows": len(rows), "edited": edited, "named": named[:MOST_NAMED]}
