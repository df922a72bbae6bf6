"""The pages and their buttons: each works, rejects GET, sends strangers to sign in, refuses the wrong role."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import states
from jobs.actions import runs
from jobs.actions.rollbacks import Against
from jobs.models import Chunk, Report, Run, Seat, TableRun
from jobs.pages import health
from jobs.reporting import hashes
from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused
from mappings.store import save_spec
from tests import factories, plans
from tests.answers import Answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]

RUN_BUTTONS = ["pause", "resume", "cancel", "retry", "repair", "verify", "roll_back"]
Calls = list[tuple[str, dict[str, Any]]]
PLAIN = ["/", "/runs/", "/promotion/", "/mappings/crm-merge/review/", "/mappings/crm-merge/revisions/"]
PAGES = [
    "run",
    "live",
    "report",
    "report-json",
    "differences",
    "repair-rows",
    "row",
    "quarantine",
    "rollback",
]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.make_user())
    return client


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The actions do nothing but write down that they were called."""
    calls: Calls = []

    def stand_in(name: str) -> Callable[..., Any]:
        def action(*args: Any, **kwargs: Any) -> Any:
            calls.append((name, kwargs))
            return Run.objects.first()

        return action

    for name in (*RUN_BUTTONS, "start"):
        monkeypatch.setattr(runs, name, stand_in(name))
    monkeypatch.setattr(runs, "rollback_against", lambda run, *_: Against())
    monkeypatch.setattr(runs, "review", lambda *_: plans.make_plan())
    return calls


def refuse(*args: Any, **kwargs: Any) -> None:
    raise Refused([Problem("", "run 1 is verified and cannot become that")])


def said(response: Answer) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


