"""Verification by itself: it compares again at its time, tells what drifted, and leaves what is under way alone."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client

from jobs import clock
from jobs.actions import schedules
from jobs.actions.schedules import Wanted
from jobs.models import HistoryEntry, Notice, Schedule, Wish
from jobs.workers import aside
from tests import factories
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, fresh, said, work

pytestmark = pytest.mark.django_db(transaction=True)


def come_round() -> None:
    """The next time has come, and the sweeper asks."""
    Schedule.objects.update(next_at=clock.now() - timedelta(seconds=1))
    aside.SCHEDULES.wake()
    for thread in aside.SCHEDULES.threads:
        thread.join(60)


@ONE_LAYOUT
def test_what_drifts_between_two_looks_is_told_in_numbers(shop: World, client: Client) -> None:
    client.force_login(factories.make_user())
    Wish.objects.create(user=factories.make_user("hanna"), events=["ended", "failed"], ways=["browser"])
    run = shop.started()
    address = f"/mappings/shop/verifications/?env={shop.environment.name}"
    client.post("/mappings/shop/verifications/schedule/", {"env": shop.environment.name, "hours": "6"})
    assert not schedules.begin_next()  # not before its time
    come_round()
    assert fresh(run).status == "verifying" and "The schedule asked for verification." in said(run)
    come_round()
    assert "is verifying; it is tried again soon" in Schedule.objects.get().said
    assert work(run).status == "verified"
    assert [notice.title for notice in Notice.objects.all()] == ["shop in local: verified"]  # once
    shop.target("DELETE FROM crm.sale WHERE source_table_id IN (7, 8)")
    shop.target("UPDATE crm.sale SET total = total + 1 WHERE source_table_id = 9")
    come_round()
    assert work(run).status == "mismatch"
    assert Notice.objects.latest("pk").title == "shop in local: mismatch"
    page = client.get(address).content.decode()
    assert 'aria-label="3 verifications, 2 of them green; the last one found 3 rows wrong"' in page
    drift = page.partition('id="drift"')[2].partition("</section>")[0]
    assert "orders" in drift and "customer" not in drift
    cells = [cell.partition("</td>")[0] for cell in drift.split("<td ")[1:]]
    assert [">2<" in cells[0], ">1<" in cells[1], "-2" in cells[4]] == [
        True
    ] * 3  # missing, different, target rows
    out = io.StringIO()
    call_command("verifications", "list", "shop", "--env", "local", "--format", "json", stdout=out)
    found = json.loads(out.getvalue())
    assert [(one["passed"], one["missing"], one["different"]) for one in found] == [
        (False, 2, 1), (True, 0, 0), (True, 0, 0),
    ]  # fmt: skip
    by_itself = HistoryEntry.objects.filter(verb="verifying", text=schedules.WHY)
    assert by_itself.count() == 2 and {entry.environment for entry in by_itself} == {"local"}


@ONE_LAYOUT
def test_it_says_why_there_is_nothing_to_verify(shop: World) -> None:
    schedules.plan_verifications(shop.mapping, shop.environment, None, Wanted(every_hours=1))
    come_round()
    assert Schedule.objects.get().said == "Nothing is migrated that could be verified."
    run = shop.start()
    run.status = "failed"
    run.save()
    come_round()
    assert "retry it or roll it back" in Schedule.objects.get().said and fresh(run).status == "failed"
