"""What a plan says: measured widths, names of added columns, order of tables, conversions; and it survives JSON."""

from __future__ import annotations

import json

import pytest

from mappings.plan.model import Plan
from tests.planning.drawing import Board

ITEM = "CREATE TABLE item (id integer PRIMARY KEY, label text);"
THING = "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text);"
MAP = "{source: old.item, target: new.thing, columns: {label: label}}"

WIDENED = {
    # (source type, value, target type) -> the type that the target column gets, None: as it is
    ("text", "repeat('x', 20)", "varchar(20)"): None,
    ("text", "repeat('x', 21)", "varchar(20)"): "character varying(255)",
    ("text", "repeat('x', 256)", "varchar(20)"): "character varying(500)",
    ("text", "repeat('x', 8001)", "varchar(20)"): "character varying(8001)",
    ("text", "repeat('ü', 20)", "varchar(20)"): None,
    ("varchar(90)", "repeat('x', 21)", "varchar(20)"): "character varying(90)",
    ("varchar(90)", "repeat('x', 20)", "varchar(20)"): None,
    ("char(30)", "repeat('x', 30)", "char(20)"): "character(30)",
    ("bit varying(9)", "B'111111111'", "bit varying(8)"): "bit varying(9)",
    ("integer", "32768", "smallint"): "integer",
    ("bigint", "2147483648", "integer"): "bigint",
    ("bigint", "2147483647", "integer"): None,
    ("numeric", "-2147483649", "integer"): "bigint",
    ("numeric", "1234567.5", "numeric(8, 2)"): "numeric(9,2)",
    ("numeric", "123456.5", "numeric(8, 2)"): None,
}


@pytest.mark.parametrize(("source", "value", "target"), WIDENED)
def test_a_column_is_widened_to_what_the_data_needs(two: Board, source: str, value: str, target: str) -> None:
    two.given(
        f"CREATE TABLE item (id integer PRIMARY KEY, label {source}); INSERT INTO item VALUES (1, {value})",
        f"CREATE TABLE thing (id serial PRIMARY KEY, label {target})",
    )
    widen = [step.after for step in two.plan(MAP).steps if step.kind == "widen"]
    expected = WIDENED[source, value, target]
    assert widen == ([expected] if expected else [])


def test_the_transformed_value_is_measured_and_only_in_scope(two: Board) -> None:
    two.given(
        f"{ITEM} INSERT INTO item VALUES (1, repeat(' ', 90) || 'short'), (2, repeat('x', 99))",
        "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20))",
    )
    table = '{source: old.item, where: "id = 1", target: new.thing, columns: {label: {expr: "trim(label)"}}}'
    assert [(measure.measured, measure.limit) for measure in two.plan(table).measures] == [(5, 20)]


def test_without_widening_it_is_said_how_many_values_do_not_fit(two: Board) -> None:
    two.given(
        f"{ITEM} INSERT INTO item VALUES (1, 'ok'), (2, repeat('x', 21)), (3, repeat('x', 22))",
        "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20))",
    )
    plan = two.plan(MAP, "widen: false")
    assert [step for step in plan.steps if step.kind == "widen"] == []
    assert [str(warning) for warning in plan.warnings] == [
        "tables[0].columns.label: 2 values do not fit: the largest has size 22, the column holds 20;"
        " source rows 2, 3"
    ]


NEW_IDS = {
    "id bigint DEFAULT nextval('new.tens'), PRIMARY KEY (label, id)": "id does not count by a sequence of its own",
    "id bigint PRIMARY KEY DEFAULT nextval('new.tens') * 10": "",
    "id serial PRIMARY KEY": "",
    "id uuid PRIMARY KEY DEFAULT gen_random_uuid()": "",
}


@pytest.mark.parametrize("key", NEW_IDS)
def test_ids_that_do_not_come_again_after_a_rollback_are_told(two: Board, key: str) -> None:
    two.given(ITEM, f"CREATE SEQUENCE tens; CREATE TABLE thing (label text, {key})")
    found = [str(warning) for warning in two.plan(MAP).warnings]
    assert len(found) == bool(NEW_IDS[key]) and all(NEW_IDS[key] in one for one in found)
    assert two.plan(MAP.replace("columns", "link: {same_ids: false}, columns")).warnings == ()


