"""Chunks that the target acknowledged and does not know any more are done once more.

A standby that lagged took its place: with a chunk's line in the ledger all that it wrote is gone, and nothing else. The
control database has such a chunk as done. It is looked for whenever a session begins, before children miss parents that
were there, and before a stage ends.
"""

from __future__ import annotations

from django.db.models import Count

from jobs import phases, states, transitions
from jobs.engine.moving import undo
from jobs.engine.target import ledger_lines
from jobs.engine.target.ledger import FORGOTTEN, Done
from jobs.models import Chunk, TableRun
from jobs.running.session import Session

SOUGHT = {
    states.COPYING: (phases.COPY, phases.LINK, phases.REPAIR),
    states.ROLLING_BACK: phases.BACKWARD,
}
"""By status, the phases of which the ledger must have every chunk for the stage to end."""


def take_up(session: Session) -> bool:
    """Sets what the target forgot to be done once more; whether there was any. To be called under the lease."""
    run, sought = session.run, SOUGHT.get(session.run.status, ())
    done = Chunk.objects.filter(table__run=run, phase__in=sought, state="done").order_by()
    # Asked first: what is done here by now is in the ledger, unless that forgot it.
    here = list(done.values_list("table_id", "table__name", "phase").annotate(Count("pk")))
    if not here or (sought == phases.BACKWARD and undo.is_forgotten(session.target, run.pk)):
        return False
    there = ledger_lines.counted(session.target, run.pk)
    fewer = {pk for pk, name, phase, count in here if there.get((name, phase), 0) < count}
    with session.alone():
        tables = list(TableRun.objects.select_for_update().filter(pk__in=fewer))
        again = {table.name: _do_again(session, table, sought) for table in tables}
    if not any(again.values()):
        return False
    chunks = ", ".join(f"{count:,} of {name}" for name, count in again.items())
    text = f"{FORGOTTEN}. Chunks that it forgot are done once more: {chunks}."
    transitions.note(run, f"{text[0].upper()}{text[1:]}", level="warning")
    return True


def _do_again(session: Session, table: TableRun, sought: tuple[str, ...]) -> int:
    """How many chunks of a table, which must be locked. Each looks first what is there: a comparison may have had
    its rows brought since."""
    missing, did = list[Chunk](), dict[str, Done]()
    for phase in (*sought, phases.PRUNE):
        lines = ledger_lines.committed(session.target, session.run.pk, table.name, phase)
        of = {"table__run": session.run} if phase == phases.PRUNE else {"table": table}
        done = list(Chunk.objects.filter(phase=phase, state="done", **of))
        did[phase] = sum((lines[chunk.number] for chunk in done if chunk.number in lines), Done())
        if phase != phases.PRUNE:  # is begun anew by what the ledger lists then
            missing += [chunk for chunk in done if chunk.number not in lines]
    if not missing:
        return 0
    if phases.COPY in sought:
        _begin_again(table, {chunk.phase for chunk in missing})
        _set_counts(table, did[phases.COPY] + did[phases.PRUNE])
    else:
        table.undone = did[phases.UNDO].inserted
    table.save()
    again = table.chunks.filter(pk__in=[chunk.pk for chunk in missing])
    again.update(state="waiting", worker="", troubles=0)
    return len(missing)


def _begin_again(table: TableRun, of: set[str]) -> None:
    """The table goes back to the phase from which on it lost chunks, or to the copy, after which links follow."""
    if phases.COPY in of or table.phase not in of:
        if table.phase != phases.COPY:
            table.enter(phases.COPY, cut=True)
        table.guarded, table.walk = True, table.walk and {**table.walk, "guarded": True}


def _set_counts(table: TableRun, did: Done) -> None:
    table.inserted = max(0, did.inserted - table.by_hand)
    table.updated, table.kept, table.quarantined = did.updated, did.kept, did.quarantined
