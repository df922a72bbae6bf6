"""The fingerprint of a mapping's tables: the same with and without our steps, another after any other change."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from jobs.engine.schema import apply as schema
from jobs.engine.target import ledger
from mappings.catalog.fingerprints import TableStructure, between_environments, fingerprint, since_planned
from mappings.compiling import structure
from mappings.connections import sessions
from mappings.plan.model import Plan
from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.journeys.world import execute
from tests.planning.drawing import Board, spec

SOURCE = """
CREATE TABLE region (id integer PRIMARY KEY, label text);
CREATE TABLE item (id integer PRIMARY KEY, label varchar(90), size bigint, price numeric(9, 3), at timestamp,
                   region_id integer);
INSERT INTO item VALUES (1, repeat('x', 60), 3000000000, 123456.125, '2024-01-01 10:00:00.123456', NULL);
"""
TARGET = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN short AS varchar(20) CHECK (value <> '');
CREATE TABLE thing (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label varchar(20) DEFAULT 'none' CHECK (label <> 'all'),
  lower_label text GENERATED ALWAYS AS (lower(label)) STORED, size integer NOT NULL DEFAULT 7 CHECK (size > 0),
  price numeric(8, 2) DEFAULT 0.5, at timestamp(0) DEFAULT '2000-01-01', region text, mood mood, code short,
  code_number serial, UNIQUE (label), parent bigint REFERENCES thing);
CREATE UNIQUE INDEX ON thing (lower(label)) WHERE size > 3;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER guard BEFORE DELETE ON thing FOR EACH ROW EXECUTE FUNCTION nothing();
"""
TABLES = (
    "{source: old.item, target: new.thing, link: {backref: new_id}, columns: {label: label, size: size,"
    " price: price, at: at, region: {from: region_id, lookup: {table: old.region, key: id, value: label}}}}"
)


@pytest.fixture(scope="module")
def pair16(pg16: Postgres) -> Iterator[Pair]:
    made = Databases(pg16)
    yield made.pair("two")
    made.drop()


@pytest.fixture(params=["one", "two", "two on 16"])
def everywhere(request: pytest.FixtureRequest) -> Board:
    """Both layouts, and both ways to widen under a generated column."""
    pair: Pair = request.getfixturevalue("pair16" if "16" in request.param else "pair")
    return Board(Pair(pair.source, pair.source) if request.param == "one" else pair)


def given(board: Board, target: str = TARGET) -> Plan:
    board.given(SOURCE, target)
    return board.plan(TABLES)


def now(board: Board, plan: Plan | None = None) -> tuple[TableStructure, ...]:
    """The structure as a worker reads it; with a plan, as one that may have done its steps."""
    with board.opened() as found:
        return structure.read(spec(TABLES), found, plan.steps if plan else ())


def apply(board: Board, plan: Plan) -> None:
    """The plan's steps, as a worker does them."""
    with (
        sessions.connect(board.pair.source, purpose="test") as source,
        sessions.connect(board.pair.target, purpose="test") as target,
    ):
        ledger.install(target)
        for step in plan.steps:
            schema.apply(schema.Sides(source, target), plan, 1, step, lambda _: None)


def undo(board: Board) -> None:
    with (
        sessions.connect(board.pair.source, purpose="test") as source,
        sessions.connect(board.pair.target, purpose="test") as target,
    ):
        for step in schema.applied(target, "small"):
            assert schema.undo(schema.Sides(source, target), step, lambda _: None) == ""


def changes(board: Board, plan: Plan) -> list[str]:
    return [str(change) for change in since_planned(plan.structure, now(board))]


