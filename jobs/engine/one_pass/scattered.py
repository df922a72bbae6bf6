"""Whether a table's rows lie in the order of its keys, and whether it is worth reading it as it lies."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import digest, key_sql
from jobs.engine.sql.walks.chunk_range import Part
from mappings.catalog import row_order
from mappings.catalog.row_order import RowOrder
from mappings.sql import compose, ident, literal

SAMPLED_PAGES = 200
"""Pages that are looked at where nobody has gathered statistics."""

WORTH_A_PASS = 16 * 2**20
"""Bytes of a table that is read at once, rather than that its rows travel."""

ROWS_OF_A_PASS = 20_000_000
"""About as many rows are compared in a pass, which takes under a minute: between passes a run may pause."""

MOST_PASSES = 8
"""Each reads both sides as a whole, so their number must not grow with the table for ever."""

HASHED_BY_EQUALITY = digest.OF_ONE_FORM | {
    "numeric", "timestamp without time zone", "timestamp with time zone", "bytea",
}  # fmt: skip
"""Types whose hash follows their equality."""


def pays(work: Work, order: RowOrder, least: int) -> bool:
    """Whether a pass costs less than ranges of keys. least: bytes from which on, 0 for what the server keeps.

    Between two databases ranges of texts cannot be digested, as the servers may sort them otherwise: all rows
    would have to travel, whatever order they lie in.
    """
    if not work.plan.same_database and not work.table.link.aligned:
        return order.size >= min(least or WORTH_A_PASS, WORTH_A_PASS)
    return order.is_at_random and order.size >= (least or order.memory)


def possible(work: Work) -> bool:
    """Whether all rows can be compared by parts of their keys' hashes: keys are columns of types that hash as they
    are equal, and between two databases both sides can be digested."""
    table = work.table
    if table.feed.distinct or table.feed.key_is_content or not table.feed.source_sql or not table.feed.key:
        return False
    if not work.plan.same_database and not digest.digestible_by_part(work.plan, table, work.identical):
        return False
    types = HASHED_BY_EQUALITY if work.plan.same_database else digest.OF_ONE_FORM
    if any(part.operators or part.type not in types or part.native != part.type for part in table.feed.key):
        return False
    return table.feed.key[0].in_base and not _confused(work)


def _confused(work: Work) -> bool:
    """Whether a text of the key is equal to others by its collation."""
    columns = [part.column for part in work.table.feed.key if part.collatable]
    if not columns:
        return False
    row = run_sql(
        work.source,
        compose(
            "SELECT EXISTS (SELECT FROM pg_attribute AS a JOIN pg_collation AS c ON c.oid = a.attcollation"
            " WHERE a.attrelid = to_regclass({source_sql})"
            " AND a.attname = ANY ({texts}) AND NOT c.collisdeterministic)",
            source_sql=literal(work.table.feed.source_sql),
            texts=key_sql.texts(columns),
        ),
    ).fetchone()
    return row is None or row[0]


def look(work: Work) -> RowOrder:
    """How the source table lies, by its statistics; where there are none, by a few pages of it."""
    order = row_order.read(work.source, work.table.feed.source_sql, work.table.feed.key[0].column)
    if order.correlation is None and order.kind == "r":
        return replace(order, correlation=_sampled(work, order.size))
    return order


def _sampled(work: Work, size: int) -> float | None:
    percent = literal(str(min(100.0, 100.0 * SAMPLED_PAGES * 8192 / max(1, size))))
    order = compose("row_number() OVER (ORDER BY {}) AS rank", work.table.feed.key[0].sql)
    rows = compose(
        "SELECT row_number() OVER (ORDER BY {ident}) AS place, {order} FROM {base_sql}",
        ident=ident("ctid"), order=order, base_sql=work.table.feed.base_sql,
    )  # fmt: skip
    row = run_sql(
        work.source,
        compose(
            "SELECT abs(corr(s.place, s.rank)) FROM ({rows} TABLESAMPLE SYSTEM ({percent})) AS s",
            rows=rows,
            percent=percent,
        ),
    ).fetchone()
    return row[0] if row else None


def passes(rows: int) -> int:
    """In how many passes so many rows are compared."""
    count = 1
    while count < MOST_PASSES and rows > count * ROWS_OF_A_PASS:
        count *= 2
    return count


def part(work: Work, number: int, of: int) -> Part:
    """The part of all rows that one of `of` passes compares, by number from 0."""
    return Part(of, (number,), by_image=not work.plan.same_database)
