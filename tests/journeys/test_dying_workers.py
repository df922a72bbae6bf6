"""Real workers that are killed or frozen in the middle of a chunk: the run ends by itself, nothing lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.gate import closed_gate, wait_for
from tests.journeys.processes import Processes, ended, freeze, horse_of, kill, thaw
from tests.journeys.stock import IN_THE_SECOND_CHUNK, MAP_ONLY, open_stock
from tests.journeys.world import NewWorld, World


@pytest.fixture
def stock(world: World) -> World:
    """The large table, in one and in two databases."""
    return open_stock(world)


def test_a_work_horse_killed_in_the_middle_of_a_chunk(stock: World, processes: Processes) -> None:
    worker = processes.worker()
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_THE_SECOND_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        kill(horse_of(worker))
    assert ended(run) == "verified"
    assert stock.complaints() == []


def test_a_work_horse_killed_where_only_the_map_tells_rows_apart(
    new_world: NewWorld, processes: Processes
) -> None:
    stock = open_stock(new_world("two"), MAP_ONLY)
    worker = processes.worker()
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_THE_SECOND_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        kill(horse_of(worker))
    assert ended(run) == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
def test_a_killed_worker_is_replaced_by_another(stock: World, processes: Processes) -> None:
    first = processes.worker("one")
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_THE_SECOND_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        kill(first.pid)
        first.wait()
        processes.worker("two")
    assert ended(run) == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
def test_a_frozen_work_horse_that_wakes_up_writes_nothing(stock: World, processes: Processes) -> None:
    worker = processes.worker("one")
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_THE_SECOND_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        horse = horse_of(worker)
        freeze(horse)
        freeze(worker.pid)
    processes.worker("two")
    assert ended(run) == "verified"
    rows = stock.target("SELECT * FROM thing ORDER BY id")
    thaw(horse)
    thaw(worker.pid)
    wait_for(lambda: not Path(f"/proc/{horse}").exists())
    assert stock.target("SELECT * FROM thing ORDER BY id") == rows
    assert stock.complaints() == []
