"""Troubles that pass: deadlocks, cut sessions, a full disk: tried again, at most five times, or paused."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from jobs import actions
from tests.journeys.gate import closed_gate, meanwhile
from tests.journeys.shop import half_copied
from tests.journeys.world import World, counts, fresh, said, work

TROUBLE = """
CREATE SEQUENCE public.tries;
CREATE FUNCTION public.trouble() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN IF nextval('public.tries') <= %s THEN RAISE 'trouble' USING ERRCODE = '%s'; END IF; RETURN NULL; END$$;
CREATE TRIGGER trouble AFTER INSERT ON %s EXECUTE FUNCTION public.trouble();
"""
DEADLOCK, SERIALIZATION, DISK_FULL, TOO_MANY_CONNECTIONS = "40P01", "40001", "53100", "53300"


@pytest.mark.parametrize(("sqlstate", "table"), [(DEADLOCK, "crm.client"), (SERIALIZATION, "crm.sale")])
def test_a_chunk_is_tried_again_until_it_goes_through(shop: World, sqlstate: str, table: str) -> None:
    shop.target(TROUBLE % (2, sqlstate, table))
    run = shop.started()
    assert run.status == "verified"
    assert sum(f"SQLSTATE {sqlstate}" in text for text in said(run)) == 2
    assert shop.complaints() == []


def test_a_chunk_that_fails_five_times_fails_the_run(shop: World) -> None:
    shop.target(TROUBLE % (99, SERIALIZATION, "crm.sale"))
    run = shop.started()
    assert run.status == "failed"
    assert "orders, chunk 1 failed 5 times" in run.error
    assert shop.target("SELECT count(*) FROM crm.sale WHERE is_migrated") == [(0,)]


@pytest.mark.parametrize("sqlstate", [DISK_FULL, TOO_MANY_CONNECTIONS])
def test_an_exhausted_server_pauses_the_run_and_resume_goes_on(shop: World, sqlstate: str) -> None:
    shop.target(TROUBLE % (1, sqlstate, "crm.sale"))
    run = shop.started()
    assert run.status == "paused"
    assert f"SQLSTATE {sqlstate}" in run.error
    actions.resume(run, None)
    assert work(run).status == "verified"
    assert shop.complaints() == []


def test_a_terminated_session_loses_nothing(shop: World) -> None:
    run = shop.start()
    with closed_gate(shop.pair.target, "crm.sale", "NEW.total = 31.25") as gate, meanwhile(lambda: work(run)):
        pid = gate.wait_for_somebody()
        with psycopg.connect(shop.pair.target) as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", [pid])
        gate.open()
    assert fresh(run).status == "verified"
    assert any("SQLSTATE 57P01" in text for text in said(run))
    assert shop.complaints() == []


def test_a_chunk_whose_worker_died_just_after_its_commit_is_not_repeated(shop: World) -> None:
    with half_copied(shop) as run:
        actions.pause(run, None)
    orders = run.tables.get(name="orders")
    assert orders.inserted == 50
    # What such a death leaves: the target has the chunk, the control database has heard nothing of its end.
    orders.chunks.update(state="claimed", worker="dead", seen=timezone.now() - timedelta(minutes=1), rows=0)
    run.tables.filter(name="orders").update(inserted=0)
    actions.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert counts(fresh(run))["orders"] == (200, 200)
    assert shop.complaints() == []
