"""Mappings as rows and revisions: nothing is lost, nothing frozen can change, nothing is saved twice."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from pytest_django import Settings

from mappings.language.canonical import canonical_json
from mappings.language.file import parse
from mappings.models import CredentialsUnreadable, Environment, Mapping, Revision, RevisionIsFrozen
from mappings.problems import Refused
from mappings.store import freeze, revision_spec, save_spec, spec_of
from tests.made_runs import make_run

pytestmark = pytest.mark.django_db

FILE = r"""
version: 1
name: crm-merge
description: "Legacy CRM\ninto the new one"
widen: false
on_error: quarantine
max_quarantined: 7
tables:
  - name: person
    source: legacy.customer
    alias: c
    joins:
      - {table: legacy.address, alias: a, condition: "a.id = c.address_id", type: left}
    where: "c.deleted = 0"
    key: [c.id, c.part]
    distinct: true
    order_by: "c.id"
    target: crm.client
    existing: {match: [code, "lower(name)"], then: update}
    link: {source_id: [old_id, old_part], map: false, backref: new_id}
    is_migrated: false
    columns:
      z: c.name
      a: {expr: "lower(c.email)"}
      n: {value: null}
      j: {value: {b: [1.5, 1e300, -0.0, 99999999999999999999, "1.10", null, true], a: {}}}
      t: {value: 1.10}
      region: {from: c.region_id, lookup: {table: legacy.region, key: id, value: label}}
      parent_id: {from: [c.a, c.b], ref: person}
      owner_id: {expr: "nullif(c.owner, 0)", ref: {table: staff, column: no}, missing: "null"}
  - source: legacy.staff
    key: content
    target: crm.staff
    link: {source_id: false}
    existing: {match: [id], then: keep}
    columns: {no: no}
  - {name: plain, source: t, target: u, link: {source_id: one}, columns: {x: y}}
