"""However large a mapping is, an edit asks the control database as often, and reads what it is about."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mappings.catalog import dependents
from mappings.connections.sessions import connect
from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.store import save_spec
from mappings.studio import live, sessions
from mappings.studio.live import forget
from tests.studio.conftest import FILE, Desk

pytestmark = pytest.mark.django_db

dependents_of = dependents.read

MORE = "  - {{source: old.extra_{0}, target: new.extra_{0}, columns: {{x: x_{0}}}}}\n"


def asked(request: Callable[[], Any]) -> list[str]:
    """What the control database is asked for a request."""
    with CaptureQueriesContext(connection) as caught:
        assert request().status_code in (200, 302)
    return [query["sql"] for query in caught]


def counted_sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Takes down the address of each session that the studio opens from now on."""
    opened: list[str] = []

    def counted(url: str, **how: Any) -> psycopg.Connection[Any]:
        opened.append(url)
        return connect(url, **how)

    monkeypatch.setattr("mappings.studio.sessions.connect", counted)
    return opened


def test_an_edit_asks_as_often_in_a_mapping_of_many_tables(shop: Desk) -> None:
    script = {"HX-Request": "true"}
    texts = iter(f"upper(name) || {number}" for number in range(100))
    requests: dict[str, Callable[[], Any]] = {
        "panel": lambda: shop.client.get(shop.at(1), headers=script),
        "editor": lambda: shop.client.get(f"{shop.at(1)}column/", {"column": "account_id"}, headers=script),
        "check": lambda: shop.client.get(f"{shop.at()}check/", {"column": "name", "text": "lower(name)"}),
        "fill": lambda: shop.client.post(
            f"{shop.at()}fill/", {"column": "name", "text": next(texts)}, headers=script
        ),
        "fill beside a reference": lambda: shop.client.post(
            f"{shop.at(1)}fill/", {"column": "email", "text": next(texts)}, headers=script
        ),
        "answer": lambda: shop.client.post(
            f"{shop.at(1)}answer/", {"question": "rows", "where": f"{next(texts)} <> ''"}, headers=script
        ),
        "news": lambda: shop.client.get(f"{shop.url}news/", {"since": "1"}),
        "page": lambda: shop.client.get(f"{shop.url}change/"),
    }
    for first in (requests["page"], requests["news"]):  # the first look reads the catalogs and is put down
        first()
    before = {what: asked(request) for what, request in requests.items()}
    save_spec(parse(FILE + "".join(MORE.format(number) for number in range(60))))
    shop = shop._replace(mapping=Mapping.objects.get())
    after = {what: asked(request) for what, request in requests.items()}
    assert {what: len(found) for what, found in after.items()} == {
        what: len(found) for what, found in before.items()
    }
    assert shop.mapping.tables.count() == 62


def test_many_tables_are_added_with_one_look_and_undone_at_once(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = counted_sessions(monkeypatch)
    needed = []
    for count in (1, 30):
        ticked = {"source": ["old.company"] * count, "target-old.company": "new.account"}
        sessions.clear()
        forget(Environment.objects.get())
        assert shop.client.post(f"{shop.url}add/ticked/", ticked).status_code == 302
        needed.append(len(sessions))
    assert needed[0] >= needed[1] > 0
    added = shop.mapping.tables.order_by("position")[3:]
    assert len(added) == 30 and all(table.values["columns"] for table in added)
    for _ in ("what was proposed", "the tables"):
        shop.client.post(f"{shop.url}undo/")
    assert shop.mapping.tables.count() == 3


@pytest.fixture
def long_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is kept for a while is kept however slow the machine is."""
    for where, name in ((sessions, "FRESH_SECONDS"), (sessions, "IDLE_SECONDS"), (live, "FRESH_SECONDS")):
        monkeypatch.setattr(where, name, 600.0)


@pytest.mark.usefixtures("long_minute")
def test_an_edit_reads_no_catalog_that_was_read_within_the_minute(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    sessions = counted_sessions(monkeypatch)

    def counted(session: psycopg.Connection[Any], oid: int) -> tuple[dependents.Dependent, ...]:
        read.append(oid)
        return dependents_of(session, oid)

    monkeypatch.setattr(dependents, "read", counted)
    environment = Environment.objects.get()
    forget(environment)
    shop.fill("name", text="upper(name)")
    assert read and len(sessions) == 2, "one a side, for all tables and then for this one"
    read.clear()
    sessions.clear()
    assert "widened" in shop.fill("name", text="lower(name)")
    assert not read and not sessions

    with psycopg.connect(environment.target_url) as session:  # somebody else, meanwhile
        session.execute("ALTER TABLE new.account ADD nick int")
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    page = f"{shop.url}change/"
    assert "nick" not in shop.client.get(page).content.decode()
    assert "nick" in shop.client.get(f"{page}?fresh=1").content.decode(), "read again where that is asked for"
    assert "fails" in shop.fill("nick", text="upper(name)")


@pytest.mark.usefixtures("long_minute")
def test_of_many_tables_the_names_are_shown_before_the_databases_are_asked(shop: Desk) -> None:
    save_spec(parse(FILE + "".join(MORE.format(number) for number in range(60))))
    forget(Environment.objects.get())
    page = shop.client.get(f"{shop.url}change/").content.decode()
    assert "extra_59" in page and "Reading the tables of" in page and "column-table" not in page
    address = html.unescape(
        page.partition('class="card first waiting"')[2].partition('hx-get="')[2].partition('"')[0]
    )
    page = shop.client.get(address).content.decode()
    assert "extra_59" in page and "Reading the tables of" not in page and "column-table" in page
    assert "column-table" in shop.client.get(f"{shop.url}change/").content.decode(), "at hand for the minute"


def test_the_list_tells_of_each_table_what_the_draft_says_now(shop: Desk) -> None:
    """What was found wrong is remembered by what the table says: an edit, of a parent too, is seen at once."""
    shop.fill("region", text="lower(")
    assert "1 wrong" in shop.client.get(f"{shop.url}change/").content.decode()
    shop.fill("region", text="lower(name)")
    assert "1 wrong" not in shop.client.get(f"{shop.url}change/").content.decode()
    shop.client.post(f"{shop.at()}answer/", {"question": "tables", "name": "firm", "source": "old.company",
                                             "target": "new.account"})  # fmt: skip
    page = shop.client.get(f"{shop.url}change/").content.decode()
    assert page.count("1 wrong") == 1, "contact points to company, of which there is none any more"


def test_the_list_of_mappings_tells_the_state_of_each_in_as_many_queries(shop: Desk) -> None:
    listed = "/admin/mappings/mapping/"
    assert "revision 1<" in shop.client.get(listed).content.decode()
    shop.fill("region", text="region_id")
    shop.fill("region", text="upper(name)")
    assert "draft, 2 changes since revision 1<" in shop.client.get(listed).content.decode()
    shop.client.post(f"{shop.url}undo/")
    assert "draft, 1 change since revision 1<" in shop.client.get(listed).content.decode()
    before = asked(lambda: shop.client.get(listed))
    Mapping.objects.bulk_create(Mapping(name=f"m-{number}") for number in range(1000))
    after = asked(lambda: shop.client.get(listed))
    assert len(after) == len(before)
    assert "draft, no revision yet" in shop.client.get(listed).content.decode()
