"""The form of throttles in a real browser: set without leaving the page, readable in both themes, on a phone too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Page, expect

from jobs.models import Run
from tests import factories
from tests.browser.conftest import Open
from tests.browser.test_pages import in_both_themes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run() -> Run:
    factories.make_seat()
    reason = "a replica of the target lags 12.4 s, more than 5"
    return factories.make_run("copying", waiting_for=reason)


def open_form(page: Page, run: Run) -> None:
    page.goto(f"/runs/{run.pk}/")
    page.get_by_text("Change the throttles").click()


def test_throttles_are_set_without_leaving_the_page(opened: Open, run: Run) -> None:
    page = opened(get_user_model().objects.create_superuser("boss")).new_page()
    open_form(page, run)
    expect(
        page.get_by_text("Waiting because a replica of the target lags 12.4 s, more than 5.")
    ).to_be_visible()
    page.get_by_role("textbox", name="Rows per second").fill("many")
    page.get_by_role("button", name="Set the throttles").click()
    expect(page.get_by_text("'many' is not a whole number.")).to_be_visible()
    page.get_by_role("textbox", name="Rows per second").fill("5000")
    page.get_by_role("button", name="Set the throttles").click()
    expect(page.get_by_text("It moves 5,000 rows a second.")).to_be_visible()
    expect(page.get_by_text("The run is throttled: it moves 5,000 rows a second.")).to_be_visible()
    run.refresh_from_db()
    assert run.throttles == {"rows_per_second": 5000}


def test_the_open_form_can_be_read_and_fits(opened: Open, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(
        throttles={
            "rows_per_second": 5000,
            "replication_lag_seconds": 5,
            "target_query": "SELECT text FROM busy",
        }
    )
    page = opened(get_user_model().objects.create_superuser("boss"), reduced_motion="reduce").new_page()
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        open_form(page, run)
        assert in_both_themes(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        if "SHOTS" in os.environ:
            page.screenshot(path=Path(os.environ["SHOTS"]) / f"throttles-{width}.png", full_page=True)
