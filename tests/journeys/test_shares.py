"""Towards the end of a table chunks get smaller, so that no worker sits idle while another ends a large one."""

from __future__ import annotations

from tests.journeys.stock import open_stock
from tests.journeys.world import World, fresh


def test_the_last_chunks_are_shares_of_what_is_left(world: World) -> None:
    run = open_stock(world, rows=100_000).started()
    (table,) = fresh(run).tables.all()
    compared = list(table.chunks.filter(phase="verify").order_by("number").values_list("rows", flat=True))
    assert sum(compared) == 100_000
    # One worker: two thirds of what is left at most. A slow machine makes chunks smaller still, down to 60,000.
    assert compared[0] <= 66_667
