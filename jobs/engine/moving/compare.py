"""One chunk compared: the mapping is executed again and held against the target, column by column.

Between two databases each range is first digested on both sides at once; rows travel only where digests differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import psycopg

from jobs.engine import feed
from jobs.engine.errors import ROW_CLASSES, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import bad_rows, ranges
from jobs.engine.sql import compare, digest, keep_differences, remove
from jobs.engine.sql.keep_differences import Keep
from jobs.engine.sql.key_sql import MAP, of_table
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Ticket
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, ident, literal, verbatim

MOST_SAMPLES = 20

PART_ROWS = 20_000
"""Rows of the parts into which a range is cut whose digests differ."""

NOT_DIGESTIBLE = ("42", "0A", "54000", "XX000")
"""SQLSTATEs of a digest that cannot be: a type without a binary form, a row too large to be taken as a whole."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What comparing one chunk found.

    kept: rows that were there and were kept; alike: how many of them say what their source rows say.
    found: differences, each of a row and column; recorded: those of them that are kept in the target.
    samples: objects {kind, key, columns: [{column, expected, found}]}; named: of a part, (kind, source key) of every
    row that is missing or different.
    """

    source_rows: int
    matched: int
    missing: int
    extra: int
    different: int
    kept: int = 0
    alike: int = 0
    found: int = 0
    recorded: int = 0
    samples: tuple[dict[str, Any], ...] = ()
    named: tuple[tuple[str, str], ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether source and target agree on every row."""
        return not (self.missing or self.extra or self.different)


class Keeping(NamedTuple):
    """The right to keep in the target what a chunk finds wrong: as of the run's verification of which number, how many
    differences, and whether an earlier try of the chunk may have kept some."""

    ticket: Ticket
    comparison: int
    most: int
    again: bool = False


def compare_chunk(work: Work, chunk: Range, keeping: Keeping | None = None) -> Compared:
    """Compares one range of source keys with the target, without the rows in the quarantine.

    Raises Fenced, and nothing is kept, where the right to keep differences does not hold any more; RowError for a row
    whose values cannot be read any more.
    """
    chunk = replace(chunk, without=bad_rows.keys(work))
    try:
        return _compared(work, chunk, keeping)
    except psycopg.Error as error:
        if blames_row(error):
            bad_rows.name_first(work, chunk, lambda work, part: row_by_row(work, part, None))
        raise


def _compared(work: Work, chunk: Range, keeping: Keeping | None) -> Compared:
    forget_earlier_try(work, keeping)
    if not digest.digestible(work.plan, work.table, work.identical):
        return row_by_row(work, chunk, keeping)
    agreed = _digested(work, chunk)
    if agreed:
        return agreed
    comparisons: list[Compared] = []
    with work.target.transaction():  # of all parts or of none
        for part in _parts(work, chunk):
            left = keeping and keeping._replace(most=keeping.most - sum(one.recorded for one in comparisons))
            comparisons.append(_digested(work, part) or row_by_row(work, part, left))
    return summed(comparisons)


def forget_earlier_try(work: Work, keeping: Keeping | None) -> None:
    """Takes away what an earlier try of the chunk may have kept."""
    if keeping and keeping.again:
        with work.target.transaction():
            ledger.fence(work.target, keeping.ticket)
            run_sql(work.target, keep_differences.forget_chunk(work.run, work.table.name, _keep(keeping)))


def _keep(keeping: Keeping) -> Keep:
    return Keep(keeping.comparison, keeping.ticket.chunk, max(0, keeping.most))


def row_by_row(work: Work, chunk: Range, keeping: Keeping | None) -> Compared:
    """Compares a chunk's rows one by one, in one statement that keeps what it finds wrong."""
    with work.target.transaction():
        run_sql(work.target, compare.ONE_PROCESS)
        if chunk.part:
            run_sql(work.target, compare.AS_IT_LIES)
        if keeping:
            ledger.fence(work.target, keeping.ticket)
        relation = feed.relation(work, chunk, "verify")
        statement = keep_differences.compare_and_keep(
            work.plan, work.table, relation, chunk,
            run=work.run, keep=_keep(keeping) if keeping else None, samples=MOST_SAMPLES, identical=work.identical,
        )  # fmt: skip
        row = run_sql(work.target, statement).fetchone()
    assert row is not None
    samples = tuple(_sample(*item) for item in row[-2] or ())
    return replace(Compared(*row[:-2]), samples=samples, named=tuple(map(tuple, row[-1] or ())))


def _digested(work: Work, chunk: Range) -> Compared | None:
    """All rows matched, where the digests of both sides are the same; None: look at the rows.

    An error of the digest itself is no answer either; timeouts and the like are raised, as everywhere.
    """
    source = digest.at_source(work.table, chunk, work.source.info.server_version, work.identical)
    target = digest.at_target(work.plan, work.table, chunk, work.target.info.server_version, work.identical)
    try:
        with ThreadPoolExecutor(max_workers=1) as other:
            at_source = other.submit(_one_row, work.source, source)
            at_target = _one_row(work.target, target)
        if at_source.result() == at_target:
            return Compared(at_target[0], at_target[0], 0, 0, 0)
    except psycopg.Error as error:
        if not (error.sqlstate or "").startswith((*NOT_DIGESTIBLE, *ROW_CLASSES)):
            raise
    return None


