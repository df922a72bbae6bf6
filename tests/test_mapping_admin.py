"""The forms: they save what a file would say, offer and check live tables, and never lose a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import TextInput
from django.test import Client
from mappings.forms.fields import ConstantField, NamesField, SourceIdField, constant_text
from mappings.forms.join_rows import PARTS, JoinsField

from mappings.language.file import parse
from mappings.models import Environment, Mapping, Revision
from mappings.store import save_spec, spec_of
from tests.conftest import Databases

pytestmark = pytest.mark.django_db

FILE = r"""
version: 1
name: shop
description: "A shop\nand more"
tables:
  - name: people
    source: customer
    alias: c
    joins:
      - {table: address, alias: a, condition: "a.id = c.id", type: left}
    where: "c.id > 0"
    key: [id]
    target: client
    existing: {match: [name, "lower(note)"], then: keep}
    link: {source_id: false, map: false, backref: new_id}
    columns:
      name: c.name
      note: {expr: "lower(c.name)"}
      kind: {value: "12"}
      extra: {value: {a: [1, null]}}
      region: {from: region_id, lookup: {table: address, key: id, value: street}}
      parent_id: {from: c.parent_id, ref: people, missing: "null"}
  - source: address
    key: [id, street]
    distinct: true
    order_by: "id\ndesc"
    target: place
    columns: {street: street, gone: {from: [street, id], ref: address, missing: "null"}}
