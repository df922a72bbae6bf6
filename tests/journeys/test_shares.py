"""Towards the end of a table chunks get smaller, so that no worker sits idle while another ends a large one."""

from __future__ import annotations

from tests.journeys.stock import open_stock
from tests.journeys.world import World, fresh


def test_the_last_chunks_are_shares_of_what_is_left(world: World) -> None:
    run = open_stock(world, rows=100_000).started()
    (table,) = fresh(run).tables.all()
    compared = table.chunks.filter(phase="verify").order_by("number").values_list("rows", flat=True)
    # One worker: two thirds of what is left, down to 60,000.
    assert list(compared) == [66_666, 33_334]
