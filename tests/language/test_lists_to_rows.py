"""A list in a row becomes rows."""

from __future__ import annotations

import tracemalloc

from jobs.models import Run
from mappings.language.canonical import dump
from mappings.language.file import parse
from tests.language.feature import Feature, counted, recipe

HEADING = "A list in a row becomes rows"


def test_each_element_is_a_row_with_its_place(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    feature.chunk_rows = 1
    feature.check({
        "SELECT client, place, number FROM phone ORDER BY 1, 2": [
            (1, 1, "11"), (1, 2, "12"), (1, 3, "13"), (3, 1, "31"), (3, 2, "32"),
        ],
        "SELECT client, label, source_table_id, source_table_n FROM tag ORDER BY 1, 2": [
            (1, "x", 1, 1), (1, "y", 1, 2),
        ],
    }, {"client": (3, 0, 0, 0), "phone": (5, 0, 0, 0), "tag": (2, 0, 0, 0)})  # fmt: skip
    feature.source("UPDATE old.client SET phones = '11' WHERE id = 1")  # of one element the others are extra
    assert feature.run().status == "mismatch"


def test_a_document_that_is_no_list_is_the_fault_of_its_row(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    feature.source(
        """INSERT INTO old.client VALUES (4, 'dan', NULL, NULL, '{"x": [1]}'), (5, 'eve', NULL, NULL, '"z"')"""
    )
    text = recipe("recipes.md", HEADING)[2].replace("lists-to-rows", "feature")
    text = text.replace("    target: new.tag\n", '    where: "t.t <> \'\\"y\\"\'"\n    target: new.tag\n')
    feature.define(text)
    assert feature.run().error.startswith(
        'tag: source row ["4", "0"], column label, malformed array literal: "c.tags is no list but object {'
    )
    feature.undo(*Run.objects.all())
    feature.define(text.replace("name: feature\n", "name: feature\non_error: quarantine\n"))
    feature.check({"SELECT client, label FROM tag": [(1, "x")]}, {
        "client": (5, 0, 0, 0), "phone": (5, 0, 0, 0), "tag": (1, 0, 0, 2),
    })  # fmt: skip
    assert feature.target("SELECT source_key, column_name, message FROM migrator.quarantine ORDER BY 1") == [
        ('["4", "0"]', "label", 'malformed array literal: "c.tags is no list but object {"x": [1]}"'),
        ('["5", "0"]', "label", 'malformed array literal: "c.tags is no list but string "z""'),
    ]


def test_a_long_list_is_not_held_in_memory_even_to_find_a_bad_element(feature: Feature) -> None:
    feature.given(
        "CREATE TABLE a (id int PRIMARY KEY, l int[]);"
        " INSERT INTO a SELECT 1, array_agg(n) FROM generate_series(1, 50000) n",
        "CREATE TABLE b (id serial PRIMARY KEY, v int CHECK (v <> 39999), place bigint)",
        """
on_error: quarantine
tables:
  - source: old.a
    alias: a
    joins: [{unnest: a.l, alias: e, ordinality: n}]
    target: new.b
    columns: {v: e.e, place: e.n}
""",
    )
    feature.undo(feature.verified())  # what is imported and kept from now on is no list
    tracemalloc.start()
    try:
        run = feature.verified()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counted(run) == {"a": (49999, 0, 0, 1)}
    assert peak < 4_000_000, "50,000 keys alone would be more"


def test_what_is_no_list_is_said_where_it_stands(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    text = (
        "version: 1\nname: feature\ntables: [{source: old.client, alias: c, target: new.tag, columns: {label: c.name},"
        " joins: [{unnest: %s, alias: t, ordinality: n}]}]"
    )
    wrong = {
        "c.name": "this is no list: an array or a jsonb array is needed",
        "c.gone": "there is no source column c.gone",
    }
    for unnest, said in wrong.items():
        feature.define(text % unnest)
        assert feature.blockers() == f"tables[0].joins[0].unnest: {said}"
    spec = parse(text % "c.tags")
    assert parse(dump(spec)) == spec and "unnest: c.tags" in dump(spec)
