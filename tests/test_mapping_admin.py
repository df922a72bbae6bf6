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


def filled(client: Client, url: str) -> dict[str, str]:
    """What a browser would send back if the page's form were submitted unchanged."""
    response = client.get(url)
    assert response.status_code == 200
    forms = [response.context["adminform"].form]
    forms += [form for inline in response.context["inline_admin_formsets"] for form in inline.formset.forms]
    forms += [inline.formset.management_form for inline in response.context["inline_admin_formsets"]]
    sent: dict[str, str] = {}
    for form in forms:
        for field in form:
            value = field.value()
            if isinstance(field.field, JoinsField):
                rows = enumerate([*value, {}])
                sent |= {f"joins-{n}-{part}": join.get(part, "") for n, join in rows for part in PARTS}
                continue
            if isinstance(value, str) and isinstance(field.field.widget, TextInput):
                value = value.replace("\n", "")  # an input of one line drops line breaks
            if value is True:
                sent[field.html_name] = "on"
            elif value is not False and value is not None:
                sent[field.html_name] = str(value)
    return sent


def page(mapping: Mapping, table: int | None = None) -> str:
    if table is None:
        return f"/admin/mappings/mapping/{mapping.pk}/change/"
    return f"/admin/mappings/tablemapping/{mapping.tables.all()[table].pk}/change/"


def posted(client: Client, url: str, changes: dict[str, Any]) -> list[str]:
    """The messages after submitting the page with these changes; the form's errors if it was refused."""
    response = client.post(url, {**filled(client, url), **changes}, follow=True)
    if response.redirect_chain:
        return [str(message) for message in response.context["messages"]]
    errors = [str(response.context["adminform"].form.errors)]
    return errors + [str(inline.formset.errors) for inline in response.context["inline_admin_formsets"]]


@pytest.mark.usefixtures("olga", "local")
def test_saving_unchanged_forms_loses_nothing_and_makes_no_revision(client: Client) -> None:
    mapping = save_spec(parse(FILE)).mapping
    for url in (page(mapping), page(mapping, 0), page(mapping, 1)):
        assert "was changed successfully" in posted(client, url, {})[-1]
        assert spec_of(mapping) == parse(FILE)
    assert mapping.revisions.count() == 1


def test_a_changed_form_makes_a_revision_by_its_author(
    client: Client, olga: User, local: Environment
) -> None:
    mapping = save_spec(parse(FILE)).mapping
    changes = {"columns-1-expr": "upper(c.name)", "where": "", "note": "all of them, louder"}
    assert "Revision 2 of shop is saved." in posted(client, page(mapping, 0), changes)
    assert spec_of(mapping) == parse(
        FILE.replace("lower(c.name)", "upper(c.name)").replace('    where: "c.id > 0"\n', "")
    )
    assert (mapping.revisions.last().author, mapping.revisions.last().note) == (olga, "all of them, louder")
    told = posted(client, page(mapping), {"note": "nothing new"})
    assert told[0] == "shop says what revision 2 says: there is none new to note."
    posted(client, page(mapping), {"description": "Another", "note": "another name"})
    assert mapping.revisions.last().note == "another name"


@pytest.mark.usefixtures("olga", "local")
def test_a_mapping_can_be_made_without_a_file(client: Client) -> None:
    url = "/admin/mappings/mapping/add/"
    told = posted(client, url, {"name": "new", "tables-0-source": "address", "tables-0-target": "place"})
    mapping = Mapping.objects.get()
    assert any("draft" in text for text in told)
    assert any(text.startswith("tables[0].columns: ") for text in told)
    text = client.get(page(mapping)).content.decode()
    assert "<li>tables[0].columns: " in text and ">Map its columns</a>" in text
    row = {"columns-0-name": "street", "columns-0-source_columns": "street", "columns-1-name": "gone"}
    assert "Revision 1 of new is saved." in posted(
        client, page(mapping, 0), {**row, "columns-1-constant": "null"}
    )
    columns = "{street: street, gone: {value: null}}"
    expected = f"version: 1\nname: new\ntables:\n  - {{source: address, target: place, columns: {columns}}}\n"
    assert spec_of(mapping) == parse(expected)


