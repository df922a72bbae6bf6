"""Reviews that take long: a worker makes the plan, the page tells how far it is, and what was reviewed is started."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from jobs.actions import reviews, runs
from jobs.models import Review, Run
from jobs.pages import health
from jobs.processes import doorbell
from jobs.workers import sweeper
from mappings.plan.model import Plan
from mappings.planning import live_databases
from mappings.planning.live_databases import connected
from mappings.planning.planner import Planning, make_plan
from mappings.store import revision_spec
from tests import factories
from tests.conftest import Databases
from tests.journeys.world import World, execute, work

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, START = "/mappings/crm/review/", "/mappings/crm/start/"
MAPPING = """
version: 1
name: crm
tables: [{source: public.item, target: public.thing, columns: {id: id, name: name}}]
"""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has to be measured takes too long for the page."""
    health.forget()
    monkeypatch.setattr(reviews, "QUICK", 0.0)


@pytest.fixture
def world(databases: Databases) -> World:
    made = World(databases.pair("two"))
    made.source(
        "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'abcdef')"
    )
    made.target("CREATE TABLE thing (id int PRIMARY KEY, name varchar(5))")
    made.define(MAPPING)
    return made


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.make_user())
    return client


def live(client: Client, review: Review) -> Any:
    return client.get(f"/reviews/{review.pk}/live/")


def test_the_page_opens_at_once_and_the_plan_follows(world: World, operator: Client) -> None:
    page = operator.get(PAGE).content.decode()
    review = Review.objects.get()
    assert "Waiting for a worker" in page and "No worker is running." in page and START not in page
    assert f"/reviews/{review.pk}/live/" in page and 'hx-trigger="every 1s"' in page
    assert "What is known so far, by estimates" in page and "Not measured yet: <code>item</code>" in page
    assert "about 2 rows" not in page and "Widen public.thing.name" not in page, "nobody has looked at a row"
    assert live(operator, review).status_code == 200
    operator.get(PAGE)
    assert Review.objects.count() == 1, "a second look waits for the same plan"
    reviews.work("tester")
    done = live(operator, review)
    assert (done.status_code, done.headers["HX-Refresh"]) == (286, "true")
    page = operator.get(PAGE).content.decode()
    assert "Widen public.thing.name" in page and f'name="review" value="{review.pk}"' in page
    assert "Measure again" in page


READS = (
    "SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_all_tables"
    " WHERE schemaname = 'public' AND relname IN ('item', 'thing')"
)


def test_estimates_read_no_table_and_are_called_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with connected(world.environment) as found:
        spec = revision_spec(world.mapping.latest_revision)  # type: ignore[arg-type]
        before = [read(side) for side in (found.source, found.target)]
        plan = Planning(spec, found, most=0.0, estimate=True).plan(1, "0" * 64, "local")
        assert [read(side) for side in (found.source, found.target)] == before
    assert (plan.unmeasured, plan.estimated, plan.measures) == (("item",), ("item",), ())
    call_command("mapping", "plan", "crm", "--env", "local", "--estimate")
    text = capsys.readouterr().out
    assert "Not measured yet: item." in text and " rows, by the server's statistics" in text
    call_command("mapping", "plan", "crm", "--env", "local", "--format", "json")
    measured = json.loads(capsys.readouterr().out)
    assert (measured["unmeasured"], measured["estimated"], measured["tables"][0]["estimate"]) == ([], [], 2)


def read(conn: psycopg.Connection[Any]) -> int:
    """How often the tables were read up to now, in this session or before."""
    conn.execute("SELECT pg_stat_force_next_flush()")
    row = conn.execute(READS.encode()).fetchone()
    assert row is not None
    return int(row[0] or 0)


def test_what_takes_longer_than_a_statement_may_is_estimated_and_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.source("INSERT INTO item SELECT n, 'abcdef' FROM generate_series(3, 500) n; ANALYZE item")
    world.define(MAPPING.replace("name: name", "name: {expr: 'md5(repeat(name, 10000000))'}"))
    monkeypatch.setattr(live_databases, "PLANNING_TIMEOUT_MS", 3_000)  # to measure takes minutes
    plan = runs.review(world.mapping, world.environment)
    assert plan.unmeasured == plan.estimated == ("item",)
    assert plan.tables[0].feed.estimate == 500
    assert "could not be measured in the time" in " ".join(map(str, plan.warnings))


