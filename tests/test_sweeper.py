"""What the sweeper rings for, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from redis import Redis

from jobs import states
from jobs.models import Run, Seat
from jobs.processes import doorbell, seats, stop_signals
from jobs.workers import sweeper
from tests.made_runs import make_chunk, make_run, make_seat, make_table

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def redis() -> Iterator[Redis]:
    with doorbell.connect() as client:
        client.flushall()
        yield client
        client.flushall()
    stop_signals.reset()


def in_seconds(seconds: float) -> Any:
    return timezone.now() + timedelta(seconds=seconds)


def rung(redis: Redis, seat: str = "one") -> list[int]:
    return [job.args[0] for job in doorbell.queue_at(seats.queue_name(seat), redis).get_jobs()]


@pytest.mark.parametrize("status", states.STATUSES)
def test_a_run_is_rung_for_just_where_something_should_happen(redis: Redis, status: str) -> None:
    make_seat()
    run = make_run(status)
    should = [run.pk] if status in ("queued", "preparing", "copying", "verifying", "rolling_back") else []
    assert sweeper.sweep() == len(should)
    assert rung(redis) == should


def test_a_run_with_a_fresh_claim_is_left_alone(redis: Redis) -> None:
    make_seat()
    make_chunk(make_table(make_run()), "claimed", ago=5)
    assert (sweeper.sweep(), rung(redis)) == (0, [])


def test_a_claim_whose_worker_fell_silent_is_rung_for(redis: Redis) -> None:
    make_seat()
    run = make_run()
    table = make_table(run)
    make_chunk(table, "claimed", ago=5)
    make_chunk(table, "claimed", ago=20)
    assert (sweeper.sweep(), rung(redis)) == (1, [run.pk])


def test_waiting_and_done_chunks_are_no_sign_of_life(redis: Redis) -> None:
    make_seat()
    run = make_run()
    table = make_table(run)
    make_chunk(table, "done")
    make_chunk(table, "waiting")
    assert (sweeper.sweep(), rung(redis)) == (1, [run.pk])


@pytest.mark.parametrize(("lease", "expected"), [(20, 0), (-1, 1)])
def test_a_lease_counts_until_it_ends(lease: float, expected: int) -> None:
    make_seat()
    make_run("preparing", stage="prepare", lease_owner="one", lease_until=in_seconds(lease))
    assert sweeper.sweep() == expected


def pausing(**values: Any) -> Run:
    return make_run("pausing", **values)


def test_a_pause_is_settled_without_workers_and_without_redis(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    run = pausing()
    assert sweeper.sweep() == 0
    run.refresh_from_db()
    assert run.status == "paused"
    assert run.events.get().text == states.reason("pausing", "paused")


@pytest.mark.parametrize(("ago", "status"), [(5, "pausing"), (20, "paused")])
def test_a_pause_waits_for_a_worker_that_lives_and_for_no_other(ago: float, status: str) -> None:
    run = pausing()
    make_chunk(make_table(run), "claimed", ago=ago)
    sweeper.sweep()
    run.refresh_from_db()
    assert run.status == status


@pytest.mark.parametrize(("lease", "status"), [(10, "pausing"), (-1, "paused")])
def test_a_pause_waits_for_a_schema_step_under_way(lease: float, status: str) -> None:
    run = pausing(stage="prepare", lease_owner="one", lease_until=in_seconds(lease))
    sweeper.sweep()
    run.refresh_from_db()
    assert run.status == status


def test_sweeping_again_and_again_leaves_one_ring(redis: Redis) -> None:
    make_seat()
    run = make_run()
    assert [sweeper.sweep() for _ in range(5)] == [1] * 5
    assert rung(redis) == [run.pk]


def test_several_runs_are_rung_for(redis: Redis) -> None:
    make_seat()
    runs = [make_run(name=name).pk for name in ("a", "b", "c")]
    assert (sweeper.sweep(), rung(redis)) == (3, runs)


def test_a_run_that_could_not_be_rung_is_rung_as_soon_as_redis_is_back(redis: Redis, settings: Any) -> None:
    make_seat()
    run = make_run("queued", stage="prepare")
    there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    assert sweeper.sweep() == 0
    settings.REDIS_URL = there
    assert (sweeper.sweep(), rung(redis)) == (1, [run.pk])


def test_without_workers_nothing_is_rung_until_one_comes(redis: Redis) -> None:
    run = make_run()
    assert sweeper.sweep() == 0
    make_seat()
    assert (sweeper.sweep(), rung(redis)) == (1, [run.pk])


def test_seats_of_long_dead_workers_go_with_their_queues(redis: Redis) -> None:
    make_seat("dead")
    doorbell.ring_workers(7)
    Seat.objects.update(seen=in_seconds(-7200))
    make_seat("asleep", ago=60)
    sweeper.tidy()
    assert [seat.name for seat in Seat.objects.all()] == ["asleep"]
    assert redis.keys("rq:queue:*") == []


def test_the_sweeper_outlives_a_broken_connection(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_seat()
    make_run()
    sweep, sweeps = sweeper.sweep, []

    def cut_and_sweep() -> int:
        sweeps.append(1)
        if len(sweeps) == 1:
            with connection.cursor() as cursor, pytest.raises(OperationalError):
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        else:
            stop_signals.request()
        return sweep()

    monkeypatch.setattr(sweeper, "sweep", cut_and_sweep)
    monkeypatch.setattr(sweeper, "SWEEP_SECONDS", 0)
    sweeper.sweep_for_ever()
    assert "waits for the database" in caplog.text
    assert len(rung(redis)) == 1