@pytest.mark.usefixtures("olga", "local")
def test_another_environment_is_looked_at_without_losing_what_was_typed(
    client: Client, databases: Databases
) -> None:
    """Also where the tables are in that one only: the first save would be refused for ever."""
    url = "/admin/mappings/mapping/add/"
    Environment(name="empty", source_url=databases.fresh(), target_url=databases.fresh()).save()
    typed = {"name": "new", "tables-0-source": "address", "tables-0-target": "place", "_env": "empty"}
    assert "There is no such table in source of empty." in " ".join(posted(client, url, typed))
    looked = client.post(url, {**filled(client, url), **typed, "_env": "local", "_look": "1"})
    text = looked.content.decode()
    assert 'value="address"' in text and '<option value="public.place">' in text and "errornote" not in text
    assert not Mapping.objects.exists()
    saved = client.post(url, {**filled(client, url), **typed, "_env": "local"}, follow=True)
    assert saved.redirect_chain == [(page(Mapping.objects.get()), 302)]


@pytest.mark.usefixtures("olga", "local")
def test_of_many_problems_a_few_are_told_and_all_are_on_the_page(client: Client) -> None:
    mapping = save_spec(parse(FILE)).mapping
    mapping.tables.update(source="", target="")
    told = posted(client, page(mapping, 0), {"source": "customer", "target": "client", "where": "c.id > 3"})
    assert told[1].startswith("tables[1].") and len(told) == 4
    for n in range(2, 8):
        mapping.tables.create(position=n, source="a b", target="")
    response = client.post(
        page(mapping, 0), {**filled(client, page(mapping, 0)), "where": "c.id > 4"}, follow=True
    )
    text = response.content.decode()
    assert '<li class="path warning">tables[1].source' in text  # as it is written, not "Tables"
    assert re.search(r"And \d+ more: all of them are on the page of shop", text)
    assert "<li>tables[7].target" in text


@pytest.mark.usefixtures("olga", "local")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": "nowhere"}, "no such table in source"),
        ({"target": "customer"}, "no such table in target"),
        ({"where": "a; drop table t"}, "character"),
        ({"key": "idd"}, "no column idd"),
        ({"joins-0-alias": ""}, "alias"),
        ({"joins-1-table": "address"}, "joins[1]"),
        ({"joins-0-condition": "a.id = "}, "joins[0].condition"),
        ({"columns-0-name": "nowhere"}, "no such column"),
        ({"columns-0-source_columns": "c.nowhere"}, "no column c.nowhere"),
        ({"columns-1-expr": "pg_sleep(1)"}, "character"),
        ({"columns-2-constant": "{a"}, "must be JSON"),
    ],
)
def test_what_does_not_exist_is_refused_on_the_form(
    client: Client, changes: dict[str, str], told: str
) -> None:
    mapping = save_spec(parse(FILE)).mapping
    assert told in " ".join(posted(client, page(mapping, 0), changes))
    assert spec_of(mapping) == parse(FILE)


@pytest.mark.usefixtures("olga", "local")
def test_tables_and_columns_are_offered_and_inputs_labelled(client: Client) -> None:
    mapping = save_spec(parse(FILE)).mapping
    assert "/mappings/shop/review/" in client.get(page(mapping)).content.decode()
    text = client.get(page(mapping, 0)).content.decode()
    for offer in ("public.customer", "c.region_id", "a.street", "parent_id", "people"):
        assert f'<option value="{offer}">' in text
    rows = re.findall(r"<(?:input|select|textarea)[^>]*name=\"columns-\d-(?!id|table)[^>]*>", text)
    assert len(rows) > 50
    assert all("aria-label=" in row for row in rows)
    assert "<script>" not in text and " style=" not in text


@pytest.mark.usefixtures("olga")
def test_a_database_that_does_not_answer_stops_nobody_from_editing(client: Client) -> None:
    gone = "postgresql://u:hunter2@127.0.0.1:1/x"
    Environment(name="gone", source_url=gone, target_url=gone).save()
    mapping = save_spec(parse(FILE)).mapping
    assert "Revision 2 of shop is saved." in posted(client, page(mapping, 0), {"where": "c.id > 1"})
    text = client.get(page(mapping, 0)).content.decode()
    assert "does not answer" in text and "hunter2" not in text


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
