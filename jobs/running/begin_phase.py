"""Tables begin a phase, with the chunks that are known from the start."""

from __future__ import annotations

from collections.abc import Iterable

from jobs import phases
from jobs.models import PHASE_FIELDS, Chunk, TableRun
from jobs.running.claims import SurveyedTable
from jobs.running.cutting import next_chunk


def enter(tables: Iterable[TableRun], phase: str, *, cut: bool) -> None:
    """Tables begin a phase. cut: whether its chunks are there, or are added at once."""
    entering = list(tables)
    for table in entering:
        table.enter(phase, cut=cut)
    TableRun.objects.bulk_update(entering, PHASE_FIELDS)


def go_on(tables: Iterable[SurveyedTable]) -> bool:
    """Tables that are through with a phase which leads into another begin that one; whether any did."""
    done = [table.pk for table in tables if table.phase in phases.THEN and not table.unfinished]
    for table in TableRun.objects.filter(pk__in=done, phase__in=phases.THEN) if done else ():
        before = table.phase
        table.enter(phases.THEN[before], cut=False)
        fields = {name: getattr(table, name) for name in PHASE_FIELDS}
        TableRun.objects.filter(pk=table.pk, phase=before).update(**fields)
    return bool(done)


def cut_for_links(table: TableRun) -> None:
    """Links follow in the very ranges of keys that the copy was cut into; by new ones where that went by pages."""
    enter([table], phases.LINK, cut=table.walk is None)
    if table.walk is None:
        add_ranges(table, phases.LINK, table.chunks.filter(phase=phases.COPY).order_by("number"))


def add_ranges(table: TableRun, phase: str, like: Iterable[Chunk]) -> None:
    """More chunks of a phase, of the same ranges as these."""
    Chunk.objects.bulk_create(
        Chunk(table=table, phase=phase, number=number, low=chunk.low, high=chunk.high, only=chunk.only)
        for number, chunk in enumerate(like, start=next_chunk.free_number(table, phase))
    )
