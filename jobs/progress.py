"""How far a run is: counts, rate and time left, read in a handful of queries however many chunks there are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict, cast
from uuid import UUID

from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Extract, Floor, Now

from jobs import clock, phases, states
from jobs.models import Chunk, Run, TableRun

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

Rates = tuple[tuple[float, float], ...]
RECENT = timedelta(seconds=10)
MOST_BUCKETS = 60


class CutAndDone(TypedDict):
    chunks_cut: int
    chunks_done: int


CountedTable: TypeAlias = "WithAnnotations[TableRun, CutAndDone]"
"""A table of a run, with how many chunks of its present phase there are, and how many are done."""


@dataclass(frozen=True, slots=True)
class TableProgress:
    """One table in the run's present stage: rows copied, compared or undone, out of how many.

    state: waiting, copying, linking, setting aside, repairing, verifying, undoing, done, paused or stopped.
    The counts by outcome are the copy's.
    """

    name: str
    source: str
    target: str
    state: str
    done_rows: int
    total_rows: int
    fraction: float
    inserted: int
    updated: int
    kept: int
    quarantined: int
    chunk_rows: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A run in its present stage. rows_per_second: of the last seconds; seconds_left: of this stage, None if unknown.

    rates: (seconds since the start, rows per second) in equal steps, for a chart.
    """

    tables: tuple[TableProgress, ...]
    fraction: float
    done_rows: int
    total_rows: int
    rows_per_second: float
    seconds_left: float | None
    elapsed: float
    rates: Rates


class Planned(NamedTuple):
    """What a plan says of a table's name on both sides, and whether references are linked after its copy."""

    source: str
    target: str
    linked_later: bool


UNPLANNED = Planned("", "", False)


def planned_tables(run: Run) -> dict[str, Planned]:
    """The tables of a run's plan by name; of a run that was loaded without its plan, as they are remembered."""
    if "plan" in run.get_deferred_fields():
        return _remembered(run.uid)
    return _of_tables(run.plan.get("tables", ()))


@lru_cache(maxsize=32)
def _remembered(uid: UUID) -> dict[str, Planned]:
    """Plans may be large, and are frozen with their run: a page that asks each second reads them once."""
    return _of_tables(Run.objects.values_list("plan__tables", flat=True).get(uid=uid) or ())


def _of_tables(tables: Iterable[dict[str, Any]]) -> dict[str, Planned]:
    return {
        table["name"]: Planned(
            table["source"], table["target"], any(reference["deferred"] for reference in table["references"])
        )
        for table in tables
    }


class _Chunks(NamedTuple):
    """Chunks of one table in one phase. recent: rows of those that were done in the last seconds."""

    total: int = 0
    done: int = 0
    recent: int = 0

    @property
    def all_done(self) -> bool:
        return self.done == self.total


def progress_of(run: Run, rates: Rates | None = None) -> Progress:
    """How far `run` is, by the statuses and counts it was loaded with. Two to four queries, whatever its size.

    rates: those of a moment ago where that will do, as counting them reads every chunk.
    """
    chunks = Chunk.objects.filter(table__run=run)
    counted = _counted(chunks)
    planned = planned_tables(run)
    tables = tuple(
        _table(run, table, planned.get(table.name, UNPLANNED), counted) for table in run.tables.all()
    )
    rate = _recent_rate(run, counted)
    return _of_run(run, tables, rate, _rates(run, chunks) if rates is None else rates)


def progress_again(run: Run, before: Progress, moved: Iterable[CountedTable]) -> Progress:
    """The same a moment later, in the same status and stage, when only these tables have moved; no query.

    The rate is the one of before.
    """
    planned = planned_tables(run)
    fresh = {
        table.name: _table(
            run, table, planned.get(table.name, UNPLANNED),
            {(table.pk, table.phase): _Chunks(table.chunks_cut, table.chunks_done)},
        )
        for table in moved
    }  # fmt: skip
    tables = tuple(fresh.get(table.name, table) for table in before.tables)
    return _of_run(run, tables, before.rows_per_second, before.rates)


# Tables as they stand, each with how many chunks of its present phase are cut, and done.
COUNTED_TABLES = """
SELECT t.*, count(c.id) AS chunks_cut, count(c.id) FILTER (WHERE c.state = 'done') AS chunks_done
  FROM jobs_tablerun t
  LEFT JOIN jobs_chunk c ON c.table_id = t.id AND c.phase = t.phase
 WHERE t.id = ANY(%s)
 GROUP BY t.id
"""


def counted_tables(keys: Iterable[int]) -> list[CountedTable]:
    """These tables, counted in one query that costs what they do, however large the run is."""
    return cast("list[CountedTable]", list(TableRun.objects.raw(COUNTED_TABLES, [list(keys)])))


