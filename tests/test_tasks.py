"""The doorbell: who is rung, what a ring does, and what a worker lives through. Real Valkey, real forks.

`runner.advance` is replaced where only the way to it is looked at; that it moves rows is seen elsewhere.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from django.db import connection, connections
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from jobs.models import Chunk, Seat
from jobs.processes import doorbell, seats, stop_signals
from jobs.running import runner
from jobs.workers import rq_worker, tasks
from migrator_site.embedded import Valkey
from tests.made_runs import make_chunk, make_run, make_seat, make_table

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

Advance = Callable[[int, str, float], bool]


@pytest.fixture(autouse=True)
def redis() -> Iterator[Redis]:
    with doorbell.connect() as client:
        client.flushall()
        yield client
        client.flushall()
    stop_signals.reset()


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line per slice, whichever process worked on it; a slice does nothing else."""
    path = tmp_path / "slices"
    path.touch()

    def advance(run_id: int, worker: str, deadline: float) -> bool:
        note(path, f"{run_id} {worker}")
        return False

    monkeypatch.setattr(runner, "advance", advance)
    return path


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen"
        time.sleep(0.02)


def rings(redis: Redis, seat: str) -> int:
    return len(doorbell.queue_at(seats.queue_name(seat), redis).get_job_ids())


def work_off(redis: Redis, seat: str) -> None:
    queue = doorbell.queue_at(seats.queue_name(seat), redis)
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(
        burst=True, logging_level="WARNING"
    )


# ---- who is rung


def test_every_live_seat_is_rung_once_and_empty_ones_are_not(redis: Redis) -> None:
    make_seat("one")
    make_seat("two")
    make_seat("long gone", ago=40)
    for _ in range(100):
        assert doorbell.ring_workers(7)
    assert (rings(redis, "one"), rings(redis, "two"), rings(redis, "long gone")) == (1, 1, 0)


def test_rings_for_two_runs_wait_side_by_side(redis: Redis) -> None:
    make_seat("one")
    doorbell.ring_workers(7)
    doorbell.ring_workers(77)
    assert rings(redis, "one") == 2


def test_nobody_there_is_said_and_nothing_is_left_waiting(redis: Redis) -> None:
    assert not doorbell.ring_workers(7)
    assert redis.keys("*") == []


def test_one_seat_can_be_left_out(redis: Redis) -> None:
    make_seat("one")
    make_seat("two")
    doorbell.ring_workers(7, besides="one")
    assert (rings(redis, "one"), rings(redis, "two")) == (0, 1)


def test_without_redis_the_ring_is_lost_and_nothing_else(
    settings: object, caplog: pytest.LogCaptureFixture
) -> None:
    make_seat("one")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    assert not doorbell.ring_workers(7)
    assert "the sweeper will" in caplog.text


def test_a_ring_carries_the_id_and_nothing_else(redis: Redis) -> None:
    make_seat("one")
    doorbell.ring_workers(7)
    (job,) = doorbell.queue_at(seats.queue_name("one"), redis).get_jobs()
    assert (job.func_name, job.args, job.kwargs) == ("jobs.workers.tasks.ring", [7], {})
    assert (job.result_ttl, job.retries_left, job.success_callback, job.failure_callback) == (
        0,
        None,
        None,
        None,
    )


# ---- what a ring does


def test_a_ring_is_one_slice_and_leaves_nothing_in_redis(redis: Redis, notes: Path) -> None:
    make_seat("one")
    doorbell.ring_workers(7)
    work_off(redis, "one")
    assert lines(notes) == [f"7 {seats.my_name()}"]
    assert redis.keys("rq:job:*") == []


