"""Ids of parents inside arrays, documents and texts."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from jobs.actions import runs
from jobs.models import Run
from mappings.language.canonical import dump
from mappings.language.file import parse
from mappings.problems import Refused
from tests import factories
from tests.journeys.world import fresh, work
from tests.language.feature import Feature, Rows, recipe

HEADING = "Ids inside arrays, documents and texts"

ROWS: dict[str, Rows] = {
    "SELECT path, assignees::text, meta::text, body FROM task ORDER BY id": [
        ("/900/", "{100,102}", '{"x": "y", "owner": 101, "watchers": [100, "103"]}', "ask @[user:101] or @[user:103]!"),
        ("/900/ 901/", "{}", '{"owner": null, "watchers": []}', "nobody"),
        ("/900/901/902/", None, None, None),
        ("/903/", "{103,NULL,103,100}", '{"owner": 102, "watchers": [102]}', "@[user:100]@[user:77]"),
    ]
}  # fmt: skip


def differing(run: Run, *command: str) -> list[str]:
    """What a command says of the elements that differ, line by line."""
    out = StringIO()
    call_command("run", command[0], str(run.pk), *command[1:], stdout=out)
    return [line.partition("; ")[2].rpartition(" (")[0] for line in out.getvalue().splitlines()]


def test_every_id_becomes_the_parents_and_nothing_else_changes(feature: Feature, client: Client) -> None:
    feature.given_recipe(HEADING)
    before = feature.state()
    feature.undo(feature.brings(ROWS))
    assert feature.state() == before
    feature.target("ALTER TABLE new.users ALTER id RESTART; ALTER TABLE new.task ALTER id RESTART")
    run = feature.brings(ROWS)
    feature.target(
        "UPDATE new.task SET assignees = '{102,100}', body = 'ask @[user:101] or @[user:7]!',"
        " meta = jsonb_set(meta, '{watchers,1}', 'null') WHERE path = '/900/';"
        "UPDATE new.task SET path = '/900/902/' WHERE path = '/900/901/902/'"
    )
    assert runs.verify(run, None) is None and work(fresh(run)).status == "mismatch"
    found = differing(run, "differences")
    assert (
        found
        == differing(run, "repair", "--preview")[1:]
        == [
            "element 1 should be 100, is 102; element 2 should be 102, is 100",
            "$.watchers[1] should be 103, is NULL",
            "mark 2 should be 103, is 7",
            "part 2 should be 901, is 902; part 3 should be 902, is not there",
        ]
    )
    client.force_login(factories.make_user())
    shown = client.get(reverse("jobs:repair-rows", args=[run.pk]) + "?column=meta").content.decode()
    # the whole row is mended, with its other columns
    assert shown.count("should be") == 4 and "$.watchers[1] should be 103, is NULL" in shown
    runs.repair(fresh(run), None)
    assert work(fresh(run)).status == "verified"
    feature.expect(ROWS)


def test_a_wrong_element_is_an_error_of_its_row(feature: Feature) -> None:
    feature.given_recipe(
        HEADING,
        source="INSERT INTO task (id, path, assignees, meta, body) VALUES (5, '/1/x/', NULL, NULL, NULL),"
        " (6, NULL, '{{1,2},{3,4}}', NULL, NULL), (7, NULL, NULL, '{\"owner\": [1]}', NULL),"
        " (8, NULL, NULL, '{\"owner\": 77}', NULL), (9, '/1/99/', NULL, NULL, NULL), (10, '/9/', NULL, NULL, NULL),"
        " (11, NULL, NULL, '{\"watchers\": {}}', NULL)",
    )
    feature.verified()
    assert feature.target(
        "SELECT source_key, column_name, message FROM migrator.quarantine ORDER BY source_key::int"
    ) == [
        ("5", "path", "the task row x was not migrated"),
        ("6", "assignees", 'malformed array literal: "more than a plain list of ids: {{1,2},{3,4}}"'),
        ("7", "meta", "the path $.owner meets array [1]"),
        ("8", "meta", "the users row 77 was not migrated"),
        ("9", "path", "the task row 99 was not migrated"),
        ("10", "path", "the task row 9 was not migrated"),
        ("11", "meta", "the path $.watchers[*] meets object {}"),
    ]
    text = recipe("recipes.md", HEADING)[2].replace("ids-inside", "feature")
    feature.define(text.replace("$.owner, ref: users", "$.owner, ref: users, missing: keep"))
    feature.verified()  # what becomes of a missing parent says nothing of a value that is none
    aside = "SELECT source_key, message FROM migrator.quarantine WHERE column_name = 'meta' ORDER BY 1"
    assert feature.target(aside) == [
        ("11", "the path $.watchers[*] meets object {}"), ("7", "the path $.owner meets array [1]"),
    ]  # fmt: skip


def test_an_element_that_is_no_number_misses_its_parent_like_any_other(feature: Feature) -> None:
    feature.given(
        """CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1), (2);
        CREATE TABLE task (id int PRIMARY KEY, users text[]);
        INSERT INTO task VALUES (1, '{1," 2"}'), (2, '{x,1}'), (3, '{1.0,99999999999}'), (4, '{NULL,""}'), (5, NULL)""",
        """CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY, n int);
        CREATE TABLE task (id int PRIMARY KEY, strict bigint[], dropped bigint[], nulls bigint[], kept text[])""",
        """
