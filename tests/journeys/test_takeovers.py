"""Who takes a run over: what the one before held is ended, and shut out of both databases."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from jobs import transitions
from jobs.actions import runs
from jobs.engine.errors import EngineError, Exhausted, Fenced, StepFailed
from jobs.engine.target import ledger
from jobs.models import Run, TableRun
from jobs.processes import seats
from jobs.running import claims, runner
from jobs.running import prepare as preparing
from jobs.running.session import Pulse, Session, opened
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.stock import paused_half_way
from tests.journeys.world import World, fresh, said, work


@pytest.fixture
def paused(stock: World) -> Run:
    return paused_half_way(stock)


@pytest.fixture
def two(paused: Run) -> Iterator[tuple[Session, Session]]:
    """The sessions of two workers with one run. PostgreSQL keeps no ü in the name of a session."""
    with opened(fresh(paused), "früher") as first, opened(fresh(paused), "second") as second:
        yield first, second


def fall_silent(run: Run) -> None:
    """As if the holder of the lease had died."""
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_lease_is_had_by_one_until_it_falls_silent(two: tuple[Session, Session], paused: Run) -> None:
    first, second = two
    assert first.lease()
    assert first.lease()
    assert not second.lease()
    fall_silent(paused)
    assert second.lease()
    with pytest.raises(psycopg.OperationalError):
        first.target.execute("SELECT 1")
    with pytest.raises(Fenced, match="taken the run over"), first.alone():
        raise AssertionError("two are alone")
    with second.alone():
        pass


@ONE_LAYOUT
def test_what_a_dead_worker_leased_is_free_at_once(two: tuple[Session, Session]) -> None:
    first, second = two
    assert first.lease()
    seats.abandon_claims("früh")
    assert not second.lease()
    seats.abandon_claims("früher")
    assert second.lease()
    with pytest.raises(psycopg.OperationalError):
        first.target.execute("SELECT 1")


def test_a_lease_that_was_given_back_ends_nobodys_session(two: tuple[Session, Session]) -> None:
    first, second = two
    assert first.lease()
    first.release()
    assert second.lease()
    first.target.execute("SELECT 1")


@ONE_LAYOUT
def test_a_claim_is_dated_by_the_databases_clock(
    two: tuple[Session, Session], paused: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts need not agree on the time: the claim of one that is slow is no older, a pause of one ahead no longer."""
    first, second = two
    for hours in (-1, 1):
        shifted = timezone.now() + timedelta(hours=hours)
        monkeypatch.setattr(timezone, "now", lambda: shifted)  # noqa: B023 (used before the next round)
        (judged,) = claims.surveyed(paused)
        chunk = claims.claim(first, judged)
        assert chunk
        assert claims.claim(second, judged) != chunk
        assert claims.try_later(first, chunk, "a trouble", ended=True)
        monkeypatch.undo()
        chunk.refresh_from_db()
        assert chunk.not_before
        assert chunk.not_before - timezone.now() < timedelta(seconds=20)
        paused.tables.get().chunks.update(not_before=None)


@pytest.mark.faults
@ONE_LAYOUT
def test_a_worker_frozen_in_the_middle_of_a_claim_holds_nobody_up_for_long(stock: World, paused: Run) -> None:
    begun, thawed = threading.Event(), threading.Event()

    def freeze() -> None:
        with (
            suppress(DatabaseError),
            opened(fresh(paused), "frozen"),
            transaction.atomic(),
        ):
            TableRun.objects.select_for_update().get(run=paused)
            begun.set()
            thawed.wait()

    with meanwhile(freeze):
        begun.wait()
        since = time.monotonic()
        runs.resume(paused, None)
        while fresh(paused).status != "verified":  # a lock is waited for in vain, and the slice ends
            with suppress(DatabaseError):
                work(paused)
        assert time.monotonic() - since < 15
        thawed.set()
    assert stock.complaints() == []


def test_a_start_after_a_cancel_shuts_the_last_chunk_of_the_cancelled_run_out(
    stock: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that commits before is seen, what it would commit afterwards is not written."""
    # On a slow machine the cancelled run's worker would end its own statement before the other one begins.
    monkeypatch.setattr(Pulse, "_end_statements", lambda pulse: None)
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'migrator %' AND wait_event_type = 'Lock'"
    )
    with closed_gate(stock.pair.target, "thing", "NEW.number = 1000") as gate:
        cancelled = stock.start()
        with meanwhile(lambda: work(cancelled)):
            gate.wait_for_somebody()
            runs.cancel(fresh(cancelled), None)
            run = stock.start()
            with meanwhile(lambda: work(run, "another")):
                wait_for(lambda: len(stock.target(waiting)) > 1)
                gate.open()
    assert fresh(run).status == "verified"
    assert stock.complaints() == []


@ONE_LAYOUT
def test_a_target_that_was_set_back_fails_the_run_with_the_reason(stock: World, paused: Run) -> None:
    stock.target("UPDATE migrator.run SET epoch = epoch - 1")
    runs.resume(paused, None)
    run = work(paused)
    assert run.status == "failed"
    assert "set back to an earlier state" in run.error
    assert stock.rolled_back(run).status == "rolled_back"


@ONE_LAYOUT
def test_a_run_number_that_another_installation_took_fails_the_run(stock: World) -> None:
    run = stock.start()
    with psycopg.connect(stock.pair.target, autocommit=True) as conn:
        ledger.install(conn)
        ledger.enter(conn, run.pk, uuid.uuid4(), "theirs", "", "theirs")
    assert work(run).status == "failed"
    assert "belongs to another installation" in fresh(run).error
    assert stock.started().status == "verified"


@ONE_LAYOUT
@pytest.mark.parametrize("trouble", [StepFailed, Exhausted])
def test_a_worker_that_stops_while_somebody_moves_the_run_leaves_it_as_it_is(
    stock: World, monkeypatch: pytest.MonkeyPatch, trouble: type[EngineError]
) -> None:
    run = stock.start()
    as_it_was = fresh(run)

    def prepare(session: Session) -> bool:
        runs.cancel(fresh(run), None)
        raise trouble("no way")

    monkeypatch.setattr(preparing, "prepare", prepare)
    monkeypatch.setattr(runner, "_load", lambda _: as_it_was)
    assert not runner.advance(run.pk, "late", time.monotonic() + 60)
    assert fresh(run).status == "cancelled"


@ONE_LAYOUT
def test_a_preparation_is_done_as_a_whole_or_not_at_all(
    stock: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a worker that was frozen at its end cannot let a run go that another prepares anew."""
    run, move = stock.start(), transitions.move

    def overtaken(run: Run, to: str, *args: Any, **options: Any) -> None:
        if to == "copying":
            raise transitions.Overtaken
        move(run, to, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(transitions, "move", overtaken)
        assert runner.advance(run.pk, "frozen", time.monotonic() + 60)
    assert [(table.upper, table.target_before) for table in run.tables.all()] == [(None, 0)]
    assert work(run).status == "verified"


def test_a_takeover_that_died_between_the_databases_does_not_shut_everybody_out(
    stock: World, paused: Run
) -> None:
    stock.target("UPDATE migrator.run SET epoch = epoch + 1")
    runs.resume(paused, None)
    assert work(paused).status == "verified"
    assert sum("nothing was written" in text for text in said(paused)) == 1
    assert stock.complaints() == []
