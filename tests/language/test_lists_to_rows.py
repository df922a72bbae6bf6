"""A list in a row becomes rows."""

from __future__ import annotations

import tracemalloc

import psycopg
import pytest

from jobs.engine import feed
from jobs.engine.feed import Work
from jobs.engine.moving import ranges
from jobs.engine.sql.walks.chunk_range import Range
from jobs.models import Run
from mappings.fitting import measure_columns
from mappings.language.canonical import dump
from mappings.language.file import parse
from tests.journeys.world import reported
from tests.language.feature import Feature, Rows, counted, recipe

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
    run = feature.run()
    assert run.status == "mismatch" and [
        (sample["kind"], sample["key"]) for table in reported(run) for sample in table["samples"]
    ] == [("different", '["1", "2"]'), ("extra", '["1", "3"]')]


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


ELEMENTS = """
on_error: quarantine
tables:
  - source: old.a
    alias: a
    joins: [{unnest: "%s", alias: e, ordinality: n}]
    target: new.b
    columns: {v: e.e, place: e.n}
"""


@pytest.mark.parametrize(("unnest", "rows", "said"), [
    ("string_to_array(a.l, ',')::int[]", [(1, "1", 1), (1, "2", 2), (2, "3", 1), (3, "4", 1)],
     [('["2", "2"]', 'invalid input syntax for type integer: "x"')]),
    ("ARRAY[a.n / a.z, a.z]", [(1, "1", 1), (1, "1", 2), (2, "0", 2), (3, "3", 1), (3, "1", 2)],
     [('["2", "1"]', "division by zero")]),
    ("('{' || a.l || '}')::int[]", [(1, "1", 1), (1, "2", 2), (3, "4", 1)],
     [('["2", "0"]', "malformed array literal: \"('{' || a.l || '}')::int[] is no list but {3,x}\"")]),
    ("('[' || a.l || ']')::jsonb", [(1, "1", 1), (1, "2", 2), (3, "4", 1)],
     [('["2", "0"]', "malformed array literal: \"('[' || a.l || ']')::jsonb is no list but [3,x]\"")]),
])  # fmt: skip
def test_an_element_that_cannot_be_computed_is_the_fault_of_its_row(
    feature: Feature, unnest: str, rows: Rows, said: Rows
) -> None:
    feature.given(
        "CREATE TABLE a (id int PRIMARY KEY, l text, n int, z int);"
        " INSERT INTO a VALUES (1, '1,2', 1, 1), (2, '3,x', 2, 0), (3, '4', 3, 1)",
        "CREATE TABLE b (id serial PRIMARY KEY, v text, place bigint)",
        ELEMENTS % unnest,
    )
    feature.check({"SELECT source_table_id, v, place FROM b ORDER BY 1, 3": rows})
    assert feature.target("SELECT source_key, message FROM migrator.quarantine") == said


def test_a_list_that_fails_as_a_whole_is_named_in_the_plan_with_its_row(
    feature: Feature, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature.given(
        "CREATE TABLE a (id int PRIMARY KEY, l text); INSERT INTO a SELECT n, '{1,2}' FROM generate_series(1, 9) n;"
        " UPDATE a SET l = 'x' WHERE id IN (2, 7)",
        "CREATE TABLE b (id serial PRIMARY KEY, v text, place bigint)",
        ELEMENTS % "coalesce(a.l::int[], '{}')",
    )
    why = 'malformed array literal: "x"; Array value must start with "{" or dimension information'
    assert (
        f"joins[0].unnest: the list fails: source row 2: {why}; source row 7: {why}; every"
        in feature.blockers()
    )
    where = ELEMENTS.replace("target", "where: \"a.l <> 'x' AND 8 / (a.id - 9) < 0\"\n    target", 1)
    feature.define("version: 1\nname: feature" + where % "coalesce(a.l::int[], '{}')")
    assert "tables[0].where: where fails: source row 9: division by zero; " in feature.blockers()
    feature.source("DELETE FROM old.a WHERE id = 9; UPDATE old.a SET l = '{1,2,3,4}' WHERE id = 3")
    monkeypatch.setattr(measure_columns, "LONG", 3)
    assert (
        "the longest list has 4 elements: all of one row's list is one chunk, which goes in one transaction;"
        ' source row ["3", "4"]' in feature.warnings()
    )
    feature.verified()


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
    with psycopg.connect(feature.pair.source) as source, psycopg.connect(feature.pair.target) as target:
        plan = feature.plan()
        work = Work(plan, plan.tables[0], 1, True, False, source, target)
        assert ranges.first_size(work, 20_000) == 1, "20,000 such rows would be a billion"
    feature.undo(feature.verified())  # what is imported and kept from now on is no list
    tracemalloc.start()
    try:
        run = feature.verified()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counted(run) == {"a": (49999, 0, 0, 1)}
    assert peak < 4_000_000, "50,000 keys alone would be more"


@pytest.mark.parametrize("on_error", ["stop", "quarantine"])
def test_a_bad_element_of_a_long_list_is_found_without_holding_its_keys(
    feature: Feature, monkeypatch: pytest.MonkeyPatch, on_error: str
) -> None:
    """By halves of the list: a trigger refuses it, which nobody can ask for."""
    held: list[int] = []
    keys_in = feed.keys_in
    monkeypatch.setattr(ranges, "MOST_KEYS", 50)

    def counted_keys(work: Work, chunk: Range) -> list[str]:
        keys = keys_in(work, chunk)
        held.append(len(keys))
        return keys

    monkeypatch.setattr(feed, "keys_in", counted_keys)
    feature.given(
        "CREATE TABLE a (id int PRIMARY KEY, l int[]); INSERT INTO a VALUES (1, '{1}'), (3, '{5,6}');"
        " INSERT INTO a SELECT 2, array_agg(n) FROM generate_series(1, 1000) n",
        "CREATE TABLE b (id serial PRIMARY KEY, v int, place bigint); CREATE FUNCTION no() RETURNS trigger LANGUAGE"
        " plpgsql AS 'BEGIN IF NEW.v IN (777, 901) THEN RAISE ''not %'', NEW.v; END IF; RETURN NEW; END';"
        " CREATE TRIGGER no BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION no()",
        f"on_error: {on_error}\n" + ELEMENTS.partition("quarantine\n")[2] % "a.l",
    )
    run = feature.run()
    assert max(held, default=0) <= 50
    if on_error == "stop":
        assert held and run.error.startswith('a: source row ["2", "777"], not 777'), run.error
        return
    assert run.status == "verified" and counted(run) == {"a": (1001, 0, 0, 2)}
    assert feature.target("SELECT source_key, message FROM migrator.quarantine ORDER BY 1") == [
        ('["2", "777"]', "not 777"), ('["2", "901"]', "not 901"),
    ]  # fmt: skip


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