def _one_row(conn: psycopg.Connection, statement: Sql) -> tuple[Any, ...]:
    with conn.transaction():
        run_sql(conn, compare.ONE_PROCESS)
        row: tuple[Any, ...] | None = run_sql(conn, statement).fetchone()
    assert row is not None
    return row


def _parts(work: Work, chunk: Range) -> Iterator[Range]:
    """The range in smaller ones, where an index leads to their bounds, so that few rows have to travel."""
    low = chunk.low
    if work.table.feed.stepped:
        while high := ranges.next_boundary(work, low, chunk.high, PART_ROWS):
            yield replace(chunk, low=low, high=high)
            low = high
    yield replace(chunk, low=low)


def summed(comparisons: list[Compared]) -> Compared:
    """What several parts of a table come to."""
    samples = [sample for part in comparisons for sample in part.samples]
    return Compared(
        sum(part.source_rows for part in comparisons),
        sum(part.matched for part in comparisons),
        sum(part.missing for part in comparisons),
        sum(part.extra for part in comparisons),
        sum(part.different for part in comparisons),
        sum(part.kept for part in comparisons),
        sum(part.alike for part in comparisons),
        sum(part.found for part in comparisons),
        sum(part.recorded for part in comparisons),
        tuple(samples[:MOST_SAMPLES]),
        tuple(name for part in comparisons for name in part.named),
    )


def _sample(kind: str, key: str, columns: list[list[str | None]] | None) -> dict[str, Any]:
    named = [
        {"column": column, "expected": expected, "found": result}
        for column, expected, result in columns or []
    ]
    return {"kind": kind, "key": key, "columns": named}


@dataclass(frozen=True, slots=True)
class Totals:
    """Whole-table counts in the target.

    linked: rows that carry a source id, or map rows where none does; map_rows: all of this table mapping;
    claimed: what this run and those before it say they brought.
    """

    target_rows: int
    flagged: int
    linked: int
    map_rows: int
    claimed: int
    quarantined: int


def totals(work: Work) -> Totals:
    """Counts a table's rows once, after all its chunks are compared."""
    table = work.table
    flagged = (
        compose("count(*) FILTER (WHERE t.{})", ident(table.link.is_migrated))
        if table.link.is_migrated
        else verbatim("0")
    )
    carry = (
        compose("count(t.{})", ident(table.link.source_id[0]))
        if table.link.link_by == "source_id"
        else verbatim("0")
    )
    counts = compose("SELECT count(*), {}, {} FROM {} AS t", flagged, carry, table.into.target_sql)
    row = run_sql(work.target, counts).fetchone()
    assert row is not None
    mapped, so_far = _map_rows(work) if table.link.keep_map else (0, row[2])
    linked = row[2] if table.link.link_by == "source_id" else mapped
    return Totals(row[0], row[1], linked, mapped, so_far, len(bad_rows.keys(work)))


def _map_rows(work: Work) -> tuple[int, int]:
    """(map rows of the table mapping, those of this run and the runs before it)."""
    counts = compose(
        "SELECT count(*), count(*) FILTER (WHERE m.run <= {run}) FROM {map} AS m", run=work.run, map=MAP
    )
    row = run_sql(
        work.target,
        compose("{} WHERE {}", counts, of_table(work.plan, work.table.name)),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def own_rows(work: Work) -> int:
    """Rows of the target that this run inserted and that are still there."""
    own = remove.owned(work, Range())
    row = run_sql(work.target, compose("SELECT count(*) FROM {}", own)).fetchone()
    return row[0] if row else 0


def count_rows(work: Work) -> int:
    """All rows of the target table."""
    row = run_sql(work.target, compose("SELECT count(*) FROM {}", work.table.into.target_sql)).fetchone()
    return row[0] if row else 0


def is_fresh(work: Work, run: int) -> bool:
    """Whether no other run has brought rows of this table that are still there."""
    table: TablePlan = work.table
    if table.link.link_by == "source_id":
        first = ident(table.link.source_id[0])
        some = compose("SELECT 1 FROM {} WHERE {} IS NOT NULL LIMIT 1", table.into.target_sql, first)
    else:
        some = compose("SELECT 1 FROM {} AS m WHERE {} LIMIT 1", MAP, of_table(work.plan, table.name))
    committed = compose(
        "SELECT 1 FROM migrator.ledger l JOIN migrator.run r ON r.number = l.run"
        " WHERE l.run <> {run} AND r.mapping = {mapping} AND l.table_name = {name}"
        " AND l.inserted > 0 LIMIT 1",
        run=run, mapping=literal(work.plan.mapping), name=literal(table.name),
    )  # fmt: skip
    return (
        run_sql(work.target, some).fetchone() is None and run_sql(work.target, committed).fetchone() is None
    )
