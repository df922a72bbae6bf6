"""Rehearsals: the whole plan is executed, what would fail is listed, and nothing remains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from jobs.actions import rehearsals
from jobs.models import Rehearsal, Run
from mappings.problems import Refused
from tests.conftest import Databases
from tests.language.feature import Feature

SOURCE = """
CREATE TABLE parent (id int PRIMARY KEY, name text);
INSERT INTO parent SELECT n, repeat('n', n % 40) FROM generate_series(1, 50) n;
CREATE TABLE child (id int PRIMARY KEY, parent int, size int, boss int);
INSERT INTO child SELECT n, 51 - 1 - n % 50, n, CASE WHEN n > 1 THEN n / 2 END FROM generate_series(1, 100) n;
"""
TARGET = """
CREATE TABLE parent (id serial PRIMARY KEY, name varchar(20));
INSERT INTO parent (name) VALUES ('was here');
CREATE VIEW names AS SELECT name FROM parent;
CREATE TABLE child (id serial PRIMARY KEY, parent int NOT NULL REFERENCES parent, size int, boss int);
"""
MAPPING = """
tables:
  - {source: old.parent, target: new.parent, columns: {name: name}}
  - {source: old.child, target: new.child, link: {LINK}, columns: {parent: {from: parent, ref: parent}, size: size,
     boss: {from: boss, ref: child}}}
