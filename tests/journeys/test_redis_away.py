"""Redis is a doorbell: flushed, away for minutes, or away when Start is pressed, it costs seconds and loses nothing."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import Client
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from jobs.models import Chunk, Run
from jobs.pages import health
from jobs.processes import doorbell, seats
from jobs.reporting import follow
from jobs.workers import sweeper, tasks
from migrator_site.embedded import Valkey
from tests.journeys.gate import closed_gate, wait_for
from tests.journeys.processes import Processes, ended
from tests.journeys.shop import open_shop
from tests.journeys.stock import IN_A_LATER_CHUNK, held_up, open_stock
from tests.journeys.world import NewWorld, World, fresh
from tests.made_runs import make_seat

RECOVERY_SECONDS = 15
AWAY_SECONDS = 65


def answer_rings(redis: Redis, seat: str = "one") -> int:
    """Works on what a seat was rung for; how many rings there were."""
    queue = doorbell.queue_at(seats.queue_name(seat), redis)
    rings = len(queue)
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(
        burst=True, logging_level="WARNING"
    )
    return rings


@contextmanager
def without_redis(valkey: Valkey) -> Iterator[None]:
    """Redis is down within, and up again afterwards."""
    valkey.stop("immediate")
    try:
        yield
    finally:
        valkey.start()


@pytest.fixture
def shop_here(new_world: NewWorld) -> World:
    """The shop, in one database."""
    return open_shop(new_world("one"))


@pytest.fixture
def operator(client: Client) -> Client:
    """A browser in which somebody is signed in who may press buttons."""
    client.force_login(get_user_model().objects.create_superuser("alice"))
    return client


@pytest.mark.parametrize("by", ["page", "command"])
def test_a_start_without_redis_is_saved_and_rung_for_later(
    shop_here: World, valkey: Valkey, empty_redis: Redis, operator: Client, by: str
) -> None:
    make_seat("one")
    said = io.StringIO()
    with without_redis(valkey):
        health.forget()
        if by == "page":
            page = operator.post("/mappings/shop/start/", {"env": "local"}, follow=True)
            assert page.status_code == 200
            assert "Redis does not answer." in page.content.decode()
        else:
            call_command("run", "start", "shop", "--env", "local")
            call_command("run", "status", str(Run.objects.get().pk), stderr=said)
            assert "Redis does not answer." in said.getvalue()
        run = Run.objects.get()
        assert run.status == "queued"
        assert sweeper.sweep() == 0
    assert sweeper.sweep() == 1
    assert answer_rings(empty_redis) == 1
    assert fresh(run).status == "verified"
    assert shop_here.complaints() == []


def test_a_full_redis_is_named_while_a_run_waits(
    shop_here: World, empty_redis: Redis, operator: Client
) -> None:
    """It answers a ping, but takes no ring: the page says so, the command, and whoever follows the run."""
    make_seat("one")
    before = {name: empty_redis.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy")}
    empty_redis.config_set("maxmemory-policy", "noeviction")
    empty_redis.config_set("maxmemory", "1")
    told, asked = io.StringIO(), io.StringIO()
    try:
        health.forget()
        run = shop_here.start()
        assert sweeper.sweep() == 0
        page = operator.get(f"/runs/{run.pk}/").content.decode()
        call_command("run", "status", str(run.pk), stderr=asked)
        looks = follow._Warnings(told)
        looks._next = 0
        looks.look()
    finally:
        for name, value in before.items():
            empty_redis.config_set(name, str(value))
    for said in (page, asked.getvalue(), told.getvalue()):
        assert "Redis is full" in said
    health.forget()
    assert "Redis is full" not in operator.get(f"/runs/{run.pk}/").content.decode()
    assert sweeper.sweep() == 1
    assert answer_rings(empty_redis) == 1
    assert fresh(run).status == "verified"


def test_a_ring_lost_with_a_flushed_redis_is_rung_again(shop_here: World, empty_redis: Redis) -> None:
    make_seat("one")
    run = shop_here.start()
    empty_redis.flushall()
    assert answer_rings(empty_redis) == 0
    sweeper.sweep()
    assert answer_rings(empty_redis) == 1
    assert fresh(run).status == "verified"


def test_a_hundred_rings_are_one_ring_a_seat(shop_here: World, empty_redis: Redis) -> None:
    make_seat("one")
    make_seat("two")
    run = shop_here.start()
    for _ in range(100):
        doorbell.ring_workers(run.pk)
    assert (answer_rings(empty_redis, "one"), answer_rings(empty_redis, "two")) == (1, 1)
    assert fresh(run).status == "verified"
    assert shop_here.complaints() == []


def test_a_hundred_rings_answered_by_four_at_once_have_one_executor_a_chunk(new_world: NewWorld) -> None:
    stock = open_stock(new_world("one"))
    run = stock.start()
    run.tables.update(chunk_rows=2_000)

    def answer(_: int) -> None:
        tasks.ring(run.pk)
        connections.close_all()

    with ThreadPoolExecutor(4) as crew:
        list(crew.map(answer, range(100)))
    assert fresh(run).status == "verified"
    chunks = Chunk.objects.filter(table__run=run, phase="copy")
    assert chunks.count() > 3
    assert {chunk.attempts for chunk in chunks} == {1}
    assert stock.complaints() == []


@pytest.mark.faults
def test_a_flushed_redis_does_not_stop_a_run(
    new_world: NewWorld, processes: Processes, empty_redis: Redis
) -> None:
    stock = open_stock(new_world("one"))
    processes.slice_shortly()
    processes.worker("one")
    processes.worker("two")
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        empty_redis.flushall()
        flushed = time.monotonic()
        time.sleep(1)  # the slice is over when the gate opens: it has to ring again
    assert ended(run) == "verified"
    assert time.monotonic() - flushed < RECOVERY_SECONDS
    assert stock.complaints() == []


@pytest.mark.faults
def test_while_redis_is_away_the_slice_ends_and_all_goes_on_when_it_is_back(
    new_world: NewWorld, processes: Processes, valkey: Valkey, operator: Client
) -> None:
    stock = open_stock(new_world("two"))
    processes.slice_shortly()
    worker = processes.worker("one")
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        gate.wait_for_somebody()
        with without_redis(valkey):
            time.sleep(1)
            gate.open()
            wait_for(lambda: held_up(run).state == "done")
            health.forget()
            for address in ("/", f"/runs/{run.pk}/"):
                assert "Redis does not answer." in operator.get(address).content.decode()
            time.sleep(AWAY_SECONDS)
            assert worker.poll() is None
            assert fresh(run).status in ("copying", "verifying")
        back = time.monotonic()
    assert ended(run) == "verified"
    assert time.monotonic() - back < RECOVERY_SECONDS
    assert stock.complaints() == []
