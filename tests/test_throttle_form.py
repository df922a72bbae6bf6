"""The form of throttles on a run's page: sets them, says what makes no sense, and keeps SQL for those who may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from jobs import states
from jobs.actions import runs
from jobs.models import Run
from tests import factories, plans
from tests.answers import Answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def operator(client: Client) -> Client:
    """May operate runs, and change environments."""
    user = factories.make_user()
    user.user_permissions.add(Permission.objects.get(codename="change_environment"))
    client.force_login(user)
    return client


@pytest.fixture
def run() -> Run:
    return factories.make_run(states.COPYING)


def post(client: Client, run: Run, form: dict[str, str], **headers: str) -> Answer:
    return client.post(reverse("jobs:throttle", args=[run.pk]), form, **headers)  # type: ignore[arg-type]


def in_force(run: Run) -> dict[str, object]:
    run.refresh_from_db()
    return dict(run.throttles)


def test_the_form_sets_throttles_and_comes_back(operator: Client, run: Run) -> None:
    response = post(operator, run, {"rows_per_second": "500", "target_query": "SELECT true"})
    assert response.headers["Location"] == reverse("jobs:run", args=[run.pk])
    assert in_force(run) == {"rows_per_second": 500, "target_query": "SELECT true"}
    (event,) = run.events.filter(text__startswith="The run is throttled")
    assert event.actor
    page = operator.get(reverse("jobs:run", args=[run.pk])).content.decode()
    assert "It moves 500 rows a second." in page
    assert 'value="500"' in page


def test_htmx_gets_that_part_of_the_page_alone(operator: Client, run: Run) -> None:
    part = post(operator, run, {"pause_between_chunks": "2"}, **HTMX).content.decode()
    assert "It pauses 2 s after each chunk." in part
    assert "<html" not in part
    assert "<details" in part and "open>" not in part


def test_what_makes_no_sense_is_said_beside_its_field_and_nothing_is_set(operator: Client, run: Run) -> None:
    part = post(
        operator, run, {"rows_per_second": "many", "pause_between_chunks": "1"}, **HTMX
    ).content.decode()
    assert "&#x27;many&#x27; is not a whole number." in part
    assert 'value="many"' in part and " open>" in part
    assert in_force(run) == {}
    response = post(operator, run, {"rows_per_second": "many"})
    assert [str(each) for each in get_messages(response.wsgi_request)] == [
        "rows_per_second: 'many' is not a whole number"
    ]


def test_an_empty_field_takes_a_throttle_away(operator: Client, run: Run) -> None:
    post(operator, run, {"rows_per_second": "500"})
    post(operator, run, {"rows_per_second": ""})
    assert in_force(run) == {}
    assert run.events.filter(text="The run is no longer throttled.").count() == 1


def test_a_query_is_for_those_who_may_change_environments(client: Client, run: Run) -> None:
    client.force_login(factories.make_user())
    post(client, run, {"rows_per_second": "5", "source_query": "SELECT secret FROM accounts"})
    assert in_force(run) == {"rows_per_second": 5}
    assert "readonly" in client.get(reverse("jobs:run", args=[run.pk])).content.decode()


def test_what_another_set_as_a_query_stays(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(throttles={"source_query": "SELECT true"})
    client.force_login(factories.make_user())
    post(client, run, {"rows_per_second": "5", "source_query": ""})
    assert in_force(run) == {"source_query": "SELECT true", "rows_per_second": 5}


def test_who_may_only_look_sees_the_throttles_and_no_form(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(throttles={"rows_per_second": 7})
    client.force_login(factories.make_user("victor", operator=False))
    page = client.get(reverse("jobs:run", args=[run.pk])).content.decode()
    assert "It moves 7 rows a second." in page
    assert 'name="rows_per_second"' not in page
    assert post(client, run, {"rows_per_second": "9"}).status_code == 403


def test_a_rolled_back_run_takes_no_throttles(operator: Client) -> None:
    run = factories.make_run(states.ROLLED_BACK)
    response = post(operator, run, {"rows_per_second": "9"})
    assert "nothing left to throttle" in str(next(iter(get_messages(response.wsgi_request))))


def test_the_page_says_what_the_run_waits_for(operator: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(waiting_for="the nightly batch is running")
    page = operator.get(reverse("jobs:run", args=[run.pk])).content.decode()
    assert "Waiting because the nightly batch is running." in page


def test_a_run_is_throttled_from_its_start(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping, environment = factories.make_mapping(), factories.make_environment()
    given: list[object] = []

    def start(*args: object, throttles: object, safe: bool) -> Run:
        given.append(throttles)
        return factories.make_run(states.QUEUED)

    monkeypatch.setattr(runs, "start", start)
    monkeypatch.setattr(runs, "review", lambda *_: plans.make_plan())
    path = reverse("jobs:review", args=[mapping.name])
    assert 'name="rows_per_second"' in operator.get(path, {"env": environment.name}).content.decode()
    operator.post(
        reverse("jobs:start", args=[mapping.name]),
        {"env": environment.name, "rows_per_second": "12", "lock_wait_seconds": ""},
    )
    assert [each.to_json() for each in given] == [{"rows_per_second": 12}]  # type: ignore[attr-defined]
