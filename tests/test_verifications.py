"""The page and the commands of a mapping's verifications: when the next one is, and what they cost among many."""

from __future__ import annotations

import io
from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.actions import schedules
from jobs.actions.schedules import Wanted
from jobs.models import HistoryEntry, Report, Schedule
from mappings.problems import Refused
from tests import factories, many
from tests.test_pages_at_size import page, queries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.make_user())
    return client


@pytest.mark.parametrize(
    ("daily_at", "now", "then"),
    [
        (time(3), datetime(2026, 3, 1, 2, 59, tzinfo=UTC), datetime(2026, 3, 1, 3, tzinfo=UTC)),
        (time(3), datetime(2026, 3, 1, 3, 0, tzinfo=UTC), datetime(2026, 3, 2, 3, tzinfo=UTC)),
        (time(3), datetime(2026, 12, 31, 23, 0, tzinfo=UTC), datetime(2027, 1, 1, 3, tzinfo=UTC)),
        (None, datetime(2026, 12, 31, 23, 0, tzinfo=UTC), None),
    ],
)
def test_the_next_time_of_day(daily_at: time | None, now: datetime, then: datetime | None) -> None:
    assert schedules._next(Schedule(daily_at=daily_at), now) == then


def test_page_and_command_set_it_and_the_history_says_who(operator: Client) -> None:
    mapping, environment = factories.make_mapping(), factories.make_environment()
    address = f"/mappings/{mapping.name}/verifications/"
    operator.post(f"{address}schedule/", {"env": "staging", "daily": "03:30", "by_hand": "1"})
    kept = Schedule.objects.get()
    assert str(kept) == "daily at 03:30 UTC and after a run by hand" and kept.next_at and kept.look_at
    assert "daily at 03:30 UTC" in page(operator, f"{address}?env=staging")
    for typed in (
        {"hours": "6", "daily": "03:30"},
        {"hours": "0"},
        {"hours": "x"},
        {"daily": "25:00"},
        {"hours": "999"},
    ):
        operator.post(f"{address}schedule/", {"env": "staging", **typed})
    assert str(Schedule.objects.get()) == str(kept)
    call_command(
        "verifications", "schedule", mapping.name, "--env", "staging", "--every", "12", stdout=io.StringIO()
    )
    assert Schedule.objects.get().every_hours == 12
    call_command("verifications", "schedule", mapping.name, "--env", "staging", stdout=io.StringIO())
    assert str(Schedule.objects.get()) == "never" and not schedules.due().exists()
    said = HistoryEntry.objects.filter(kind="schedule").order_by("number").values_list("actor", "text")
    assert said[0] == ("alice", "daily at 03:30 UTC and after a run by hand.") and len(said) == 3
    with pytest.raises(Refused):
        schedules.plan_verifications(mapping, environment, None, Wanted(every_hours=1, daily_at=time(1)))


def test_a_looker_may_not_set_it(client: Client) -> None:
    client.force_login(factories.make_user("looker", operator=False))
    mapping = factories.make_mapping()
    factories.make_environment()
    answer = client.post(
        f"/mappings/{mapping.name}/verifications/schedule/", {"env": "staging", "hours": "1"}
    )
    assert answer.status_code == 403 and not Schedule.objects.exists()


def counted(name: str, number: int) -> dict[str, Any]:
    return {
        "name": name,
        "missing": number % 3,
        "different": 0,
        "extra": 0,
        "source_rows": 1000,
        "target_after": 900,
    }


def test_many_verifications_of_many_tables_cost_few_queries(operator: Client) -> None:
    (revision,), environments = many.make_mappings(1), many.make_environments()
    (run,) = many.make_runs(1, [revision], environments)
    Report.objects.all().delete()
    Report.objects.bulk_create(
        Report(run=run, passed=number % 3 == 0, tables=[counted(f"t{n}", number) for n in range(300)])
        for number in range(120)
    )
    with queries() as asked:
        text = page(operator, "/mappings/m-00000/verifications/?env=local")
    assert len(asked) <= 14 and len(text) < 100_000
    assert "50 of 300 tables" in text and text.count('class="dot ') == 100
