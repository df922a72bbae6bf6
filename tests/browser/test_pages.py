"""Every page in every state: readable by assistive technology in both themes, and never too wide for a phone.

With SHOTS=FOLDER in the environment the pages are also taken as pictures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe  # type: ignore[import-untyped]
from django.contrib.auth import get_user_model
from django.test import Client

from jobs import states
from jobs.actions import runs
from jobs.actions.rollbacks import Against
from jobs.history.record import of_run, record
from jobs.models import Notice
from jobs.running.rollback.edited import EditedRows, IfLeft
from mappings.language.file import parse
from mappings.models import Environment
from mappings.problems import Problem
from mappings.store import save_spec
from tests import factories, plans
from tests.browser import shots
from tests.browser.conftest import Open

pytestmark = pytest.mark.django_db(transaction=True)

AGAINST = Against(
    edited=(
        Problem("contact", "17 rows were changed since the run, for example source rows 5120, 5121, 5188"),
    ),
    hanging=(Problem("", "3 rows of crm.note point to rows of crm.account that this run inserted."),),
    if_left=IfLeft((EditedRows("contact", 17, 4, ("5120", "5121", "5188")),)),
)
ALL_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast"]}
"""What of them depends on the theme."""
REVIEW = "/mappings/crm-merge/review/?env=staging"


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """One run of each status and the pages about them: (name, path)."""
    factories.make_seat()
    get_user_model().objects.create_superuser("boss")
    production = factories.make_environment("production", after=factories.make_environment())
    named = [("home", "/"), ("runs", "/runs/"), ("runs-none", "/runs/?status=pausing")]
    for number, status in enumerate(states.STATUSES):
        error = (
            "The value 'n/a' of contact.born does not fit the type date (22007), row id 40417."
            if status == "failed"
            else ""
        )
        waiting = (
            "A lock on crm.account is held by pid 4711 (backup): COPY crm.account TO STDOUT"
            if status == "preparing"
            else ""
        )
        aside = 12 if status in ("verified", "copying", "paused") else 0
        environment = "staging" if status not in states.ACTIVE else f"env{number}"
        run = factories.make_run(
            status, quarantined=aside, error=error, waiting_for=waiting, environment=environment
        )
        named.append((f"run-{status}", f"/runs/{run.pk}/"))
        if status in (states.VERIFIED, states.MISMATCH):
            named.append((f"report-{status}", f"/runs/{run.pk}/report/"))
            named.append((f"rollback-{status}", f"/runs/{run.pk}/rollback/"))
    Environment.objects.filter(name__startswith="env").update(after=production)
    second = save_spec(parse(plans.MAPPING.replace("crm-merge", "crm-second")))
    changed = plans.MAPPING.replace("crm-merge", "crm-second").replace(
        "email: email", 'email: {expr: "lower(email)"}'
    )
    save_spec(parse(changed), second.author, "E-mail addresses are compared in lower case from now on")
    monkeypatch.setattr(
        runs,
        "review",
        lambda mapping, environment, *_, **__: plans.make_plan(blocked=environment.name == "production"),
    )
    monkeypatch.setattr(
        runs, "rollback_against", lambda run, *_: AGAINST if run.status == "mismatch" else Against()
    )
    named += [("promotion", "/promotion/"), ("revisions", "/mappings/crm-second/revisions/")]
    record(
        "run", "retry", "run 1 is verified: there is nothing to retry", about=of_run(run), outcome="refused"
    )
    Notice.objects.create(
        event="failed", title="crm-merge in staging: failed", text="x", way="mail", state="given up", path="/runs/1/",
        user=factories.make_user(), error="the mail server: ConnectionRefusedError",
    )  # fmt: skip
    named += [("history", "/history/"), ("notices", "/notices/")]
    named += [("verifications", "/mappings/crm-merge/verifications/?env=staging")]
    return [*named, ("review", REVIEW), ("review-blocked", REVIEW.replace("staging", "production"))]


def test_pages_have_no_serious_violation_and_fit_a_phone(scenes: list[tuple[str, str]], opened: Open) -> None:
    found: list[str] = []

    def hear(message: Any) -> None:
        if message.type == "error":
            found.append(message.text)

    page = opened(viewport={"width": 360, "height": 780}, reduced_motion="reduce").new_page()
    page.on("console", hear)
    for name, path in scenes:
        page.goto(path)
        found += [f"{name} {one}" for one in in_both_themes(page)]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append(f"{name}: wider than the screen")
    for name, path in scenes:
        if name.startswith(("report", "rollback")):
            page.goto(path)
            found += [f"{name} on paper: {one}" for one in cut_off_on_paper(page)]
    assert found == []


def cut_off_on_paper(page: Any) -> list[str]:
    """What would not be whole on A4, upright and across; the widths are those between the margins."""
    page.emulate_media(media="print")
    found = []
    for width, height in ((703, 1000), (1032, 680)):
        page.set_viewport_size({"width": width, "height": height})
        found += page.evaluate(
            "width => [...document.querySelectorAll('.table :is(th, td)')].filter(one => one.checkVisibility()"
            " && one.getBoundingClientRect().right > width).map(one => `${width}: ${one.textContent}`)",
            width,
        )
        for told in (".print-head", ".counts th:last-child"):
            if page.locator(told).count() and not page.locator(told).first.is_visible():
                found.append(f"{width}: {told} is hidden")
        rest = page.locator(".counts-of-target")
        if rest.count() and rest.is_visible() != (width < height):
            found.append(f"{width}: the counts of the target are there twice, or not at all")
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 360, "height": 780})
    return found


@pytest.mark.parametrize("theme", shots.THEMES)
def test_the_studio_fits_a_phone_as_well(opened: Open, theme: str) -> None:
    """Its columns are a grid on a wide screen and stand one below the other on a narrow one."""
    boss, mapping = get_user_model().objects.create_superuser("boss"), factories.make_mapping()
    page = opened(boss, viewport={"width": 360, "height": 780}, color_scheme=theme).new_page()
    studio, column = (
        f"/admin/mappings/mapping/{mapping.pk}",
        mapping.tables.all()[0].values["columns"][0]["name"],
    )
    for path in (
        f"{studio}/change/",
        f"{studio}/change/?column={column}",
        f"{studio}/add/",
        f"{studio}/text/",
    ):
        page.goto(path)
        assert violations(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), path


def in_theme(page: Any, theme: str) -> None:
    """The page in a theme, once no colour fades any more."""
    page.emulate_media(color_scheme=theme)
    page.evaluate("Promise.all(document.getAnimations().map(one => one.finished.catch(() => null)))")


def in_both_themes(page: Any) -> list[str]:
    """The violations in the light theme, and those that the dark one adds."""
    in_theme(page, "light")
    found = [f"light: {one}" for one in violations(page)]
    in_theme(page, "dark")
    return found + [f"dark: {one}" for one in violations(page, COLOURS)]


def violations(page: Any, rules: dict[str, Any] = ALL_RULES) -> list[str]:
    """What axe calls serious or critical on the page, one line per element."""
    result = Axe().run(page, options={"runOnly": rules})
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.skipif("SHOTS" not in os.environ, reason="pictures are taken where SHOTS names a folder")
def test_pictures(scenes: list[tuple[str, str]], chromium: Any, live_server: Any) -> None:
    client = Client()
    client.force_login(get_user_model().objects.get(username="boss"))
    cookies = [{"name": "sessionid", "value": client.cookies["sessionid"].value}]
    mapping = factories.make_mapping()
    admin = [
        ("admin", "/admin/"), ("admin-mappings", "/admin/mappings/mapping/"), ("admin-runs", "/admin/jobs/run/"),
        ("admin-mapping", f"/admin/mappings/mapping/{mapping.pk}/change/"),
        ("admin-user", "/admin/auth/user/1/change/"),
    ]  # fmt: skip
    wanted = os.environ.get("ONLY", "")
    folder = Path(os.environ["SHOTS"])
    shots.take(
        chromium, live_server.url, cookies, [one for one in [*scenes, *admin] if wanted in one[0]], folder
    )
    shots.take(chromium, live_server.url, [], [one for one in [("sign-in", "/")] if wanted in one[0]], folder)
