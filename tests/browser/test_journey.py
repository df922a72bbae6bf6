"""The main job in a real browser on a real installation, and what only a browser can show of a live page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs import states
from jobs.actions import runs
from jobs.models import Run
from tests import factories
from tests.browser.conftest import Open
from tests.browser.test_pages import violations
from tests.conftest import Databases
from tests.journeys.world import World, work
from tests.test_supervisor import UP, Up, eventually

MINUTE = 60_000


@pytest.fixture
def installation() -> Iterator[Up]:
    """A `make up` with the demo loaded, in a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="migrator-journey-"))
    up = Up(home)
    up.environment |= {"DEMO": "1", "WORKERS": "2"}
    try:
        up.started(UP)
        eventually(lambda: "ready at" in up.console, 120)
        yield up
    finally:
        up.end()


def status_of(page: Page) -> str:
    return page.locator("#run-headline .pill").inner_text()


def becomes(page: Page, status: str, minutes: int) -> None:
    """Waits for a status without loading the page again; where it does not come, says what a fresh page says."""
    try:
        expect(page.locator("#run-headline .pill")).to_have_text(status, timeout=minutes * MINUTE)
    except AssertionError:
        page.reload()
        raise AssertionError(
            f"not {status}; a fresh page says: {page.locator('main').inner_text()}"
        ) from None


def test_the_main_job_from_sign_in_to_rollback(installation: Up, chromium: Browser) -> None:
    context = chromium.new_context(base_url=f"http://127.0.0.1:{installation.port}")
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, (installation.home / "secrets" / "admin-password").read_text().strip())
    review_and_start(page)
    pause_and_resume(page)
    becomes(page, "verified", minutes=3)
    assert violations(page) == []
    read_the_report(page)
    roll_back(page)
    context.close()
    assert complaints == []


def sign_in(page: Page, password: str) -> None:
    page.goto("/")
    assert violations(page) == []
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert violations(page) == []


def review_and_start(page: Page) -> None:
    """Two clicks; the review says which databases, which steps and which widths."""
    page.get_by_role("link", name="Review and start").click()
    expect(page.get_by_role("heading", name="Schema steps, in order")).to_be_visible(timeout=MINUTE)
    page.get_by_text("Widen crm.account.name").click()
    expect(page.get_by_text("ALTER TABLE").first).to_be_visible()
    expect(page.get_by_role("table", name="Columns that are too small")).to_contain_text("company.name")
    assert violations(page) == []
    page.get_by_role("button", name="Start in demo").click()
    expect(page.get_by_role("heading", name="crm-merge in demo")).to_be_visible()


def pause_and_resume(page: Page) -> None:
    """The page is never loaded again by the test: the buttons change with the run's status."""
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=MINUTE)
    assert status_of(page) == "paused"
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Resume")).to_be_hidden()


def read_the_report(page: Page) -> None:
    page.get_by_role("link", name="Read the report").click()
    expect(page.get_by_role("heading", name="Verified: source and target agree.")).to_be_visible()
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON", exact=True).click()
    summary = json.loads(Path(download.value.path()).read_text())
    assert summary["status"] == "verified"
    assert all(table["inserted"] == table["source_rows"] for table in summary["tables"])


def roll_back(page: Page) -> None:
    page.get_by_role("link", name="Run 1", exact=True).click()
    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_role("checkbox", name="Keep the schema")).not_to_be_checked()
    assert violations(page) == []
    page.get_by_role("button", name="Roll back run 1").click()
    becomes(page, "rolled back", minutes=2)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("link", name="Review and start")).to_be_visible()


