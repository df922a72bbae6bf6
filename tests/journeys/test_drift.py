"""Tables that change between the plan and the worker: nothing is done, and the difference is said."""

from __future__ import annotations

import psycopg
import pytest

from jobs.actions import runs
from jobs.running import prepare
from jobs.running.session import Session
from mappings.plan.model import Plan
from mappings.planning.drift import drift
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.shop import open_shop
from tests.journeys.world import NewWorld, World, counts, fresh, work


def test_a_change_after_the_start_stops_the_worker_before_it_writes(shop: World) -> None:
    run = shop.start()
    shop.target("ALTER TABLE crm.client ALTER COLUMN email TYPE varchar(150), ADD COLUMN note text")
    before = shop.shape()
    run = work(run)
    assert run.status == "failed"
    assert run.error == (
        "the tables changed after the plan was made:"
        " target crm.client, column email: was character varying(200), is character varying(150);"
        " target crm.client, column note: was not there, is text"
    )
    assert shop.shape() == before
    assert shop.target("SELECT count(*) FROM crm.client") == [(1,)]


def test_once_the_tables_are_as_they_were_the_run_can_go_on(shop: World) -> None:
    run = shop.start()
    shop.source("ALTER TABLE legacy.orders ADD COLUMN note text")
    assert work(run).status == "failed"
    shop.source("ALTER TABLE legacy.orders DROP COLUMN note")
    runs.retry(fresh(run), None)
    assert work(run).status == "verified"
    assert counts(run) == {"customer": (48, 48), "orders": (200, 200)}
    assert shop.complaints() == []


@ONE_LAYOUT
def test_a_reviewed_plan_tells_what_changed_since(shop: World) -> None:
    run = shop.start()
    plan = Plan.from_json(run.plan)
    assert drift(plan, run.revision, shop.environment) == []
    shop.target("DROP TABLE crm.sale")
    (problem,) = drift(plan, run.revision, shop.environment)
    assert str(problem) == (
        "the tables changed after the plan was made: target crm.sale, table: was table, is not there"
    )


OTHER = """
version: 1
name: other
tables: [{source: legacy.customer, target: crm.client, columns: {full_name: name}}]
"""


@ONE_LAYOUT
def test_a_source_id_that_another_mapping_took_meanwhile_is_not_shared(shop: World) -> None:
    """Else the rows of one would count as those of the other."""
    run = shop.start()
    plan = Plan.from_json(run.plan)
    shop.define(OTHER)
    other = work(shop.start())
    assert other.status == "verified"
    (problem,) = drift(plan, run.revision, shop.environment)
    assert "crm.client.source_table_id belongs to mapping other by now" in str(problem)
    before = shop.shape()
    run = work(run)
    assert run.status == "failed" and "belongs to mapping other" in run.error
    assert shop.shape() == before
    runs.roll_back(other, None)
    assert work(other).status == "rolled_back"
    runs.retry(fresh(run), None)
    assert work(run).status == "verified"


@ONE_LAYOUT
def test_a_source_id_that_another_mapping_takes_in_the_same_moment_is_not_shared(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, check = shop.start(), prepare._check_plan
    shop.define(OTHER)
    second = shop.start()

    def check_and_be_overtaken(session: Session) -> None:
        check(session)
        if session.run.pk == first.pk:
            assert work(second).status == "verified"

    monkeypatch.setattr(prepare, "_check_plan", check_and_be_overtaken)
    overtaken = work(first)
    assert overtaken.status == "failed" and "belongs to mapping other by now" in overtaken.error
    assert counts(second) == {"customer": (54, 54)}
    assert shop.target("SELECT count(*) FROM crm.client WHERE source_table_id IS NOT NULL") == [(54,)]


@ONE_LAYOUT
def test_many_changes_are_counted(shop: World) -> None:
    run = shop.start()
    shop.target(
        "ALTER TABLE crm.sale ADD a int, ADD b int, ADD c int, ADD d int, ADD e int, ADD f int, ADD g int"
    )
    assert work(run).error.endswith("column e: was not there, is integer; and 2 more")


GENERATED = "ALTER TABLE crm.sale ADD COLUMN gross numeric GENERATED ALWAYS AS (total * 1.2) STORED"


def test_who_locks_a_table_is_named_before_the_start_and_after_it(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LOOKS", 1)
    shop = open_shop(new_world("two"))
    shop.target(GENERATED)
    run = shop.start()
    with psycopg.connect(shop.pair.target) as other:
        other.execute("LOCK TABLE crm.sale IN ACCESS EXCLUSIVE MODE")
        who = f"the tables cannot be looked at: crm.sale is locked by pid {other.info.backend_pid}, user "
        with pytest.raises(Refused) as refused:
            runs.review(shop.mapping, shop.environment)
        assert str(refused.value).startswith(who)
        failed = work(run)
        assert (failed.status, failed.error.startswith(who)) == ("failed", True), failed.error
    runs.retry(fresh(run), None)
    assert work(run).status == "verified"
