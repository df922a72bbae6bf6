"""Bad rows: found by halving, set aside with what is known of them; or the run stops at the first."""

from __future__ import annotations

import pytest

from jobs.engine.errors import RowError, TooManyQuarantined
from jobs.engine.target.ledger import Done
from tests.engine.rig import Rig

MAP = "{source: old.item, target: new.thing, columns: {amount: amount}}"
THING = "CREATE TABLE thing (id serial PRIMARY KEY, amount integer)"
QUARANTINE = "on_error: quarantine"
SET_ASIDE = "SELECT source_key, column_name, sqlstate, message FROM migrator.quarantine ORDER BY source_key"


def items(rig: Rig, amount: str, rows: int = 1000) -> None:
    """Rows whose amount is SQL over n."""
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, amount text);"
        f"INSERT INTO item SELECT n, {amount} FROM generate_series(1, {rows}) n"
    )


def test_one_poison_row_among_a_thousand(rig: Rig) -> None:
    items(rig, "CASE n WHEN 777 THEN 'many' ELSE n::text END")
    rig.new(THING)
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=999, quarantined=1)
    assert rig.new(SET_ASIDE) == [("777", "amount", "22P02", 'invalid input syntax for type integer: "many"')]
    assert rig.new("SELECT source_row->>'amount' FROM migrator.quarantine") == [("many",)]
    assert rig.new("SELECT count(*), count(DISTINCT amount) FROM thing") == [(999, 999)]


def test_a_value_too_large_for_an_index_is_a_bad_row(rig: Rig) -> None:
    items(
        rig, "CASE n WHEN 7 THEN (SELECT string_agg(md5(m::text), '') FROM generate_series(1, 300) m) END", 10
    )
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, amount text); CREATE INDEX ON thing (amount)")
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=9, quarantined=1)
    assert [(key, state) for key, _, state, _ in rig.new(SET_ASIDE)] == [("7", "54000")]


def test_the_quarantined_row_is_left_out_of_the_comparison(rig: Rig) -> None:
    items(rig, "CASE n WHEN 7 THEN 'many' ELSE n::text END", rows=10)
    rig.new(THING)
    rig.ready(MAP, QUARANTINE)
    rig.copy()
    found = rig.compare()
    assert (found.source_rows, found.matched, found.agrees) == (9, 9, True)


def test_stop_names_the_bad_row_and_brings_nothing_of_its_chunk(rig: Rig) -> None:
    items(rig, "CASE n WHEN 777 THEN 'many' ELSE n::text END")
    rig.new(THING)
    rig.ready(MAP)
    with pytest.raises(RowError, match=r"item: source row 777, column amount, .*\(SQLSTATE 22P02\)"):
        rig.copy()
    assert rig.new("SELECT count(*) FROM thing") == [(0,)]
    assert rig.new("SELECT count(*) FROM migrator.ledger") == [(0,)]


def test_of_two_rows_that_exclude_each_other_the_later_is_bad(rig: Rig) -> None:
    items(rig, "CASE n WHEN 900 THEN '5' ELSE n::text END")
    rig.new(f"{THING}; ALTER TABLE thing ADD CONSTRAINT once UNIQUE (amount)")
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=999, quarantined=1)
    assert [(key, column, state) for key, column, state, _ in rig.new(SET_ASIDE)] == [
        ("900", "amount", "23505")
    ]


def test_a_row_that_excludes_one_that_was_there_is_bad(rig: Rig) -> None:
    items(rig, "n::text", rows=10)
    rig.new(f"{THING}; ALTER TABLE thing ADD UNIQUE (amount); INSERT INTO thing (amount) VALUES (3)")
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=9, quarantined=1)
    assert [row[0] for row in rig.new(SET_ASIDE)] == ["3"]


REASONS = {
    "a check": ("CHECK (amount <> 7)", "23514"),
    "not null": ("NOT NULL", "23502"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_constraints_blame_their_row(rig: Rig, reason: str) -> None:
    constraint, sqlstate = REASONS[reason]
    items(rig, "CASE WHEN n = 8 THEN NULL ELSE n::text END" if reason == "not null" else "n::text", rows=10)
    rig.new(f"CREATE TABLE thing (id serial PRIMARY KEY, amount integer {constraint})")
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=9, quarantined=1)
    assert [row[2] for row in rig.new(SET_ASIDE)] == [sqlstate]


def test_a_deferred_constraint_blames_its_row_too(rig: Rig) -> None:
    items(rig, "CASE n WHEN 9 THEN '5' ELSE n::text END", rows=10)
    rig.new(f"{THING}; ALTER TABLE thing ADD UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED")
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=9, quarantined=1)


