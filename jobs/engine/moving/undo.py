"""One chunk back: what a run inserted is unlinked, deleted and unmapped, and what it overwrote is restored."""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from jobs.engine import feed
from jobs.engine.errors import EngineError
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs, bad_rows
from jobs.engine.moving.ranges import FEWEST, share
from jobs.engine.sql import merge, remains, remove
from jobs.engine.sql.key_sql import MAP, Range
from jobs.engine.target import ledger, witnesses
from jobs.engine.target.ledger import Done, Ticket
from mappings.plan.model import TablePlan
from mappings.sql import literal

Key = tuple[str, ...]

AS_FAST = 4
"""How many times as fast as it was copied a chunk is deleted, at least."""

SMALLEST_GROUP = 150_000
"""Rows of a chunk that is cut small only so that no worker is idle at the end: fewer take no time to delete."""

BY_INDEX = "SET LOCAL enable_seqscan = off"
"""Without statistics the planner would read the whole table for a first or last range."""


def next_boundary(work: Work, low: Key | None, rows: int) -> Key | None:
    """Where a walk over the target's source ids has passed `rows` of them; None at the end. Without a map only.

    Where the ledger says it, nothing is read: looking for a place in a large index takes long where the table was
    not vacuumed since.
    """
    table = work.table
    if table.whole:
        return None
    if table.aligned and table.range_parts:
        found = run_sql(work.target, remove.next_cut(table, work.run, low, rows)).fetchone()
        if found:
            return tuple(found[0])
    return _passed(work, low, rows)


def _passed(work: Work, low: Key | None, rows: int) -> Key | None:
    row = run_sql(work.target, remove.next_source_id(work.table, low, rows)).fetchone()
    return tuple(row) if row else None


def middle(work: Work, low: Key | None, high: Key | None) -> Key | None:
    """The key that cuts a range of the run's own rows into halves; None where it cannot be cut or holds too few."""
    if work.table.whole:
        return None
    if work.table.keep_map:
        return _middle_page(low, high)
    keys = remove.source_keys(work.plan, work.table, work.run, work.fresh, Range(low=low, high=high))
    row = run_sql(work.target, f"SELECT count(*) FROM ({keys}) AS own").fetchone()
    half = row[0] // 2 if row else 0
    found = _passed(work, low, half) if half >= FEWEST else None
    return None if found == high else found


def stretches(work: Work, rows: int, workers: int) -> list[Range]:
    """All of a run's map rows, in ranges of about `rows` rows, smaller towards the end, for so many workers.

    Bounds are (writers, place, file of the map), low ones exclusive. A range has all that its transactions wrote.
    A table whose rows point to each other goes as a whole.
    """
    if work.table.whole:
        return [Range()]
    file = _map_file(work)
    found = run_sql(work.target, remove.stretches(work.plan, work.table, work.run)).fetchall()
    return [_stretch(group, file) for group in _grouped([Written(*row) for row in found], rows, workers)]


class Written(NamedTuple):
    """What one transaction wrote of the map."""

    writer: str
    first: str
    last: str
    rows: int


def _grouped(found: list[Written], rows: int, workers: int) -> list[list[Written]]:
    """What chunks of the copy wrote, such that no group takes much longer than the largest of them took to copy."""
    left, room = sum(one.rows for one in found), 0
    most = min(rows, max((one.rows for one in found), default=0) * AS_FAST)
    groups: list[list[Written]] = []
    for one in found:
        if one.rows > room:
            groups.append([])
            room = share(most, left, workers, SMALLEST_GROUP)
        groups[-1].append(one)
        room, left = room - one.rows, left - one.rows
    return groups


def _stretch(group: list[Written], file: str) -> Range:
    writers = ",".join(one.writer for one in group)
    first, last = min(_place(one.first) for one in group), max(_place(one.last) for one in group)
    return Range((writers, f"({first[0]},0)", file), (writers, f"({last[0]},{last[1]})", file))


def _place(text: str) -> tuple[int, int]:
    """Page and number of a place such as `(12,34)`."""
    page, number = text.strip("()").split(",")
    return int(page), int(number)


def _middle_page(low: Key | None, high: Key | None) -> Key | None:
    if not (low and high):
        return None
    writers, place, file = low
    (first, _), (last, _) = _place(place), _place(high[1])
    return (writers, f"({(first + last + 1) // 2},0)", file) if last > first else None


