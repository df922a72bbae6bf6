"""Real workers that are killed, frozen or told to stop in the middle of a chunk: the run ends, nothing comes twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen

import psycopg
import pytest
from django.db import connections, transaction

from jobs.engine.target import ledger
from jobs.models import Chunk, Run
from tests.journeys.conftest import ONE_BY_PAGES, PAGES_TOO
from tests.journeys.gate import Gate, closed_gate, wait_for
from tests.journeys.processes import Processes, ended, freeze, horse_of, is_running, kill, thaw
from tests.journeys.stock import BY_PAGES, IN_A_LATER_CHUNK, MAP_ONLY, MAPPING, held_up, open_stock
from tests.journeys.world import NewWorld, World, fresh, said

RECOVERY_SECONDS = 15
FROZEN_SECONDS = 60
EVERYTHING = "SELECT * FROM thing ORDER BY id"


@contextmanager
def gate_before_the_map(stock: World) -> Iterator[Gate]:
    """Holds a chunk up when its rows are inserted and the map is being written."""
    with psycopg.connect(stock.pair.target, autocommit=True) as conn:
        ledger.install(conn)
    with closed_gate(stock.pair.target, "migrator.migration_map", "NEW.source_key = '12345'") as gate:
        yield gate


@contextmanager
def caught(stock: World, processes: Processes, *names: str) -> Iterator[tuple[Run, Popen[bytes]]]:
    """A run of which one of these workers is in the middle of a chunk until the end of the block; and that worker."""
    workers = {name: processes.worker(name) for name in names}
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        pid = gate.wait_for_somebody()
        ((name,),) = stock.target(f"SELECT application_name FROM pg_stat_activity WHERE pid = {pid}")
        yield run, workers[str(name).split()[1].partition("-")[0]]


def ends_in_time(run: Run, since: float) -> None:
    """Waits for the run's end, and counts from the fault on."""
    assert ended(run) == "verified"
    assert time.monotonic() - since < RECOVERY_SECONDS


@pytest.mark.parametrize(
    ("layout", "mapping"), [("one", ""), ("one", BY_PAGES), ("two", ""), ("two", MAP_ONLY)]
)
def test_a_work_horse_killed_between_the_insert_and_the_map(
    new_world: NewWorld, processes: Processes, layout: str, mapping: str
) -> None:
    stock = open_stock(new_world(layout), **({"mapping": mapping} if mapping else {}))  # type: ignore[arg-type]
    worker = processes.worker()
    processes.sweeper()
    with gate_before_the_map(stock) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        kill(horse_of(worker))
        killed = time.monotonic()
        assert stock.target("SELECT 1 FROM thing WHERE number = 12345") == []
    ends_in_time(run, killed)
    assert stock.complaints() == []


@pytest.mark.parametrize("mapping", [MAPPING, BY_PAGES], ids=["keys", "pages"])
def test_a_work_horse_killed_just_after_the_commit(
    new_world: NewWorld, processes: Processes, mapping: str
) -> None:
    stock = open_stock(new_world("two"), mapping)
    worker = processes.worker()
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        horse = horse_of(worker)
        with transaction.atomic():  # the horse cannot note the end of its chunk
            chunk = Chunk.objects.select_for_update().get(table__run=run, state="claimed")
            of_chunk = (
                "SELECT t.* FROM thing t JOIN migrator.ledger l ON l.writer = t.xmin::text"
                f" WHERE l.phase = 'copy' AND l.chunk = {chunk.number} ORDER BY t.id"
            )
            gate.open()
            rows = wait_for(lambda: stock.target(of_chunk))
            kill(horse)
            wait_for(lambda: not is_running(horse))
    killed = time.monotonic()
    connections.close_all()
    ends_in_time(run, killed)
    assert stock.target(of_chunk) == rows
    chunk.refresh_from_db()
    assert (chunk.attempts, chunk.state, chunk.rows) == (2, "done", len(rows))
    assert stock.complaints() == []


@pytest.mark.faults
@PAGES_TOO
def test_a_killed_worker_takes_its_horse_along_and_the_other_goes_on(
    stock: World, processes: Processes
) -> None:
    with caught(stock, processes, "one", "two") as (run, worker):
        horse = horse_of(worker)
        kill(worker.pid)
        killed = time.monotonic()
        wait_for(lambda: not is_running(horse))
    ends_in_time(run, killed)
    chunk = held_up(run)
    assert (chunk.attempts, chunk.epoch) == (2, fresh(run).epoch)
    assert stock.complaints() == []


@pytest.mark.faults
@ONE_BY_PAGES
def test_a_frozen_worker_that_wakes_up_writes_nothing_and_says_why(
    stock: World, processes: Processes
) -> None:
    with caught(stock, processes, "one", "two") as (run, worker):
        horse = horse_of(worker)
        freeze(horse)
        freeze(worker.pid)
        frozen = time.monotonic()
    ends_in_time(run, frozen)
    rows = stock.target(EVERYTHING)
    if stock.pair.source != stock.pair.target:  # a whole minute once is enough
        time.sleep(max(0, frozen + FROZEN_SECONDS - time.monotonic()))
    assert not any("fell silent" in text for text in said(run))
    thaw(horse)
    thaw(worker.pid)
    why = f"chunk {held_up(run).number}: this worker fell silent"
    wait_for(lambda: any(why in text for text in said(run)))
    wait_for(lambda: not is_running(horse))
    assert stock.target(EVERYTHING) == rows
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
@ONE_BY_PAGES
def test_a_deploy_ends_the_slice_at_a_chunk_boundary(stock: World, processes: Processes) -> None:
    with caught(stock, processes, "one") as (run, worker):
        worker.terminate()
        told = time.monotonic()
    assert worker.wait(10) == 0
    assert time.monotonic() - told < 10
    assert fresh(run).status == "copying"
    chunks = Chunk.objects.filter(table__run=run, phase="copy")
    assert {chunk.state for chunk in chunks} == {"done"}
    assert chunks.order_by("number").last() == held_up(run)
    processes.worker("two")
    assert ended(run) == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
def test_a_deploy_in_a_chunk_that_does_not_end_takes_ten_seconds(
    new_world: NewWorld, processes: Processes
) -> None:
    stock = open_stock(new_world("two"))
    with caught(stock, processes, "one") as (run, worker):
        worker.terminate()
        assert worker.wait(11) == 0
    processes.worker("two")
    assert ended(run) == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
def test_a_worker_added_in_the_middle_helps_at_once(world: World, processes: Processes) -> None:
    stock = open_stock(world, rows=60_000)  # more than the chunk that the first worker is held up in
    processes.worker("one")
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        processes.worker("two")
        wait_for(lambda: stock.target("SELECT 1 FROM thing WHERE number = 59999"), seconds=5)
    assert ended(run) == "verified"
    assert stock.complaints() == []
