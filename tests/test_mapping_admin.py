"""The forms: they save what a file would say, offer and check live tables, and never lose a mapping."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mappings.language.file import parse
from mappings.models import Environment, Mapping, Revision
from mappings.store import save_spec, spec_of
from tests.conftest import Databases

pytestmark = pytest.mark.django_db


def posted(client: Client, url: str, changes: dict[str, Any]) -> list[str]:
    """The messages after submitting the page's form with these changes; the form's errors if it was refused."""
    form = client.get(url).context["adminform"].form
    sent = {field.html_name: str(value) for field in form if (value := field.value()) not in (None, False)}
    response = client.post(url, {**sent, **changes}, follow=True)
    if response.redirect_chain:
        return [str(message) for message in response.context["messages"]]
    return [str(response.context["adminform"].form.errors)]


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
