"""Throttles: a run keeps its pace, and waits, saying why, while a stop signal stands; nothing is lost by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from django.core.management import call_command

from jobs.actions import runs
from jobs.models import Run
from jobs.processes import stop_signals
from jobs.reporting import summary
from jobs.running import runner, throttling
from jobs.throttles import NONE, Throttles
from tests.conftest import Databases
from tests.journeys.gate import meanwhile, wait_for
from tests.journeys.stock import open_stock
from tests.journeys.world import NewWorld, World, fresh, said, work

ROWS = 3_000

QUEUES = "SELECT 1 FROM pg_locks WHERE NOT granted AND waitstart < clock_timestamp() - interval '0.3 s'"


@pytest.fixture
def stock(world: World) -> World:
    """Some rows, in one and in two databases."""
    return open_stock(world, rows=ROWS)


@pytest.fixture
def one(new_world: NewWorld) -> World:
    """The same in one database."""
    return open_stock(new_world("one"), rows=ROWS)


def throttled(world: World, **throttles: object) -> Run:
    run = runs.start(world.mapping, world.environment, None, throttles=Throttles(**throttles))  # type: ignore[arg-type]
    run.tables.update(chunk_rows=1_000)
    return run


def moved(world: World) -> int:
    return int(str(world.target("SELECT count(*) FROM thing")[0][0]))


def queued(conn: psycopg.Connection, statement: str) -> None:
    """Waits for its lock, and changes nothing."""
    conn.execute(statement.encode())
    conn.rollback()


def waits(run: Run, because: str) -> None:
    """The run says so, and goes on saying so."""
    wait_for(lambda: because in fresh(run).waits_because)


@contextmanager
def held_back(
    world: World, because: str, release: Callable[[], object], **throttles: object
) -> Iterator[Run]:
    """A run that moves nothing as long as the block, and is verified after it."""
    run = throttled(world, **throttles)
    with meanwhile(partial(work, run)):
        try:
            waits(run, because)
            assert because in summary.text(fresh(run))
            yield run
            assert moved(world) == 0
        finally:
            release()
    assert fresh(run).status == "verified"
    assert fresh(run).waits_because == ""
    assert world.complaints() == []


# ---- pace


def test_rows_a_second_are_kept_by_all_workers_together(stock: World) -> None:
    run = throttled(stock, rows_per_second=1_500)
    began = time.monotonic()
    with meanwhile(partial(work, run, "two")):
        work(run, "one")
    run = fresh(run)
    assert run.status == "verified"
    # 3,000 rows copied and 3,000 compared; only the last chunk of each worker is not waited for.
    assert time.monotonic() - began > (2 * ROWS - 2 * 1_500) / 1_500
    assert stock.complaints() == []


def test_what_is_waited_too_long_is_made_up_for(one: World) -> None:
    run = throttled(one, rows_per_second=1_000)
    session = type("Session", (), {"run": run})
    assert throttling.hold(session) == ""  # type: ignore[arg-type]
    for _ in range(3):
        throttling.pay(run, 1_000)
    owed = "extract(epoch FROM paced_until - now())"
    assert 2.5 < float(Run.objects.extra(select={"owed": owed}).get(pk=run.pk).owed) <= 3
    assert "1,000 rows a second" in throttling.hold(session)  # type: ignore[arg-type]


def test_a_pause_is_made_after_each_chunk(one: World) -> None:
    run = throttled(one, pause_between_chunks=0.5)
    began = time.monotonic()
    assert work(run).status == "verified"
    chunks = sum(table.chunks.count() for table in run.tables.all())
    assert time.monotonic() - began > (chunks - 1) * 0.5


# ---- stop signals


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_query_holds_the_run(stock: World, side: str) -> None:
    getattr(stock, side)("CREATE TABLE busy AS SELECT 'the nightly batch is running' AS text")
    with held_back(
        stock,
        "waiting because the nightly batch is running",
        lambda: getattr(stock, side)("DELETE FROM busy"),
        **{f"{side}_query": "SELECT text FROM busy"},
    ):
        pass


@pytest.mark.parametrize(
    ("query", "because"),
    [
        ("SELECT true", "the query on the target says so"),
        ("SELECT nothing", 'the query on the target failed: column "nothing" does not exist'),
        ("SELECT 1; DROP TABLE thing", "cannot insert multiple commands into a prepared statement"),
        ("DELETE FROM thing", "the query on the target is not one SELECT: it may only read"),
        ("SELECT pg_sleep(60)", "canceling statement due to statement timeout"),
        ("SELECT 42", "answers 42; it must answer a boolean or a text"),
    ],
)
def test_what_a_query_may_answer(one: World, query: str, because: str) -> None:
    run = throttled(one, target_query=query)
    with meanwhile(partial(work, run)):
        waits(run, because)
        assert moved(one) == 0
        runs.throttle(fresh(run), None, NONE)
    assert fresh(run).status == "verified"


@pytest.mark.parametrize("answer", ["SELECT false", "SELECT NULL", "SELECT ''", "SELECT true WHERE false"])
def test_a_query_that_does_not_say_wait_holds_nobody(one: World, answer: str) -> None:
    assert work(throttled(one, source_query=answer)).status == "verified"


def test_busy_sessions_hold_the_run(stock: World) -> None:
    with psycopg.connect(stock.pair.target, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(1)")
        with psycopg.connect(stock.pair.target, autocommit=True) as busy:
            sleeper = partial(busy.execute, "SELECT pg_advisory_lock(1)")
            with (
                meanwhile(sleeper),
                held_back(
                    stock,
                    "1 other sessions are active in the target, more than 0",
                    lambda: conn.execute("SELECT pg_advisory_unlock(1)"),
                    active_sessions=0,
                ),
            ):
                pass


@pytest.mark.parametrize(
    "waiter",
    ["LOCK TABLE thing IN SHARE ROW EXCLUSIVE MODE", "UPDATE thing SET label = 'x' WHERE number = -1"],
)
def test_a_queue_for_locks_holds_the_run(one: World, waiter: str) -> None:
    one.started()
    one.target("INSERT INTO thing (number) VALUES (-1)")
    one.source("INSERT INTO item SELECT n, n, 'late' FROM generate_series(4000, 4010) n")
    with psycopg.connect(one.pair.target) as holder, psycopg.connect(one.pair.target) as other:
        holder.execute("UPDATE thing SET label = 'held' WHERE number = -1")
        with meanwhile(lambda: queued(other, waiter)):
            try:
                wait_for(lambda: one.target(QUEUES))  # else a quick worker finds nobody, and is done
                run = throttled(one, lock_wait_seconds=0.2)
                with meanwhile(partial(work, run)):
                    try:
                        waits(run, "for a lock on public.thing, longer than 0.2 s")
                        assert moved_too(one) == 0
                    finally:
                        holder.rollback()
            finally:
                holder.rollback()
    assert fresh(run).status == "verified"


def moved_too(world: World) -> int:
    """As `moved`, for those who cannot wait for the table's lock: what the ledger says."""
    (count,) = world.target(
        "SELECT count(*) FROM migrator.ledger WHERE run > (SELECT min(run) FROM migrator.ledger)"
    )[0]
    return int(str(count))


