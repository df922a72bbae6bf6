"""The copy of a table by its pages: cut into ranges, swept up after, and begun anew where places mean nothing any more.

A walk takes of each row the version that was there when it was frozen. What it leaves out, because it is new or was
changed meanwhile, comes in sweeps: each goes over all pages, takes what the one before did not, and looks first what
the target has. Where the table was rewritten since, or its server is another by now, the walk begins once more from
there, and looks first as well. What still is not there is found missing by the comparison, and comes by its keys.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db.models import Sum

from jobs import phases, transitions
from jobs.engine.moving import ranges, walk
from jobs.engine.sql.walks.pages import Pages
from jobs.models import Chunk, TableRun
from jobs.running.session import Session

MOST_SWEEPS = 5
"""How often a table is gone over again at most; one that never rests leaves the rest to the comparison."""


SWEPT = 5
"""How many times as many rows as a chunk of the walk one of a sweep goes over."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a table's walk is, as TableRun.walk keeps it.

    pages: those that are not cut into chunks yet, of a walk or of a sweep; start: from which transaction on the next
    sweep takes rows; number: of the first chunk of this time over the table; rows: how large the chunks of the walk
    were at its end, as those of a sweep say nothing of how long rows take; early: this time over the table comes before
    other tables are copied; guarded: the table's rows may be there for other reasons than the walk, or it has looked
    and found some missing; ended: nothing more is to be looked for.
    """

    pages: Pages
    start: int
    number: int = 1
    rows: int = 0
    early: bool = False
    guarded: bool = False
    ended: bool = False

    @property
    def is_sweep(self) -> bool:
        """Whether of one row two versions may be met, so that chunks go one after the other."""
        return self.pages.since is not None

    @property
    def is_cut(self) -> bool:
        """Whether all of it is cut into chunks."""
        return self.pages.is_empty

    def cut_to(self, page: int) -> Walk:
        """The walk from that page on."""
        return replace(self, pages=replace(self.pages, first=page))


def of(table: TableRun) -> Walk | None:
    """The walk that a table is in the middle of; None where it is copied by its keys, or the walk has ended."""
    if table.walk is None or table.walk["ended"] or table.phase != phases.COPY:
        return None
    kept: dict[str, Any] = dict(table.walk)
    return Walk(**{**kept, "pages": Pages(**kept["pages"])})


def begun(session: Session, table: TableRun) -> dict[str, Any] | None:
    """A new run's walk over a table, to be kept in TableRun.walk; None where it goes by keys, or scripts went before.

    Comes before a look for the last key: whatever the walk takes is then within it.
    """
    work = session.work(table)
    if work.table.feed.walk != "pages" or table.chunks.filter(phase=phases.COPY).exists():
        return None
    pages = walk.freeze(work)
    assert pages.below is not None
    return asdict(Walk(pages, pages.below, guarded=table.guarded))


def cut(session: Session, table: TableRun, number: int, workers: int) -> Chunk | None:
    """The next chunk of a walk, not saved yet; None at its end, or while others are to finish theirs first."""
    result, waited_for = of(table), _is_waited_for(session, table)
    assert result is not None
    if not result.is_cut and not walk.stands(session.work(table), result.pages):
        result = result.cut_to(result.pages.end)  # the rest would be empty
    if result.is_cut and waited_for:
        if table.chunks.filter(phase=phases.COPY).exclude(state="done").exists():
            return None
        following = _following(session, table, result, number, early=True)
        if following:  # with the next claim: what it looks rows up by may have to be made first
            table.walk = asdict(following)
            table.save(update_fields=CUT_FIELDS)
            return None
    pages, size = _first_of(result, table, workers)
    result = result.cut_to(pages.end)
    table.walk, table.cut_done = asdict(result), result.is_cut and (pages.is_empty or not waited_for)
    table.save(update_fields=CUT_FIELDS)
    if pages.is_empty:
        return None
    return Chunk(table=table, phase=table.phase, number=number, pages=asdict(pages), size=size)


def goes_on(session: Session, table: TableRun, number: int) -> bool:
    """Whether a table, all of whose chunks are done, is gone over once more. number: of the next chunk."""
    result = of(table)
    if result is None:
        return False
    following = _following(session, table, result, number, early=False)
    table.walk, table.cut_done = asdict(following or replace(result, ended=True)), following is None
    if following is None:
        table.chunk_rows = result.rows or table.chunk_rows
        table.guarded = result.guarded or _came_later(
            table
        )  # then the target tells how many rows the run brought
    with session.alone():
        table.save(update_fields=CUT_FIELDS)
    return following is not None


CUT_FIELDS = ("walk", "cut_done", "sweeps", "guarded", "chunk_rows", "upper")


def _is_waited_for(session: Session, table: TableRun) -> bool:
    """Whether other tables are copied only once this one is: their rows would miss parents that came too late."""
    return any(table.name in other.parents for other in session.plan.moved)


def _first_of(result: Walk, table: TableRun, workers: int) -> tuple[Pages, int]:
    """The next pages of a walk, and for how many rows they stand."""
    whole = result.pages
    density = max(1.0, table.estimated_rows / max(1, whole.end))
    left = whole.end - whole.first
    size = table.chunk_rows
    if result.is_sweep:  # which has few rows to bring
        size = max(size, SWEPT * result.rows)
    else:
        size = ranges.share(size, int(left * density), workers, ranges.SMALLEST_SHARE)
    count = min(left, max(1, int(size / density)))
    return replace(whole, end=whole.first + count), max(1, int(count * density))


def _following(session: Session, table: TableRun, result: Walk, number: int, *, early: bool) -> Walk | None:
    """What follows now that all chunks are done: the walk anew, or a sweep; None if neither is wanted.

    early: other tables wait for this one; at the end it is swept once more.
    """
    work = session.work(table)
    more = result.pages.again and _brought(table, result.number) > 0
    stands = walk.stands(work, result.pages)
    last = ranges.last_key(work)
    table.upper = list(last) if last else None
    wanted = more or not stands or not result.is_sweep or (result.early and not early)
    if not wanted or table.sweeps >= MOST_SWEEPS:
        return None
    table.sweeps, table.guarded = table.sweeps + 1, True
    if stands:
        pages, start = walk.sweep(work, result.start)
    else:
        transitions.note(session.run, f"{table.name}: {FELL}", level="warning")
        pages = walk.freeze(work)
        start = pages.below or 0
    return replace(
        result, pages=replace(pages, again=True), start=start, number=number,
        rows=result.rows or table.chunk_rows, early=early,
    )  # fmt: skip


FELL = (
    "the source's table was rewritten, or its server is another or was started again, so that its pages are not what"
    " they were; they are gone through once more, with a look at what is there"
)


def _brought(table: TableRun, number: int) -> int:
    """Rows that came this time over the table."""
    done = table.chunks.filter(phase=phases.COPY, number__gte=number, pages__isnull=False)
    return done.aggregate(rows=Sum("rows"))["rows"] or 0


def _came_later(table: TableRun) -> bool:
    """Whether any row came after the walk itself."""
    return table.chunks.filter(phase=phases.COPY, pages__again=True, rows__gt=0).exists()
