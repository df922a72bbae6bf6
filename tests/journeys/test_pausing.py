"""A pause ends within one chunk, whoever dies meanwhile: nothing stays in pausing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from redis import Redis

from jobs.actions import runs
from jobs.models import Chunk
from jobs.workers import sweeper
from tests.journeys.gate import closed_gate, wait_for
from tests.journeys.processes import Processes, horse_of, kill
from tests.journeys.shop import half_copied
from tests.journeys.stock import IN_A_LATER_CHUNK, open_stock
from tests.journeys.world import NewWorld, World, counts, fresh, work


def test_a_worker_killed_while_pausing(new_world: NewWorld, processes: Processes) -> None:
    stock = open_stock(new_world("one"), rows=20_000)
    worker = processes.worker()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        runs.pause(fresh(run), None)
        kill(horse_of(worker))
        kill(worker.pid)
        worker.wait()
        sweeper.sweep()
        assert fresh(run).status == "pausing"  # for all that the sweeper knows the worker is still busy
        Chunk.objects.filter(state="claimed").update(seen=timezone.now() - timedelta(seconds=16))
        sweeper.sweep()
        assert fresh(run).status == "paused"
    runs.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert stock.complaints() == []


@pytest.mark.faults
def test_a_pause_without_workers_and_redis_is_settled_by_the_sweeper_alone(
    new_world: NewWorld, processes: Processes, empty_redis: Redis
) -> None:
    stock = open_stock(new_world("one"), rows=20_000)
    worker = processes.worker()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        kill(worker.pid)
        worker.wait()
        empty_redis.flushall()
        processes.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
        processes.sweeper()
        runs.pause(fresh(run), None)
        wait_for(lambda: fresh(run).status == "paused")
    runs.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert stock.complaints() == []


def test_a_pause_takes_effect_at_the_end_of_the_chunk(shop: World) -> None:
    with half_copied(shop) as run:
        runs.pause(run, None)
        sweeper.sweep()
        assert fresh(run).status == "pausing"
    assert fresh(run).status == "paused"
    assert counts(fresh(run))["orders"][0] == 50
