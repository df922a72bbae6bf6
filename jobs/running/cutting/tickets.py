"""A claimed chunk as the engine knows it: the right to commit a range of rows once."""

from __future__ import annotations

from jobs import phases
from jobs.engine.sql.walks.chunk_range import MapRange, PageRange, Range
from jobs.engine.sql.walks.pages import Pages
from jobs.engine.target.ledger import Ticket
from jobs.models import Chunk
from mappings.plan.table_plan import TablePlan


def ticket(chunk: Chunk, run: int, table: TablePlan) -> Ticket:
    """The chunk as the engine knows it."""
    return Ticket(run, chunk.epoch, table.name, chunk.phase, chunk.number, _rows(chunk, table))


def _rows(chunk: Chunk, table: TablePlan) -> Range:
    """What is kept of a chunk says by its phase and its table what it is a range of."""
    if chunk.phase in phases.BACKWARD and table.link.keep_map and chunk.low and chunk.high:
        return MapRange.kept(chunk.low, chunk.high)
    low, high = (tuple(bound) if bound else None for bound in (chunk.low, chunk.high))
    only = None if chunk.only is None else tuple(chunk.only)
    return PageRange(pages=Pages(**chunk.pages), only=only) if chunk.pages else Range(low, high, only)