on_error: quarantine
tables:
  - {source: old.users, target: new.users, columns: {n: id}}
  - name: strict
    source: old.task
    target: new.task
    columns: {id: id, strict: {from: users, ref: users, each: true}}
  - name: loose
    source: old.task
    target: new.task
    columns:
      id: {expr: id + 10}
      dropped: {from: users, ref: users, each: true, missing: drop}
      nulls: {from: users, ref: users, each: true, missing: "null"}
      kept: {from: users, ref: users, each: true, missing: keep}
""",
    )
    feature.check({
        "SELECT id, strict::text FROM task WHERE id < 10 ORDER BY 1": [(1, "{100,101}"), (5, None)],
        "SELECT dropped::text, nulls::text, kept::text FROM task WHERE id > 10 ORDER BY id": [
            ("{100,101}", "{100,101}", "{100,101}"), ("{100}", "{NULL,100}", "{x,100}"),
            ("{}", "{NULL,NULL}", "{1.0,99999999999}"), ("{NULL}", "{NULL,NULL}", '{NULL,""}'), (None, None, None),
        ],
    })  # fmt: skip
    assert feature.target("SELECT DISTINCT source_key, column_name, message FROM migrator.quarantine ORDER BY 1") == [
        ("2", "strict", "the users row x was not migrated"), ("3", "strict", "the users row 1.0 was not migrated"),
        ("4", "strict", "the users row  was not migrated"),
    ]  # fmt: skip


@pytest.mark.parametrize(("column", "said"), [
    ("{from: c, ref: a, pattern: 'x(?:y)'}", "pattern: Needs one group in (…), which is the id; it has none."),
    ("{from: c, ref: a, pattern: '(x)(y)'}", "pattern: Needs one group in (…), which is the id; it has 2."),
    ("{from: c, ref: a, pattern: '((x))'}", "pattern: Needs one group in (…), which is the id; it has 2."),
    ("{from: c, ref: a, pattern: '(?:(x))'}", "pattern: Its group may be neither inside another one nor repeated."),
    ("{from: c, ref: a, pattern: 'x|(y)'}", "pattern: Offers alternatives with |; put them in (?:…|…)."),
    ("{from: c, ref: a, pattern: '(x)\\1'}", "pattern: Refers back to a group, which it may not."),
    ("{from: c, ref: a, split: /, missing: 'null'}", "missing: Must be one of stop, quarantine, drop, keep."),
    ("{from: c, ref: a, missing: drop}", "missing: Must be one of stop, quarantine, null."),
    ("{from: c, ref: a, each: true, split: /}", "Has each and split; a column can have only one of them."),
    ("{from: c, split: /}", "split: Says where in the value ids are; it needs ref, which says what they point to."),
    ("{from: c, refs: [{path: owner, ref: a}]}", "refs[0].path: Must be a path such as $.owner or $.steps[*].task"),
    ("{from: c, refs: [{path: $.o, ref: z}]}", 'refs: No table mapping is called "z"'),
])  # fmt: skip
def test_what_cannot_be_is_said_in_one_sentence(column: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(f"version: 1\nname: m\ntables: [{{source: a, target: b, columns: {{c: {column}}}}}]")
    (problem,) = refused.value.problems
    assert str(problem).removeprefix("tables[0].columns.c").lstrip(".: ").startswith(said)


def test_they_are_dumped_as_they_are_loaded() -> None:
    text = r"""
version: 1
name: m
tables:
  - source: a
    target: b
    columns:
      c: {from: c, ref: a, pattern: '[)(\]|]@\((\d+)[]a-z[:digit:]]*', missing: keep}
      d: {from: d, ref: {table: a, column: e}, each: true, missing: drop}
      e: {from: e, ref: a, split: ' , '}
      f: {from: f, refs: [{path: '$."a b"[0].c[*]', ref: a, missing: 'null'}, {path: $.x, ref: a}]}
"""
    spec = parse(text)
    assert parse(dump(spec)) == spec and dump(spec).count("missing") == 3
