"""Chunks are claimed, not assigned: cutting the next one, taking over an abandoned one, recording its end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from django.db import connection, transaction
from django.db.models import Case, Count, Exists, F, Max, OuterRef, Q, Sum, When
from django.db.models.functions import Now

from jobs import phases
from jobs.engine.errors import EngineError
from jobs.engine.moving import ranges, undo_ranges
from jobs.engine.sql.key_sql import Range
from jobs.engine.target import ledger
from jobs.models import Chunk, Run, TableRun
from jobs.processes import seats
from jobs.running import in_passes
from jobs.running.cutting import page_walk
from jobs.running.session import Session

STALE_AFTER = timedelta(seconds=8)
"""A claim without a sign of life for longer is abandoned. The fence makes an early takeover safe, merely wasteful."""

MOST_TROUBLES = 5
MOST_ATTEMPTS = 25
"""Troubles that pass are told from deaths: a chunk that kills every worker must end too."""

MOST_WAITS = 60
"""How often a chunk waits for a table that somebody locks, ten seconds each and as long in between at most."""


Bound: TypeAlias = Sequence[str] | None


class SurveyedTable(NamedTuple):
    """A table of a run; unfinished: whether its present phase has anything left to do."""

    pk: int
    name: str
    phase: str
    passes: int | None
    guarded: bool
    unfinished: bool


def surveyed(run: Run) -> list[SurveyedTable]:
    """The run's tables as they stand, in their order.

    One query for all, of what is asked for each piece of work and no more: a run may have hundreds of tables.
    """
    undone = Chunk.objects.filter(table=OuterRef("pk"), phase=OuterRef("phase")).exclude(state="done")
    unfinished = Case(When(cut_done=False, then=True), default=Exists(undone))
    asked = ("pk", "name", "phase", "passes", "guarded", unfinished)
    return list(map(SurveyedTable._make, run.tables.values_list(*asked)))


def claim(session: Session, judged: SurveyedTable) -> Chunk | None:
    """A chunk of the table's present phase for this session: one that waits, one abandoned, or a new cut.

    judged: the table as the caller found it ready; None if its phase has changed since.
    """
    with transaction.atomic():
        table = TableRun.objects.select_for_update().get(pk=judged.pk)
        if table.phase != judged.phase:
            return None
        session.tables[table.name] = table
        cut, ready = _cut_so_far(table), table.chunks.filter(READY, phase=table.phase)
        chunk = _abandoned(session, ready) if cut.undone else None
        chunk = chunk or _free(session, table, ready, cut)
        if chunk:
            _take(session, chunk)
    return chunk


READY = Q(not_before__isnull=True) | Q(not_before__lte=Now())


class CutSoFar(NamedTuple):
    """The chunks of a table's present phase: the last number, for how many rows they were cut, how many are not done,
    and how many of these somebody works on."""

    number: int
    rows: int
    undone: int
    claimed: int


def _cut_so_far(table: TableRun) -> CutSoFar:
    undone = Count("pk", filter=~Q(state="done"))
    claimed = Count("pk", filter=Q(state="claimed"))
    asked = {"number": Max("number"), "rows": Sum("size"), "undone": undone, "claimed": claimed}
    found = table.chunks.filter(phase=table.phase).aggregate(**asked)
    return CutSoFar(*(found[name] or 0 for name in CutSoFar._fields))


def _free(session: Session, table: TableRun, ready: Any, cut: CutSoFar) -> Chunk | None:
    walk = page_walk.of(table)
    alone = session.plan.table(table.name).into.serial or (walk and walk.is_sweep)
    if alone and cut.claimed:
        return None
    waiting = ready.filter(state="waiting").select_for_update(skip_locked=True)
    found = waiting.order_by("number").first() if cut.undone > cut.claimed else None
    return found or _cut(session, table, cut)


def _take(session: Session, chunk: Chunk) -> None:
    chunk.state, chunk.worker, chunk.attempts = "claimed", session.token, chunk.attempts + 1
    chunk.epoch, chunk.seen = session.run.epoch, Now()  # by the database's clock: hosts need not agree
    chunk.save()


def _abandoned(session: Session, ready: Any) -> Chunk | None:
    """A chunk whose worker has shown no sign of life, or does not know how its commit ended.

    What that worker left open is ended, and the run's epoch raised: the ledger then has the last word on it.
    """
    stale = ready.filter(state="claimed").filter(Q(seen__lt=Now() - STALE_AFTER) | Q(seen__isnull=True))
    chunk: Chunk | None = stale.select_for_update(skip_locked=True).order_by("number").first()
    if chunk is None:
        return None
    if (deaths := chunk.attempts - chunk.troubles) >= MOST_ATTEMPTS:
        raise EngineError(f"{chunk} was begun {deaths} times, and no worker came to its end")
    session.end_former(chunk.worker)
    raise_epoch(session)
    return chunk


def raise_epoch(session: Session) -> None:
    """Shuts out whoever holds a claim of an older epoch."""
    Run.objects.filter(pk=session.run.pk).update(epoch=F("epoch") + 1)
    session.run.refresh_from_db(fields=["epoch"])
    ledger.raise_epoch(session.target, session.run.pk, session.run.epoch)


def agree_on_epoch(session: Session) -> None:
    """A takeover may have died between the two databases: what is in force in the target then holds in both."""
    with transaction.atomic():
        Run.objects.select_for_update().get(pk=session.run.pk)  # waits for a takeover that is under way
        in_force = ledger.epoch(session.target, session.run.pk)
        Run.objects.filter(pk=session.run.pk, epoch__lt=in_force).update(epoch=in_force)


def _cut(session: Session, table: TableRun, so_far: CutSoFar) -> Chunk | None:
    if table.cut_done or table.phase in phases.INDIVISIBLE:
        return None if table.cut_done else _add_all(table, [Range()])
    if page_walk.of(table):
        return page_walk.cut(session, table, so_far.number + 1, _workers())
    work = session.work(table)
    if table.phase == phases.VERIFY and in_passes.undecided(table):
        _be_patient()
        if in_passes.decide(session.run, table, work):
            return _add_passes(table)
    low, last = (tuple(key) if key else None for key in (table.cut_until, table.upper))
    if table.phase in phases.BACKWARD and work.table.link.keep_map:
        _be_patient()
        return _add_all(table, undo_ranges.stretches(work, table.chunk_rows, _workers()))
    number, size = so_far.number + 1, _next_size(session, table, so_far)
    if table.phase in phases.BACKWARD:
        high, last = undo_ranges.next_boundary(work, low, size), None
    elif work.table.feed.stepped or not work.table.feed.range_parts:
        high = ranges.next_boundary(work, low, last, size)
    else:
        _be_patient()
        bounds = [None, *ranges.all_boundaries(work, table.chunk_rows), None]
        return _add_all(table, [Range(low, high) for low, high in itertools.pairwise(bounds)])
    if high == last:  # nothing is left beyond: no empty chunk for it
        high = None
    chunk = _made(table, number, low, high or last, size)
    table.cut_until, table.cut_done = (list(high), False) if high else (None, True)
    table.save(update_fields=["cut_until", "cut_done"])
    return chunk


def _be_patient() -> None:
    """Lets this transaction of the control database wait for a scan of a large table."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _add_all(table: TableRun, cut: Sequence[Range]) -> Chunk | None:
    """All chunks of a phase at once; the first of them."""
    numbered = enumerate(cut, start=next_number(table, table.phase))
    made = [_new(table, number, each.low, each.high) for number, each in numbered]
    table.cut_done = True
    table.save(update_fields=["cut_done"])
    return made[0] if made else None


