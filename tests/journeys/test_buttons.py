"""Start twice, pause, resume, cancel, retry: one run, and each button does what it says."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import connections

from jobs.actions import runs
from jobs.actions.start import AlreadyActive
from jobs.models import Run
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.gate import closed_gate, meanwhile, wait_for
from tests.journeys.shop import half_copied
from tests.journeys.world import World, fresh, said, work


@ONE_LAYOUT
def test_the_second_start_is_told_who_started_the_first(shop: World) -> None:
    users = get_user_model().objects
    alice, bob = users.create_user("alice"), users.create_user("bob")
    run = runs.start(shop.mapping, shop.environment, alice)
    with pytest.raises(AlreadyActive, match="alice started it") as refused:
        runs.start(shop.mapping, shop.environment, bob)
    assert refused.value.run == run


@ONE_LAYOUT
def test_ten_starts_at_once_make_one_run(shop: World) -> None:
    gate = threading.Barrier(10)
    outcomes: list[str] = []

    def press() -> None:
        gate.wait()
        try:
            runs.start(shop.mapping, shop.environment, None)
            outcomes.append("started")
        except AlreadyActive:
            outcomes.append("told")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["started"] + ["told"] * 9
    assert work(Run.objects.get()).status == "verified"
    assert shop.complaints() == []


def test_a_paused_run_stays_where_it_is_and_goes_on_when_resumed(shop: World) -> None:
    with half_copied(shop) as run:
        runs.pause(run, None)
    assert work(run).status == "paused"
    assert shop.target("SELECT count(*) FROM crm.sale WHERE is_migrated") == [(50,)]
    runs.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


def test_a_cancelled_run_is_not_worked_on_and_can_be_rolled_back(shop: World) -> None:
    shape = shop.shape()
    with half_copied(shop) as run:
        runs.cancel(run, None)
    assert work(run).status == "cancelled"
    assert shop.target("SELECT count(*) FROM crm.sale WHERE is_migrated") == [(50,)]
    assert shop.rolled_back(run).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]
    assert shop.shape() == shape


@ONE_LAYOUT
def test_a_cancel_ends_the_statement_at_the_server(shop: World) -> None:
    """A worker that waits for a long statement does not leave it running once nobody wants its result."""
    with closed_gate(shop.pair.target, "crm.client", "true") as gate:
        run = shop.start()
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            runs.cancel(fresh(run), None)
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            wait_for(lambda: shop.target(waiting) == [(0,)])
    assert fresh(run).status == "cancelled"
    assert not any("cut in two" in text or "try 1" in text for text in said(run))
    assert shop.target("SELECT count(*) FROM migrator.ledger") == [(0,)]
    assert shop.rolled_back(run).status == "rolled_back"


def test_a_run_after_one_cancelled_before_its_rows_were_linked_is_refused(shop: World) -> None:
    with half_copied(shop) as run:
        runs.cancel(run, None)
    with pytest.raises(Refused, match=f"first roll back run {run.pk}"):
        shop.start()
    assert shop.rolled_back(run).status == "rolled_back"
    assert shop.started().status == "verified"
    assert shop.complaints() == []


def test_a_failed_run_goes_on_when_the_cause_is_mended(shop: World) -> None:
    shop.target("ALTER TABLE crm.sale ADD CONSTRAINT dear CHECK (total < 200)")
    run = shop.started()
    assert run.status == "failed"
    assert "source row 160" in run.error
    assert "dear" in run.error
    shop.target("ALTER TABLE crm.sale DROP CONSTRAINT dear")
    runs.retry(run, None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


@ONE_LAYOUT
def test_a_verified_run_has_nothing_to_retry(shop: World) -> None:
    with pytest.raises(Refused, match="nothing to retry"):
        runs.retry(shop.started(), None)


@ONE_LAYOUT
@pytest.mark.parametrize("button", ["pause", "resume", "cancel"])
def test_a_finished_run_takes_no_button_of_a_running_one(shop: World, button: str) -> None:
    run = shop.started()
    with pytest.raises(Refused, match=f"run {run.pk} is verified"):
        getattr(runs, button)(run, None)
    assert fresh(run).status == "verified"


@ONE_LAYOUT
def test_a_rollback_is_refused_while_the_run_works(shop: World) -> None:
    with half_copied(shop) as run, pytest.raises(Refused, match="is copying and cannot become rolling back"):
        runs.roll_back(run, None)