def test_what_was_reviewed_is_what_runs(
    world: World, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.get(PAGE)
    reviews.work("tester")
    review = Review.objects.get()
    monkeypatch.setattr("jobs.actions.runs.make_plan", lambda *_, **__: pytest.fail("measured again"))
    world.source("INSERT INTO item VALUES (3, repeat('x', 999))")
    operator.post(START, {"env": "local", "revision": "1", "review": review.pk})
    run = Run.objects.get()
    assert run.plan and review.plan
    assert {**run.plan, "next_run": 0} == {**review.plan, "next_run": 0}
    run = work(run)
    assert run.status == "failed" and run.error.startswith("item: source row 3, column name, ")
    assert world.target("SELECT max(length(name)) FROM thing WHERE is_migrated") in ([(6,)], [(None,)])


CHANGES = {
    "a changed table": "ALTER TABLE thing ALTER name TYPE varchar(9)",
    "a dropped table": "DROP TABLE thing",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_of_other_tables_is_not_started(world: World, operator: Client, change: str) -> None:
    operator.get(PAGE)
    reviews.work("tester")
    execute(world.pair.target, CHANGES[change])
    response = operator.post(START, {"env": "local", "review": Review.objects.get().pk}, follow=True)
    page = response.content.decode()
    assert "The tables changed after the plan was made: target public.thing, " in page
    assert not Run.objects.exists()
    assert "Waiting for a worker" in page or "there is no table public.thing" in page, "it is made anew"


def test_an_old_plan_is_not_started(world: World, operator: Client) -> None:
    operator.get(PAGE)
    reviews.work("tester")
    Review.objects.update(created=timezone.now() - timedelta(hours=5))
    response = operator.post(START, {"env": "local", "review": Review.objects.get().pk}, follow=True)
    assert "too old by now" in response.content.decode() and not Run.objects.exists()
    assert Review.objects.filter(state="waiting").count() == 1, "the page asks for a new one"


def test_a_review_that_nobody_knows_is_not_started(world: World, operator: Client) -> None:
    for number in ("77", "x"):
        response = operator.post(START, {"env": "local", "review": number}, follow=True)
        assert "too old by now" in response.content.decode() and not Run.objects.exists()


def test_the_page_tells_which_table_is_measured(
    world: World, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def slow(revision: Any, environment: Any, tables: Any, tell: Any, safe: bool) -> Plan:
        tell("public.item", 3, 7)
        seen.append(live(operator, Review.objects.get()).content.decode())
        return make_plan(revision, environment, tables, tell, safe=safe)

    monkeypatch.setattr(reviews, "make_plan", slow)
    operator.get(PAGE)
    reviews.work("tester")
    assert "<code>public.item</code>" in seen[0] and "3 of 7\xa0tables done" in seen[0]
    assert Review.objects.get().state == "done"


def test_measure_again_and_a_failure_is_told(world: World, operator: Client) -> None:
    operator.get(PAGE)
    reviews.work("tester")
    operator.get(PAGE, {"anew": "1"})
    assert [review.state for review in Review.objects.all()] == ["waiting", "done"]
    world.environment.target_url = world.environment.target_url.replace("t_", "gone_")
    world.environment.save()
    reviews.work("tester")
    page = operator.get(PAGE).content.decode()
    assert (
        "The plan could not be made." in page and "no database of that name" in page and "Try again" in page
    )


def test_the_sweeper_rings_for_reviews_whose_worker_is_gone(
    world: World, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []

    def ring(number: int, **_: object) -> bool:
        rung.append(number)
        return True

    monkeypatch.setattr(doorbell, "ring_workers", ring)
    operator.get(PAGE)
    sweeper.sweep()
    Review.objects.update(state="measuring", worker="somebody", seen=timezone.now())
    sweeper.sweep()
    assert rung == [doorbell.REVIEWS, doorbell.REVIEWS], (
        "once on asking, once by the sweeper, none while it is worked on"
    )
    Review.objects.update(seen=timezone.now() - timedelta(minutes=1))
    sweeper.sweep()
    assert len(rung) == 3
    reviews.work("another")
    assert Review.objects.get().state == "done"


def test_a_worker_that_lost_its_review_writes_nothing(
    world: World, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frozen(revision: Any, environment: Any, tables: Any, tell: Any, safe: bool) -> Plan:
        Review.objects.update(worker="another")
        tell("public.item", 0, 1)
        raise AssertionError("went on")

    monkeypatch.setattr(reviews, "make_plan", frozen)
    operator.get(PAGE)
    reviews.work("tester")
    review = Review.objects.get()
    assert (review.state, review.worker, review.plan) == ("measuring", "another", None)


def test_nothing_to_measure_needs_no_worker(world: World, operator: Client) -> None:
    world.define(MAPPING.replace(", name: name", ""))
    assert START in operator.get(PAGE).content.decode()
    assert Review.objects.get().state == "done"


def test_strangers_stop_polling(world: World, operator: Client, client: Client) -> None:
    operator.get(PAGE)
    review = Review.objects.get()
    client.logout()
    assert live(client, review).status_code == 286