def _add_passes(table: TableRun) -> Chunk:
    """A chunk for each pass over the whole table; the first of them."""
    of = table.passes or 1
    made = [_made(table, 1 + number, None, table.upper, table.estimated_rows // of) for number in range(of)]
    for number, chunk in enumerate(made):
        chunk.part = [number, of]
        chunk.save()
    table.cut_done = True
    table.save(update_fields=["cut_done"])
    return made[0]


def _next_size(session: Session, table: TableRun, so_far: CutSoFar) -> int:
    """Of the chunk that is cut next: smaller towards the end, so that all workers end together."""
    if session.plan.table(table.name).into.serial:
        return table.chunk_rows
    rows = table.done_rows if table.phase != phases.COPY else table.estimated_rows
    least = undo_ranges.SMALLEST_GROUP if table.phase in phases.BACKWARD else ranges.SMALLEST_SHARE
    left = rows - so_far.rows
    # With so few rows it is the same for any number of workers.
    workers = 1 if table.chunk_rows <= least or left <= least else _workers()
    return ranges.share(table.chunk_rows, left, workers, least)


def _workers() -> int:
    return max(1, seats.live().count())


def next_number(table: TableRun, phase: str) -> int:
    """Of the next chunk of a phase. A number is never used twice: the ledger has it."""
    last = table.chunks.filter(phase=phase).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def _new(table: TableRun, number: int, low: Bound, high: Bound, size: int = 0) -> Chunk:
    chunk = _made(table, number, low, high, size)
    chunk.save()
    return chunk


def _made(table: TableRun, number: int, low: Bound, high: Bound, size: int) -> Chunk:
    """Not saved yet: whoever takes it at once saves it."""
    low_, high_ = (list(bound) if bound else None for bound in (low, high))
    return Chunk(table=table, phase=table.phase, number=number, low=low_, high=high_, size=size)


def add(table: TableRun, low: Bound, high: Bound, size: int = 0, only: list[str] | None = None) -> Chunk:
    """One more chunk of the table's present phase, under the next number. The table must be locked."""
    chunk = _made(table, next_number(table, table.phase), low, high, size)
    chunk.only = only
    chunk.save()
    return chunk


def complete(
    session: Session,
    chunk: Chunk,
    rows: int,
    seconds: float,
    counts: dict[str, int],
    samples: Sequence[Any] = (),
    *,
    elsewhere: Mapping[str, dict[str, int]] = MappingProxyType({}),
) -> bool:
    """Records a chunk's end once; counts are added to its table. False if someone else has recorded it.

    elsewhere: counts that are added to other tables of the run, by name.
    """
    with transaction.atomic():
        changed = mine(session, chunk).update(
            state="done", rows=rows, seconds=seconds, samples=list(samples), seen=Now(),
            missing=counts.get("missing", 0), different=counts.get("different", 0),
        )  # fmt: skip
        if changed != 1:
            return False
        table = TableRun.objects.filter(pk=chunk.table_id)
        changes: dict[str, Any] = {name: F(name) + count for name, count in counts.items() if count}
        present = table.values_list("chunk_rows", flat=True).get()
        changes["chunk_rows"] = ranges.next_size(chunk.size or rows, seconds, present)
        table.update(**changes)
        for other, more in elsewhere.items():
            added = {name: F(name) + count for name, count in more.items()}
            TableRun.objects.filter(run=session.run.pk, name=other).update(**added)
    return True


def release(session: Session, chunk: Chunk, error: str) -> None:
    """Gives a chunk back that this session is known to have left unwritten."""
    mine(session, chunk).update(state="waiting", worker="", error=error)


def try_later(session: Session, chunk: Chunk, error: str, ended: bool, most: int = MOST_TROUBLES) -> bool:
    """Gives a chunk back after a passing trouble, to be tried a little later; False if somebody took it over.

    ended: whether the transaction is known to have ended; else the next worker makes sure of it, and asks the ledger.
    Raises EngineError once it was tried `most` times.
    """
    troubles = chunk.troubles + 1
    delay = timedelta(seconds=min(10.0, 0.2 * 2**troubles) * random.uniform(0.5, 1.0))
    changes: dict[str, Any] = {"state": "waiting", "worker": ""} if ended else {"seen": None}
    changes |= {"error": error, "troubles": troubles, "not_before": Now() + delay}
    if mine(session, chunk).update(**changes) != 1:
        return False
    if troubles >= most:
        raise EngineError(
            f"{chunk.table.name}, chunk {chunk.number} failed {troubles} times; the last: {error}"
        )
    return True


def mine(session: Session, chunk: Chunk) -> Any:
    """The chunk, as long as this session holds its claim."""
    return Chunk.objects.filter(pk=chunk.pk, state="claimed", worker=session.token)


def copied(table: TableRun) -> TableRun | None:
    """The table as it stands once its copy is cut to its end and every chunk of it is recorded; None until then."""
    copying = Chunk.objects.filter(table=table.pk, phase=phases.COPY).exclude(state="done")
    found = TableRun.objects.filter(~Exists(copying), pk=table.pk, phase=phases.COPY, cut_done=True)
    return found.first()


def under_way(run: Run) -> bool:
    """Whether a session that lives has a chunk of the run, or does what only one may do."""
    live = Chunk.objects.filter(table__run=run, state="claimed", seen__gte=Now() - STALE_AFTER)
    return live.exists() or Run.objects.filter(pk=run.pk, lease_until__gte=Now()).exists()
