"""Two tabs on one form: the older save is refused, says who changed what, and keeps what was typed."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.store import save_spec
from tests.test_mapping_admin import FILE, filled, page

pytestmark = pytest.mark.django_db

Page = Callable[[Mapping, Environment], str]
PAGES: dict[str, tuple[Page, str, str, str]] = {
    "mapping": (lambda mapping, _: page(mapping), "description", "hers", "description: was A shop"),
    "row of a mapping": (lambda mapping, _: page(mapping), "tables-1-target", "other.place",
                         "table address → place, target"),
    "table": (lambda mapping, _: page(mapping, 0), "where", "c.id > 7", "where: was c.id > 0, is now c.id > 7"),
    "column": (lambda mapping, _: page(mapping, 0), "columns-1-expr", "upper(c.name)",
               "column note, expression: was lower(c.name), is now upper(c.name)"),
    "environment": (lambda _, one: f"/admin/mappings/environment/{one.pk}/change/", "target_url",
                    "postgresql://hers@127.0.0.1:1/hers", "target address: is another one now"),
}  # fmt: skip


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return client


@pytest.fixture
def mapping() -> Mapping:
    return save_spec(parse(FILE)).mapping


@pytest.fixture
def environment() -> Environment:
    """One that does not answer, so that nothing is checked against its tables."""
    url = "postgresql://u:secret@127.0.0.1:1/nowhere"
    environment = Environment(name="local", source_url=url, target_url=url)
    environment.save()
    return environment


def shown(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("kind", list(PAGES))
def test_the_older_save_is_refused(kind: str, mapping: Mapping, environment: Environment) -> None:
    address, field, hers, told = PAGES[kind]
    url = address(mapping, environment)
    olga, hanna = signed_in("olga"), signed_in("hanna")
    note = {} if kind == "environment" else {"note": "typed by olga"}
    mine = {**filled(olga, url), **note, "name": "mine"}
    assert hanna.post(url, {**filled(hanna, url), field: hers}).status_code == 302

    refused = olga.post(url, mine)
    assert refused.status_code == 200
    text = shown(refused.content.decode())
    assert "hanna changed this at" in text and told in text, text
    assert 'value="mine"' in refused.content.decode() and "secret" not in text
    assert not Environment.objects.filter(name="mine") and not Mapping.objects.filter(name="mine")

    again = {**mine, "seen": refused.context["adminform"].form["seen"].value()}
    assert olga.post(url, again).status_code == 302, "whoever has seen it may put theirs in its place"


def test_a_command_is_told_as_well(mapping: Mapping) -> None:
    olga = signed_in("olga")
    mine = filled(olga, page(mapping))
    save_spec(parse(FILE.replace("A shop", "Another shop")))
    refused = olga.post(page(mapping), mine)
    assert "a command changed this at" in shown(refused.content.decode())


def test_saving_elsewhere_in_the_mapping_is_no_conflict(mapping: Mapping, environment: Environment) -> None:
    """Two people may work on two tables."""
    olga, hanna = signed_in("olga"), signed_in("hanna")
    mine = filled(olga, page(mapping, 1))
    hers = {**filled(hanna, page(mapping, 0)), "where": "c.id > 7"}
    assert hanna.post(page(mapping, 0), hers).status_code == 302
    assert olga.post(page(mapping, 1), {**mine, "where": "id > 1"}).status_code == 302


def test_loading_a_file_leaves_the_pages_of_its_tables_where_they_are(mapping: Mapping) -> None:
    olga = signed_in("olga")
    url = page(mapping, 0)
    mine = filled(olga, url)
    save_spec(parse(FILE.replace("c.id > 0", "c.id > 9")))
    refused = olga.post(url, mine)
    assert "where: was c.id > 0, is now c.id > 9" in shown(refused.content.decode())


@pytest.mark.parametrize("made_up", ["", "x", "eyJ4IjoxfQ:1abc:xyz"])
def test_a_page_that_does_not_say_what_it_was_made_from(made_up: str, mapping: Mapping) -> None:
    olga = signed_in("olga")
    refused = olga.post(page(mapping), {**filled(olga, page(mapping)), "seen": made_up})
    assert "does not say what it was made from" in shown(refused.content.decode())


@pytest.mark.django_db(transaction=True)
def test_a_silent_host_holds_no_transaction() -> None:
    """The control database ends who waits within one; here soon, in earnest after 30 s."""
    olga = signed_in("olga")
    with socket.create_server(("127.0.0.1", 0)) as silent, connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = '500ms'")
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2"
        before = Environment(name="before", source_url=url, target_url=url)
        before.save()
        typed = {"name": "quiet", "source_url": url, "target_url": url, "after": str(before.pk)}
        saved = olga.post("/admin/mappings/environment/add/", typed, follow=True)
        cursor.execute("RESET idle_in_transaction_session_timeout")
    assert "does not answer" in shown(saved.content.decode())
    assert Environment.objects.filter(name="quiet", after=before).exists()
