"""Comparing finds what was seeded: missing, extra and different rows, however rows are linked; and nothing else."""

from __future__ import annotations

import pytest

from tests.engine.rig import Rig

SOURCE = """
CREATE TABLE item (id integer PRIMARY KEY, n numeric(8, 3), f float8, t text, d timestamptz, j jsonb, x json, p point);
INSERT INTO item SELECT i, i + 0.125, i / 3.0::float8, 'text ' || i,
  timestamptz '2024-01-01 12:00+01' + i * interval '1 h', jsonb_build_object('i', i),
  json_build_object('i', i), point(i, i) FROM generate_series(1, 20) i;
INSERT INTO item (id) VALUES (21);
"""
TARGET = """CREATE TABLE thing (
  id serial PRIMARY KEY, n numeric(8, 2), f real, t varchar(50), d timestamptz, j jsonb, x json, p point)"""
COLUMNS = 'columns: {n: n, f: f, t: {expr: "upper(t)"}, d: d, j: j, x: x, p: p}'
LINKS = {"source id and map": "", "source id": "link: {map: false},", "map": "link: {source_id: false},"}
ROW_7 = "t = 'TEXT 7'"


@pytest.fixture(params=LINKS)
def copied(request: pytest.FixtureRequest, rig: Rig) -> Rig:
    """Twenty-one rows, one of them full of NULLs, copied; linked in each way that can be compared."""
    rig.old(SOURCE)
    rig.new(TARGET)
    rig.ready(f"{{source: old.item, target: new.thing, {LINKS[request.param]} {COLUMNS}}}")
    rig.copy()
    return rig


@pytest.fixture
def plain(rig_two: Rig) -> Rig:
    """The same, linked by source id and map, in two databases."""
    rig_two.old(SOURCE)
    rig_two.new(TARGET)
    rig_two.ready(f"{{source: old.item, target: new.thing, {COLUMNS}}}")
    rig_two.copy()
    return rig_two


def test_what_was_copied_agrees(copied: Rig) -> None:
    found = copied.compare()
    assert (found.source_rows, found.matched, found.missing, found.extra, found.different) == (
        21,
        21,
        0,
        0,
        0,
    )


def test_a_missing_row_is_found(copied: Rig) -> None:
    copied.new(f"DELETE FROM thing WHERE {ROW_7}")
    found = copied.compare()
    assert (found.matched, found.missing, found.different) == (20, 1, 0)
    assert found.samples == ({"kind": "missing", "key": "7", "columns": []},)


def test_a_change_is_shown_among_more_columns_than_a_function_takes(rig: Rig) -> None:
    names = [f"c{number}" for number in range(110)]
    rig.old(
        f"CREATE TABLE item (id integer PRIMARY KEY, {' int, '.join(names)} int); INSERT INTO item VALUES (7)"
    )
    rig.new(f"CREATE TABLE thing (id serial PRIMARY KEY, {' int, '.join(names)} int)")
    columns = ", ".join(f"{name}: {name}" for name in names)
    rig.ready(f"{{source: old.item, target: new.thing, columns: {{{columns}}}}}")
    rig.copy()
    rig.new("UPDATE thing SET c109 = 5")
    (sample,) = rig.compare().samples
    assert sample["columns"] == [{"column": "c109", "expected": None, "found": "5"}]


CHANGES = {
    "n": "7.14", "f": "7.5", "t": "'text 7'", "d": "d + interval '1 microsecond'", "j": "'{}'", "x": "'{\"i\":7}'",
    "p": "point(7, 7.5)",
}  # fmt: skip


@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_value_is_found_in_its_column(plain: Rig, column: str) -> None:
    plain.new(f"UPDATE thing SET {column} = {CHANGES[column]} WHERE {ROW_7}")
    found = plain.compare()
    assert (found.missing, found.different) == (0, 1)
    (sample,) = found.samples
    assert (sample["kind"], sample["key"], [item["column"] for item in sample["columns"]]) == (
        "different",
        "7",
        [column],
    )


@pytest.mark.parametrize("column", CHANGES)
def test_a_value_lost_and_a_value_from_nowhere_are_found(plain: Rig, column: str) -> None:
    plain.new(f"UPDATE thing SET {column} = NULL WHERE {ROW_7}")
    plain.new(
        f"UPDATE thing SET {column} = (SELECT {column} FROM thing WHERE t = 'TEXT 8') WHERE t IS NULL AND id = 21"
    )
    assert plain.compare().different == 2


def test_a_flag_taken_away_is_found(copied: Rig) -> None:
    copied.new(f"UPDATE thing SET is_migrated = false WHERE {ROW_7}")
    (sample,) = copied.compare().samples
    assert sample["columns"] == [{"column": "is_migrated", "expected": "true", "found": "false"}]


def test_two_rows_with_swapped_links_are_found(plain: Rig) -> None:
    plain.new("UPDATE thing SET source_table_id = -source_table_id WHERE source_table_id IN (7, 8)")
    plain.new("UPDATE thing SET source_table_id = 15 + source_table_id WHERE source_table_id < 0")
    assert plain.compare().different == 2


def test_a_row_that_no_source_row_has_is_extra(plain: Rig) -> None:
    plain.old("DELETE FROM item WHERE id = 7")
    found = plain.compare()
    assert (found.extra, found.samples) == (1, ({"kind": "extra", "key": "7", "columns": []},))


def test_samples_are_few_but_all_are_counted(copied: Rig) -> None:
    copied.old("INSERT INTO item (id) SELECT i FROM generate_series(100, 199) i")
    found = copied.compare()
    assert (found.missing, len(found.samples)) == (100, 20)


def test_a_lost_parent_is_a_difference(rig: Rig) -> None:
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, up integer); INSERT INTO item VALUES (1, NULL), (2, 1), (3, 2)"
    )
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, up integer)")
    rig.ready("{source: old.item, target: new.thing, columns: {up: {from: up, ref: item}}}")
    rig.copy()
    rig.link()
    assert rig.compare().agrees
    rig.new("UPDATE thing SET up = NULL WHERE source_table_id = 3")
    assert [sample["key"] for sample in rig.compare().samples] == ["3"]
