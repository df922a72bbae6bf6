"""A chunk that takes too long is cut in two, again and again; the ranges still tile, and nothing is lost or doubled."""

from __future__ import annotations

from itertools import pairwise

import pytest

from jobs.actions import runs
from jobs.engine.moving import ranges as chunks
from jobs.models import Run, TableRun
from jobs.running import runner
from jobs.running.session import STALE_AFTER
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.processes import Processes
from tests.journeys.stock import MAP_ONLY, MAPPING, open_stock
from tests.journeys.world import Layout, NewWorld, World, execute, fresh, said, work

ROWS = 3_000

TOO_LONG = """
CREATE FUNCTION public.too_long() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  IF (SELECT count(*) FROM moved) > %(most)s THEN RAISE 'that takes too long' USING ERRCODE = '57014'; END IF;
  RETURN NULL;
END$$;
CREATE TRIGGER too_long AFTER %(event)s ON thing REFERENCING %(which)s TABLE AS moved
  FOR EACH STATEMENT EXECUTE FUNCTION public.too_long();
"""


def takes_too_long(world: World, event: str = "INSERT", most: int = 1_000) -> None:
    """From now on no statement may move more rows than that."""
    which = "OLD" if event == "DELETE" else "NEW"
    world.target(TOO_LONG % {"event": event, "which": which, "most": most})


def tiles(table: TableRun, phase: str = "copy") -> int:
    """How many chunks there are, once it is sure that they follow each other without gap or overlap."""
    ranges = list(table.chunks.filter(phase=phase).values_list("low", "high", "number"))
    by_low = sorted(ranges, key=lambda each: int(each[0][0]) if each[0] else 0)
    assert by_low[0][0] is None
    assert [after[0] for _, after in pairwise(by_low)] == [before[1] for before, _ in pairwise(by_low)]
    assert len({number for *_, number in ranges}) == len(ranges)
    return len(ranges)


def in_one_chunk(world: World) -> Run:
    run = world.start()
    run.tables.update(chunk_rows=ROWS + 1)
    return run


@pytest.mark.parametrize("mapping", [MAPPING, MAP_ONLY], ids=["source id", "map only"])
def test_a_chunk_is_halved_until_it_goes_through(world: World, mapping: str) -> None:
    stock = open_stock(world, mapping, rows=ROWS)
    takes_too_long(stock)
    run = work(in_one_chunk(stock))
    assert run.status == "verified"
    assert stock.complaints() == []
    table = run.tables.get()
    assert tiles(table) == 4
    assert sum("cut in two" in text for text in said(run)) == 3
    assert stock.target("SELECT count(*), count(DISTINCT chunk), sum(inserted) FROM migrator.ledger") == [
        (4, 4, ROWS)
    ]


def test_further_chunks_are_smaller(world: World) -> None:
    stock = open_stock(world, rows=2 * ROWS)
    takes_too_long(stock)
    run = work(in_one_chunk(stock))
    assert run.status == "verified"
    assert stock.complaints() == []
    assert tiles(run.tables.get()) < 9


def test_what_is_too_small_to_be_cut_is_tried_five_times(new_world: NewWorld) -> None:
    stock = open_stock(new_world("one"), rows=2 * chunks.FEWEST)
    takes_too_long(stock, most=chunks.FEWEST - 1)
    run = work(stock.start())
    assert run.status == "failed"
    assert "failed 5 times; the last: that takes too long" in run.error
    assert tiles(run.tables.get()) == 2


def test_a_rollback_is_halved_as_well(world: World) -> None:
    stock = open_stock(world, rows=ROWS)
    run = work(in_one_chunk(stock))
    takes_too_long(stock, "DELETE")
    assert stock.rolled_back(run).status == "rolled_back"
    assert sum("cut in two" in text for text in said(run)) >= 3
    assert stock.target("SELECT count(*) FROM thing") == [(0,)]
    assert stock.target("SELECT count(*) FROM migrator.migration_map") == [(0,)]


def test_no_statement_of_a_chunk_waits_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHUNK_TIMEOUT_MS", 500)
    stock = open_stock(world, rows=ROWS)
    with closed_gate(stock.pair.target, "thing", "NEW.number = 10") as gate:
        run = in_one_chunk(stock)
        with meanwhile(lambda: work(run)):
            wait_for(lambda: fresh(run).tables.get().chunks.count() > 1)
            gate.open()
    assert fresh(run).status == "verified"
    assert any("statement timeout (SQLSTATE 57014); cut in two" in text for text in said(run))
    assert stock.complaints() == []
    tiles(run.tables.get())


@pytest.mark.faults
@pytest.mark.parametrize("layout", ["one", "two"])
def test_values_of_a_gigabyte_bring_nothing_down(
    new_world: NewWorld, processes: Processes, layout: Layout
) -> None:
    """Two workers wait for each other's long statement, and a cancel ends it at the server."""
    world = new_world(layout)
    world.source(
        "CREATE TABLE item (id int PRIMARY KEY, body text); INSERT INTO item SELECT generate_series(1, 9), 'x'"
    )
    world.target("CREATE TABLE thing (id int PRIMARY KEY, body text)")
    world.define(HUGE)
    servers = [execute(url, "SELECT pg_postmaster_start_time()") for url in world.pair]
    for name in ("one", "two"):
        processes.worker(name)
    processes.sweeper()
    run = world.start()
    longer_than_a_claim_without_a_sign = STALE_AFTER.total_seconds() + 2
    wait_for(lambda: any(execute(url, AT_WORK % longer_than_a_claim_without_a_sign) for url in world.pair))
    assert not any("fell silent" in text or "taken over" in text for text in said(run))
    runs.cancel(fresh(run), None)
    wait_for(lambda: not any(execute(url, AT_WORK % 0) for url in world.pair))
    assert [execute(url, "SELECT pg_postmaster_start_time()") for url in world.pair] == servers
    assert (fresh(run).status, world.target("SELECT count(*) FROM thing")) == ("cancelled", [(0,)])


HUGE = """
version: 1
name: huge
tables:
  - {source: item, target: thing, columns: {id: id, body: {expr: "repeat(body, 1000000000)"}}}
"""
AT_WORK = (
    "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'migrator %%' AND state = 'active'"
    " AND query LIKE '%%repeat%%' AND pid <> pg_backend_pid() AND now() - query_start >= interval '%s s'"
)
