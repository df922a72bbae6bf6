"""A reference whose parent is in one of several table mappings."""

from __future__ import annotations

import pytest

from mappings.language.canonical import dump
from mappings.language.file import parse
from mappings.problems import Refused
from tests.language.feature import Feature, recipe

HEADING = "A parent in one of several tables"

SUBJECTS = """
SELECT n.body, CASE subject_type WHEN 'Post' THEN (SELECT 'on ' || title FROM post p WHERE p.id = n.subject_id)
       WHEN 'Photo' THEN (SELECT 'on ' || caption FROM photo p WHERE p.id = n.subject_id)
       ELSE (SELECT 'on note ' || CASE p.body WHEN 'on p1' THEN 1 ELSE 3 END FROM note p WHERE p.id = n.subject_id) END
  FROM note n ORDER BY 1"""


def aside(feature: Feature) -> list[tuple[object, ...]]:
    return feature.target(
        "SELECT DISTINCT source_key, column_name, message FROM migrator.quarantine WHERE table_name = 'note' ORDER BY 1"
    )


def test_a_column_tells_which_parent_is_meant_to_any_depth(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    bodies = ["on f1", "on f3", "on note 1", "on note 3", "on p1"]
    counts = {"post": (2, 0, 0, 0), "photo": (2, 0, 0, 0), "note": (5, 0, 0, 2)}
    feature.check({SUBJECTS: [(body, body) for body in bodies]}, counts)
    assert aside(feature) == [
        ("6", "subject_id", "the post row 99 was not migrated"),
        ("7", "subject_id", "subject_type names no table mapping: Film"),
    ]
    feature.source("UPDATE old.note SET subject_type = 'Post' WHERE id = 5")  # and no post 3
    assert feature.run().status == "mismatch"


def test_links_wait_where_they_may_be_null_and_else_null_leaves_it_so(feature: Feature) -> None:
    feature.given_recipe(
        HEADING,
        target="ALTER TABLE note ALTER subject_id DROP NOT NULL",
        source="UPDATE note SET subject_id = 4, subject_type = 'Note' WHERE id = 3",
    )
    text = (
        recipe("recipes.md", HEADING)[2]
        .replace("else: quarantine", 'else: "null"')
        .replace("notes-on-anything", "feature")
    )  # two notes are each other's subject
    feature.define(text)
    feature.check({
        "SELECT n.body, p.body FROM note n LEFT JOIN note p ON n.subject_type = 'Note' AND p.id = n.subject_id"
        " WHERE n.subject_id IS NULL OR n.subject_type = 'Note' ORDER BY 1": [
            ("on note 1", "on note 3"), ("on note 3", "on note 1"), ("what?", None),
        ],
    })  # fmt: skip
    assert [row[0] for row in aside(feature)] == ["6"]


def test_a_list_takes_the_one_that_has_the_parent_and_refuses_a_choice(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    text = recipe("recipes.md", HEADING)[2].replace("notes-on-anything", "feature")
    start, end = text.index("ref: {by"), text.index("else: quarantine}") + len("else: quarantine}")
    feature.define(text[:start] + "ref: [post, photo]" + text[end:])
    feature.source("UPDATE old.note SET subject_id = 2 WHERE id IN (1, 2)")
    feature.check({"SELECT body, subject_id >= 200 FROM note ORDER BY 1": [
        ("on f1", False), ("on f3", True), ("on note 3", True), ("on p1", False),
    ]})  # fmt: skip
    assert aside(feature) == [
        ("3", "subject_id", "more than one of post, photo has the row 1"),
        ("6", "subject_id", "the post row 99 was not migrated"),
        ("7", "subject_id", "more than one of post, photo has the row 1"),
    ]


def test_what_is_wrong_with_such_a_reference_is_said_where_it_stands() -> None:
    text = "version: 1\nname: m\ntables:\n  - {source: a, target: b, columns: {c: {from: c, ref: %s}}}"
    for ref, said in {
        "[a]": "ref: A list needs two different table mappings or more.",
        "[a, z]": 'ref: No table mapping is called "z"; there are "a".',
        "{by: kind}": "ref.of: Is missing.",
        "{by: kind, of: [a]}": "ref.of: Must say for each text which table mapping is meant",
        "{by: 'now()', of: {A: a}}": "ref.by: now gives another answer each time",
        "{by: kind, of: {A: z}}": 'ref: No table mapping is called "z"',
        "{by: kind, of: {A: a}, else: drop}": "ref.else: Must be one of stop, quarantine, null.",
    }.items():
        with pytest.raises(Refused) as refused:
            parse(text % ref)
        assert str(refused.value.problems[0]).startswith(f"tables[0].columns.c.{said}"[:40])
    for ref in (
        "[a, {table: d, column: e}]",
        '{by: lower(kind), of: {"": a, A: {table: d, column: e}}, else: "null"}',
    ):
        spec = parse(text % ref + "\n  - {source: d, target: d, columns: {c: c}}")
        assert parse(dump(spec)) == spec