"""
PLAIN = MAPPING.replace("LINK", "map: true")


@pytest.fixture(params=["one", "two", "two on 16"])
def feature(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Feature]:
    """Empty schemas, in one and in two databases."""
    fixture = "databases16" if "16" in request.param else "databases"
    made: Databases = request.getfixturevalue(fixture)
    with closing(Feature(made.pair("one" if request.param == "one" else "two"))) as feature:
        yield feature


@pytest.fixture
def one(databases: Databases, transactional_db: None) -> Iterator[Feature]:
    """Empty schemas in one database."""
    with closing(Feature(databases.pair("one"))) as feature:
        yield feature


def rehearsed(feature: Feature, rows: int | None = None) -> dict[str, Any]:
    """The summary of a rehearsal, after which everything must be as it was."""
    before, registers = feature.state(), registered(feature)
    done = rehearsals.rehearse(feature.mapping, feature.environment, None, rows=rows)
    assert (feature.state(), registered(feature)) == (before, registers)
    return rehearsals.summary(Rehearsal.objects.get(pk=done.pk))


def registered(feature: Feature) -> list[tuple[object, ...]]:
    """Everything in the migrator schema, by table; nothing where it is not there."""
    tables = feature.target(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('migrator') AND relkind = 'r' ORDER BY 1"
    )
    return [
        (name, feature.target(f"SELECT (t.*)::text FROM migrator.{name} t ORDER BY 1")) for (name,) in tables
    ]


def test_everything_is_tried_and_nothing_remains(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, PLAIN)
    found = rehearsed(feature)
    assert found["clean"], found
    assert (found["again"], found["back"]) == ([], [])
    assert [(table["name"], table["rows"], table["inserted"], table["failed"]) for table in found["tables"]] == [
        ("parent", 50, 50, 0), ("child", 100, 100, 0),
    ]  # fmt: skip
    assert all(table["bytes_per_row"] > 0 and table["expected_growth"] > 0 for table in found["tables"])
    assert found["rows_per_second"] > 0
    assert registered(feature) == []
    assert not Run.objects.exists()
    assert sorted(found["advanced"]) == ["new.child_id_seq", "new.parent_id_seq"]


def test_a_sample_takes_the_parents_along(feature: Feature) -> None:
    """The first children point to the last parents: without these they would seem to fail."""
    feature.given(SOURCE, TARGET, PLAIN)
    found = rehearsed(feature, rows=5)
    assert found["clean"], found
    tried = {table["name"]: table["rows"] for table in found["tables"]}
    assert tried == {"parent": 10, "child": 5}
    assert found["tables"][0]["in_scope"] == 50


def test_a_sequence_behind_rows_that_are_there_is_put_past_them_as_in_a_run(feature: Feature) -> None:
    """Else rows would seem to fail that a run brings."""
    there = "INSERT INTO parent (id, name) SELECT n, 'there ' || n FROM generate_series(2, 20) n;"
    feature.given(SOURCE, TARGET + there, PLAIN)
    found = rehearsed(feature)
    assert found["clean"], found


def test_every_row_that_would_fail_is_listed(feature: Feature) -> None:
    bad = (
        "UPDATE child SET parent = 999 WHERE id = 57; UPDATE child SET size = -1 WHERE id IN (53, 90);"
        " UPDATE child SET size = 0 WHERE id = 60"
    )
    checked = f"{TARGET} ALTER TABLE child ADD CONSTRAINT sized CHECK (size > 0)"
    mapping = PLAIN.replace("size: size", "size: {expr: '10000 / size'}")
    feature.given(f"{SOURCE} {bad}", checked, mapping)
    found = rehearsed(feature)
    assert not found["clean"]
    failures = [(row["table"], row["key"], row["column"], row["sqlstate"]) for row in found["failures"]]
    assert failures == [
        ("child", "53", "size", "23514"), ("child", "57", "parent", "MG001"), ("child", "60", "size", "22012"),
        ("child", "90", "size", "23514"),
    ]  # fmt: skip
    assert found["failed"] == 4
    feature.define(f"version: 1\nname: feature\non_error: quarantine\n{mapping}")
    feature.verified()
    aside = "SELECT table_name, source_key, column_name, sqlstate FROM migrator.quarantine ORDER BY 1, 2"
    assert feature.target(aside) == failures


def test_rows_that_cannot_be_linked_are_listed_as_well(one: Feature) -> None:
    """Who points to a row that fails fails with it, and whoever points to that one."""
    one.given(f"{SOURCE} UPDATE child SET parent = 999 WHERE id = 7", TARGET, PLAIN)
    found = rehearsed(one)
    failures = [(row["key"], row["column"], row["message"]) for row in found["failures"]]
    below = [n for first, last in ((14, 15), (28, 31), (56, 63)) for n in range(first, last + 1)]
    expected = [(str(n), "boss", f"the child row {n // 2} was not migrated") for n in below]
    assert failures == sorted([*expected, ("7", "parent", "the parent row 999 was not migrated")])
    child = found["tables"][1]
    assert (child["inserted"], child["failed"], child["missing"], child["different"]) == (85, 15, 0, 0)


def test_a_mapping_that_has_run_already(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, PLAIN)
    run = feature.verified()
    feature.source("INSERT INTO old.child VALUES (101, 1, 1, 5)")
    found = rehearsed(feature)
    assert found["clean"], found
    assert [table["inserted"] for table in found["tables"]] == [0, 1]
    assert found["steps"] == []
    feature.undo(run)


def test_columns_at_the_source_are_taken_back_as_well(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, MAPPING.replace("LINK", "backref: new_id"))
    found = rehearsed(feature)
    assert found["clean"], found
    assert len(found["steps"]) == 8


def test_a_lock_is_not_waited_for_long(one: Feature) -> None:
    one.given(SOURCE, TARGET, PLAIN)
    with psycopg.connect(one.pair.target) as holder:
        holder.execute("SELECT count(*) FROM new.parent")
        found = rehearsed(one)
        assert f"locked by pid {holder.info.backend_pid}, " in str(found["stopped"])
        assert "one try was made" in str(found["stopped"])


def test_what_blocks_a_start_blocks_a_rehearsal(one: Feature) -> None:
    one.given(SOURCE, f"{TARGET} CREATE MATERIALIZED VIEW kept AS SELECT name FROM parent", PLAIN)
    with pytest.raises(Refused, match=r"materialised view new\.kept depends on it"):
        rehearsed(one)
    one.target("DROP MATERIALIZED VIEW new.kept")
    one.start()
    with pytest.raises(Refused, match="is queued"):
        rehearsed(one)


def test_two_rehearsals_at_once_are_refused(one: Feature) -> None:
    one.given(SOURCE, TARGET, PLAIN)
    with psycopg.connect(one.pair.target) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [rehearsals.LOCK])
        with pytest.raises(Refused, match="another rehearsal is under way"):
            rehearsed(one)


def command(*arguments: str) -> tuple[int, str, str]:
    out, errors = StringIO(), StringIO()
    try:
        call_command("run", "rehearse", "feature", "--env", "local", *arguments, stdout=out, stderr=errors)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue(), errors.getvalue()
    return 0, out.getvalue(), errors.getvalue()


def test_the_command_says_by_its_exit_status_whether_a_run_would_go_through(one: Feature) -> None:
    one.given(SOURCE, TARGET, PLAIN)
    code, out, _ = command("--format", "json", "--rows", "10")
    found = json.loads(out)
    assert (code, found["clean"], found["rows"], found["failed"]) == (0, True, 10, 0)
    one.source("UPDATE old.child SET parent = 999 WHERE id = 7")
    code, out, _ = command()
    assert code == 3
    assert "child 7, column parent: the parent row 999 was not migrated (SQLSTATE MG001)" in out
    assert "A second application changes nothing." in out
    assert "The undo leaves the schema as it was." in out
    one.target("CREATE MATERIALIZED VIEW new.kept AS SELECT name FROM new.parent")
    code, out, errors = command()
    assert (code, out) == (2, "")
    assert "materialised view new.kept depends on it" in errors
    assert command("--rows", "0")[0] == 2


def test_the_button_rehearses_a_sample_and_shows_what_it_found(one: Feature, client: Client) -> None:
    one.given(SOURCE, TARGET, PLAIN)
    one.source("UPDATE old.child SET parent = 999 WHERE id = 7")
    client.force_login(User.objects.create_superuser("ann", password="x"))
    assert b"Rehearse" in client.get("/mappings/feature/review/?env=local").content
    before = one.state()
    answer = client.post("/mappings/feature/rehearse/", {"env": "local", "rows": "50"}, follow=True)
    page = answer.content.decode()
    assert one.state() == before
    assert answer.redirect_chain[0][0] == f"/rehearsals/{Rehearsal.objects.get().pk}/"
    assert "the parent row 999 was not migrated" in page
    assert "A second application changes nothing" in page
    assert Rehearsal.objects.get().actor == User.objects.get()
    assert client.get("/mappings/feature/rehearse/").status_code == 405


def test_the_button_is_for_operators_only(one: Feature, client: Client) -> None:
    one.given(SOURCE, TARGET, PLAIN)
    client.force_login(User.objects.create_user("bob", password="x", is_staff=True))
    assert client.post("/mappings/feature/rehearse/", {"env": "local"}).status_code == 403
    assert not Rehearsal.objects.exists()