@pytest.mark.parametrize("name", RUN_BUTTONS)
class TestButtonsOfARun:
    def test_works(self, name: str, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.COPYING)
        response = operator.post(reverse(f"jobs:{name}", args=[run.pk]))
        assert response.status_code == 302
        assert response.headers["Location"] == reverse("jobs:run", args=[run.pk])
        assert [call for call, _ in called] == [name]

    def test_rejects_get(self, name: str, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.COPYING)
        response = operator.get(reverse(f"jobs:{name}", args=[run.pk]))
        assert response.status_code == 405 and response.headers["Allow"] == "POST"
        assert "belongs to a button" in response.content.decode()
        assert called == []

    def test_sends_a_stranger_to_sign_in(self, name: str, client: Client, called: Calls) -> None:
        """And back to the page of the button afterwards: at its address there is nothing to see."""
        run = factories.make_run(states.COPYING)
        button = reverse(f"jobs:{name}", args=[run.pk])
        response = client.post(button)
        assert response.headers["Location"] == f"{reverse('admin:login')}?next=/"
        for page, back in (
            (f"http://testserver/runs/{run.pk}/?a=b", f"/runs/{run.pk}/%3Fa%3Db"),
            ("http://e.example/x", "/"),
        ):
            response = client.post(button, headers={"Referer": page})
            assert response.headers["Location"] == f"{reverse('admin:login')}?next={back}"
        assert called == []

    def test_refuses_who_may_only_look(self, name: str, client: Client, called: Calls) -> None:
        run = factories.make_run(states.COPYING)
        client.force_login(factories.make_user("victor", operator=False))
        assert client.post(reverse(f"jobs:{name}", args=[run.pk])).status_code == 403
        assert called == []

    def test_says_why_it_was_refused(
        self, name: str, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = factories.make_run(states.VERIFIED)
        monkeypatch.setattr(runs, name, refuse)
        response = operator.post(reverse(f"jobs:{name}", args=[run.pk]))
        assert response.status_code == 302
        assert said(response) == ["run 1 is verified and cannot become that"]

    def test_asks_for_a_csrf_token(self, name: str, called: Calls) -> None:
        run = factories.make_run(states.COPYING)
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(factories.make_user())
        response = strict.post(reverse(f"jobs:{name}", args=[run.pk]))
        assert response.status_code == 403 and "The page was too old" in response.content.decode()
        assert called == []


class TestStart:
    path = "/mappings/crm-merge/start/"

    def test_works(self, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.VERIFIED)
        response = operator.post(self.path, {"env": "staging", "tables": ["company"]})
        assert response.headers["Location"] == reverse("jobs:run", args=[run.pk])
        assert [name for name, _ in called] == ["start"]

    def test_rejects_get(self, operator: Client) -> None:
        assert operator.get(self.path).status_code == 405

    def test_sends_a_stranger_to_sign_in(self, client: Client) -> None:
        assert client.post(self.path).headers["Location"].startswith(reverse("admin:login"))

    def test_refuses_who_may_only_look(self, client: Client, called: Calls) -> None:
        factories.make_mapping()
        client.force_login(factories.make_user("victor", operator=False))
        assert client.post(self.path, {"env": "staging"}).status_code == 403
        assert called == []

    def test_blocked_goes_back_to_the_review(self, operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        factories.make_mapping(), factories.make_environment()
        monkeypatch.setattr(runs, "start", refuse)
        response = operator.post(self.path, {"env": "staging", "tables": ["company", "contact"]})
        assert (
            response.headers["Location"]
            == "/mappings/crm-merge/review/?env=staging&tables=company&tables=contact"
        )

    def test_the_second_is_told_who_was_first(self, operator: Client) -> None:
        run = factories.make_run(states.COPYING)
        response = operator.post(self.path, {"env": "staging"}, follow=True)
        assert response.redirect_chain[0][0] == reverse("jobs:run", args=[run.pk])
        assert "alice started it" in response.content.decode()

    def test_what_was_not_reviewed_is_not_started(self, operator: Client, called: Calls) -> None:
        factories.make_mapping(), factories.make_environment()
        response = operator.post(self.path, {"env": "staging", "revision": "7"})
        assert response.headers["Location"] == "/mappings/crm-merge/review/?env=staging"
        assert said(response) == [
            "crm-merge was changed after you reviewed it: it is at revision 1 now, not 7"
        ]
        assert called == []

    def test_an_unknown_environment_is_not_found(self, operator: Client) -> None:
        factories.make_mapping()
        assert operator.post(self.path, {"env": "nowhere"}).status_code == 404


class TestRollback:
    def test_force_needs_the_name_of_the_mapping(self, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.VERIFIED)
        address = reverse("jobs:rollback", args=[run.pk])
        ticks = {"force": "1", "keep_schema": "1", "confirm": "crm"}
        response = operator.post(reverse("jobs:roll_back", args=[run.pk]), ticks)
        assert response.headers["Location"] == f"{address}?force=1&keep_schema=1"
        page = operator.get(response.headers["Location"]).content.decode()
        assert 'name="keep_schema" value="1" checked' in page  # else the next try would undo the schema
        assert called == []

    def test_passes_on_what_was_ticked(self, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.VERIFIED)
        form = {"force": "1", "confirm": "crm-merge", "keep_schema": "1"}
        operator.post(reverse("jobs:roll_back", args=[run.pk]), form)
        assert called == [("roll_back", {"keep_schema": True, "force": True, "edited": "refuse"})]

    def test_force_is_offered_only_against_blockers(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = reverse("jobs:rollback", args=[factories.make_run(states.VERIFIED).pk])
        monkeypatch.setattr(runs, "rollback_against", lambda run, *_: Against())
        assert 'name="force"' not in operator.get(path).content.decode()
        against = Against(hanging=(Problem("contact", "17 rows were changed"),))
        monkeypatch.setattr(runs, "rollback_against", lambda run, *_: against)
        page = operator.get(path).content.decode()
        assert 'name="force"' in page and "17 rows were changed" in page

    def test_an_active_run_is_not_offered_to_be_rolled_back(self, operator: Client) -> None:
        run = factories.make_run(states.COPYING)
        page = operator.get(reverse("jobs:rollback", args=[run.pk])).content.decode()
        assert (
            "cannot be rolled back" in page
            and "<button" in page
            and "Roll back run" not in page.split("</h1>")[1]
        )


class TestPages:
    @pytest.mark.parametrize("name", PAGES)
    def test_of_a_run_send_a_stranger_away(self, name: str, client: Client) -> None:
        run = factories.make_run(states.COPYING)
        response = client.get(reverse(f"jobs:{name}", args=[run.pk]))
        assert "alice" not in response.content.decode()
        assert response.status_code == 302 or response.headers["HX-Refresh"] == "true"

    @pytest.mark.parametrize("name", PAGES)
    def test_of_no_run_are_not_found(self, name: str, operator: Client) -> None:
        assert operator.get(reverse(f"jobs:{name}", args=[4711])).status_code == 404

    @pytest.mark.parametrize("path", PLAIN)
    def test_others_send_a_stranger_to_sign_in(self, path: str, client: Client) -> None:
        assert client.get(path).headers["Location"].startswith(reverse("admin:login"))

    def test_post_to_a_page_is_refused(self, operator: Client) -> None:
        assert operator.post("/runs/").status_code == 405

    def test_an_address_with_nul_is_refused(self, operator: Client) -> None:
        factories.make_mapping(), factories.make_environment()
        for address in (
            "/mappings/crm-merge/review/?tables=%00",
            "/admin/mappings/mapping/add/?env=%00",
            "/%00",
        ):
            assert operator.get(address).status_code == 400

    def test_a_form_with_nul_is_refused(self, operator: Client) -> None:
        factories.make_mapping(), factories.make_environment()
        for form in ({"env": "\0"}, {"env": "local", "tables": "\0"}, {"\0": "x"}):
            assert operator.post("/mappings/crm-merge/start/", form).status_code == 400

    @pytest.mark.parametrize("status", states.STATUSES)
    def test_a_run_shows_only_the_buttons_that_are_allowed(self, status: str, operator: Client) -> None:
        run = factories.make_run(status)
        page = operator.get(reverse("jobs:run", args=[run.pk])).content.decode()
        for name in ("pause", "resume", "cancel", "retry", "verify", "rollback"):
            offered = f"/runs/{run.pk}/{name}/" in page
            assert not offered or allowed(status, name), f"{name} in {status}"

    def test_who_may_only_look_sees_no_buttons(self, client: Client) -> None:
        run = factories.make_run(states.COPYING)
        client.force_login(factories.make_user("victor", operator=False))
        assert f"/runs/{run.pk}/pause/" not in client.get(reverse("jobs:run", args=[run.pk])).content.decode()

    def test_nothing_leads_to_forms_that_are_closed_to_who_looks(self, client: Client) -> None:
        run = factories.make_run(states.VERIFIED)
        Mapping.objects.create(name="sketch")
        client.force_login(factories.make_user())
        seen: dict[str, object] = {}
        for path in (*PLAIN, "/runs/?status=failed", reverse("jobs:run", args=[run.pk])):
            links = set(re.findall(r'href="(/admin/[^"]+)"', client.get(path).content.decode()))
            seen |= {link: client.get(link).status_code for link in links - seen.keys()}
        assert set(seen.values()) <= {200} and not any("/mappings/" in link for link in seen)

    def test_only_verified_is_green(self, operator: Client) -> None:
        for status in states.STATUSES:
            run = factories.make_run(status, environment=f"env-{status}".replace("_", "-"))
            page = operator.get(reverse("jobs:run", args=[run.pk])).content.decode()
            headline = page.split('id="run-headline"')[1].split('id="run-stages"')[0]
            assert ("pill-good" in headline) == (status == states.VERIFIED)

    def test_the_list_is_chosen_by_status(self, operator: Client) -> None:
        verified, failed = factories.make_run(states.VERIFIED), factories.make_run(states.FAILED)
        page = operator.get("/runs/?status=failed").content.decode()
        assert f"Run {failed.pk}<" in page and f"Run {verified.pk}<" not in page

    def test_the_json_is_one_object(self, operator: Client) -> None:
        run = factories.make_run(states.VERIFIED, quarantined=12)
        response = operator.get(reverse("jobs:report-json", args=[run.pk]))
        assert json.loads(response.getvalue())["status"] == "verified"
        assert "attachment" in response.headers["Content-Disposition"]

    def test_nothing_is_inline(self, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.MISMATCH)
        paths = ["/", "/runs/", "/mappings/crm-merge/review/?env=staging"]
        paths += [reverse(f"jobs:{name}", args=[run.pk]) for name in ("run", "report", "rollback")]
        for path in paths:
            page = operator.get(path).content.decode()
            assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son[a-z]+=|hx-on", page), path


def allowed(status: str, name: str) -> bool:
    """Whether the moves let a run of that status do what the button does."""
    targets = {new for old, new in states.MOVES if old == status}
    wanted = {
        "pause": {states.PAUSING}, "cancel": {states.CANCELLED}, "verify": {states.VERIFYING},
        "rollback": {states.ROLLING_BACK}, "resume": {states.COPYING}, "retry": {states.COPYING},
    }  # fmt: skip
    return bool(targets & wanted[name]) and (name != "resume" or status == states.PAUSED)


class TestLive:
    def get(self, client: Client, run: Run, **tokens: str) -> Answer:
        return client.get(reverse("jobs:live", args=[run.pk]), tokens)

    @pytest.mark.parametrize("status", states.STATUSES)
    def test_asks_to_come_again_until_the_run_has_ended(self, status: str, operator: Client) -> None:
        answer = self.get(operator, factories.make_run(status)).status_code
        assert answer == (200 if status in states.ACTIVE else 286)

    def test_sends_only_the_regions_that_moved(self, operator: Client) -> None:
        run = factories.make_run(states.COPYING)
        first = self.get(operator, run).content.decode()
        tokens = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', first))
        assert 'id="run-buttons"' in first and 'id="run-events"' in first
        again = self.get(operator, run, **tokens).content.decode()
        assert "hx-swap-oob" not in again and "rows/s now" in again
        Run.objects.filter(pk=run.pk).update(status=states.PAUSING)
        moved = self.get(operator, run, **tokens).content.decode()
        assert 'id="run-buttons"' in moved and 'id="run-events"' not in moved

    def test_of_the_tables_only_lines_that_moved_are_sent(self, operator: Client) -> None:
        run = factories.make_run(states.COPYING)
        first = self.get(operator, run).content.decode()
        assert first.count("<tr") == 1 + 3  # the head, and all lines
        tokens = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', first))
        assert "<tr" not in self.get(operator, run, **tokens).content.decode()
        run.tables.filter(name="orders").update(inserted=7)
        moved = self.get(operator, run, **tokens).content.decode()
        assert (
            re.findall(r'<template><tr id="(table-\d)" hx-swap-oob', moved) == ["table-2"] and ">7<" in moved
        )
        Run.objects.filter(pk=run.pk).update(status=states.VERIFYING, stage="verify")
        assert self.get(operator, run, **tokens).content.decode().count("<template><tr") == 3

    def test_a_poll_costs_the_same_however_large_the_run_is(
        self, operator: Client, django_assert_max_num_queries: Any
    ) -> None:
        run = factories.make_run(states.COPYING)
        more = [TableRun(run=run, name=f"t{n}", position=n) for n in range(10, 210)]
        chunks = [
            Chunk(table=table, phase="copy", number=n, state="done")
            for table in TableRun.objects.bulk_create(more)
            for n in range(3)
        ]
        Chunk.objects.bulk_create(chunks)
        first = self.get(operator, run).content.decode()
        tokens = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', first))
        with django_assert_max_num_queries(14) as asked:
            moved = self.get(operator, run, **tokens)
        assert len(moved.content) < 6_000 < len(first) < 60_000  # a part of the tables
        assert not any('"jobs_run"."plan"' in query["sql"] for query in asked.captured_queries)

    def test_buttons_stay_untouched_while_they_stay_the_same(self, operator: Client) -> None:
        run = factories.make_run(states.COPYING)
        tokens = dict(re.findall(r'name="(\w+)" value="(\w+)"', self.get(operator, run).content.decode()))
        Run.objects.filter(pk=run.pk).update(status=states.VERIFYING, stage="verify")
        moved = self.get(operator, run, **tokens).content.decode()
        assert 'id="run-headline"' in moved and 'id="run-buttons"' not in moved

    def test_a_step_that_moves_leaves_the_opened_sql_alone(self, operator: Client) -> None:
        run = factories.make_run(states.PREPARING)
        tokens = dict(re.findall(r'name="(\w+)" value="(\w+)"', self.get(operator, run).content.decode()))
        run.steps.update(state="done")
        steps = list(run.steps.all())
        moved = self.get(operator, run, **tokens).content.decode()
        assert 'id="run-steps"' not in moved and f'id="step-{steps[-1].pk}"' in moved
        assert f'id="step-{steps[0].pk}"' not in moved  # it was done before
        assert f"{len(steps)} of {len(steps)} done" in moved

    def test_a_session_that_ended_reloads_the_page(self, client: Client) -> None:
        response = self.get(client, factories.make_run(states.COPYING))
        assert response.headers["HX-Refresh"] == "true"


class TestHealth:
    def test_no_worker_is_said_with_what_mends_it(self, operator: Client) -> None:
        Seat.objects.all().delete()
        health.forget()
        page = operator.get("/").content.decode()
        assert "No worker is running." in page and "<code>make up</code>" in page

    def test_redis_down_is_said(self, operator: Client, settings: Any) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        health.forget()
        assert "Redis does not answer." in operator.get("/").content.decode()

    def test_nothing_is_said_when_all_is_well(self, operator: Client) -> None:
        assert 'class="notice notice-held"' not in operator.get("/").content.decode()


class TestReview:
    path = "/mappings/crm-merge/review/"

    def test_start_is_closed_while_there_are_blockers(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        factories.make_mapping(), factories.make_environment()
        monkeypatch.setattr(runs, "review", lambda *_: plans.make_plan(blocked=True))
        page = operator.get(self.path).content.decode()
        assert "crm.person_list depends" in page and "/start/" not in page

    def test_a_plan_that_cannot_be_made_says_why(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        factories.make_mapping(), factories.make_environment()
        monkeypatch.setattr(runs, "review", refuse)
        response = operator.get(self.path)
        assert response.status_code == 200 and "The plan could not be made." in response.content.decode()

    def test_an_unknown_environment_is_not_found(self, operator: Client) -> None:
        factories.make_mapping(), factories.make_environment()
        assert operator.get(self.path, {"env": "nowhere"}).status_code == 404

    def test_a_newer_draft_is_pointed_out(self, operator: Client, called: Calls) -> None:
        factories.make_environment()
        mapping = factories.make_mapping()
        assert "There is a newer draft." not in operator.get(self.path).content.decode()
        mapping.tables.update(values={})
        assert "There is a newer draft." in operator.get(self.path).content.decode()

    def test_without_an_environment_it_says_what_to_do(self, operator: Client) -> None:
        factories.make_mapping()
        assert not Environment.objects.exists()
        assert "There is no environment yet." in operator.get(self.path).content.decode()

    def test_an_active_run_is_watched_instead(self, operator: Client, called: Calls) -> None:
        run = factories.make_run(states.COPYING)
        page = operator.get(self.path, {"env": "staging"}).content.decode()
        assert f"Watch run {run.pk}" in page and "/start/" not in page


class TestRevisions:
    path = "/mappings/crm-merge/revisions/"

    @pytest.fixture
    def three(self) -> None:
        save_spec(parse(plans.MAPPING))
        save_spec(
            parse(plans.MAPPING.replace("email: email", "email: mail")), None, "the column has another name"
        )
        save_spec(parse(plans.MAPPING.replace("{value: legacy}", "{value: <old>}")))

    def test_the_newest_is_shown_beside_the_one_before(self, three: None, operator: Client) -> None:
        page = operator.get(self.path).content.decode()
        assert "From revision 2 to revision 3" in page and "the column has another name" in page
        assert "<del>mail</del>" in page and "<ins>email</ins>" in page
        assert "<ins>&lt;</ins>" in page or "&lt;<ins>" in page or "<ins>&lt;old&gt;</ins>" in page
        assert "<old>" not in page

    def test_any_two_can_be_chosen(self, three: None, operator: Client) -> None:
        page = operator.get(self.path, {"to": "2"}).content.decode()
        assert "From revision 1 to revision 2" in page and "<ins>mail</ins>" in page
        assert "Both say the same." in operator.get(self.path, {"from": "1", "to": "1"}).content.decode()
        page = operator.get(self.path, {"from": "1", "to": "3"}).content.decode()
        assert "From revision 1 to revision 3" in page and "<ins>mail</ins>" not in page
        assert "From revision 2 to revision 3" in operator.get(self.path, {"to": "99"}).content.decode()

    def test_the_first_stands_alone(self, operator: Client) -> None:
        factories.make_mapping()
        page = operator.get(self.path).content.decode()
        assert '<h2 id="history">' in page and "From revision" not in page


def test_promotion_of_nothing_says_what_to_do(operator: Client) -> None:
    assert "There is no mapping yet." in operator.get("/promotion/").content.decode()
    factories.make_mapping()
    assert "There is no environment yet." in operator.get("/promotion/").content.decode()
    Mapping.objects.create(name="sketch")
    assert "sketch is a draft" in operator.get("/promotion/").content.decode()


def test_home_of_a_newcomer_says_where_to_begin(operator: Client) -> None:
    page = operator.get("/").content.decode()
    for noun in ("Environment", "Mapping", "Plan", "Run", "Report"):
        assert f"<strong>{noun}</strong>" in page


def test_home_has_mappings_by_name_and_leads_to_the_rest_of_a_draft(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    factories.make_environment()
    for name in ("b", "c", "a"):
        save_spec(parse(plans.MAPPING.replace("crm-merge", name)))
    sketch = Mapping.objects.create(name="bb-sketch")
    page = client.get("/").content.decode()
    assert re.findall(r'class="plain" href="/admin/mappings/mapping/\d+/change/">([^<]+)', page) == [
        "a", "b", "bb-sketch", "c",
    ]  # fmt: skip
    assert "/mappings/a/review/" in page and "/mappings/bb-sketch/review/" not in page
    assert f'href="/admin/mappings/mapping/{sketch.pk}/change/">Finish the draft</a>' in page


def test_a_rollback_took_what_it_took_itself_however_old_the_run_is(operator: Client) -> None:
    run = factories.make_run(states.ROLLED_BACK)
    Run.objects.update(started=timezone.now() - timedelta(days=3))
    assert "18\xa0s</td>" in operator.get("/runs/").content.decode()
    assert "18\xa0s</span>" in operator.get(f"/runs/{run.pk}/").content.decode().split('"figures"')[1]


def test_start_is_two_clicks_from_home(operator: Client, called: Calls) -> None:
    factories.make_mapping(), factories.make_environment()
    address = "/mappings/crm-merge/review/?env=staging"
    assert f'href="{address}"' in operator.get("/").content.decode()
    assert 'action="/mappings/crm-merge/start/"' in operator.get(address).content.decode()


def test_the_admin_leads_to_our_pages_and_its_runs_to_theirs(client: Client) -> None:
    run = factories.make_run(states.VERIFIED)
    client.force_login(factories.make_user())
    assert 'href="/runs/"' in client.get("/admin/").content.decode()
    assert client.get("/admin/jobs/run/").status_code == 200
    assert client.get(f"/admin/jobs/run/{run.pk}/change/").headers["Location"] == f"/runs/{run.pk}/"


def test_the_log_is_all_that_happened_as_a_file(operator: Client) -> None:
    run = factories.make_run(states.FAILED)
    moved = {"from_status": "copying", "to_status": "failed"}
    run.events.create(text="first line\nsecond line", level="error", actor="alice", **moved)
    answer: Any = operator.get(reverse("jobs:log", args=[run.pk]))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="run-{run.pk}.log"'
    lines = b"".join(answer.streaming_content).decode().splitlines()
    told = [line for line in lines if re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z (INFO|WARNING|ERROR) ", line)]
    assert len(told) == run.events.count()
    assert lines[-2].endswith("ERROR   [copying -> failed] first line")
    assert lines[-1] == "    second line (alice)"


def test_what_is_over_says_so_and_what_is_undone_stands_first(operator: Client) -> None:
    ended = factories.make_run(states.VERIFIED)
    page = operator.get(reverse("jobs:run", args=[ended.pk])).content.decode()
    assert "The run is over" in page and "as fast as it can" not in page
    back = factories.make_run(states.ROLLING_BACK)
    assert "Undone after the rows, last one first" in operator.get(f"/runs/{back.pk}/").content.decode()
    back.steps.create(position=9, backward=True, title="Drop the column", sql="ALTER TABLE")
    page = operator.get(reverse("jobs:run", args=[back.pk])).content.decode()
    assert page.index("Steps back") < page.index("Steps of this run") and "as fast as it can" in page


def test_a_report_on_paper_says_of_what_it_is(operator: Client) -> None:
    run = factories.make_run(states.MISMATCH)
    report = run.reports.get()
    page = operator.get(reverse("jobs:report", args=[run.pk])).content.decode()
    head = page[page.index("print-head") : page.index("</dl>")]
    told = (
        run.revision.sha256,
        hashes.plan_sha256(run),
        hashes.report_sha256(report),
        "staging",
        "alice",
        str(run.uid),
    )
    assert [one for one in told if one not in head] == []
    Report.objects.update(passed=True)
    assert hashes.report_sha256(run.reports.get()) not in head
    assert hashes.plan_sha256(run) in operator.get(reverse("jobs:rollback", args=[run.pk])).content.decode()
