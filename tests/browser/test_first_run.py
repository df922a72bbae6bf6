"""From an empty installation to verified rows in the studio: by mouse, by keyboard alone, and how little it takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, Route, expect

from jobs.models import Run
from mappings.models import Environment, Mapping
from mappings.studio.live import forget
from tests import factories
from tests.browser.conftest import Open
from tests.browser.test_pages import in_both_themes, violations
from tests.conftest import Databases, Pair
from tests.factories import environment_at
from tests.journeys.world import work

pytestmark = pytest.mark.django_db(transaction=True)

SOURCE = """
CREATE SCHEMA legacy;
CREATE TABLE legacy.code (no int PRIMARY KEY, what text NOT NULL);
CREATE TABLE legacy.artist (artist_id int PRIMARY KEY, artist_name text NOT NULL);
CREATE TABLE legacy.album (album_id int PRIMARY KEY, title text NOT NULL,
                           artist_id int NOT NULL REFERENCES legacy.artist);
CREATE TABLE legacy.track (track_id int PRIMARY KEY, name text NOT NULL, album_id int REFERENCES legacy.album,
                           kind int, milliseconds int NOT NULL);
INSERT INTO legacy.code VALUES (1, 'Rock'), (2, 'Jazz'), (3, 'Choral');
INSERT INTO legacy.artist SELECT n, 'Artist ' || n FROM generate_series(1, 20) n;
INSERT INTO legacy.album SELECT n, 'Album ' || n, 1 + n % 20 FROM generate_series(1, 60) n;
INSERT INTO legacy.track SELECT n, 'Track ' || n, 1 + n % 60, 1 + n % 3, n * 1000 FROM generate_series(1, 300) n;
ANALYZE;
"""
TARGET = """
CREATE SCHEMA music;
CREATE TABLE music.artist (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE music.album (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL,
                          artist_id bigint NOT NULL REFERENCES music.artist);
CREATE TABLE music.track (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
                          album_id bigint REFERENCES music.album, style text NOT NULL, milliseconds int NOT NULL);
"""


@pytest.fixture
def pair(databases: Databases) -> Pair:
    """Two schemas that a user knows nothing of."""
    pair = databases.pair("two")
    for url, sql in ((pair.source, SOURCE), (pair.target, TARGET)):
        with psycopg.connect(url) as session:
            session.execute(sql.encode())
    return pair


class Hands:
    """Somebody at the page, who counts what it takes."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.fields = 0

    def press(self, control: Locator) -> None:
        self.clicks += 1
        control.click()

    def type(self, field: Locator, text: str) -> None:
        self.fields += 1
        field.fill(text)

    def choose(self, field: Locator, label: str) -> None:
        self.clicks += 1
        field.select_option(label)


class Keys(Hands):
    """The same person without a mouse: everything is reached by Tab, and pressed by Enter or Space."""

    def reach(self, control: Locator) -> None:
        expect(control).to_be_visible()
        there = control.element_handle()
        for _ in range(200):
            found = "there => there === document.activeElement || (there.type === 'radio' && "
            found += "document.activeElement.name === there.name)"
            if self.page.evaluate(found, there):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {control}")

    def press(self, control: Locator) -> None:
        self.clicks += 1
        self.reach(control)
        kind = control.get_attribute("type") or ""
        if kind == "radio":
            for _ in range(10):
                if control.is_checked():
                    return
                self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Space" if kind == "checkbox" else "Enter")

    def type(self, field: Locator, text: str) -> None:
        self.fields += 1
        self.reach(field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)


def first_run(page: Page, hands: Hands, pair: Pair) -> None:
    """From the overview of an empty installation to a run that is verified."""
    button: Callable[[str], Locator] = lambda name: page.get_by_role("button", name=name, exact=True)  # noqa: E731
    page.goto("/")
    hands.press(page.get_by_role("link", name="Add an environment"))
    hands.type(page.get_by_label("Name:", exact=True), "local")
    hands.type(page.get_by_label("Source address"), pair.source)
    hands.type(page.get_by_label("Target address"), pair.target)
    hands.press(button("Save"))
    expect(page.get_by_text("Connection test: the source answers.")).to_be_visible()
    hands.press(page.get_by_role("link", name="Make a mapping"))
    hands.type(page.get_by_label("Name:", exact=True), "music")
    hands.press(button("Save"))
    for name in ("artist", "album", "track"):
        hands.press(page.get_by_role("checkbox", name=f"legacy.{name}"))
    assert violations(page) == []
    hands.press(button("Add those ticked"))
    expect(page.get_by_role("heading", name="album", exact=True)).to_be_visible()
    fill_what_is_open(page, hands)
    assert violations(page) == []
    hands.press(button("Review and start"))
    hands.press(button("Start in local"))
    expect(page.get_by_role("heading", name="music in local")).to_be_visible()
    assert work(Run.objects.get()).status == "verified"
    expect(page.locator("#run-headline .pill")).to_have_text("verified", timeout=120_000)


def fill_what_is_open(page: Page, hands: Hands) -> None:
    """The style of a track is looked up by hand; all the rest was filled on adding."""
    hands.press(page.locator("#entries a").filter(has_text="track"))
    expect(page.get_by_role("heading", name="track", exact=True)).to_be_visible()
    hands.press(page.get_by_role("link", name="Other ways to fill style"))
    hands.press(page.get_by_role("radio", name="lookup"))
    editor = page.locator(".column-editor")
    hands.type(editor.get_by_role("textbox", name="Source column or expression"), "kind")
    hands.type(editor.get_by_label("Lookup table in the source"), "legacy.code")
    hands.type(editor.get_by_label("its key", exact=True), "no")
    hands.type(editor.get_by_label("its value"), "what")
    hands.press(editor.get_by_role("button", name="Save"))
    expect(page.locator(".column-table")).to_contain_text("looked up")


@pytest.mark.parametrize("way", [Hands, Keys], ids=["mouse", "keyboard"])
def test_from_an_empty_installation_to_verified(opened: Open, pair: Pair, way: type[Hands]) -> None:
    factories.make_seat()
    page = opened(User.objects.create_superuser("olga")).new_page()
    page.set_default_timeout(30_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    hands = way(page)
    first_run(page, hands, pair)
    print(f"{way.__name__}: {hands.clicks} clicks, {hands.fields} fields")
    assert (hands.clicks < 25, hands.fields < 10) == (True, True)
    assert complaints == []
    with psycopg.connect(Environment.objects.get().target_url) as target:
        found = target.execute(
            "SELECT count(*), count(DISTINCT style), count(a.id) FROM music.track t"
            " JOIN music.album b ON b.id = t.album_id JOIN music.artist a ON a.id = b.artist_id"
        ).fetchone()
    assert found == (300, 3, 300)


@pytest.mark.parametrize("width", [360, 1440, 3840])
def test_the_studio_with_all_open_can_be_read_by_all_and_fits(
    opened: Open, pair: Pair, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wide table, an open editor with its completion, rows, the pages for many tables, no table, no database."""
    with psycopg.connect(pair.target) as session:
        columns = ", ".join(f"a_rather_long_column_name_{n} varchar({n + 1})" for n in range(100))
        session.execute(f"CREATE TABLE music.wide (id int PRIMARY KEY, {columns})".encode())
    environment = environment_at("local", pair.source, pair.target)
    mapping, empty = Mapping.objects.create(name="music"), Mapping.objects.create(name="empty")
    reference = {"name": "album_id", "from": "album_id", "ref": "album"}
    for source, target, filled in (
        ("track", "track", [{"name": "name", "from": "name"}, reference]),
        ("album", "album", []),
        ("track", "wide", []),
    ):
        values = {
            "source": f"legacy.{source}",
            "target": f"music.{target}",
            "name": target,
            "columns": filled,
        }
        mapping.tables.create(position=mapping.tables.count(), values=values)
    olga = User.objects.create_superuser("olga")
    page = opened(olga, viewport={"width": width, "height": 900}, reduced_motion="reduce").new_page()
    page.set_default_timeout(30_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    studio, wide = f"/admin/mappings/mapping/{mapping.pk}", mapping.tables.last()

    def looked_at(what: str) -> None:
        complaints.extend(f"{what}: {one}" for one in in_both_themes(page))
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            complaints.append(f"{what}: wider than the screen")
        if "SHOTS" in os.environ:
            page.screenshot(path=Path(os.environ["SHOTS"]) / f"{what}-{width}.png", full_page=what != "wide")

    page.goto(f"{studio}/change/?column=name")
    page.locator("a", has_text="Ten rows").click()
    expect(page.locator("#real-rows table").first).to_be_visible()
    looked_at("rows")
    page.locator(".column-editor textarea").first.fill("low")
    expect(page.get_by_role("option").first).to_be_visible()
    looked_at("completion")
    for what, path in (
        ("wide", f"{studio}/change/?table={wide.pk if wide else 0}"),
        ("add", f"{studio}/add/?from={{name}}&to=music.{{name}}"),
        ("several", f"{studio}/several/"),
        ("empty", f"/admin/mappings/mapping/{empty.pk}/change/"),
        ("environment", "/admin/mappings/environment/add/"),
        ("overview", "/"),
    ):
        page.emulate_media(color_scheme="light")  # before the page is there: nothing fades from the dark
        page.goto(path)
        looked_at(what)
    monkeypatch.setattr("mappings.studio.frame.MANY", 1)
    forget(environment)
    held: list[Route] = []
    page.route("**now=1**", lambda route: held.append(route))  # noqa: PLW0108 (playwright keeps marks on it)
    page.goto(f"{studio}/change/")
    expect(page.get_by_role("progressbar")).to_be_visible()
    looked_at("waiting")
    held[0].continue_()
    expect(page.locator(".column-table")).to_contain_text("new id of album")
    page.unroute("**now=1**")
    environment.target_url = "postgresql://olga:pw@127.0.0.1:1/x"
    environment.save()
    page.goto(f"{studio}/change/")
    looked_at("unreachable")
    assert complaints == []