def test_our_own_steps_leave_the_fingerprint_as_it_was(everywhere: Board) -> None:
    plan = given(everywhere)
    assert plan.blockers == ()
    assert {step.kind for step in plan.steps} == {"widen", "add_column", "add_index"}
    assert {step.side for step in plan.steps} == {"source", "target"}
    assert len([step for step in plan.steps if step.kind == "widen"]) == 4
    apply(everywhere, plan)
    again = everywhere.plan(TABLES)
    assert (again.steps, again.fingerprint) == ((), plan.fingerprint)
    assert changes(everywhere, plan) == []
    undo(everywhere)
    assert everywhere.plan(TABLES).fingerprint == plan.fingerprint
    assert changes(everywhere, plan) == []


def test_steps_that_were_done_and_not_yet_registered_are_no_change(two: Board) -> None:
    plan = given(two)
    for step in plan.steps:
        url = two.pair.source if step.side == "source" else two.pair.target
        execute(url, ";".join(step.sql))
        assert since_planned(plan.structure, now(two, plan)) == ()
    assert changes(two, plan) != []


def test_a_source_that_two_targets_share_may_have_the_back_reference_already(two: Board) -> None:
    plan = given(two)
    execute(two.pair.source, "ALTER TABLE old.item ADD COLUMN new_id bigint")
    assert two.plan(TABLES).fingerprint == plan.fingerprint


def test_what_a_rollback_of_another_run_took_away_is_a_change(two: Board) -> None:
    apply(two, given(two))
    plan = two.plan(TABLES)
    undo(two)
    assert between_environments(plan.structure, now(two)) == ()
    found = changes(two, plan)
    assert "target new.thing, column is_migrated: was boolean NOT NULL DEFAULT false, is not there" in found
    assert [
        line for line in found if line.startswith("target new.thing, column label: was character varying(90)")
    ]
    assert len(found) == 8  # 4 widths, 3 columns, 1 index


def test_what_the_owner_widened_after_us_is_the_owners(two: Board) -> None:
    plan = given(two)
    apply(two, plan)
    execute(two.pair.target, "ALTER TABLE new.thing ALTER COLUMN price TYPE numeric(20, 5)")
    assert changes(two, plan) == [
        "target new.thing, column price: was numeric(8,2) DEFAULT 0.5, is numeric(20,5) DEFAULT 0.5"
    ]


CHANGES = {
    "ALTER TABLE new.thing ADD COLUMN note text": "column note: was not there, is text",
    "ALTER TABLE new.thing DROP COLUMN region": "column region: was text, is not there",
    "ALTER TABLE new.thing ALTER COLUMN region TYPE varchar(9)": "column region: was text, is character varying(9)",
    "ALTER TABLE new.thing ALTER COLUMN region SET NOT NULL": "column region: was text, is text NOT NULL",
    "ALTER TABLE new.thing ALTER COLUMN size DROP DEFAULT":
        "column size: was integer NOT NULL DEFAULT 7, is integer NOT NULL",
    "ALTER TABLE new.thing ALTER COLUMN id SET GENERATED BY DEFAULT":
        "column id: was bigint NOT NULL GENERATED ALWAYS AS IDENTITY,"
        " is bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY",
    "ALTER TYPE new.mood ADD VALUE 'so so'": "column mood: was new.mood (good, bad), is new.mood (good, bad, so so)",
    "ALTER DOMAIN new.short SET NOT NULL": "column code: was new.short (character varying(20)) CHECK"
        " (((VALUE)::text <> ''::text)), is new.short (character varying(20) NOT NULL)"
        " CHECK (((VALUE)::text <> ''::text))",
    "ALTER TABLE new.thing DROP CONSTRAINT thing_label_key": "unique index btree (label): was there, is not there",
    "ALTER TABLE new.thing DROP CONSTRAINT thing_parent_fkey":
        "constraint FOREIGN KEY (parent) REFERENCES new.thing(id): was there, is not there",
    "ALTER TABLE new.thing ADD CHECK (region <> '')":
        "constraint CHECK ((region <> ''::text)): was not there, is there",
    "DROP TRIGGER guard ON new.thing": "trigger guard: was BEFORE DELETE ON new.thing FOR EACH ROW EXECUTE FUNCTION"
        " new.nothing(), is not there",
    "ALTER TABLE new.thing DISABLE TRIGGER guard": "trigger guard: was BEFORE DELETE ON new.thing FOR EACH ROW EXECUTE"
        " FUNCTION new.nothing(), is BEFORE DELETE ON new.thing FOR EACH ROW EXECUTE FUNCTION new.nothing() (disabled)",
    "ALTER TABLE new.thing ENABLE ROW LEVEL SECURITY": "table: was table, is table with row security",
    "ALTER TABLE new.thing RENAME TO stuff": "table: was table, is not there",
}  # fmt: skip