def _map_file(work: Work) -> str:
    """By what to tell that the map was rewritten (VACUUM FULL, pg_repack), so that places in it hold no longer."""
    row = run_sql(work.target, f"SELECT pg_relation_filenode({literal(MAP)}::regclass)::text").fetchone()
    assert row is not None
    return str(row[0])


def _standing(work: Work, stretch: Range) -> Range:
    """The stretch; all that is left of the run where the map was rewritten since it was cut. In a transaction."""
    if not remove.is_stretch(stretch):
        return stretch
    assert stretch.low
    run_sql(work.target, f"LOCK TABLE {MAP} IN ROW EXCLUSIVE MODE")
    return stretch if _map_file(work) == stretch.low[2] else Range()


def unlink_chunk(work: Work, ticket: Ticket) -> Done:
    """Empties the deferred references and the back-references of one chunk."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        stretch, updated = _standing(work, ticket.range), 0
        if any(ref.deferred for ref in work.table.references):
            statement = remove.unlink(work.plan, work.table, work.run, work.fresh, stretch)
            updated = feed.change(work, statement)
        if work.table.backref:
            feed.settle(work)
            backrefs.clear(work, stretch)
        done = Done(updated=updated)
        feed.settle(work)
        ledger.record(work.target, ticket, done)
    return done


def undo_chunk(work: Work, ticket: Ticket) -> Done:
    """Deletes one chunk's rows and their map rows."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        stretch = _standing(work, ticket.range) if work.table.keep_map else ticket.range
        held = _held(work, stretch)
        if work.table.keep_map:
            done = _as_copied(work, stretch) or _by_the_map(work, stretch)
        else:
            done = _carried(work, stretch)
        if held and done.inserted < held:
            raise EngineError(_kept_by_triggers(work, held - done.inserted))
        feed.settle(work)
        ledger.record(work.target, ticket, done)
    return done


def _held(work: Work, stretch: Range) -> int:
    """How many rows must go, where a trigger could keep them; else 0."""
    if not any(trigger.delete for trigger in work.table.triggers):
        return 0
    own = remove.owned(work.plan, work.table, work.run, work.fresh, stretch)
    row = run_sql(work.target, f"SELECT count(*) FROM {own}").fetchone()
    return row[0] if row else 0


def _kept_by_triggers(work: Work, rows: int) -> str:
    names = ", ".join(trigger.name for trigger in work.table.triggers if trigger.delete)
    return (
        f"{work.table.name}: {rows} rows of {work.table.target} cannot be taken back, because a trigger keeps them"
        f" from being deleted ({names}); disable it, then roll back again"
    )


def _as_copied(work: Work, stretch: Range) -> Done | None:
    """Deletes what some chunks of the copy wrote, target and map each in its own order.

    Both are told by the writer alone, so it must be certain that they are the very rows that the chunks wrote in
    pairs: all of them, on both sides. None, and nothing is deleted, where that is not so, or cannot be.
    """
    table = work.table
    paired = table.keep_map and table.link_by == "source_id" and table.aligned
    if not paired or not remove.is_stretch(stretch) or any(ref.deferred for ref in table.references):
        return None
    assert stretch.low
    writers = stretch.low[0].split(",")
    copied = run_sql(work.target, remove.copied_by(table, work.run, writers)).fetchall()
    rows = sum(inserted for *_, inserted in copied)
    if len(copied) != len(writers):
        return None
    with work.target.transaction() as attempt:
        freed = run_sql(work.target, remove.unmap(work.plan, table, work.run, stretch)).rowcount
        run_sql(work.target, BY_INDEX)
        if freed == rows and all(_remove_written(work, *chunk) for chunk in copied):
            return Done(inserted=rows, updated=rows)
        raise psycopg.Rollback(attempt)
    return None


def _remove_written(
    work: Work, writer: str, low: list[str] | None, high: list[str] | None, rows: int
) -> bool:
    """Deletes the target rows of one chunk of the copy; whether they are as many as it wrote."""
    chunk = Range(tuple(low) if low else None, tuple(high) if high else None)
    return feed.change(work, remove.remove_written(work.table, chunk, writer)) == rows


def _carried(work: Work, chunk: Range) -> Done:
    """Deletes the rows of a range that the run brought, where no map says so."""
    if chunk.low or chunk.high:
        run_sql(work.target, BY_INDEX)
    statement = remove.remove_carried(work.plan, work.table, work.run, work.fresh, chunk)
    rows = feed.change(work, statement)
    return Done(inserted=rows, updated=rows)