def test_ids_that_a_trigger_gives_are_told_too(two: Board) -> None:
    two.given(
        ITEM,
        "CREATE TABLE thing (label text, id bigint PRIMARY KEY);"
        "CREATE FUNCTION give() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := 7; RETURN NEW; END';"
        "CREATE TRIGGER give BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION give()",
    )
    found = " ".join(str(warning) for warning in two.plan(MAP).warnings)
    assert "get new ids, because id is given by a trigger or computed; references to them" in found


def test_two_tables_of_one_target_widen_it_once_to_what_both_need(two: Board) -> None:
    two.given(
        f"{ITEM} CREATE TABLE other (id integer PRIMARY KEY, label text);"
        "INSERT INTO item VALUES (1, repeat('x', 600)); INSERT INTO other VALUES (1, repeat('x', 30))",
        "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20))",
    )
    tables = f"{MAP}\n{{source: old.other, target: new.thing, columns: {{label: label}}}}"
    assert [step.after for step in two.plan(tables).steps if step.kind == "widen"] == [
        "character varying(1000)"
    ]


NAMES = {
    "a single key": ("id integer PRIMARY KEY", "", ("source_table_id",)),
    "a composite key": ("a integer, b text, PRIMARY KEY (a, b)", "", ("source_table_a", "source_table_b")),
    "a name of one's own": ("id integer PRIMARY KEY", "link: {source_id: legacy_id},", ("legacy_id",)),
    "names of one's own": ("a integer, b text, PRIMARY KEY (a, b)", "link: {source_id: [x, y]},", ("x", "y")),
    "none": ("id integer PRIMARY KEY", "link: {source_id: false},", ()),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_source_id_is_named_by_the_rule(two: Board, name: str) -> None:
    columns, link, expected = NAMES[name]
    two.given(f"CREATE TABLE item ({columns}, label text)", THING)
    table = two.table(f"{{source: old.item, target: new.thing, {link} columns: {{label: label}}}}")
    assert table.link.source_id == expected


def test_tables_that_share_a_target_have_source_ids_of_their_own(two: Board) -> None:
    two.given(f"{ITEM} CREATE TABLE other (a integer, b integer, label text, PRIMARY KEY (a, b))", THING)
    plan = two.plan(f"{MAP}\n{{source: old.other, target: 'new.thing', columns: {{label: label}}}}")
    assert [table.link.source_id for table in plan.tables] == [
        ("source_item_id",),
        ("source_other_a", "source_other_b"),
    ]


def test_the_source_id_has_the_keys_type_and_a_unique_index(two: Board) -> None:
    two.given("CREATE TABLE item (id uuid PRIMARY KEY, label text)", THING)
    assert two.steps(MAP) == [
        'ALTER TABLE new.thing ADD COLUMN "source_table_id" uuid',
        'CREATE UNIQUE INDEX "thing_source_table_id_key" ON new.thing ("source_table_id")',
        'ALTER TABLE new.thing ADD COLUMN "is_migrated" boolean NOT NULL DEFAULT false',
    ]


def test_columns_that_are_there_already_are_taken_as_they_are(two: Board) -> None:
    two.given(
        ITEM,
        "CREATE TABLE thing (id serial PRIMARY KEY, label text, is_migrated bool, source_table_id int UNIQUE)",
    )
    assert two.steps(MAP) == []


ODD = ["select", "MixedCase", "with blank", "per%cent %s", 'dou"ble', "sin'gle", "{brace}", "ünï", "x" * 63]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_quoted_wherever_they_stand(board: Board, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    board.given(
        f"CREATE TABLE {quoted} ({quoted} integer PRIMARY KEY, label text)",
        f"CREATE TABLE {quoted} (id serial PRIMARY KEY, {quoted} integer)",
    )
    plain, table = json.dumps(name), json.dumps(quoted)[1:-1]
    tables = f'source: "old.{table}", target: "new.{table}"'
    plan = board.plan(f"{{name: t, {tables}, link: {{source_id: n}}, columns: {{{plain}: {plain}}}}}")
    assert plan.blockers == ()
    assert (plan.tables[0].values[0].target, plan.tables[0].feed.key[0].column) == (name, name)


def test_a_source_id_longer_than_63_bytes_is_refused(two: Board) -> None:
    two.given(
        f"CREATE TABLE item ({'x' * 60} integer, b integer, label text, PRIMARY KEY ({'x' * 60}, b))", THING
    )
    (blocker,) = two.blockers(MAP)
    assert "longer than 63 bytes" in blocker


def test_a_table_that_the_target_has_no_cast_for_goes_through_text(two: Board) -> None:
    two.given(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE item (id integer PRIMARY KEY, label mood, n text)",
        "CREATE TABLE thing (id serial PRIMARY KEY, label text, n integer, flag boolean)",
    )
    table = two.table(
        "{source: old.item, target: new.thing, columns: {label: label, n: n, flag: {value: true}}}"
    )
    assert [(value.target, value.wire) for value in table.values] == [
        ("label", "text"), ("n", "integer"), ("flag", "boolean")
    ]  # fmt: skip


def test_parents_come_before_their_children_whatever_the_files_order(two: Board) -> None:
    two.given(
        f"{ITEM} CREATE TABLE part (id integer PRIMARY KEY, item integer)",
        f"{THING} CREATE TABLE piece (id serial PRIMARY KEY, parent bigint)",
    )
    plan = two.plan(
        f"{{source: old.part, target: new.piece, columns: {{parent: {{from: item, ref: item}}}}}}\n{MAP}"
    )
    assert [table.name for table in plan.tables] == ["item", "part"]
    assert plan.table("part").parents == ("item",)


def test_a_circle_waits_on_its_nullable_side(two: Board) -> None:
    two.given(
        "CREATE TABLE item (id integer PRIMARY KEY, part int); CREATE TABLE part (id integer PRIMARY KEY, item int)",
        "CREATE TABLE thing (id serial PRIMARY KEY, piece integer);"
        "CREATE TABLE piece (id serial PRIMARY KEY, thing integer NOT NULL)",
    )
    plan = two.plan(
        "{source: old.item, target: new.thing, columns: {piece: {from: part, ref: part}}}\n"
        "{source: old.part, target: new.piece, columns: {thing: {from: item, ref: item}}}"
    )
    assert plan.blockers == ()
    assert [(table.name, table.references[0].deferred) for table in plan.tables] == [
        ("item", True),
        ("part", False),
    ]


def test_a_reference_takes_the_column_that_the_foreign_key_points_to(two: Board) -> None:
    two.given(
        f"{ITEM} CREATE TABLE part (id integer PRIMARY KEY, item integer)",
        "CREATE TABLE thing (a integer DEFAULT 1, b integer DEFAULT 2, code uuid DEFAULT gen_random_uuid() UNIQUE,"
        " label text, PRIMARY KEY (a, b)); CREATE TABLE piece (id serial, parent uuid REFERENCES thing (code))",
    )
    plan = two.plan(
        f"{MAP}\n{{source: old.part, target: new.piece, columns: {{parent: {{from: item, ref: item}}}}}}"
    )
    assert plan.blockers == ()
    assert plan.table("part").references[0].value_column == "code"


def test_a_plan_survives_json(board: Board) -> None:
    board.given(
        f"{ITEM} INSERT INTO item VALUES (1, repeat('x', 30)); CREATE TABLE word (nr integer PRIMARY KEY, text text);"
        "CREATE TABLE part (a integer, b text, item integer, PRIMARY KEY (a, b))",
        "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label varchar(20), w text);"
        "CREATE TABLE piece (id serial PRIMARY KEY, parent bigint REFERENCES thing)",
    )
    plan = board.plan(
        "{source: old.item, target: new.thing, existing: {match: [label], then: update}, link: {backref: new_id},"
        " columns: {label: label, w: {from: id, lookup: {table: old.word, key: nr, value: text}}}}\n"
        "{source: old.part, target: new.piece, distinct: true, order_by: a, columns: {parent: {from: item, ref: item}}}"
    )
    assert plan.blockers == ()
    assert len(plan.steps) > 4
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