@pytest.mark.parametrize("statement", CHANGES)
def test_each_change_of_the_target_is_told_and_changes_the_fingerprint(two: Board, statement: str) -> None:
    plan = given(two)
    execute(two.pair.target, statement)
    assert changes(two, plan) == [f"target new.thing, {CHANGES[statement]}"]
    assert fingerprint(now(two)) != plan.fingerprint


SOURCE_CHANGES = {
    "ALTER TABLE old.item ALTER COLUMN label TYPE text": "old.item, column label: was character varying(90), is text",
    "ALTER TABLE old.item DROP CONSTRAINT item_pkey": "old.item, primary key: was btree (id), is not there",
    "ALTER TABLE old.region ADD COLUMN short text": "old.region, column short: was not there, is text",
}


@pytest.mark.parametrize("statement", SOURCE_CHANGES)
def test_each_change_of_the_source_is_told_lookups_included(two: Board, statement: str) -> None:
    plan = given(two)
    execute(two.pair.source, statement)
    assert changes(two, plan) == [f"source {SOURCE_CHANGES[statement]}"]


def test_what_no_row_depends_on_does_not_count(two: Board) -> None:
    plan = given(two)
    name = conninfo_to_dict(two.pair.target)["dbname"]
    execute(two.pair.target, "CREATE INDEX ON new.thing (region); ANALYZE new.thing")
    execute(two.pair.target, "ALTER TABLE new.thing RENAME CONSTRAINT thing_label_key TO labels_are_unique")
    execute(two.pair.target, "CREATE TABLE new.other (id bigint REFERENCES new.thing)")
    execute(two.pair.target, f"ALTER DATABASE {name} SET search_path = new")
    try:
        assert changes(two, plan) == []
        assert two.plan(TABLES).fingerprint == plan.fingerprint
    finally:
        execute(two.pair.target, f"ALTER DATABASE {name} RESET search_path")


def test_a_dropped_column_and_another_order_do_not_count(two: Board) -> None:
    columns = "id serial PRIMARY KEY, label text, size bigint, price numeric"
    others = "at timestamp, region text"
    plan = given(two, f"CREATE TABLE thing ({columns}, {others})")
    again = Board(two.pair)
    again.given(SOURCE, f"CREATE TABLE thing (x text, {others}, {columns}); ALTER TABLE thing DROP COLUMN x")
    assert again.plan(TABLES).fingerprint == plan.fingerprint


def test_a_view_on_a_column_is_a_change_here_and_none_between_environments(two: Board) -> None:
    plan = given(two)
    execute(two.pair.target, "CREATE VIEW new.labels AS SELECT label FROM new.thing")
    assert changes(two, plan) == ["target new.thing, dependent label <- new.labels: was not there, is there"]
    assert between_environments(plan.structure, now(two)) == ()
    assert fingerprint(now(two)) == plan.fingerprint


def test_looking_at_a_locked_table_does_not_wait_for_ever(two: Board) -> None:
    given(two)
    with psycopg.connect(two.pair.target) as other:
        other.execute("LOCK TABLE new.thing IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            now(two)


def test_a_plan_of_before_there_were_fingerprints_can_be_read(two: Board) -> None:
    plain = given(two).to_json()
    del plain["fingerprint"], plain["structure"]
    assert Plan.from_json(plain).structure == ()
    del plain["steps"]
    with pytest.raises(KeyError):
        Plan.from_json(plain)
