"""What PostgreSQL could not hold, and what is not ours: found in the plan, not in the run."""

from __future__ import annotations

import pytest

from mappings.problems import Refused
from tests.journeys.world import execute
from tests.planning.drawing import Board

ITEM = "CREATE TABLE item (id integer PRIMARY KEY, label text)"
THING = "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text)"
MAP = "{source: old.item, target: new.thing, columns: {label: label}}"


def wide(columns: int) -> str:
    return "".join(f", c{n} int" for n in range(columns))


def mapped(columns: int) -> str:
    names = ", ".join(f"c{n}: c{n}" for n in range(columns))
    return f"{{source: old.item, target: new.thing, columns: {{{names}}}}}"


def test_a_table_that_has_no_room_for_another_column(board: Board) -> None:
    """Dropped columns are not given back."""
    target = THING.replace("label text", f"label text{wide(1597)}")
    board.given(ITEM, f"{target}; ALTER TABLE thing DROP c0")
    (blocker,) = board.blockers(MAP)
    assert "new.thing has had 1599 columns, dropped ones included, and 2 have to be added" in blocker
    assert board.blockers(MAP.replace("columns:", "is_migrated: false, columns:")) == []


def test_more_columns_than_can_be_compared(board: Board) -> None:
    """Each reference is read as a value and as whether its parent is lost."""
    board.given(
        ITEM.replace("label text", f"label text{wide(1590)}"), f"{THING}; ALTER TABLE thing{adding(1590)}"
    )
    assert board.blockers(mapped(1590)) == []
    own = ", ".join(f"c{n}: {{from: c{n}, ref: item}}" for n in range(80))
    blockers = board.blockers(mapped(1590).replace(", ".join(f"c{n}: c{n}" for n in range(80)), own))
    assert any("1590 columns are mapped, of which" in text and "can be compared" in text for text in blockers)


def adding(columns: int) -> str:
    return ",".join(f" ADD c{n} int" for n in range(columns))


@pytest.mark.parametrize(("made", "text"), [
    ("CREATE TABLE migrator.people (id int)", "is not this product's: it holds people"),
    ("CREATE TABLE migrator.run (id int)", "is not this product's: it holds run"),
    ("CREATE VIEW migrator.ledger AS SELECT 1 AS run", "is not this product's: it holds ledger"),
])  # fmt: skip
def test_a_schema_of_our_name_that_is_not_ours(board: Board, made: str, text: str) -> None:
    board.given(ITEM, THING)
    execute(board.pair.target, "CREATE SCHEMA migrator")
    assert board.blockers(MAP) == []
    execute(board.pair.target, made)
    with pytest.raises(Refused, match=text):
        board.plan(MAP)


def test_a_materialised_view_that_was_never_filled(board: Board) -> None:
    board.given(
        f"{ITEM}; CREATE MATERIALIZED VIEW seen AS SELECT * FROM item WITH NO DATA; CREATE TABLE other AS TABLE item",
        THING,
    )
    text = "old.seen is a materialised view that holds no rows yet; REFRESH MATERIALIZED VIEW it first"
    as_source = "{source: old.seen, key: [id], target: new.thing, columns: {label: label}}"
    as_lookup = (
        "{source: old.item, target: new.thing, columns: {label: {from: id, lookup: {table: old.seen, key: id,"
        " value: label}}}}"
    )
    assert board.blockers(as_source) == [f"tables[0].source: {text}"]
    assert board.blockers(as_lookup) == [f"tables[0].columns.label.lookup.table: {text}"]
    execute(
        board.pair.source,
        "CREATE VIEW old.over AS SELECT * FROM old.seen; CREATE VIEW old.top AS TABLE old.over",
    )
    behind_views = as_source.replace("old.seen", "old.top")
    assert board.blockers(behind_views) == [f"tables[0].source: old.top reads {text}"]


def test_a_target_without_a_place_for_a_row(board: Board) -> None:
    """Partitions of partitions count, if they have any."""
    board.given(ITEM, f"{THING.replace(' PRIMARY KEY', '')} PARTITION BY LIST (label)")
    nowhere = (
        "tables[0].target: new.thing has no partition yet that could take a row; make its partitions first"
    )
    assert board.blockers(MAP) == [nowhere]
    execute(board.pair.target, "CREATE TABLE new.a PARTITION OF new.thing DEFAULT PARTITION BY LIST (label)")
    assert board.blockers(MAP) == [nowhere]
    execute(board.pair.target, "CREATE TABLE new.b PARTITION OF new.a DEFAULT")
    assert board.blockers(MAP) == []


def test_a_partition_that_is_a_foreign_table(board: Board) -> None:
    """What is added to it here is not there."""
    board.given(ITEM, f"{THING.replace(' PRIMARY KEY', '')} PARTITION BY LIST (label)")
    execute(
        board.pair.target,
        "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;"
        "CREATE TABLE new.a PARTITION OF new.thing DEFAULT;"
        "CREATE FOREIGN TABLE new.far PARTITION OF new.thing FOR VALUES IN ('x') SERVER nowhere",
    )
    try:
        text = "of new.thing, new.far is a foreign table, which columns cannot be added to from here; DETACH it first"
        assert board.blockers(MAP) == [f"tables[0].target: {text}"]
    finally:
        execute(board.pair.target, "DROP FOREIGN DATA WRAPPER nothing CASCADE")


def test_the_width_of_a_domain_over_a_domain(board: Board) -> None:
    board.given(
        f"{ITEM}; INSERT INTO item VALUES (1, 'longer')",
        "CREATE DOMAIN short AS varchar(3); CREATE DOMAIN code AS short CHECK (VALUE <> 'x');"
        "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label code)",
    )
    (said,) = board.plan(MAP).measures
    assert (said.column, said.measured, said.limit) == ("label", 6, 3)


def test_event_triggers_of_the_target(board: Board) -> None:
    """They are told, as they could refuse a step in the middle of a run."""
    board.given(ITEM, THING)
    execute(
        board.pair.target,
        "CREATE FUNCTION new.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER watching ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION new.watch()",
    )
    try:
        told = [warning.text for warning in board.plan(MAP).warnings if "event trigger" in warning.text]
        assert told == [
            "the event trigger watching calls new.watch() at each change of the target's schema (ALTER TABLE): it can"
            " refuse a step of the run, or of its rollback; see that it lets this role pass"
        ]
        execute(board.pair.target, "ALTER EVENT TRIGGER watching DISABLE")
        assert not [warning for warning in board.plan(MAP).warnings if "event trigger" in warning.text]
    finally:
        execute(board.pair.target, "DROP EVENT TRIGGER watching")


OPERATORS = """
CREATE OPERATOR CLASS odd_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=,
  OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4);
CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number int, code varchar(3));
CREATE INDEX plain ON thing (number);
CREATE INDEX patterns ON thing (code varchar_pattern_ops);
"""


def test_an_index_whose_operators_are_of_the_narrower_type(board: Board) -> None:
    """Those that PostgreSQL chooses by itself it chooses again."""
    board.given(
        "CREATE TABLE item (id int PRIMARY KEY, number bigint, code text);"
        "INSERT INTO item VALUES (1, 3000000000, 'long enough')",
        OPERATORS,
    )
    mapping = "{source: old.item, target: new.thing, columns: {number: number, code: code}}"
    assert board.blockers(mapping) == []
    execute(board.pair.target, "CREATE INDEX odd ON new.thing (number new.odd_ops)")
    (blocker,) = board.blockers(mapping)
    assert (
        "the column must be widened to bigint, but the operators of index odd (new.odd_ops) are of integer"
        in blocker
    )