def test_a_trigger_that_raises_blames_its_row(rig: Rig) -> None:
    items(rig, "n::text", rows=10)
    rig.new(
        f"{THING}; CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'not this one'; END$$;"
        "CREATE TRIGGER no BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.amount = 4) EXECUTE FUNCTION no()"
    )
    rig.ready(MAP, QUARANTINE)
    assert rig.copy() == Done(inserted=9, quarantined=1)
    assert rig.new(SET_ASIDE) == [("4", "", "P0001", "not this one")]


def test_all_poison_stops_at_the_threshold_and_leaves_nothing(rig: Rig) -> None:
    items(rig, "'many ' || n", rows=100)
    rig.new(THING)
    rig.ready(MAP, f"{QUARANTINE}\nmax_quarantined: 5")
    with pytest.raises(TooManyQuarantined, match="more than 5 rows cannot be migrated"):
        rig.copy()
    assert rig.new("SELECT count(*) FROM migrator.quarantine") == [(0,)]


def test_the_threshold_counts_earlier_chunks(rig: Rig) -> None:
    items(rig, "CASE WHEN n % 10 = 0 THEN 'x' ELSE n::text END", rows=100)
    rig.new(THING)
    rig.ready(MAP, f"{QUARANTINE}\nmax_quarantined: 5")
    first, second = rig.cut(50)[:2]
    assert rig.copy(chunk=first) == Done(inserted=45, quarantined=5)
    with pytest.raises(TooManyQuarantined):
        rig.copy(chunk=second)
    assert rig.new("SELECT count(*) FROM thing") == [(45,)]


FAMILY = """
{source: old.parent, target: new.elder, columns: {name: name}}
{source: old.child, target: new.younger, columns: {elder: {from: parent, ref: parent%s}}}
"""


def family(rig: Rig, missing: str, options: str = "") -> None:
    """Three children, one of a parent that is not migrated."""
    rig.old(
        "CREATE TABLE parent (id integer PRIMARY KEY, name text); INSERT INTO parent VALUES (1, 'a');"
        "CREATE TABLE child (id integer PRIMARY KEY, parent integer);"
        "INSERT INTO child VALUES (1, 1), (2, 99), (3, NULL)"
    )
    rig.new(
        "CREATE TABLE elder (id serial PRIMARY KEY, name text);"
        "CREATE TABLE younger (id serial PRIMARY KEY, elder integer)"
    )
    rig.ready(FAMILY % (f", missing: {missing}" if missing else ""), options)
    rig.copy(rig.work("parent"))


@pytest.mark.parametrize(("missing", "options"), [("stop", ""), ("", ""), ("stop", QUARANTINE)])
def test_a_missing_parent_stops(rig: Rig, missing: str, options: str) -> None:
    family(rig, missing, options)
    with pytest.raises(RowError, match="source row 2, column elder, the parent row 99 was not migrated"):
        rig.copy(rig.work("child"))
    assert rig.new("SELECT count(*) FROM younger") == [(0,)]


@pytest.mark.parametrize(("missing", "options"), [("quarantine", ""), ("", QUARANTINE)])
def test_a_missing_parent_sets_the_child_aside(rig: Rig, missing: str, options: str) -> None:
    family(rig, missing, options)
    assert rig.copy(rig.work("child")) == Done(inserted=2, quarantined=1)
    assert rig.new(SET_ASIDE) == [("2", "elder", "MG001", "the parent row 99 was not migrated")]


def test_a_missing_parent_may_be_null(rig: Rig) -> None:
    family(rig, '"null"')
    assert rig.copy(rig.work("child")) == Done(inserted=3)
    assert rig.new("SELECT source_table_id, elder FROM younger ORDER BY 1") == [(1, 1), (2, None), (3, None)]
    assert rig.compare(rig.work("child")).agrees
