"""Towards the end of a table chunks get smaller, so that no worker sits idle while another ends a large one."""

from __future__ import annotations

from tests.journeys.stock import open_stock
from tests.journeys.world import World, fresh


def test_the_last_chunks_are_shares_of_what_is_left(world: World) -> None:
    run = open_stock(world, rows=60_000).started()
    (table,) = fresh(run).tables.all()
    compared = table.chunks.filter(phase="verify").order_by("number").values_list("rows", flat=True)
    # One worker: half of what is left, down to 25,000.
    assert list(compared) == [30_000, 25_000, 5_000]