"""


@pytest.fixture
def olga(client: Client) -> User:
    """A superuser who is signed in."""
    user = User.objects.create_superuser("olga")
    client.force_login(user)
    return user


@pytest.fixture
def local(databases: Databases) -> Iterator[Environment]:
    """An environment with the tables of FILE."""
    pair = databases.pair("two")
    with psycopg.connect(pair.source) as source, psycopg.connect(pair.target) as target:
        source.execute("CREATE TABLE customer (id int PRIMARY KEY, name text, region_id int, parent_id int)")
        source.execute("CREATE TABLE address (id int PRIMARY KEY, street text)")
        target.execute(
            "CREATE TABLE client (id int PRIMARY KEY, name text, note text, kind text, extra jsonb, region text,"
            " parent_id int)"
        )
        target.execute("CREATE TABLE place (id int PRIMARY KEY, street text, gone text)")
    environment = Environment(name="local", source_url=pair.source, target_url=pair.target)
    environment.save()
    yield environment


@pytest.mark.usefixtures("olga")
def test_a_file_is_uploaded_pasted_and_downloaded(client: Client) -> None:
    url = "/admin/mappings/mapping/load/"
    client.post(url, {"file": SimpleUploadedFile("shop.yml", FILE.encode())})
    mapping = Mapping.objects.get()
    client.post(url, {"text": FILE.replace("id > 0", "id > 5")})
    assert mapping.revisions.count() == 2
    response = client.get(f"/admin/mappings/mapping/{mapping.pk}/file/")
    assert response["Content-Disposition"] == 'attachment; filename="shop.yml"'
    assert parse(response.content) == spec_of(mapping)


@pytest.mark.usefixtures("olga")
def test_a_bad_file_is_listed_and_not_saved(client: Client) -> None:
    response = client.post("/admin/mappings/mapping/load/", {"text": "version: 2\nname: a b\n"})
    assert [line.split(": ")[0] for line in response.context["form"].non_field_errors()] == [
        "version", "name", "tables",
    ]  # fmt: skip
    assert not Mapping.objects.exists()
    assert "one of the two" in str(client.post("/admin/mappings/mapping/load/", {}).context["form"].errors)


@pytest.mark.usefixtures("olga")
def test_a_table_of_many_columns_can_be_saved(client: Client) -> None:
    """More than the thousand fields that Django takes unless told otherwise."""
    columns = ", ".join(f"c{number}: c{number}" for number in range(90))
    mapping = save_spec(
        parse(f"version: 1\nname: wide\ntables: [{{source: a, target: b, columns: {{{columns}}}}}]")
    ).mapping
    sent = filled(client, page(mapping, 0)) | {"where": "id > 0"}
    assert len(sent) > 1000 and client.post(page(mapping, 0), sent).status_code == 302
    assert mapping.revisions.count() == 2
    too_large = client.post("/admin/mappings/mapping/load/", {"text": "x" * 3_000_000})
    assert too_large.status_code == 400 and "could not accept" in too_large.content.decode()


def test_only_those_who_may_change_mappings_load_files(client: Client) -> None:
    assert client.post("/admin/mappings/mapping/load/", {"text": FILE}).status_code == 302
    client.force_login(User.objects.create(username="guest", is_staff=True))
    assert client.post("/admin/mappings/mapping/load/", {"text": FILE}).status_code == 403
    assert not Mapping.objects.exists()


@pytest.mark.usefixtures("olga")
def test_revisions_lead_to_their_difference_and_cannot_be_edited(client: Client) -> None:
    save_spec(parse(FILE))
    revision = save_spec(parse(FILE.replace("id > 0", "id > 5")))
    url = f"/admin/mappings/revision/{revision.pk}/"
    text = client.get(url + "change/").content.decode()
    assert "where: c.id &gt; 5" in text and "/mappings/shop/revisions/?to=2" in text
    assert client.post(url + "change/", {"note": "x"}).status_code == 403
    assert client.post(url + "delete/", {"post": "yes"}).status_code == 403
    client.post(f"/admin/mappings/mapping/{revision.mapping_id}/delete/", {"post": "yes"})
    assert not Mapping.objects.exists() and not Revision.objects.exists()


@pytest.mark.usefixtures("olga")
def test_deleting_a_table_mapping_makes_a_revision(client: Client) -> None:
    mapping = save_spec(parse(FILE)).mapping
    table = mapping.tables.all()[1]
    client.post(f"/admin/mappings/tablemapping/{table.pk}/delete/", {"post": "yes"})
    assert mapping.revisions.count() == 2


@pytest.mark.usefixtures("olga")
def test_an_environment_is_tested_on_saving_and_never_shows_its_password(
    client: Client, databases: Databases
) -> None:
    url = databases.fresh()
    gone = "postgresql://olga:hunter2@127.0.0.1:1/x"
    told = posted(
        client, "/admin/mappings/environment/add/", {"name": "local", "source_url": url, "target_url": gone}
    )
    assert any("the source answers" in text for text in told)
    assert any("does not answer" in text for text in told)
    environment = Environment.objects.get()
    change = f"/admin/mappings/environment/{environment.pk}/change/"
    text = client.get(change).content.decode()
    assert "127.0.0.1:1/x" in text and "hunter2" not in text
    posted(client, change, {"name": "renamed"})
    environment.refresh_from_db()
    assert (environment.name, environment.source_url, environment.target_url) == ("renamed", url, gone)
    refused = posted(client, change, {"source_url": "postgresql://olga:hunter2@2130706433/x"})
    assert "The host must be" in refused[0] and "hunter2" not in refused[0]


@pytest.mark.usefixtures("olga")
def test_an_environment_cannot_be_put_behind_one_that_leads_to_the_same_target(
    client: Client, databases: Databases
) -> None:
    pair, add = databases.pair("two"), "/admin/mappings/environment/add/"
    posted(client, add, {"name": "staging", "source_url": pair.source, "target_url": pair.target})
    staging = Environment.objects.get()
    production = {"name": "production", "source_url": databases.fresh(), "target_url": pair.target}
    told = posted(client, add, {**production, "after": staging.pk})
    assert "production and staging lead to the same target database" in told[0]
    posted(client, add, production)  # without the order they may
    change = f"/admin/mappings/environment/{Environment.objects.get(name='production').pk}/change/"
    assert "lead to the same target" in posted(client, change, {"after": staging.pk})[0]
    posted(client, change, {"after": staging.pk, "target_url": databases.fresh()})
    assert Environment.objects.get(name="production").after == staging
    back = f"/admin/mappings/environment/{staging.pk}/change/"
    moved = Environment.objects.get(name="production").target_url
    assert "lead to the same target" in posted(client, back, {"target_url": moved})[0]


def test_an_address_of_a_new_environment_is_required(client: Client, olga: User) -> None:
    refused = posted(client, "/admin/mappings/environment/add/", {"name": "local"})
    assert refused[0].count("The address is missing.") == 2


@pytest.mark.parametrize(
    "names", [[], ["a"], ["a b", "c"], [" a"], ["[x"], ["a\nb", "c"], [""], ["a,b", "c"]]
)
def test_names_survive_their_field(names: list[str]) -> None:
    for field in (NamesField(required=False), NamesField(required=False, one_line=True)):
        assert field.to_python(field.prepare_value(names)) == names


@pytest.mark.parametrize("names", [None, [], ["a"], ["false"], ["a", "b"]])
def test_source_ids_survive_their_field(names: list[str] | None) -> None:
    field = SourceIdField(required=False)
    assert field.to_python(field.prepare_value(names)) == names


@pytest.mark.parametrize(
    "constant",
    [
        None,
        True,
        12,
        "12",
        "",
        " a",
        "legacy",
        "null",
        "no",
        "1.10",
        "[a",
        "a\nb",
        [1, "1"],
        {"a": None},
        '"',
    ],
)
def test_constants_survive_their_field(constant: object) -> None:
    field = ConstantField(required=False)
    assert field.to_python(constant_text(True, constant)) == (True, constant)


@pytest.mark.usefixtures("olga", "local")
def test_joins_are_rows_that_can_be_added_and_emptied(client: Client) -> None:
    mapping = save_spec(parse(FILE)).mapping
    row = {"joins-1-table": "address", "joins-1-alias": "b", "joins-1-condition": "b.id = a.id\r\n AND true"}
    posted(client, page(mapping, 0), row)
    first = {"table": "address", "alias": "a", "condition": "a.id = c.id", "type": "left"}
    second = {"table": "address", "alias": "b", "condition": "b.id = a.id\n AND true"}
    assert mapping.tables.all()[0].joins == [first, second]
    posted(client, page(mapping, 0), {f"joins-0-{part}": "" for part in PARTS} | {"where": ""})
    assert mapping.tables.all()[0].joins == [second]
