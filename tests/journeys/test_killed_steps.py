"""A worker killed while it builds the unique index: the invalid index that is left is found, dropped and built anew."""

from __future__ import annotations

import psycopg
import pytest

from tests.journeys.gate import wait_for
from tests.journeys.processes import Processes, ended, horse_of, kill
from tests.journeys.stock import mapping_of, open_stock
from tests.journeys.world import World

FILLED = "INSERT INTO thing (number) SELECT -n FROM generate_series(1, 20000) n; ANALYZE thing"
BUILDER = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'create unique index concurrently%'"
INDEXES = (
    "SELECT indisvalid FROM pg_index WHERE indrelid = 'thing'::regclass AND indisunique AND NOT indisprimary"
)


@pytest.mark.faults
@pytest.mark.parametrize("walk", ["keys", "pages"], ids=["before the copy", "after it"])
def test_a_worker_killed_in_the_middle_of_an_index_build(
    world: World, processes: Processes, walk: str
) -> None:
    stock = open_stock(world, mapping_of(f"link: {{map: false}}, walk: {walk},"))
    stock.target(FILLED)
    worker = processes.worker()
    processes.sweeper()
    with psycopg.connect(stock.pair.target) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")  # a build ends when nobody has so old a view of the table any more
        run = stock.start()
        ((builder,),) = wait_for(lambda: stock.target(BUILDER))
        wait_for(lambda: stock.target(INDEXES) == [(False,)])
        kill(horse_of(worker))
        wait_for(lambda: not stock.target(f"SELECT 1 FROM pg_stat_activity WHERE pid = {builder}"))
        other.rollback()
    assert ended(run) == "verified"
    assert stock.target(INDEXES) == [(True,)]
    assert stock.target("SELECT count(*) FROM thing WHERE NOT is_migrated") == [(20_000,)]
