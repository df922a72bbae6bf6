"""Comparing finds what was seeded: missing, extra and different rows, however rows are linked; and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from jobs.engine.one_pass import scattered
from tests.conftest import Pair
from tests.engine.rig import Rig
from tests.engine.test_digests import travelled

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


@pytest.fixture(params=[(link, passes) for link in LINKS for passes in (0, 1)], ids=str)
def copied(request: pytest.FixtureRequest, rig: Rig) -> Rig:
    """Twenty-one rows, one of them full of NULLs, copied; linked in each way that can be compared."""
    link, rig.passes = request.param
    rig.old(SOURCE)
    rig.new(TARGET)
    rig.ready(f"{{source: old.item, target: new.thing, {LINKS[link]} {COLUMNS}}}")
    if rig.passes and not scattered.possible(rig.work()):
        assert (link, rig.same) == ("map", False)
        pytest.skip("between two databases a side cannot say the key of a row that only the map links")
    rig.copy()
    return rig


@pytest.fixture(params=[("two", 0), ("two", 4), ("one", 1), ("one", 4)], ids=str)
def plain(request: pytest.FixtureRequest, pair: Pair) -> Iterator[Rig]:
    """The same, linked by source id and map; by ranges of keys, and in one or several passes over both sides."""
    layout, passes = request.param
    made = Rig(pair if layout == "two" else Pair(pair.source, pair.source))
    made.passes = passes
    made.old(SOURCE)
    made.new(TARGET)
    made.ready(f"{{source: old.item, target: new.thing, {COLUMNS}}}")
    made.copy()
    yield made
    made.close()


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


@pytest.mark.parametrize("passes", [1, 4])
def test_texts_that_two_servers_may_sort_differently_are_digested_by_parts(rig_two: Rig, passes: int) -> None:
    rig_two.old("CREATE TABLE item (id text, part int, n int, PRIMARY KEY (id, part));"
                "INSERT INTO item SELECT md5(i::text), i % 3, i FROM generate_series(1, 500) i")  # fmt: skip
    rig_two.new("CREATE TABLE thing (id serial PRIMARY KEY, n int)")
    rig_two.ready("{source: old.item, target: new.thing, columns: {n: n}}")
    rig_two.copy()
    rig_two.passes = passes
    assert scattered.possible(rig_two.work())
    assert rig_two.compare().matched == 500
    assert not travelled(rig_two)
    rig_two.new("UPDATE thing SET n = -1 WHERE n = 7; DELETE FROM thing WHERE n = 8")
    found = rig_two.compare()
    assert (found.source_rows, found.matched, found.missing, found.different) == (500, 499, 1, 1)
    assert {sample["kind"] for sample in found.samples} == {"missing", "different"}


SCANS = "SELECT seq_scan, coalesce(idx_scan, 0) FROM pg_stat_all_tables WHERE relid = '{}'::regclass"


@pytest.mark.parametrize("seeded", [False, True])
def test_a_pass_reads_each_side_as_it_lies_and_not_by_any_index(rig: Rig, seeded: bool) -> None:
    """However the keys lie; and once more for what is wrong."""
    rig.old("CREATE TABLE item (id uuid PRIMARY KEY, n int);"
            "INSERT INTO item SELECT gen_random_uuid(), i FROM generate_series(1, 20000) i; ANALYZE item")  # fmt: skip
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, n int)")
    rig.ready("{source: old.item, target: new.thing, columns: {n: n}}")
    rig.copy()
    rig.target.execute("ANALYZE new.thing")
    if seeded:  # in this session, whose counts are told at once
        rig.target.execute("UPDATE new.thing SET n = -n WHERE n IN (7, 19000)")
    sides = ((rig.source, "old.item"), (rig.target, "new.thing"))
    before = [scans(conn, table) for conn, table in sides]
    rig.passes = 1
    found = rig.compare()
    assert (found.source_rows, found.different, found.matched) == (20_000, 2 if seeded else 0, 20_000)
    after = [scans(conn, table) for conn, table in sides]
    read = [(seq - was, index - before_) for (seq, index), (was, before_) in zip(after, before, strict=True)]
    assert read == [(2 if seeded else 1, 0)] * 2


def scans(conn: psycopg.Connection, table: str) -> tuple[int, int]:
    """(how often a table was read as a whole, how often by an index) up to now."""
    conn.execute("SELECT pg_stat_force_next_flush()")
    row = conn.execute(SCANS.format(table).encode()).fetchone()
    assert row is not None
    return row
