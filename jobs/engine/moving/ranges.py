"""Key ranges of one table: where the next chunk ends, and how large it should be."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import key_sql
from jobs.engine.sql.walks.bounds import row
from jobs.engine.sql.walks.chunk_range import Key, PageRange, Range
from mappings.catalog.types import INTEGERS
from mappings.plan.keys import KeyPart
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, joined

SMALLEST = 1_000
LARGEST = 1_000_000
UNSTEPPED = 100_000
"""Rows of a chunk at least where no index leads to it: each chunk reads the whole table."""

FEWEST = 100
"""Half a chunk that timed out has at least so many rows; a smaller one is only tried again."""

SMALLEST_SHARE = 60_000
"""Keys of a chunk that is cut small only so that no worker is idle at the end."""

FASTEST_GROWTH = 4

AIM_SECONDS = 1.0
"""A chunk should take about this long: short enough to pause soon, long enough to cost nothing."""

MOST_KEYS = 20_000
"""Keys that a search for bad rows holds at a time: a list may have millions of elements."""

MOST_BYTES = 64 * 2**20
"""Of the first chunk of a table of wide rows; the next ones follow the time that it took."""

SAMPLED = 5
"""Rows whose width is looked at."""


def next_boundary(work: Work, low: Key | None, high: Key | None, rows: int) -> Key | None:
    """The key that ends a chunk of `rows` source rows above `low`, within `high`; None if fewer are left.

    Reads the key's index alone: rows out of scope count as well, so that no scan is needed.
    """
    if not work.table.feed.range_parts or work.table.whole:
        return None
    row = run_sql(work.source, boundary(work.table, Range(low, high), rows)).fetchone()
    return tuple(row) if row else None


def boundary(table: TablePlan, chunk: Range, rows: int) -> Sql:
    """The key parts, as texts, of the row that is number `rows` of a range; no row if there are fewer."""
    condition = key_sql.source_range(table, chunk)
    return compose(
        "SELECT {texts} FROM {base_sql} WHERE {condition} ORDER BY {order} OFFSET {rows} LIMIT 1",
        texts=_texts(table), base_sql=table.feed.base_sql, condition=condition, order=_order(table),
        rows=rows - 1,
    )  # fmt: skip


def middle(work: Work, chunk: Range, fewest: int = FEWEST) -> Key | None:
    """The key that cuts a range of source rows into halves; None where it cannot be cut or a half holds too few."""
    table = work.table
    if not table.feed.range_parts or table.whole:
        return None
    condition = key_sql.source_range(table, Range(low=chunk.low, high=chunk.high))
    row = run_sql(
        work.source,
        compose("SELECT count(*) FROM {} WHERE {}", table.feed.base_sql, condition),
    ).fetchone()
    half = row[0] // 2 if row else 0
    result = next_boundary(work, chunk.low, chunk.high, half) if half >= fewest else None
    return None if result == chunk.high else result


def halves(work: Work, chunk: Range) -> tuple[Range, ...]:
    """A range of more rows than keys should be held of, in two: by keys of the source table, or, of a single row's
    list, by places in it. Nothing where that is not needed, or not possible."""
    table, cannot = work.table, isinstance(chunk, PageRange) or chunk.only is not None
    place = table.feed.key[table.feed.range_parts :]
    if cannot or table.whole or not (table.feed.range_parts and place and place[0].native in INTEGERS):
        return ()
    conditions = [table.feed.where_sql, key_sql.source_range(table, chunk)]
    query = compose(
        "SELECT count(*), min({place}), max({place}) FROM {from_sql} WHERE {conditions}",
        place=place[0].sql, from_sql=table.feed.from_sql,
        conditions=joined(" AND ", (part for part in conditions if part)),
    )  # fmt: skip
    rows, first, last = run_sql(work.source, query).fetchone() or (0, 0, 0)
    if rows <= MOST_KEYS:
        return ()
    if not chunk.span and (cut := middle(work, chunk, 1)):
        return replace(chunk, high=cut), replace(chunk, low=cut)
    half = (first + last) // 2
    return (replace(chunk, span=(first, half)), replace(chunk, span=(half + 1, last))) if first < last else ()


def last_key(work: Work, above: Key | None = None) -> Key | None:
    """The largest key of the source table beyond `above`; None if there is none, or no index leads to it."""
    table = work.table
    if not table.feed.stepped or not table.feed.range_parts or table.whole:
        return None
    condition = key_sql.source_range(table, Range(low=above))
    order = joined(", ", (compose("{} DESC", part.sql) for part in _parts(table)))
    row = run_sql(
        work.source,
        compose(
            "SELECT {texts} FROM {base_sql} WHERE {condition} ORDER BY {order} LIMIT 1",
            texts=_texts(table), base_sql=table.feed.base_sql, condition=condition, order=order,
        ),
    ).fetchone()  # fmt: skip
    return tuple(row) if row else None


def all_boundaries(work: Work, rows: int) -> list[Key]:
    """Every boundary at once, by one sorted scan, for keys without an index."""
    table = work.table
    if not table.feed.range_parts or table.whole:
        return []
    rows = max(rows, UNSTEPPED)
    result = run_sql(
        work.source,
        compose(
            "SELECT {range} FROM ("
            "SELECT {enumerate},"
            " row_number() OVER (ORDER BY {order}) AS place FROM {base_sql}) AS numbered"
            " WHERE place % {rows} = 0 ORDER BY place",
            range=joined(", ", (compose("b{}", n) for n in range(1, table.feed.range_parts + 1))),
            enumerate=joined(
                ", ", (compose("({})::text AS b{}", part.sql, n) for n, part in enumerate(_parts(table), 1))
            ),
            order=_order(table),
            base_sql=table.feed.base_sql,
            rows=rows,
        ),
    )
    unique = dict.fromkeys(tuple(row) for row in result)
    return list(unique)


def next_size(size: int, seconds: float, before: int) -> int:
    """The next chunk's size from how long one of `size` keys took: towards AIM_SECONDS, within a half and four times
    what the size was `before`."""
    aimed = size * AIM_SECONDS / max(seconds, 0.001) if size > 0 else before * FASTEST_GROWTH
    least = min(SMALLEST, before)  # fewer than SMALLEST only where rows are wide, as first_size found
    return int(min(LARGEST, max(least, min(before * FASTEST_GROWTH, max(before / 2, aimed)))))


def first_size(work: Work, size: int) -> int:
    """`size` rows, or as many fewer as come to MOST_BYTES by the width of the first ones, or whose lists have so many
    elements by theirs; at least one."""
    if not work.table.feed.stepped:
        return size
    size = max(1, int(size / _rows_of_one(work)))
    row = run_sql(
        work.source,
        compose(
            "SELECT avg(pg_column_size(w.*))::float8 FROM (SELECT * FROM {base_sql} LIMIT {sampled}) AS w",
            base_sql=work.table.feed.base_sql,
            sampled=SAMPLED,
        ),
    ).fetchone()
    width = row[0] if row else None
    return max(1, min(size, int(MOST_BYTES / width))) if width else size


def _rows_of_one(work: Work) -> float:
    """How many rows one row of the source table becomes, by the first ones; not less than one."""
    table = work.table.feed
    if table.range_parts in (0, len(table.key)):
        return 1.0
    parts = row([part.sql for part in _parts(work.table)])
    first = compose("SELECT {} FROM {} LIMIT {}", _order(work.table), table.base_sql, SAMPLED)
    query = compose(
        "SELECT count(*), count(DISTINCT {parts}) FROM {from_sql} WHERE {parts} IN ({first})",
        parts=parts, from_sql=table.from_sql, first=first,
    )  # fmt: skip
    rows, of = run_sql(work.source, query).fetchone() or (0, 0)
    return float(max(1.0, rows / of)) if of else 1.0


def share(size: int, left: int, workers: int, least: int) -> int:
    """The size of the next chunk where about `left` keys are left: two thirds of a worker's share at most, or
    `least`.

    Past the estimate nobody knows how much is left: a quarter then costs little and leaves nobody alone for long.
    """
    fair = 2 * left // (3 * workers) if left > 0 else size // 4
    return min(size, max(least, fair))


def _parts(table: TablePlan) -> tuple[KeyPart, ...]:
    return table.feed.key[: table.feed.range_parts]


def _texts(table: TablePlan) -> Sql:
    return joined(", ", (compose("({})::text", part.sql) for part in _parts(table)))


def _order(table: TablePlan) -> Sql:
    return joined(", ", (part.sql for part in _parts(table)))