@pytest.mark.django_db(transaction=True)
class TestLivePage:
    @pytest.fixture
    def run(self) -> Run:
        factories.make_seat()
        return factories.make_run(states.PREPARING)

    def test_an_opened_step_stays_open_and_its_state_moves(self, run: Run, opened: Open) -> None:
        page = opened().new_page()
        page.goto(f"/runs/{run.pk}/")
        step = page.locator("#run-steps details.disclosure").nth(1)
        step.locator("summary").click()
        run.steps.filter(position=1).update(state="done", seconds=2.5)
        expect(step.locator("summary")).to_contain_text("2.5")
        expect(step.locator("pre")).to_be_visible()

    def test_a_button_keeps_the_focus_while_numbers_move(self, run: Run, opened: Open) -> None:
        page = opened().new_page()
        page.goto(f"/runs/{run.pk}/")
        page.get_by_role("button", name="Pause").focus()
        run.steps.update(state="done")
        expect(page.locator(".figure-value").first).to_have_text("4 of 4")
        expect(page.get_by_role("button", name="Pause")).to_be_focused()

    def test_cancel_asks_first_and_the_question_stays_open(self, run: Run, opened: Open) -> None:
        page = opened().new_page()
        page.goto(f"/runs/{run.pk}/")
        page.get_by_text("Cancel…").click()
        run.steps.update(state="done")
        expect(page.locator(".figure-value").first).to_have_text("4 of 4")
        assert violations(page) == []
        page.get_by_role("button", name="Cancel the run").click()
        expect(page.locator("#run-headline .pill")).to_have_text("cancelled")

    def test_polling_ends_with_the_run(self, run: Run, opened: Open) -> None:
        page = opened().new_page()
        page.goto(f"/runs/{run.pk}/")
        Run.objects.filter(pk=run.pk).update(status=states.FAILED, error="Somebody pulled the plug.")
        expect(page.get_by_text("Somebody pulled the plug.")).to_be_visible()
        expect(page.get_by_role("button", name="Retry")).to_be_visible()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(2500)
        assert asked == []

    def test_it_says_so_when_the_server_is_gone(self, run: Run, opened: Open) -> None:
        page = opened().new_page()
        page.goto(f"/runs/{run.pk}/")
        page.route("**/live/*", lambda route: route.abort())
        expect(page.get_by_text("The page cannot reach the server")).to_be_visible()
        page.unroute("**/live/*")
        expect(page.get_by_text("The page cannot reach the server")).to_be_hidden()

    def test_it_can_be_read_without_javascript(self, run: Run, opened: Open) -> None:
        page = opened(java_script_enabled=False).new_page()
        page.goto(f"/runs/{run.pk}/")
        Run.objects.filter(pk=run.pk).update(status=states.COPYING, stage="copy")
        page.get_by_role("link", name="Reload it").click()
        assert status_of(page) == "copying"

    def test_a_session_that_ended_leads_to_sign_in(self, run: Run, opened: Open) -> None:
        context = opened()
        page = context.new_page()
        page.goto(f"/runs/{run.pk}/")
        context.clear_cookies()
        expect(page.get_by_label("Username")).to_be_visible()


POISON = """
version: 1
name: people
on_error: quarantine
tables:
  - source: legacy.person
    target: crm.person
    alias: p
    joins: [{table: legacy.person, alias: twin, condition: twin.id = p.id + 1}]
    key: [p.id]
    columns:
      born: {expr: "to_date(p.born, 'YYYY-MM-DD')"}
      town: {from: p.town, lookup: {table: legacy.town, key: id, value: name}}
"""


@pytest.mark.django_db(transaction=True)
def test_a_quarantined_row_can_be_read_with_its_reason_and_retried(
    opened: Open, databases: Databases
) -> None:
    world = World(databases.pair("two"))
    world.source(
        "CREATE SCHEMA legacy; CREATE TABLE legacy.person (id integer PRIMARY KEY, born text, town int)"
    )
    world.source("INSERT INTO legacy.person SELECT n, '1980-01-01', 1 FROM generate_series(1, 51) n")
    world.source("UPDATE legacy.person SET born = 'unknown' WHERE id IN (5, 17)")
    world.source(
        "CREATE TABLE legacy.town (id int PRIMARY KEY, name text); INSERT INTO legacy.town VALUES (1, 'Ulm')"
    )
    world.target("CREATE SCHEMA crm; CREATE TABLE crm.person (id serial PRIMARY KEY, born date, town text)")
    world.define(POISON)
    run = work(runs.start(world.mapping, world.environment, factories.make_user()))
    page = opened().new_page()
    page.goto(f"/runs/{run.pk}/")
    assert status_of(page) == "verified"
    page.get_by_role("link", name="2 rows quarantined").click()
    assert page.get_by_role("region", name="Reasons").locator("tbody").inner_text().split()[:4] == [
        "person", "born", "22007", "2",
    ]  # fmt: skip
    page.locator("summary").filter(has_text="person 17").click()
    row = page.get_by_role("region", name="Source row 17 of person")
    expect(row).to_contain_text("unknown")
    assert row.locator("tbody th").all_inner_texts() == ["id", "born", "town"] * 2
    assert violations(page) == []
    world.source("UPDATE legacy.person SET born = '1980-01-02' WHERE id = 17")
    page.get_by_role("button", name="Retry quarantined rows").click()
    work(run)
    expect(page.get_by_role("link", name="1 row quarantined")).to_be_visible()