def test_a_slice_that_is_not_the_last_rings_again(
    redis: Redis, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def thrice(run_id: int, worker: str, deadline: float) -> bool:
        note(notes, str(run_id))
        return len(lines(notes)) < 3

    monkeypatch.setattr(runner, "advance", thrice)
    make_seat("one")
    doorbell.ring_workers(7)
    work_off(redis, "one")
    assert lines(notes) == ["7", "7", "7"]


def test_a_slice_gets_its_deadline_and_fresh_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    before, given = connection.connection, []

    def advance(run_id: int, worker: str, deadline: float) -> bool:
        given.append(deadline - time.monotonic())
        assert connection.connection is None
        connection.ensure_connection()
        return False

    monkeypatch.setattr(runner, "advance", advance)
    tasks.ring(7)
    assert 0 < given[0] <= tasks.SLICE_SECONDS
    assert before is not None
    assert before.closed
    assert connection.connection is None


def test_a_database_that_goes_away_breaks_the_slice_off_quietly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def advance(run_id: int, worker: str, deadline: float) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return True

    monkeypatch.setattr(runner, "advance", advance)
    tasks.ring(7)
    assert "broke off" in caplog.text


# ---- a worker, as its own process


class Workers:
    """Worker processes forked from the test, with what the test replaced."""

    def __init__(self) -> None:
        self.started: list[BaseProcess] = []

    def start(self, name: str) -> BaseProcess:
        """A worker that has taken its seat."""
        connections.close_all()
        process = multiprocessing.get_context("fork").Process(target=rq_worker.serve, args=(name,))
        process.start()
        self.started.append(process)
        wait_for(lambda: process.pid and Seat.objects.filter(name=name, pid=process.pid).exists())
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.join()


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.end()


def endless(path: Path) -> Advance:
    """A slice in which every chunk takes a moment, and which looks between two chunks whether it should stop."""

    def advance(run_id: int, worker: str, deadline: float) -> bool:
        note(path, f"begun {os.getpid()} {os.getppid()}")
        while not stop_signals.requested():
            time.sleep(0.05)
        note(path, "boundary")
        return True

    return advance


def horse(notes: Path) -> int:
    wait_for(lambda: lines(notes))
    return int(lines(notes)[-1].split()[1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_works_in_a_fork_under_its_seats_name(workers: Workers, notes: Path) -> None:
    workers.start("one")
    doorbell.ring_workers(7)
    wait_for(lambda: lines(notes))
    assert lines(notes) == ["7 one"]


def test_sigterm_ends_the_slice_at_a_boundary_and_rings_the_others(
    workers: Workers, redis: Redis, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "advance", endless(notes))
    worker = workers.start("one")
    doorbell.ring_workers(7)
    horse(notes)
    make_seat("two")
    worker.terminate()
    worker.join(15)
    assert worker.exitcode == 0
    assert lines(notes)[1:] == ["boundary"]
    assert (rings(redis, "one"), rings(redis, "two")) == (0, 1)
    assert not Seat.objects.filter(name="one").exists()


@pytest.mark.parametrize("when", ["at its start", "later"])
def test_sigterm_ends_an_idle_worker(workers: Workers, notes: Path, when: str) -> None:
    worker = workers.start("one")
    if when == "later":
        doorbell.ring_workers(7)
        wait_for(lambda: lines(notes))
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0
    assert not Seat.objects.filter(name="one").exists()


def test_a_slice_that_does_not_reach_a_boundary_is_killed(
    workers: Workers, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(run_id: int, worker: str, deadline: float) -> bool:
        note(notes, f"begun {os.getpid()}")
        time.sleep(600)
        return False

    monkeypatch.setattr(runner, "advance", deaf)
    monkeypatch.setattr(rq_worker, "STOP_SECONDS", 0.5)
    worker = workers.start("one")
    doorbell.ring_workers(7)
    pid = horse(notes)
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0
    assert not is_running(pid)


def test_a_killed_worker_takes_its_horse_with_it(
    workers: Workers, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "advance", endless(notes))
    worker = workers.start("one")
    doorbell.ring_workers(7)
    pid = horse(notes)
    worker.kill()
    worker.join()
    wait_for(lambda: not is_running(pid))
    assert len(lines(notes)) == 1


def test_the_seat_of_a_killed_worker_can_be_taken_again(workers: Workers, notes: Path) -> None:
    killed = workers.start("one")
    killed.kill()
    killed.join()
    workers.start("one")
    doorbell.ring_workers(7)
    wait_for(lambda: lines(notes))


def test_a_killed_horse_is_replaced_without_the_sweeper(
    workers: Workers, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "advance", endless(notes))
    workers.start("one")
    doorbell.ring_workers(7)
    first = horse(notes)
    time.sleep(1.5)  # one that dies at its very start would be left to the sweeper
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: horse(notes) != first)


@pytest.mark.parametrize("killed", ["horse", "worker"])
def test_what_a_dead_horse_had_claimed_can_be_taken_over_at_once(
    workers: Workers, notes: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    monkeypatch.setattr(runner, "advance", endless(notes))
    worker = workers.start("one")
    doorbell.ring_workers(7)
    first = horse(notes)
    table = make_table(make_run())
    own = make_chunk(table, "claimed", worker="one-a1b2c3")
    others = [make_chunk(table, "claimed", worker=name) for name in ("two-a1b2c3", "one-more-a1b2c3", "")]
    if killed == "horse":
        os.kill(first, signal.SIGKILL)
    else:
        worker.kill()
        worker.join()
        workers.start("one")
    wait_for(lambda: Chunk.objects.get(pk=own.pk).seen is None)
    assert all(Chunk.objects.get(pk=other.pk).seen for other in others)


def test_a_worker_goes_on_after_redis_was_flushed(workers: Workers, redis: Redis, notes: Path) -> None:
    workers.start("one")
    doorbell.ring_workers(7)
    wait_for(lambda: lines(notes))
    redis.flushall()
    doorbell.ring_workers(8)
    wait_for(lambda: len(lines(notes)) == 2)
    wait_for(lambda: redis.smembers("rq:workers"))


def test_an_idle_worker_goes_on_after_redis_was_away(workers: Workers, valkey: Valkey, notes: Path) -> None:
    worker = workers.start("one")
    doorbell.ring_workers(7)
    wait_for(lambda: lines(notes))
    valkey.stop("immediate")
    time.sleep(2)
    valkey.start()
    assert doorbell.ring_workers(8)
    wait_for(lambda: len(lines(notes)) == 2)
    assert worker.is_alive()


def test_a_slice_goes_on_while_redis_is_away_and_its_worker_afterwards(
    workers: Workers, valkey: Valkey, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"

    def advance(run_id: int, worker: str, deadline: float) -> bool:
        note(notes, "begun")
        wait_for(go.exists)
        note(notes, "ended")
        return True

    monkeypatch.setattr(runner, "advance", advance)
    workers.start("one")
    doorbell.ring_workers(7)
    wait_for(lambda: lines(notes) == ["begun"])
    valkey.stop("immediate")
    try:
        go.touch()
        wait_for(lambda: lines(notes) == ["begun", "ended"])
    finally:
        valkey.start()
    doorbell.ring_workers(8)
    wait_for(lambda: len(lines(notes)) == 4)


def test_a_worker_that_starts_before_redis_waits_for_it(
    workers: Workers, valkey: Valkey, notes: Path
) -> None:
    valkey.stop("immediate")
    try:
        workers.start("one")
    finally:
        valkey.start()
    wait_for(lambda: doorbell.ring_workers(7) and lines(notes))


def test_only_rings_are_performed(workers: Workers, redis: Redis, notes: Path, tmp_path: Path) -> None:
    workers.start("one")
    queue: Queue = doorbell.queue_at(seats.queue_name("one"), redis)
    queue.enqueue("os.mkdir", str(tmp_path / "made by a stranger"))
    doorbell.ring_workers(7)
    wait_for(lambda: lines(notes))
    assert not (tmp_path / "made by a stranger").exists()


# ---- the heartbeat


def test_the_heartbeat_keeps_a_seat_and_gives_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "BEAT_SECONDS", 0.05)
    heartbeat = seats.Heartbeat("one")
    heartbeat.start()
    wait_for(lambda: Seat.objects.filter(name="one").exists())
    first = Seat.objects.get().seen
    wait_for(lambda: Seat.objects.get().seen > first)
    assert (Seat.objects.get().queue, Seat.objects.get().pid) == ("migrator:one", os.getpid())
    heartbeat.leave()
    assert not Seat.objects.exists()


def test_the_heartbeat_outlives_its_database(caplog: pytest.LogCaptureFixture) -> None:
    heartbeat = seats.Heartbeat("one")
    working, heartbeat._params = heartbeat._params, {**heartbeat._params, "port": 1}
    heartbeat.beat()
    heartbeat.beat()
    assert caplog.text.count("cannot be kept") == 1
    heartbeat._params = working
    heartbeat.beat()
    assert Seat.objects.get().name == "one"


def test_no_beat_is_under_way_while_a_worker_forks() -> None:
    heartbeat = seats.Heartbeat("one")
    with heartbeat.beating:
        beat = threading.Thread(target=heartbeat.beat)
        beat.start()
        time.sleep(0.2)
        assert not Seat.objects.exists()
    beat.join()
    assert Seat.objects.exists()
