"""What the studio costs at 300 tables of 100 columns: `pytest tests/bench/test_studio.py -s` prints it.

CPU of the web process for each request, the fastest of a few: what it takes on a machine that nothing else keeps busy.
"""

from __future__ import annotations

import gzip
import html
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.template.base import Template
from django.test import Client
from django.test.utils import CaptureQueriesContext, _TestState

from mappings.language.file import parse
from mappings.models import Environment
from mappings.store import save_spec
from mappings.studio.live import forget
from tests.conftest import Databases
from tests.factories import environment_at

pytestmark = [pytest.mark.bench, pytest.mark.django_db(transaction=True)]

TABLES, COLUMNS = 300, 100
ROUNDS = 3


@pytest.fixture
def wide(databases: Databases) -> Environment:
    """Tables of 100 columns on both sides, each of which points to the one before it."""
    pair = databases.pair("two")
    for url, schema in ((pair.source, "old"), (pair.target, "new")):
        with psycopg.connect(url) as session:
            session.execute(f"CREATE SCHEMA {schema}")
            for number in range(TABLES):
                columns = ", ".join(f"column_{n} varchar(40)" for n in range(COLUMNS - 2))
                session.execute(
                    f"CREATE TABLE {schema}.table_{number} (id int PRIMARY KEY, before int, {columns})".encode()
                )
            if schema == "old":
                session.execute(
                    f"INSERT INTO old.table_{TABLES // 2} SELECT n, n, 'value ' || n FROM generate_series(1, 50) n"
                )
    return environment_at("wide", pair.source, pair.target)


def mapping_text() -> str:
    tables = []
    for number in range(TABLES):
        columns = [f"      column_{n}: column_{n}" for n in range(COLUMNS - 2)]
        if number:
            columns.append(f"      before: {{from: before, ref: table_{number - 1}}}")
        tables.append(
            f"  - source: old.table_{number}\n    target: new.table_{number}\n    columns:\n"
            + "\n".join(columns)
        )
    return "version: 1\nname: wide\ntables:\n" + "\n".join(tables) + "\n"


def cost(what: str, request: Callable[[], Any]) -> None:
    """Prints CPU, control database queries and size of a request."""
    spent, waited, response, queries = [], [], None, []
    for _ in range(ROUNDS):
        with CaptureQueriesContext(connection) as caught:
            begun, at = time.process_time(), time.monotonic()
            response = request()
            spent.append(time.process_time() - begun)
            waited.append(time.monotonic() - at)
        queries.append(len(caught))
    body = getattr(response, "content", b"")
    assert response is None or getattr(response, "status_code", 200) in (200, 302), response.content[:400]
    packed = len(gzip.compress(body, 6)) / 1000
    first, least, wall = (1000 * seconds for seconds in (spent[0], min(spent), min(waited)))
    took = f"{least:7.0f} ms CPU, {wall:5.0f} ms in all (first {first:.0f} and {1000 * waited[0]:.0f})"
    print(f"{what:<20} {took:<60} {min(queries):4} queries {packed:7.1f} kB", flush=True)


@pytest.fixture
def plain_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates as in production: Django's tests copy the context of each one that is included."""
    monkeypatch.setattr(Template, "_render", _TestState.saved_data.template_render)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("plain_templates")
def test_the_cost_of_looking_and_editing(wide: Environment, client: Client) -> None:
    client.force_login(User.objects.create_superuser("olga"))
    spec = parse(mapping_text())
    mapping = save_spec(spec).mapping
    table = mapping.tables.order_by("position")[TABLES // 2]
    studio = f"/admin/mappings/mapping/{mapping.pk}/"
    at = f"{studio}tables/{table.pk}/"
    script = {"HX-Request": "true"}
    texts = (f"upper(column_{n % 50})" for n in range(1000))
    fill = {"column": "column_7"}
    print()

    def cold() -> Any:
        forget(wide)
        return client.get(f"{studio}change/?table={table.pk}")

    cost("names first", cold)
    cost("page", lambda: client.get(f"{studio}change/?table={table.pk}&now=1"))
    cost("panel", lambda: client.get(at, headers=script))
    cost("column editor", lambda: client.get(f"{at}column/?column=column_7", headers=script))
    cost("check", lambda: client.get(f"{at}check/?column=column_7&text=lower(column_7)", headers=script))
    cost("fill", lambda: client.post(f"{at}fill/", {**fill, "text": next(texts)}, headers=script))
    cost(
        "answer",
        lambda: client.post(
            f"{at}answer/", {"question": "rows", "where": next(texts) + " <> ''"}, headers=script
        ),
    )
    cost("undo", lambda: client.post(f"{studio}undo/"))
    cost("news", lambda: client.get(f"{studio}news/?since=1", headers=script))
    cost("proposed", lambda: client.get(f"{at}proposed/", headers=script))
    cost("effects", lambda: client.get(f"{at}effects/", headers=script))
    cost("completion", lambda: client.get(f"{at}completion/", headers=script))
    cost("rows", lambda: client.get(f"{at}rows/", headers=script))
    cost("add page", lambda: client.get(f"{studio}add/"))
    cost("text", lambda: client.get(f"{studio}text/"))
    whole = html.unescape(client.get(f"{studio}text/").content.decode().partition("data-editor>\n")[2])
    text = whole.partition("</textarea>")[0]
    changed = iter(text.replace("column_9: column_9", f"column_9: column_1{n}", 1) for n in range(ROUNDS))

    def save_text() -> Any:
        mapping.refresh_from_db()
        return client.post(f"{studio}text/save/", {"text": next(changed), "version": mapping.version})

    cost("save text", save_text)
    cost("save revision", lambda: client.post(f"{studio}save/", {"note": "x"}))