"""


def test_a_mapping_survives_the_database() -> None:
    spec = parse(FILE)
    revision = save_spec(spec)
    assert spec_of(Mapping.objects.get(name="crm-merge")) == spec == revision_spec(revision)
    assert revision.canonical == canonical_json(spec) == canonical_json(spec_of(revision.mapping))


def test_saving_the_same_again_changes_nothing() -> None:
    first = save_spec(parse(FILE))
    rows = list(first.mapping.tables.values_list("pk", flat=True))
    assert save_spec(parse(FILE)) == first == freeze(first.mapping)
    assert list(first.mapping.tables.values_list("pk", flat=True)) == rows


def test_a_change_makes_the_next_revision_with_its_parent_and_author() -> None:
    author = User.objects.create(username="olga")
    first = save_spec(parse(FILE))
    second = save_spec(parse(FILE.replace("max_quarantined: 7", "max_quarantined: 8")), author, "more room")
    assert (second.number, second.parent_sha256, second.author, second.note) == (
        2,
        first.sha256,
        author,
        "more room",
    )
    assert save_spec(parse(FILE)).number == 3
    assert revision_spec(first) == parse(FILE)


def test_loading_the_latest_file_again_undoes_a_draft() -> None:
    mapping = save_spec(parse(FILE)).mapping
    mapping.tables.filter(position=0).update(values={"source": "a", "target": "b", "columns": []})
    with pytest.raises(Refused, match=r"tables\[0\].columns"):
        freeze(mapping)
    assert save_spec(parse(FILE)).number == 1
    assert spec_of(mapping) == parse(FILE)


def test_a_draft_is_refused_with_the_same_paths_as_a_file() -> None:
    mapping = Mapping.objects.create(name="draft")
    column = {"name": "a", "expr": "x", "from": "y", "ref": "gone"}
    link = {"source_id": ["x", "y"]}
    values = {"source": "a b", "target": "t", "key": ["id"], "link": link, "columns": [column]}
    mapping.tables.create(values=values)
    with pytest.raises(Refused) as caught:
        freeze(mapping)
    paths = [problem.path for problem in caught.value.problems]
    assert {"tables[0].source", "tables[0].link.source_id", "tables[0].columns.a"} <= set(paths)
    assert not mapping.revisions.exists()


def test_a_revision_cannot_be_changed() -> None:
    revision = save_spec(parse(FILE))
    revision.note = "other"
    with pytest.raises(RevisionIsFrozen):
        revision.save()
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Revision.objects.update(note="other")


def test_no_revision_can_be_taken_out_of_the_chain() -> None:
    first = save_spec(parse(FILE))
    save_spec(parse(FILE.replace("max_quarantined: 7", "max_quarantined: 8")))
    with (
        pytest.raises(IntegrityError, match=r"revision 1 of mapping .* is a link of its chain"),
        transaction.atomic(),
    ):
        Revision.objects.filter(pk=first.pk).delete()
        execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="revisions are links of a chain"), transaction.atomic():
        execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE mappings_revision CASCADE")
    assert Revision.objects.count() == 2


def test_a_revision_that_a_run_was_made_of_stays_even_with_its_mapping_gone() -> None:
    run = make_run("verified")
    with pytest.raises(IntegrityError, match=f"is used by run {run.pk}"), transaction.atomic():
        execute("DELETE FROM mappings_revision")
    with pytest.raises(ProtectedError):
        run.mapping.delete()


def test_a_revision_whose_parent_was_exchanged_is_refused() -> None:
    first = save_spec(parse(FILE))
    second = save_spec(parse(FILE.replace("max_quarantined: 7", "max_quarantined: 8")))
    assert (second.parent_sha256, revision_spec(second).max_quarantined) == (first.sha256, 8)
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute("ALTER TABLE mappings_revision DISABLE TRIGGER revision_is_frozen")
    execute(f"UPDATE mappings_revision SET sha256 = repeat('0', 64) WHERE id = {first.pk}")
    with pytest.raises(Refused, match="revision 2 does not follow the one before it"):
        revision_spec(second)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_revisions_go_with_their_mapping_and_keep_their_author() -> None:
    author = User.objects.create(username="olga")
    mapping = save_spec(parse(FILE), author).mapping
    with pytest.raises(ProtectedError):
        author.delete()
    mapping.delete()
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert not Revision.objects.exists()


def test_an_altered_revision_is_refused() -> None:
    revision = save_spec(parse(FILE))
    revision.canonical = revision.canonical.replace("legacy.staff", "legacy.other")
    with pytest.raises(Refused, match="altered"):
        revision_spec(revision)


def test_addresses_are_stored_encrypted_and_shown_without_password() -> None:
    environment = Environment(name="local")
    environment.source_url = "postgresql://olga:hunter2@db.example.org/shop"
    environment.target_url = "postgresql://olga:hunter2@[::1]:5433/shop"
    environment.save()
    environment = Environment.objects.get()
    assert "hunter2" not in environment.source_url_encrypted + environment.target_url_encrypted
    assert environment.source_url == "postgresql://olga:hunter2@db.example.org/shop"
    assert [environment.label("source"), environment.label("target")] == [
        "db.example.org:5432/shop",
        "[::1]:5433/shop",
    ]


def test_keys_rotate_and_a_lost_key_is_named(settings: Settings) -> None:
    old, new = "A" * 43 + "=", "B" * 43 + "="
    settings.CREDENTIALS_KEY = [old]
    environment = Environment(name="local")
    environment.source_url = "postgresql://db/a"
    settings.CREDENTIALS_KEY = [new, old]
    assert environment.source_url == "postgresql://db/a"
    settings.CREDENTIALS_KEY = [new]
    with pytest.raises(CredentialsUnreadable, match="local"):
        _ = environment.source_url
    assert environment.label("source") == "(unreadable)"


def test_an_environment_is_not_after_itself() -> None:
    environment = Environment.objects.create(name="local")
    with pytest.raises(IntegrityError), transaction.atomic():
        Environment.objects.update(after=environment)
