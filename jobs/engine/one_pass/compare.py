"""One pass: a part of a table compared by reading both sides as a whole, each as it lies.

In one database both are joined, row by row. Between two each side gives digests of its rows by parts of the hashes of
their keys, both at once; the parts whose digests differ are divided until few rows are left, and only those travel.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NoReturn

import psycopg

from jobs.engine import feed
from jobs.engine.errors import ROW_CLASSES, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import bad_rows
from jobs.engine.moving.compare import NOT_DIGESTIBLE, Compared, Keeping, forget_earlier_try, row_by_row
from jobs.engine.one_pass import statements
from jobs.engine.sql import compare, digest
from jobs.engine.sql.walks.chunk_range import Part, Range
from mappings.sql import Sql, compose

MOST_WRONG = 100_000
"""Rows that are kept in mind, and set to be repaired by their keys."""

FEW_DIFFERENT = 1_000
"""As many may differ, however wide they are."""

MOST_WRONG_BYTES = 256 * 2**20
"""Of the values of rows that differ, by the width of a row of the source."""

DIGESTS = 16_384
"""Digests of a side at a time: the worker has to hold them."""

FEW_ROWS = 50_000
"""Rows that are compared one by one rather than digested once more."""

MOST_READS = 3
"""How often both sides are read to find the rows that differ."""

MOST_ROWS = 1_000_000
"""Rows that travel at once, as of the largest chunk."""

NOT_TO_BE_HAD = ("53200", "53400")
"""SQLSTATEs of a server that gives no memory, or no room for temporary files, for as much at once."""

Figures = tuple[Any, ...]


class OnlyByKeys(Exception):
    """The table has to be compared in the order of its keys after all; a clause that says why."""


def compare_part(work: Work, chunk: Range, keeping: Keeping | None = None) -> Compared:
    """Compares the rows of chunk.part, without those in the quarantine; names those that are missing or different.

    Raises OnlyByKeys, and nothing is kept, where more is wrong than can be kept in mind, or where the servers cannot
    do it at once; Fenced as compare_chunk does.
    """
    part = chunk.part
    assert part
    chunk = replace(chunk, without=bad_rows.keys(work))
    forget_earlier_try(work, keeping)
    try:
        if work.plan.same_database:
            return _joined(work, chunk, part, keeping)
        return _digested(work, chunk, part, keeping)
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if blames_row(error) or state.startswith((*NOT_DIGESTIBLE, *ROW_CLASSES, *NOT_TO_BE_HAD)):
            raise OnlyByKeys(f"it cannot be had at once ({error.diag.message_primary})") from error
        raise


def _joined(work: Work, chunk: Range, part: Part, keeping: Keeping | None) -> Compared:
    with work.target.transaction():
        run_sql(work.target, statements.ONE_SNAPSHOT)
        run_sql(work.target, compare.AS_IT_LIES)
        relation = feed.relation(work, chunk, "verify")
        counting = statements.counted(work.plan, work.table, relation, chunk, part, work.identical)
        row = run_sql(work.target, counting).fetchone()
        assert row is not None
        *figures, bits = row
        counted = Compared(*figures)
        if counted.agrees:
            return counted
        _refuse_too_many(work, counted)
        smaller = replace(chunk, part=statements.smaller(part, bits))
        result = row_by_row(work, smaller, keeping)
    return replace(
        counted, found=result.found, recorded=result.recorded, samples=result.samples, named=result.named
    )


def _refuse_too_many(work: Work, compared: Compared) -> None:
    wrong = compared.missing + compared.extra + compared.different
    if wrong > MOST_WRONG:
        _by_keys(f"{wrong:,} rows are wrong")
    if compared.different <= FEW_DIFFERENT:
        return
    row = run_sql(
        work.source,
        compose(
            "SELECT coalesce(avg(pg_column_size(w.*)), 0)::float8 FROM (SELECT * FROM {base_sql} LIMIT 5) AS w",
            base_sql=work.table.feed.base_sql,
        ),
    ).fetchone()
    if row and compared.different * row[0] > MOST_WRONG_BYTES:
        _by_keys(f"{compared.different:,} wide rows differ")


def _by_keys(why: str) -> NoReturn:
    raise OnlyByKeys(why)


def _digested(work: Work, chunk: Range, part: Part, keeping: Keeping | None) -> Compared:
    """What agrees is counted by the digests; rows of parts that differ are looked at."""
    agreed, wrong, rows = 0, part, 0
    of = part.of * DIGESTS
    for _ in range(MOST_READS):
        here = replace(chunk, part=wrong)
        differing, alike, rows_now = _differing(_both(work, here, of), of)
        shrunk = not rows or rows_now < rows // 2
        agreed, wrong, rows = agreed + alike, differing, rows_now
        if rows <= FEW_ROWS or not shrunk:
            break
        of *= max(2, DIGESTS // 2 ** (len(wrong.chosen) - 1).bit_length())
    if not wrong.chosen:
        return Compared(agreed, agreed, 0, 0, 0)
    if rows > MOST_ROWS:
        _by_keys(f"about {rows:,} rows differ")
    result = row_by_row(work, replace(chunk, part=wrong), keeping)
    return replace(result, source_rows=result.source_rows + agreed, matched=result.matched + agreed)


def _differing(sides: tuple[Mapping[int, Figures], Mapping[int, Figures]], of: int) -> tuple[Part, int, int]:
    """(the parts whose digests differ, rows of those that agree, rows of those that differ)."""
    source, target = sides
    differing = tuple(part for part in source.keys() | target.keys() if source.get(part) != target.get(part))
    alike = sum(figures[0] for part, figures in source.items() if target.get(part) == figures)
    rows = sum(max(side[part][0] for side in sides if part in side) for part in differing)
    return Part(of, differing, by_image=True), alike, rows


def _both(work: Work, chunk: Range, of: int) -> tuple[Mapping[int, Figures], Mapping[int, Figures]]:
    """By part the digests of either side, both of which read at once."""
    keys = len(work.table.feed.key)
    source = digest.source_images(work.table, chunk, work.identical)
    target = digest.target_images(work.plan, work.table, chunk, work.identical)
    with ThreadPoolExecutor(max_workers=1) as other:
        at_source = other.submit(
            _rows, work.source, digest.by_part(source, keys, of, work.source.info.server_version)
        )
        at_target = _rows(work.target, digest.by_part(target, keys, of, work.target.info.server_version))
    return at_source.result(), at_target


def _rows(conn: psycopg.Connection, statement: Sql) -> dict[int, Figures]:
    with conn.transaction():
        run_sql(conn, compare.AS_IT_LIES)
        return {part: tuple(figures) for part, *figures in run_sql(conn, statement)}
