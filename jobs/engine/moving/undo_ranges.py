"""How a rollback cuts what a run wrote into ranges: by source ids, or by what each chunk of the copy wrote."""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.feed import Work, run_sql
from jobs.engine.moving.ranges import FEWEST, share
from jobs.engine.sql import remove
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.rollback import walk
from jobs.engine.sql.walks.chunk_range import Key, MapRange, Range
from mappings.sql import compose, literal

AS_FAST = 4
"""How many times as fast as it was copied a chunk is deleted, at least."""


SMALLEST_GROUP = 150_000
"""Rows of a chunk that is cut small only so that no worker is idle at the end: fewer take no time to delete."""


def next_boundary(work: Work, low: Key | None, rows: int) -> Key | None:
    """Where a walk over the target's source ids has passed `rows` of them; None at the end. Without a map only.

    Where the ledger says it, nothing is read: looking for a place in a large index takes long where the table was
    not vacuumed since.
    """
    table = work.table
    if table.whole:
        return None
    if table.link.aligned and table.feed.range_parts:
        cut = run_sql(work.target, walk.next_cut(table, work.run, low, rows)).fetchone()
        bound, is_last = cut or (None, None)
        if bound or is_last:
            return tuple(bound) if bound else None
    return _passed(work, low, rows)


def _passed(work: Work, low: Key | None, rows: int) -> Key | None:
    row = run_sql(work.target, walk.next_source_id(work.table, low, rows)).fetchone()
    return tuple(row) if row else None


def middle(work: Work, chunk: Range) -> Key | None:
    """The bound that cuts a range of the run's own rows into halves; None where it cannot be cut or holds too few."""
    if work.table.whole:
        return None
    if work.table.link.keep_map:
        return _middle_page(chunk) if isinstance(chunk, MapRange) else None
    keys = remove.source_keys(work, Range(low=chunk.low, high=chunk.high))
    row = run_sql(work.target, compose("SELECT count(*) FROM ({}) AS own", keys)).fetchone()
    half = row[0] // 2 if row else 0
    result = _passed(work, chunk.low, half) if half >= FEWEST else None
    return None if result == chunk.high else result


def map_ranges(work: Work, rows: int, workers: int) -> list[Range]:
    """All of a run's map rows, in ranges of about `rows` rows, smaller towards the end, for so many workers.

    A range has all that its transactions wrote. A table whose rows point to each other goes as a whole.
    """
    if work.table.whole:
        return [Range()]
    file = _map_file(work)
    result = run_sql(work.target, walk.written(work)).fetchall()
    return [_map_range(group, file) for group in _grouped([Written(*row) for row in result], rows, workers)]


class Written(NamedTuple):
    """What one transaction wrote of the map."""

    writer: str
    first: str
    last: str
    rows: int


def _grouped(written: list[Written], rows: int, workers: int) -> list[list[Written]]:
    """What chunks of the copy wrote, such that no group takes much longer than the largest of them took to copy."""
    left, room = sum(one.rows for one in written), 0
    most = min(rows, max((one.rows for one in written), default=0) * AS_FAST)
    groups: list[list[Written]] = []
    for one in written:
        if one.rows > room:
            groups.append([])
            room = share(most, left, workers, SMALLEST_GROUP)
        groups[-1].append(one)
        room, left = room - one.rows, left - one.rows
    return groups


def _map_range(group: list[Written], file: str) -> MapRange:
    writers = tuple(one.writer for one in group)
    first, last = min(_place(one.first) for one in group), max(_place(one.last) for one in group)
    return MapRange(writers=writers, above=f"({first[0]},0)", up_to=f"({last[0]},{last[1]})", file=file)


def _place(text: str) -> tuple[int, int]:
    """Page and number of a place such as `(12,34)`."""
    page, number = text.strip("()").split(",")
    return int(page), int(number)


def _middle_page(chunk: MapRange) -> Key | None:
    (first, _), (last, _) = _place(chunk.above), _place(chunk.up_to)
    return chunk.bound(f"({(first + last + 1) // 2},0)") if last > first else None


def _map_file(work: Work) -> str:
    """By what to tell that the map was rewritten (VACUUM FULL, pg_repack), so that places in it hold no longer."""
    row = run_sql(
        work.target, compose("SELECT pg_relation_filenode({}::regclass)::text", literal(MAP))
    ).fetchone()
    assert row is not None
    return str(row[0])


def standing(work: Work, chunk: Range) -> Range:
    """The range; all that is left of the run where the map was rewritten since it was cut. In a transaction."""
    if not isinstance(chunk, MapRange):
        return chunk
    run_sql(work.target, compose("LOCK TABLE {} IN ROW EXCLUSIVE MODE", MAP))
    return chunk if _map_file(work) == chunk.file else Range()