def _by_the_map(work: Work, chunk: Range) -> Done:
    """Deletes the rows that the map says the run brought, one by one, and restores what it overwrote."""
    # Every row is found by an index; the planner does not know how few the chunk's map rows are.
    run_sql(work.target, "SET LOCAL enable_hashjoin = off")
    run_sql(work.target, "SET LOCAL enable_mergejoin = off")
    if work.table.link_by == "source_id":
        with work.target.transaction() as attempt:
            removed, freed, brought = feed.run_remove(work, chunk)
            if removed == brought:
                return Done(inserted=removed, updated=freed)
            raise psycopg.Rollback(attempt)
    # By the map's key another row might go; and rows that are restored need the chunk's own writer, not a savepoint's.
    _refuse_displaced(work, chunk)
    removed, freed, _ = feed.run_remove(work, chunk)
    return Done(inserted=removed, updated=freed)


def _refuse_displaced(work: Work, chunk: Range) -> None:
    """Raises EngineError where rows would stay, or others go, because they are not where the map says.

    The map rows that tell of them would be gone with the chunk, so it is not begun.
    """
    table = work.table
    if not (table.source_id and table.target_key):
        return
    count, keys = witnesses.ask(work, remains.displaced(work.plan, table, work.run, chunk))
    if count:
        raise EngineError(
            f"{table.name}: {witnesses.named((count, keys), remains.DISPLACED)}; nothing of it is undone"
        )


FORGET = (
    "DELETE FROM migrator.ledger WHERE run = %s",
    "DELETE FROM migrator.quarantine WHERE run = %s",
    "DELETE FROM migrator.released WHERE run = %s",
    "DELETE FROM migrator.before_image WHERE run = %s",
    "UPDATE migrator.run SET rolled_back_at = now() WHERE number = %s",
)
"""Nothing claims any more that a run migrated something; that it was there and was rolled back is kept."""


def forget(work: Work) -> None:
    """Takes what the ledger and the quarantine say of a run, once all its rows are gone. One transaction."""
    with work.target.transaction():
        if work.plan.overwrites:
            run_sql(work.target, merge.release(work.plan, work.run))
        bad_rows.take_back(work)
        for statement in FORGET:
            work.target.execute(statement.encode(), [work.run])


def is_last(work: Work) -> bool:
    """Whether no other run of the mapping is left in the target that did anything there."""
    row = work.target.execute(
        "SELECT 1 FROM migrator.run r WHERE r.mapping = %s AND r.number <> %s AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger l WHERE l.run = r.number) LIMIT 1",
        [work.plan.mapping, work.run],
    ).fetchone()
    return row is None


def needs_unlinking(table: TablePlan) -> bool:
    """Whether rows of a table point to each other or are pointed back to."""
    return bool(table.backref) or any(ref.deferred for ref in table.references)


def wrote(conn: psycopg.Connection, run: int) -> bool:
    """Whether any chunk of a run was committed. One that ended before may not even have its columns."""
    row = conn.execute("SELECT EXISTS (SELECT FROM migrator.ledger WHERE run = %s)", [run]).fetchone()
    return bool(row and row[0])


def is_mapped(work: Work) -> bool:
    """Whether the map lists any row of the run, of whatever table."""
    row = work.target.execute(
        "SELECT EXISTS (SELECT FROM migrator.migration_map WHERE mapping = %s AND run = %s)",
        [work.plan.mapping, work.run],
    ).fetchone()
    return bool(row and row[0])


def is_forgotten(conn: psycopg.Connection, run: int) -> bool:
    """Whether the rollback of a run came to its end before, and at most schema steps are left to be undone."""
    row = conn.execute("SELECT rolled_back_at FROM migrator.run WHERE number = %s", [run]).fetchone()
    return bool(row and row[0])


def is_known(conn: psycopg.Connection, run: int) -> bool:
    """Whether the target has heard of a run; one that failed before preparing has left nothing there."""
    found = conn.execute("SELECT to_regclass('migrator.run') IS NOT NULL").fetchone()
    if not found or not found[0]:
        return False
    return conn.execute("SELECT 1 FROM migrator.run WHERE number = %s", [run]).fetchone() is not None