def _of_run(run: Run, tables: tuple[TableProgress, ...], rate: float, rates: Rates) -> Progress:
    done, total = sum(table.done_rows for table in tables), sum(table.total_rows for table in tables)
    return Progress(
        tables=tables,
        fraction=_overall(run, tables, done, total),
        done_rows=done,
        total_rows=total,
        rows_per_second=rate,
        seconds_left=_seconds_left(run, total - done, rate),
        elapsed=run.seconds,
        rates=rates,
    )


def _counted(chunks: QuerySet[Chunk]) -> dict[tuple[int, str], _Chunks]:
    """One look at all chunks of the run, for their states and for the rows of the last seconds."""
    done = Q(state="done")
    rows = chunks.order_by().values_list("table_id", "phase").annotate(
        total=Count("pk"),
        done=Count("pk", filter=done),
        recent=Coalesce(Sum("rows", filter=done & Q(seen__gte=Now() - RECENT)), 0),
    )  # fmt: skip
    return {(table, phase): _Chunks(*counts) for table, phase, *counts in rows}


def _table(
    run: Run, table: TableRun, planned: Planned, counted: dict[tuple[int, str], _Chunks]
) -> TableProgress:
    done, total = _rows(run.stage, table)
    state = _state(run, table, planned, counted.get((table.pk, table.phase), _Chunks()))
    if state == "done":
        total = done
    return TableProgress(
        name=table.name,
        source=planned.source,
        target=planned.target,
        state=state,
        done_rows=done,
        total_rows=total,
        fraction=1.0 if state == "done" else min(done / total, 1.0) if total else 0.0,
        inserted=table.inserted,
        updated=table.updated,
        kept=table.kept,
        quarantined=table.quarantined,
        chunk_rows=table.chunk_rows,
    )


def _rows(stage: str, table: TableRun) -> tuple[int, int]:
    """Rows done and rows to do in that stage; the latter is an estimate until the table is through."""
    if stage == "verify":  # source_rows is counted while comparing: it is no aim yet
        return table.compared, max(table.estimated_rows, table.done_rows, table.compared)
    if stage == "undo":
        return table.undone, max(table.inserted + table.updated + table.kept, table.undone)
    return table.done_rows, max(table.estimated_rows, table.done_rows)


def _state(run: Run, table: TableRun, planned: Planned, chunks: _Chunks) -> str:
    """What happens to the table, in a word; `chunks` are those of its present phase."""
    if run.status in (states.VERIFIED, states.MISMATCH, states.ROLLED_BACK):
        return "done"
    through = table.cut_done and chunks.all_done and table.phase not in phases.THEN
    if table.phase not in phases.OF_STAGE[run.stage] or (not chunks.total and not table.cut_done):
        word = "waiting"
    elif through and not (planned.linked_later and run.stage == table.phase == phases.COPY):
        return "done"
    else:
        word = phases.DOING[table.phase]
    if run.status == states.PAUSED:
        return "paused"
    return word if run.is_active else "stopped"


def _seconds_left(run: Run, rows: int, rate: float) -> float | None:
    """At the present rate, or at the one that the run is throttled to: after a pause the first may be far off."""
    throttled = run.throttles.get("rows_per_second")
    pace = min(rate, throttled) if throttled else rate
    return rows / pace if pace and rows > 0 else None


def _overall(run: Run, tables: tuple[TableProgress, ...], done: int, total: int) -> float:
    if tables and all(table.state == "done" for table in tables):
        return 1.0
    return min(done / total, 1.0) if total else 0.0


def _recent_rate(run: Run, counted: dict[tuple[int, str], _Chunks]) -> float:
    """Rows per second in the last seconds; 0 when no worker should be busy."""
    if run.status not in states.WORKING or not run.started:
        return 0.0
    of_stage = phases.OF_STAGE[run.stage]
    rows = sum(chunks.recent for (_, phase), chunks in counted.items() if phase in of_stage)
    return float(rows) / max(1.0, min(RECENT.total_seconds(), run.seconds))


def _rates(run: Run, chunks: QuerySet[Chunk]) -> Rates:
    """Rows per second over the copy and the verification, or over the undoing, in at most MOST_BUCKETS steps."""
    undoing = run.stage == "undo"
    backward = Q(phase__in=phases.BACKWARD)
    done = chunks.filter(backward if undoing else ~backward, state="done", seen__isnull=False)
    start = done.aggregate(first=Min("seen"))["first"] if undoing else run.started
    if start is None:
        return ()
    width = max(1, math.ceil(_span(run, start) / MOST_BUCKETS))
    bucket = Floor(Extract(F("seen") - start, "epoch") / width)
    rows = dict(done.order_by().annotate(bucket=bucket).values_list("bucket").annotate(rows=Sum("rows")))
    filled = {max(0, int(step)): float(count) / width for step, count in rows.items()}
    steps = range(max(filled, default=-1) + 1)
    return tuple((float((step + 1) * width), filled.get(step, 0.0)) for step in steps)


def _span(run: Run, start: datetime) -> float:
    return ((run.finished or clock.now()) - start).total_seconds()
