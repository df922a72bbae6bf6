"""Two tabs on one form: the older save is refused, says who changed what, and keeps what was typed."""

from __future__ import annotations

import re
import socket
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from mappings.models import Environment
from tests.factories import environment_at

pytestmark = pytest.mark.django_db


def page(one: Environment) -> str:
    return f"/admin/mappings/environment/{one.pk}/change/"


def filled(client: Client, url: str) -> dict[str, str]:
    """What a browser would send back if the page's form were submitted unchanged."""
    form = client.get(url).context["adminform"].form
    return {field.html_name: str(value) for field in form if (value := field.value()) not in (None, False)}


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return client


@pytest.fixture
def environment() -> Environment:
    """One that does not answer, so that nothing is checked against its tables."""
    url = "postgresql://u:hunter2@127.0.0.1:1/nowhere"
    return environment_at("local", url, url)


def shown(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_the_older_save_is_refused(environment: Environment) -> None:
    url = page(environment)
    olga, hanna = signed_in("olga"), signed_in("hanna")
    mine = {**filled(olga, url), "name": "mine"}
    hers = "postgresql://hers@127.0.0.1:1/hers"
    assert hanna.post(url, {**filled(hanna, url), "target_url": hers}).status_code == 302

    refused = olga.post(url, mine)
    assert refused.status_code == 200
    text = shown(refused.content.decode())
    assert "hanna changed this at" in text and "target address: is another one now" in text, text
    assert 'value="mine"' in refused.content.decode() and "hunter2" not in refused.content.decode()
    assert not Environment.objects.filter(name="mine")

    again = {**mine, "seen": refused.context["adminform"].form["seen"].value()}
    assert olga.post(url, again).status_code == 302, "whoever has seen it may put theirs in its place"


def test_a_command_is_told_as_well(environment: Environment) -> None:
    olga = signed_in("olga")
    mine = filled(olga, page(environment))
    environment.target_url = "postgresql://other@127.0.0.1:1/other"
    environment.save()
    refused = olga.post(page(environment), mine)
    assert "a command changed this at" in shown(refused.content.decode())


@pytest.mark.parametrize("made_up", ["", "x", "eyJ4IjoxfQ:1abc:xyz"])
def test_a_page_that_does_not_say_what_it_was_made_from(made_up: str, environment: Environment) -> None:
    olga = signed_in("olga")
    refused = olga.post(page(environment), {**filled(olga, page(environment)), "seen": made_up})
    assert "does not say what it was made from" in shown(refused.content.decode())


@pytest.mark.django_db(transaction=True)
def test_a_silent_host_holds_no_transaction() -> None:
    """The control database ends who waits within one; here soon, in earnest after 30 s."""
    olga = signed_in("olga")
    with socket.create_server(("127.0.0.1", 0)) as silent, connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = '500ms'")
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2"
        before = environment_at("before", url, url)
        typed = {"name": "quiet", "source_url": url, "target_url": url, "after": str(before.pk)}
        saved = olga.post("/admin/mappings/environment/add/", typed, follow=True)
        cursor.execute("RESET idle_in_transaction_session_timeout")
    assert "does not answer" in shown(saved.content.decode())
    assert Environment.objects.filter(name="quiet", after=before).exists()
