"""A claimed chunk as the engine knows it: the right to commit a range of rows once."""

from __future__ import annotations

from jobs.engine.sql.key_sql import PageRange, Range
from jobs.engine.sql.walks.pages import Pages
from jobs.engine.target.ledger import Ticket
from jobs.models import Chunk, TableRun


def ticket(chunk: Chunk, table: TableRun) -> Ticket:
    """The chunk as the engine knows it."""
    low, high = (tuple(bound) if bound else None for bound in (chunk.low, chunk.high))
    only = None if chunk.only is None else tuple(chunk.only)
    rows = Range(low, high, only)
    if chunk.pages:
        rows = PageRange(pages=Pages(**chunk.pages), only=only)
    return Ticket(table.run_id, chunk.epoch, table.name, chunk.phase, chunk.number, rows)
