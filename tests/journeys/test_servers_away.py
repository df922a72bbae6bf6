"""Servers that go away: Redis is only a doorbell, and PostgreSQL may crash in the middle of a chunk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from jobs import seats, sweeper, tasks
from jobs.models import Run
from migrator_site.embedded import Postgres, Valkey
from tests.conftest import Databases, Pair
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.processes import Processes, ended
from tests.journeys.shop import open_shop
from tests.journeys.stock import IN_THE_SECOND_CHUNK, open_stock
from tests.journeys.world import Layout, NewWorld, World, fresh, said, work
from tests.made_runs import make_seat


def answer_rings(redis: Redis, seat: str = "one") -> int:
    """Works on what a seat was rung for; how many rings there were."""
    queue = tasks.queue_at(seats.queue_name(seat), redis)
    rings = len(queue)
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(
        burst=True, logging_level="WARNING"
    )
    return rings


@pytest.fixture
def shop_here(new_world: NewWorld) -> World:
    """The shop, in one database."""
    return open_shop(new_world("one"))


def test_a_start_without_redis_is_saved_and_rung_for_later(
    shop_here: World, valkey: Valkey, doorbell: Redis
) -> None:
    make_seat("one")
    valkey.stop("immediate")
    try:
        run = shop_here.start()
        assert fresh(run).status == "queued"
        assert sweeper.sweep() == 0
    finally:
        valkey.start()
    assert sweeper.sweep() == 1
    assert answer_rings(doorbell) == 1
    assert fresh(run).status == "verified"
    assert shop_here.complaints() == []


def test_a_ring_lost_with_a_flushed_redis_is_rung_again(shop_here: World, doorbell: Redis) -> None:
    make_seat("one")
    run = shop_here.start()
    doorbell.flushall()
    assert answer_rings(doorbell) == 0
    sweeper.sweep()
    assert answer_rings(doorbell) == 1
    assert fresh(run).status == "verified"


def test_a_hundred_rings_are_one_ring_a_seat(shop_here: World, doorbell: Redis) -> None:
    make_seat("one")
    make_seat("two")
    run = shop_here.start()
    for _ in range(100):
        tasks.ring_workers(run.pk)
    assert (answer_rings(doorbell, "one"), answer_rings(doorbell, "two")) == (1, 1)
    assert fresh(run).status == "verified"
    assert shop_here.complaints() == []


@pytest.mark.parametrize("layout", ["one", "two"])
def test_while_one_worker_is_held_up_the_others_go_on(new_world: NewWorld, layout: Layout) -> None:
    stock = open_stock(new_world(layout))
    run = stock.start()
    run.tables.update(chunk_rows=1_000)
    with closed_gate(stock.pair.target, "thing", IN_THE_SECOND_CHUNK) as gate, ExitStack() as crew:
        for number in range(4):
            crew.enter_context(meanwhile(partial(work, run, f"worker {number}")))
        gate.wait_for_somebody()
        wait_for(lambda: stock.target("SELECT 1 FROM thing WHERE number = 29000"))
        gate.open()
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


def test_a_flushed_redis_does_not_stop_a_run(
    new_world: NewWorld, processes: Processes, doorbell: Redis
) -> None:
    stock = open_stock(new_world("one"))
    processes.worker()
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_THE_SECOND_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        doorbell.flushall()
    assert ended(run) == "verified"
    assert stock.complaints() == []


@pytest.fixture
def crashing() -> Iterator[Postgres]:
    """A PostgreSQL of its own, that keeps what was committed when it crashes."""
    home = Path(tempfile.mkdtemp(prefix="migrator-crash-"))
    server = Postgres(home)
    server.start()
    yield server
    server.stop("immediate")
    for pointer in home.glob("*.elsewhere"):
        shutil.rmtree(pointer.read_text().strip())
    shutil.rmtree(home)


@pytest.mark.parametrize("layout", ["one", "two"])
def test_a_server_that_crashes_in_the_middle_of_a_chunk(
    crashing: Postgres, databases: Databases, layout: str
) -> None:
    crashing.create_database("target")
    target = crashing.url("target")
    stock = open_stock(World(Pair(databases.fresh() if layout == "two" else target, target)))
    run = stock.start()
    with closed_gate(target, "thing", IN_THE_SECOND_CHUNK) as gate, meanwhile(lambda: work(run)):
        gate.wait_for_somebody()
        crashing.stop("immediate")
        wait_for(lambda: Run.objects.get(pk=run.pk).waiting_for)
        crashing.start()
    assert fresh(run).status == "verified"
    assert any("SQLSTATE 57P0" in text or "SQLSTATE 08" in text for text in said(run))
    assert stock.complaints() == []
