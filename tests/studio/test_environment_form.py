"""The form of an environment: tested before it is saved, each side by itself, and nothing typed is lost or shown."""

from __future__ import annotations

import html
import re
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client
from psycopg.conninfo import conninfo_to_dict

from mappings.models import Environment
from tests.conftest import Databases

pytestmark = pytest.mark.django_db

ADD = "/admin/mappings/environment/add/"


@pytest.fixture
def olga(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("olga"))
    return client


def answer(client: Client, fields: dict[str, Any]) -> tuple[str, str]:
    """(the page in words, what it keeps of the secrets)."""
    page = client.post(ADD, fields, follow=True).content.decode()
    kept = re.search(r'name="kept" value="([^"]*)"', page)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split()), kept[1] if kept else ""


def test_each_side_is_tested_by_itself_and_nothing_is_saved(olga: Client, databases: Databases) -> None:
    pair = databases.pair("two")
    with psycopg.connect(pair.source) as session:
        session.execute("CREATE TABLE thing (id int)")
    gone = "postgresql://olga:hunter2@127.0.0.1:1/x"
    told, _ = answer(olga, {"name": "local", "source_url": pair.source, "target_url": gone, "_test": "1"})
    assert re.search(r"Source : PostgreSQL 18\.\S+, 1 tables, encoding UTF8, role postgres", told)
    assert "Target : The database does not answer." in told and not Environment.objects.exists()
    told, _ = answer(olga, {"source_url": "nonsense", "target_url": pair.target, "_test": "1"})
    assert (
        "The address must have the form" in told and "Target : PostgreSQL" in told and "Source :" not in told
    )
    two, one = ({"source_url": url, "target_url": pair.target, "_test": "1"} for url in pair)
    assert "They are two databases." in answer(olga, two)[0]
    assert "Both are the same database." in answer(olga, one)[0]


def test_what_was_typed_is_kept_for_the_next_try_and_not_shown(olga: Client, databases: Databases) -> None:
    pair = databases.pair("two")
    password = str(conninfo_to_dict(pair.source)["password"])
    told, kept = answer(olga, {"name": "", "source_url": pair.source, "target_url": pair.target})
    assert "Set, as typed just now." in told and kept and password not in told + kept
    assert not Environment.objects.exists()
    answer(olga, {"name": "local", "kept": kept[:-8] + "AAAAAAA="})
    assert not Environment.objects.exists(), "nobody makes one up"
    answer(olga, {"name": "local", "kept": kept})
    saved = Environment.objects.get()
    assert (saved.source_url, saved.target_url) == (pair.source, pair.target)


def test_rights_that_a_role_lacks_are_named_with_their_grant(olga: Client, databases: Databases) -> None:
    """Who does what the page says has what was missing."""
    pair = databases.pair("two")
    role = f"reader_{conninfo_to_dict(pair.source)['dbname']}"
    with psycopg.connect(pair.source, autocommit=True) as session:
        session.execute("CREATE SCHEMA shop; CREATE TABLE shop.thing (id int)")
        session.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        try:
            url = re.sub(r"//[^@]*@", f"//{role}:x@", pair.source)
            fields = {"source_url": url, "target_url": url, "_test": "1"}
            told, _ = answer(olga, fields)
            assert "may not use schema shop" in told and "may not read 1 tables of schema shop" in told
            assert "may not create the schema migrator" in told
            for grant in dict.fromkeys(re.findall(r"GRANT [^;]+;", told)):
                session.execute(grant.encode())
            assert "GRANT" not in answer(olga, fields)[0]
        finally:
            session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
