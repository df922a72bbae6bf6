"""What came too late for its chunk: brought by sweeps at the end, until nothing is left or a limit is reached."""

from __future__ import annotations

from django.db.models import F, Q

from jobs import phases, states, transitions
from jobs.engine.moving import ranges as chunks
from jobs.models import PHASE_FIELDS, Chunk, Run, TableRun
from jobs.running import begin_phase
from jobs.running.cutting import next_chunk, page_walk
from jobs.running.session import Session

MOST_SWEEPS = 5
"""How often rows born meanwhile are taken in; a source that never rests leaves the rest to the next run."""


def take_in_late_rows(session: Session, tables: list[TableRun]) -> bool:
    """Source rows that were born beyond the frozen end while the copy ran, or that a walk by pages left out; whether
    there may be any to copy."""
    late = False
    # Children first: a child within its frozen end then has its parent within the parent's later end.
    for table in reversed(tables):
        if page_walk.of(table):
            late = page_walk.goes_on(session, table, next_chunk.free_number(table, phases.COPY)) or late
        if table.walk or table.phase != phases.COPY or table.upper is None or table.sweeps >= MOST_SWEEPS:
            continue
        last = chunks.last_key(session.work(table), above=tuple(table.upper))
        if last:
            table.cut_until, table.upper = table.upper, list(last)
            table.cut_done, table.sweeps, late = False, table.sweeps + 1, True
            with session.alone():
                table.save(update_fields=["cut_until", "upper", "cut_done", "sweeps"])
    return late


def take_in_missing_rows(session: Session, tables: list[TableRun]) -> bool:
    """Source rows that the comparison after a copy found missing: they were born, or moved, within what was copied.

    Whether the run goes back to copy them. It does not where the last time brought nothing, nor for a comparison
    that an operator asked for: that one reports, and changes nothing.
    """
    run = session.run
    run.refresh_from_db(fields=["sweeps_left", "rows_before_sweep"])
    lacking = [table for table in tables if table.missing]
    brought = sum(table.inserted + table.updated + table.kept for table in tables)
    if not lacking or not run.sweeps_left or brought == run.rows_before_sweep:
        return False
    counts = ", ".join(f"{table.missing:,} of {table.name}" for table in lacking)
    with session.alone():
        copy_missing_again(tables)
        Run.objects.filter(pk=run.pk).update(sweeps_left=F("sweeps_left") - 1, rows_before_sweep=brought)
        transitions.move(
            run, states.COPYING, why=f"Rows came too late for their chunk and are copied now: {counts}."
        )
    return True


def copy_missing_again(tables: list[TableRun]) -> None:
    """Sets the ranges to be copied in which the last comparison missed rows; each looks first what is there."""
    for table in tables:
        ranges = list(table.chunks.filter(phase=phases.VERIFY, missing__gt=0).order_by("number"))
        table.enter(phases.COPY, cut=True)
        table.guarded = table.guarded or bool(ranges)
        table.save(update_fields=[*PHASE_FIELDS, "guarded"])
        begin_phase.add_ranges(table, phases.COPY, ranges)


def begin_repair(run: Run) -> None:
    """Copies what the last comparison missed, then overwrites what it found different.

    What was born beyond the frozen end is for the next run: another run may have brought it by now.
    """
    run.tables.update(sweeps=MOST_SWEEPS, chosen=False)
    tables = list(run.tables.all())
    copy_missing_again(tables)
    for table in tables:
        different = table.chunks.filter(phase=phases.VERIFY, different__gt=0).order_by("number")
        begin_phase.add_ranges(table, phases.REPAIR, list(different))
    allow(run)


def allow(run: Run) -> None:
    """From now on what a comparison misses is copied, up to the limit."""
    Run.objects.filter(pk=run.pk).update(sweeps_left=MOST_SWEEPS, rows_before_sweep=None)


def forbid(run: Run) -> None:
    """The next comparison changes nothing."""
    Run.objects.filter(pk=run.pk).update(sweeps_left=0)


def may_be_repaired(run: Run) -> bool:
    """Whether the last comparison found anything that a repair may mend; what is extra is never taken away."""
    wrong = Q(chunks__missing__gt=0) | Q(chunks__different__gt=0)
    return run.tables.filter(wrong, chunks__phase=phases.VERIFY).exists()


def repairs(tables: list[TableRun]) -> list[TableRun]:
    """The tables that have ranges to be repaired, now that all is copied and linked."""
    waiting = Chunk.objects.filter(table__in=tables, phase=phases.REPAIR).exclude(state="done")
    result = set(waiting.order_by().values_list("table_id", flat=True).distinct())
    return [table for table in tables if table.phase != phases.REPAIR and table.pk in result]
