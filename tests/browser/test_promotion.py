"""A mapping goes from staging to production in a real browser; what is missing is said where it would be started."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from jobs.actions import runs
from jobs.models import Run
from mappings.language.file import parse
from mappings.models import Environment
from mappings.store import save_spec
from tests import factories
from tests.browser.conftest import Open
from tests.browser.test_pages import violations
from tests.conftest import Databases
from tests.journeys.test_promotion import MAPPING, SOURCE, TARGET
from tests.journeys.world import execute, fresh, work


@pytest.fixture
def staging(databases: Databases) -> Environment:
    """Staging, with production behind it, and the mapping."""
    save_spec(parse(MAPPING))
    before = None
    for name in ("staging", "production"):
        pair = databases.pair("two")
        execute(pair.source, SOURCE)
        execute(pair.target, TARGET)
        environment = Environment(name=name, after=before)
        environment.source_url, environment.target_url = pair
        environment.save()
        before = before or environment
    assert before is not None
    return before


@pytest.mark.django_db(transaction=True)
def test_from_staging_to_production(staging: Environment, opened: Open) -> None:
    factories.make_seat()
    page = opened().new_page()
    page.goto("/")
    page.get_by_role("link", name="Promotion").click()
    assert "has to be verified in staging first; things was never run there" in row(page, "production")
    page.locator("tr", has_text="after staging").get_by_role("link", name="Review").click()
    expect(page.get_by_role("heading", name="1 blocker")).to_be_visible()
    expect(
        page.get_by_text("has to be verified in staging first; things was never run there")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    assert violations(page) == []

    page.get_by_role("link", name="Promotion").click()
    page.get_by_role("link", name="Review and start").click()
    page.get_by_role("button", name="Start in staging").click()
    run = Run.objects.get()
    assert work(run).status == "verified"
    page.goto("/promotion/")
    assert "verified just now" in row(page, "staging") and "has to be verified" not in row(page, "production")

    production = Environment.objects.get(name="production")
    execute(production.target_url, "ALTER TABLE crm.thing ADD COLUMN note text")
    page.get_by_role("row", name="production").get_by_role("link", name="Review and start").click()
    expect(page.get_by_text("target crm.thing, column note: was not there, is text")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    execute(production.target_url, "ALTER TABLE crm.thing DROP COLUMN note")
    page.reload()
    page.get_by_role("button", name="Start in production").click()
    expect(page.get_by_role("heading", name="things in production")).to_be_visible()
    assert work(Run.objects.latest("id")).status == "verified"
    runs.roll_back(fresh(run), None)
    work(run)
    page.goto("/promotion/")
    assert f"in run {run.pk}, rolled back since" in row(page, "staging")
    assert run.fingerprint[:8] in row(page, "staging") and run.fingerprint[:8] in row(page, "production")
    assert violations(page) == []


def row(page: Page, environment: str) -> str:
    """What the page says of an environment."""
    return page.locator("tbody tr", has=page.get_by_role("rowheader", name=environment)).first.inner_text()