def test_without_replicas_no_lag_holds_the_run(one: World) -> None:
    run = throttled(one, replication_lag_seconds=0, replication_lag_bytes=0)
    assert work(run).status == "verified"


def test_the_signals_are_looked_up_once_a_second_for_all_workers(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    look = throttling._look

    def counted(*args: object) -> str:
        looks.append(time.monotonic())
        return look(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(throttling, "_look", counted)
    run = throttled(one, target_query="SELECT true")
    with meanwhile(partial(work, run, "one")), meanwhile(partial(work, run, "two")):
        wait_for(lambda: len(looks) == 3)
        runs.throttle(fresh(run), None, NONE)
    assert looks[2] - looks[0] >= 2


# ---- under way


def test_throttles_are_set_and_taken_away_by_command_while_the_run_goes_on(
    stock: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run = throttled(stock)
    call_command("run", "throttle", str(run.pk), "--rows-per-second", "1", "--target-query", "SELECT true")
    with meanwhile(partial(work, run)):
        waits(run, "the query on the target says so")
        call_command("run", "status", str(run.pk))
        call_command("run", "throttle", str(run.pk), "--target-query", "off", "--rows-per-second", "off")
    assert fresh(run).status == "verified"
    printed = capsys.readouterr().out
    assert f"Run {run.pk}: it moves 1 rows a second; it waits while “SELECT true” says so" in printed
    assert "waiting because the query on the target says so" in printed
    assert f"Run {run.pk}: it is not throttled." in printed
    assert "The run is no longer throttled." in said(run)
    assert stock.complaints() == []


@pytest.mark.parametrize(("button", "status"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_button_takes_effect_at_once_while_the_run_waits(one: World, button: str, status: str) -> None:
    run = throttled(one, target_query="SELECT true")
    with meanwhile(partial(work, run)) as worker:
        waits(run, "says so")
        getattr(runs, button)(fresh(run), None)
        worker.join(5)
        assert not worker.is_alive()
    assert fresh(run).status == status


def test_a_deploy_ends_a_slice_that_waits(one: World) -> None:
    run = throttled(one, target_query="SELECT true")
    with meanwhile(lambda: runner.advance(run.pk, "tester", time.monotonic() + 60)) as worker:
        waits(run, "says so")
        stop_signals.request()
        worker.join(5)
        assert not worker.is_alive()
    assert fresh(run).status == "copying"


def test_a_slice_that_waits_gives_its_worker_to_another_run(one: World, databases: Databases) -> None:
    waiting = throttled(one, target_query="SELECT true")
    assert runner.advance(waiting.pk, "tester", time.monotonic() + 2)
    other = open_stock(World(databases.pair("one"), "elsewhere"), rows=100)
    began, run = time.monotonic(), other.start()
    assert runner.advance(waiting.pk, "tester", time.monotonic() + 60)
    assert time.monotonic() - began < 20
    assert work(run).status == "verified"


def test_a_rollback_keeps_the_pace_too(one: World) -> None:
    run = throttled(one)
    assert work(run).status == "verified"
    runs.throttle(fresh(run), None, Throttles(target_query="SELECT true"))
    runs.roll_back(fresh(run), None)
    with meanwhile(partial(work, run)):
        waits(run, "says so")
        assert moved(one) == ROWS
        runs.throttle(fresh(run), None, NONE)
    assert fresh(run).status == "rolled_back"
