"""Rows that somebody chose from the differences are copied or overwritten, these and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs import phases
from jobs.engine.moving import link
from jobs.models import PHASE_FIELDS, Chunk, Run, TableRun
from jobs.running import begin_phase, late_rows
from mappings.plan.model import Plan

KEYS_OF_A_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Source keys of one kind in one range of the last verification."""

    table: str
    chunk: int
    kind: Literal["missing", "different"]
    keys: Sequence[str]


def begin(run: Run, chosen: Iterable[ChosenRows]) -> None:
    """Sets chosen rows to be copied, linked and overwritten; what a comparison misses besides stays as it is."""
    plan = Plan.from_json(run.plan)
    by_table: dict[str, list[ChosenRows]] = {}
    for some in chosen:
        by_table.setdefault(some.table, []).append(some)
    for table in run.tables.all():
        rows = by_table.get(table.name, [])
        missing = [some for some in rows if some.kind == "missing"]
        table.enter(phases.COPY, cut=True)
        table.chosen, table.guarded = True, table.guarded or bool(missing)
        table.sweeps = late_rows.MOST_SWEEPS
        table.save(update_fields=[*PHASE_FIELDS, "chosen", "guarded", "sweeps"])
        _add(table, phases.COPY, missing)
        if link.needs_links(plan.table(table.name)):
            _add(table, phases.LINK, missing)
        _add(table, phases.REPAIR, [some for some in rows if some.kind == "different"])
    late_rows.forbid(run)


def _add(table: TableRun, phase: str, chosen: Sequence[ChosenRows]) -> None:
    """Chunks of a phase: the ranges in which the rows were compared, narrowed to their keys."""
    ranges = {chunk.number: chunk for chunk in table.chunks.filter(phase=phases.VERIFY)}
    begin_phase.add_ranges(
        table, phase, [narrowed for some in chosen for narrowed in _narrowed(ranges[some.chunk], some.keys)]
    )


def _narrowed(chunk: Chunk, keys: Sequence[str]) -> Iterable[Chunk]:
    for start in range(0, len(keys), KEYS_OF_A_CHUNK):
        yield Chunk(low=chunk.low, high=chunk.high, only=list(keys[start : start + KEYS_OF_A_CHUNK]))


def waits_for_links(table: TableRun) -> bool:
    """Whether chosen rows of a table were copied and are to be linked now."""
    return table.chosen and table.chunks.filter(phase=phases.LINK).exclude(state="done").exists()
