"""The form of an environment: tested before it is saved, each side by itself, and nothing typed is lost or shown."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client
from psycopg.conninfo import conninfo_to_dict

from mappings.models import Environment, Mapping
from tests.conftest import Databases

pytestmark = pytest.mark.django_db

ADD = "/admin/mappings/environment/add/"


@pytest.fixture
def olga(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("olga"))
    return client


def answer(client: Client, fields: dict[str, Any], address: str = ADD) -> tuple[str, str]:
    """(the page in words, what it keeps of the secrets)."""
    page = client.post(address, fields, follow=True).content.decode()
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


def fields_of(side: str, url: str, **other: str) -> dict[str, str]:
    """An address as the page's fields say it."""
    parts = conninfo_to_dict(url)
    names = {"host": "host", "port": "port", "database": "dbname", "user": "user", "password": "password"}
    found = {name: str(parts.get(known, "")) for name, known in names.items()}
    return {
        f"{side}_{name}": text for name, text in {**found, "sslmode": "", "sslrootcert": "", **other}.items()
    }


def test_an_address_may_be_given_in_fields_or_in_one_piece_and_each_says_what_the_other_says(
    olga: Client, databases: Databases
) -> None:
    pair = databases.pair("two")
    whole = {"source_url": f"{pair.source}?sslmode=prefer", "source_host": "", "_test": "source"}
    page = olga.post(ADD, whole).content.decode()
    shown = dict(re.findall(r'<input type="text" name="(source_\w+)" value="([^"]*)"', page))
    wanted = fields_of("source", pair.source)
    assert (
        shown["source_host"] == wanted["source_host"]
        and shown["source_database"] == wanted["source_database"]
    )
    assert '<option value="prefer" selected>' in page
    told = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "Source : PostgreSQL" in told and "Target" in told and "correct the error" not in told
    answer(olga, {"name": "local", **wanted, **fields_of("target", pair.target, sslmode="prefer")})
    saved = Environment.objects.get()
    same = {**conninfo_to_dict(pair.target), "sslmode": "prefer"}
    assert conninfo_to_dict(saved.source_url) == conninfo_to_dict(pair.source)
    assert conninfo_to_dict(saved.target_url) == same
    change = f"/admin/mappings/environment/{saved.pk}/change/"
    page = olga.get(change).content.decode()
    assert "Set. Leave empty to keep it." in page and wanted["source_password"] not in page
    seen = html.unescape(re.findall(r'name="seen" value="([^"]*)"', page)[0])
    kept = {
        **wanted,
        "source_password": "",
        **fields_of("target", saved.target_url, password="", sslmode="disable"),
    }
    answer(olga, {"name": "local", "seen": seen, **kept}, change)
    saved.refresh_from_db()
    assert conninfo_to_dict(saved.target_url) == {**same, "sslmode": "disable"}, "the password is kept"
    seen = html.unescape(re.findall(r'name="seen" value="([^"]*)"', olga.get(change).content.decode())[0])
    elsewhere = {"name": "local", "seen": seen, **kept, "source_host": "elsewhere.example"}
    for more in ({}, {"_test": "source"}):
        told, _ = answer(olga, {**elsewhere, **more}, change)
        assert "type the password again" in told and "Source : " not in told, "sent to no other host"


def test_secrets_by_name_are_those_set_apart_for_pages_and_hosts_alone(
    olga: Client, databases: Databases, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    pair = databases.pair("two")
    given = fields_of("source", pair.source)
    folder = tmp_path / "offered"
    folder.mkdir()
    (tmp_path / "outside").write_text(f"{given['source_password']}\n{given['source_host']}\n")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "whole").write_text(f"{pair.source}\n")
    (folder / "bound").write_text(f"{given['source_password']}\nold.example, {given['source_host']}\n")
    settings.SECRET_FILES = str(folder)
    for name, value in (("MIGRATOR_SECRET_A", given["source_password"]), ("MIGRATOR_SECRET_W", pair.source)):
        monkeypatch.setenv(name, value)

    def told(**more: str) -> str:
        return answer(olga, {**given, **more, "_test": "source"})[0]

    refused = {
        "env:SECRET_KEY": "whose name begins with MIGRATOR_SECRET_ alone",
        "env:MIGRATOR_SECRET_NONE": "is not set",
        "env:MIGRATOR_SECRET_A": f"not kept for the host {given['source_host']}",
        "env:MIGRATOR_SECRET_A_HOSTS": "whose name begins with MIGRATOR_SECRET_ alone",
        "file:../outside": "below",
        "file:link": "below",
        f"file:{tmp_path}/outside": "below",
        "file:whole": "not kept for the host",
        "file:none": "There is no file none",
    }
    for reference, why in refused.items():
        page = told(source_password=reference)
        assert why in page and "Source : PostgreSQL" not in page, reference
    assert "Source : PostgreSQL" in told(source_password="file:bound")
    monkeypatch.setenv("MIGRATOR_SECRET_A_HOSTS", given["source_host"])
    assert "Source : PostgreSQL" in told(source_password="env:MIGRATOR_SECRET_A")
    for whole in ("env:MIGRATOR_SECRET_W", "file:whole"):
        assert "Source : PostgreSQL" in told(source_password="", source_url=whole)
    settings.SECRET_FILES = ""
    assert "No folder of secrets is set" in told(source_password="file:bound")


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
            saved = olga.post(ADD, {"name": "poor", "source_url": url, "target_url": url}, follow=True)
            assert "may not read 1 tables of schema shop (GRANT SELECT" in saved.content.decode()
            mapping = Mapping.objects.create(name="shop")
            added = olga.get(f"/admin/mappings/mapping/{mapping.pk}/add/").content.decode()
            assert "may not read 1\u00a0table of 1" in added and "may not be read" in added
            for grant in dict.fromkeys(re.findall(r"GRANT [^;]+;", told)):
                session.execute(grant.encode())
            assert "GRANT" not in answer(olga, fields)[0]
        finally:
            session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
