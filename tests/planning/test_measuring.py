"""What is measured and what the types promise; what is told of values that do not fit or would be changed."""

from __future__ import annotations

import pytest

from mappings.fitting import measure_columns
from tests.planning.drawing import Board

PROMISED = [
    # (source type, how it is mapped, target type): no row has to be looked at
    ("varchar(50)", "v", "varchar(50)"),
    ("varchar(50)", "v", "varchar(100)"),
    ("varchar(50)", "v", "text"),
    ("char(5)", "v", "char(6)"),
    ("varchar(9)", '{expr: "coalesce(v, v)"}', "varchar(9)"),
    ("int", "v", "bigint"),
    ("int", "{expr: v + 1}", "bigint"),
    ("smallint", "v", "smallint"),
    ("int", "v", "numeric(10,0)"),
    ("int", "v", "numeric"),
    ("int", "v", "varchar(11)"),
    ("int", "v", "double precision"),
    ("uuid", "v", "char(36)"),
    ("boolean", "v", "varchar(5)"),
    ("numeric(8,2)", "v", "numeric(10,4)"),
    ("numeric(8,2)", "v", "numeric"),
    ("timestamp(2)", "v", "timestamp(3)"),
    ("timestamp", "v", "timestamptz"),
    ("date", "v", "timestamp(0)"),
    ("interval(2)", "v", "interval(2)"),
    ("interval", "v", "interval"),
    ("varbit(4)", "v", "varbit(9)"),
    ("bit(4)", "v", "varbit(4)"),
    ("varchar(5)[]", "v", "varchar(6)[]"),
    ("numeric(5,2)[]", "v", "numeric(6,3)[]"),
    ("jsonb", "v", "jsonb"),
    ("fifty", "v", "varchar(50)"),
    ("text", "{expr: \"v::varchar\"}", "text"),
]  # fmt: skip
NOT_PROMISED = [
    ("varchar(51)", "v", "varchar(50)"),
    ("char(5)", "v", "varchar(5)"),
    ("text", "v", "varchar(50)"),
    ("varchar(9)", "{expr: lower(v)}", "varchar(9)"),
    ("int", "v", "smallint"),
    ("bigint", "v", "numeric(18,0)"),
    ("bigint", "v", "double precision"),
    ("int", "v", "real"),
    ("int", "v", "varchar(10)"),
    ("numeric(8,2)", "v", "numeric(9,1)"),
    ("numeric(8,2)", "v", "numeric(8,3)"),
    ("numeric", "v", "numeric(9,1)"),
    ("real", "v", "numeric"),
    ("numeric(8,2)", "v", "int"),
    ("timestamp", "v", "timestamp(3)"),
    ("interval", "v", "interval(2)"),
    ("interval", "v", "interval hour to minute"),
    ("varchar(9)[]", "v", "varchar(8)[]"),
    ("numeric[]", "v", "numeric(6,3)[]"),
    ("json", "v", "jsonb"),
    ("text", "{expr: \"v::varchar(5)\"}", "text"),
    ("fifty", "v", "varchar(49)"),
    ("varchar(50)", "v", "char(60)"),
]  # fmt: skip
MAP = "{source: old.item, target: new.thing, columns: {id: id, v: %s}}"


def scans(board: Board, source: str, mapped: str, target: str) -> bool:
    """Whether planning would read the source's rows: a value that it cannot read makes it stumble."""
    board.given(
        f"CREATE DOMAIN fifty AS varchar(50); CREATE TABLE base (id int PRIMARY KEY, v {source});"
        "CREATE FUNCTION never(id int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'read'; END $$;"
        "INSERT INTO base VALUES (1, NULL); CREATE VIEW item AS SELECT * FROM base WHERE old.never(id)",
        f"CREATE TABLE thing (id int PRIMARY KEY, v {target})",
    )
    table = MAP % mapped
    plan = board.plan(table.replace("target:", "key: content, target:"))
    assert plan.blockers == ()
    return any("could not be measured" in warning.text for warning in plan.warnings)


@pytest.mark.parametrize(("source", "mapped", "target"), PROMISED)
def test_what_the_types_promise_is_not_read(one: Board, source: str, mapped: str, target: str) -> None:
    assert not scans(one, source, mapped, target)


@pytest.mark.parametrize(("source", "mapped", "target"), NOT_PROMISED)
def test_what_they_do_not_promise_is_read(one: Board, source: str, mapped: str, target: str) -> None:
    assert scans(one, source, mapped, target)


LOSSES = {
    # (source type, values, how it is mapped, target type) -> what is told
    ("timestamp", "('2020-01-01'), ('2020-01-01 10:00'), ('infinity')", "v", "date"):
        "1 values would be changed by the column's type, for example 2020-01-01 10:00:00; source row 2",
    ("timestamp", "('2020-01-01 10:00')", "v", "time"):
        "1 values would be changed by the column's type, for example 2020-01-01 10:00:00; source row 1",
    ("timetz", "('10:00+05')", "v", "time"):
        "1 values would be changed by the column's type, for example 10:00:00+05; source row 1",
    ("interval", "('10:00'), ('1 day 10:00')", "v", "time(6)"):
        "1 values would be changed by the column's type, for example 1 day 10:00:00; source row 2",
    ("float8", "('NaN'), (1.5), (1e300), (0.123456789)", "v", "real"):
        "1 values would be changed by the column's type, for example 0.123456789; source row 4",
    ("inet", "('10.0.0.0/8'), ('10.1.2.3/8')", "v", "cidr"):
        "1 values would be changed by the column's type, for example 10.1.2.3/8; source row 2",
    ("numeric", "(1.25), (1.239)", "v", "money"):
        "1 values would be changed by the column's type, for example 1.239; source row 2",
    ("money", "('1.25'), ('2')", '{expr: "coalesce(v, v)"}', "numeric(5,0)"):
        "1 values would be changed by the column's type, for example $1.25; source row 1",
    ("int", "(0), (1), (5)", "v", "boolean"):
        "1 values would be changed by the column's type, for example 5; source row 3",
    ("text", "('ab'), ('abcdef'), ('xyz')", '{expr: "v::varchar(3)"}', "text"):
        "1 values would be changed by a cast in the expression, for example abcdef; source row 2",
    ("numeric", "(1.04), (2.5), (3.26)", '{expr: "v::numeric(6,1)"}', "numeric"):
        "2 values would be changed by a cast in the expression, for example 1.04, 3.26; source rows 1, 3",
    ("numeric", "(2), (2.5)", '{expr: "v::int"}', "int"):
        "1 values would be changed by a cast in the expression, for example 2.5; source row 2",
    ("float8", "(2), (2.5)", '{expr: "cast(v as bigint) + 1"}', "bigint"):
        "1 values would be changed by a cast in the expression, for example 3.5; source row 2",
    ("timestamp", "('2024-01-01 10:00:00.25'), (NULL)", '{expr: "v::timestamp(0)"}', "timestamp"):
        "1 values would be changed by a cast in the expression, for example 2024-01-01 10:00:00.25; source row 1",
    ("text", "('a  '), ('ab')", '{expr: "v::char"}', "text"):
        "1 values would be changed by a cast in the expression, for example ab; source row 2",
    ("char(4)", "('ab'), ('abcd'), (NULL)", "v", "text"):
        "1 values would be changed by the loss of their padding, for example ab; source row 1",
    ("char(4)", "('ab'), ('abcd'), ('a ')", "v", "varchar(4)"):
        "2 values would be changed by the loss of their padding, for example a, ab; source rows 1, 3",
    ("numeric", "(2), (2.5), (3.5)", "v", "int"):
        "2 values would be changed by the column's type, for example 2.5, 3.5; source rows 2, 3",
    ("numeric", "(0.1), (0.12345678901234567891), (1.5), (2e-20)", "v", "float8"):
        "1 values would be changed by the column's type, for example 0.12345678901234567891; source row 2",
    ("numeric", "(0.5), (0.123456789)", "v", "real"):
        "1 values would be changed by the column's type, for example 0.123456789; source row 2",
    ("float8", "(0.5), (0.1234567890123456), ('NaN')", "v", "numeric(20,16)"):
        "1 values would be changed by the column's type, for example 0.1234567890123456; source row 2",
    ("timestamptz", "('2024-01-01 10:00+02'), (NULL), ('infinity')", "v", "timestamp"):
        "1 values would lose their time zone: what is kept is the time in UTC, for example 2024-01-01 08:00:00+00;"
        " source row 1",
    ("text", "('ab'), ('ab '), (' c')", "v", "char(3)"):
        "1 values would lose the blanks at their end, for example ab ; source row 2",
    ("numeric[]", "('{1.5,2}'), ('{2}'), ('{2.5}'), ('{3.5}'), ('{4.5}')", "v", "int[]"):
        "4 values would be changed by the column's type, for example {1.5,2}, {2.5}, {3.5}; source rows 1, 3, 4, 5",
    ("timestamptz[]", "('{2024-01-01 10:00+02}')", "v", "timestamp[]"):
        "1 values would lose their time zone: what is kept is the time in UTC, for example"
        ' {"2024-01-01 08:00:00+00"}; source row 1',
    ("float8", "(1.25), (1.239)", "v", "money"):
        "1 values would be changed by the column's type, for example 1.239; source row 2",
    ("real", "(0.1), (1234567.8)", "v", "numeric"):
        "1 values would be changed by the column's type, for example 1.2345678e+06; source row 2",
    ("json", """('{"a":1,"b":{"c":1,"c":2}}'), ('{"a":1}')""", "v", "jsonb"):
        """1 values would be changed by the column's type, for example {"a":1,"b":{"c":1,"c":2}}; source row 1""",
    ("text", "('2024-01-02 10:00'), ('2024-01-02 00:00:00'), ('1/2/2024'), ('20240102T1015')", "v", "date"):
        "2 values would lose the time of the day, for example 2024-01-02 10:00, 20240102T1015; source rows 1, 4",
    ("text", "('2024-01-02 10:00+05'), ('2024-01-02 10:00:00Z'), ('2024-01-02 10:00 PM'), ('2024-1-2')",
     "v", "timestamp"):
        "2 values would lose their time zone: what is kept is the time as it is written, for example"
        " 2024-01-02 10:00+05, 2024-01-02 10:00:00Z; source rows 1, 2",
    ("varchar(40)", "('2024-01-02 10:00:00.123456'), ('2024-01-02 10:00:00.123456789')", "v", "timestamptz"):
        "1 values would lose digits behind the microseconds, for example 2024-01-02 10:00:00.123456789; source row 2",
    ("text[]", "('{10:00}'), ('{2024-01-02 10:00}')", "v", "time[]"):
        '1 values would lose the day, for example {"2024-01-02 10:00"}; source row 2',
    ("text", "('0.1'), ('0.12345678901234567891'), ('1e999'), ('many')", "v", "float8"):
        "1 values would be changed by the column's type, for example 0.12345678901234567891; source row 2",
    ("tstzrange", "('[2024-01-01,2024-01-02)'), ('[2024-01-01 12:00,)'), ('empty')", "v", "daterange"):
        "1 values would be changed by the column's type, for example [\"2024-01-01 12:00:00+00\",); source row 2",
    ("polygon", "('((0,0),(1,1),(2,0))')", "v", "box"):
        "1 values would be changed by the column's type, for example ((0,0),(1,1),(2,0)); source row 1",
}  # fmt: skip


@pytest.mark.parametrize("case", LOSSES)
def test_what_would_be_lost_is_told_with_examples(two: Board, case: tuple[str, str, str, str]) -> None:
    source, values, mapped, target = case
    two.given(
        f"CREATE TABLE item (id serial PRIMARY KEY, v {source}); INSERT INTO item (v) VALUES {values}",
        f"CREATE TABLE thing (id int PRIMARY KEY, v {target})",
    )
    plan = two.plan(MAP % mapped)
    assert [str(problem) for problem in plan.warnings] == [f"tables[0].columns.v: {LOSSES[case]}"]


def test_values_that_an_enum_does_not_have_are_told(two: Board) -> None:
    """Of texts, and of enums with other labels; one that has all labels promises that its values are there."""
    two.given(
        "CREATE TYPE mood AS ENUM ('ok', 'gone'); CREATE TYPE known AS ENUM ('ok');"
        "CREATE TABLE item (id int PRIMARY KEY, v text, w mood, x known);"
        "INSERT INTO item VALUES (1, 'ok', 'gone', 'ok'), (2, 'it''s', 'ok', NULL), (3, NULL, NULL, NULL)",
        "CREATE TYPE mood AS ENUM ('ok', 'other'); CREATE TABLE thing (id int PRIMARY KEY, v mood, w mood, x mood)",
    )
    plan = two.plan((MAP % "v").replace("id: id", "id: id, w: w, x: x"))
    assert sorted(str(problem) for problem in plan.warnings) == [
        "tables[0].columns.v: 1 values are no value of new.mood, for example it's; source row 2",
        "tables[0].columns.w: 1 values are no value of new.mood, for example gone; source row 1",
    ]
    assert plan.losses == ()


def test_labels_that_look_like_places_to_fill(two: Board) -> None:
    two.given(
        "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, '{0}'), (2, '{1}')",
        "CREATE TYPE mood AS ENUM ('{0}', 'a{1}b'); CREATE TABLE thing (id int PRIMARY KEY, v mood)",
    )
    (warning,) = two.plan(MAP % "v").warnings
    assert (
        str(warning)
        == "tables[0].columns.v: 1 values are no value of new.mood, for example {1}; source row 2"
    )


def test_a_column_that_only_rounds_is_not_said_to_be_too_small(two: Board) -> None:
    two.given(
        "CREATE TABLE item (id int PRIMARY KEY, v numeric(5,2)); INSERT INTO item VALUES (1, 100), (2, 99.99)",
        "CREATE DOMAIN pct AS numeric(4,1); CREATE TABLE thing (id int PRIMARY KEY, v pct)",
    )
    (warning,) = two.plan(MAP % "v").warnings
    told = "1 values would be changed by the column's type, for example 99.99; source row 2"
    assert str(warning) == f"tables[0].columns.v: {told}"


MEANT = ['{expr: "v::int / 1"}', '{expr: "length(v::varchar(1))"}', '{expr: "v::numeric(6,2)"}']


@pytest.mark.parametrize("mapped", MEANT)
def test_a_cast_that_changes_nothing_is_not_told(two: Board, mapped: str) -> None:
    two.given("CREATE TABLE item (id int PRIMARY KEY, v int); INSERT INTO item VALUES (1, 3)",
              "CREATE TABLE thing (id int PRIMARY KEY, v int)")  # fmt: skip
    assert two.plan(MAP % mapped).warnings == ()


def test_the_first_twenty_rows_that_do_not_fit_are_named(two: Board) -> None:
    two.given("CREATE TABLE item (a int, b text, v text, PRIMARY KEY (a, b));"
              "INSERT INTO item SELECT n, 'b', repeat('x', n) FROM generate_series(1, 40) n",
              "CREATE TABLE thing (id int PRIMARY KEY, v varchar(5))")  # fmt: skip
    (warning,) = two.plan(MAP.replace("id: id", "id: a") % "v", "widen: false").warnings
    told, _, named = warning.text.partition("; source rows ")
    assert told == "35 values do not fit: the largest has size 40, the column holds 5"
    assert named.startswith('["6", "b"], ["7", "b"], ') and named.endswith('["25", "b"] and 15 more')


WIDENED = {
    ("interval", "'1.25 s'", "interval(1)"): "interval",
    ("interval", "'1 day 2 hours'", "interval day"): "interval",
    ("numeric[]", "'{1.25,100}'", "numeric(3,1)[]"): "numeric(5,2)[]",
    ("text[]", "'{a,abc}'", "varchar(2)[]"): "character varying(255)[]",
}


@pytest.mark.parametrize("case", WIDENED)
def test_intervals_and_arrays_are_widened(two: Board, case: tuple[str, str, str]) -> None:
    source, value, target = case
    two.given(f"CREATE TABLE item (id int PRIMARY KEY, v {source}); INSERT INTO item VALUES (1, {value})",
              f"CREATE TABLE thing (id int PRIMARY KEY, v {target})")  # fmt: skip
    assert [step.after for step in two.plan(MAP % "v").steps if step.kind == "widen"] == [WIDENED[case]]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_finite_number_widens_nothing(two: Board, value: str) -> None:
    two.given(f"CREATE TABLE item (id int PRIMARY KEY, v numeric); INSERT INTO item VALUES (1, '{value}'), (2, 7)",
              "CREATE TABLE thing (id int PRIMARY KEY, v numeric(2,0), w int)")  # fmt: skip
    plan = two.plan((MAP % "v").replace("id: id", "id: id, w: v"))
    assert [step for step in plan.steps if step.kind == "widen"] == []


def test_a_domain_is_measured_and_not_widened(two: Board) -> None:
    two.given("CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, 'abc'), (2, 'abcdef')",
              "CREATE DOMAIN five AS varchar(5); CREATE TABLE thing (id int PRIMARY KEY, v five)")  # fmt: skip
    plan = two.plan(MAP % "v")
    assert [step for step in plan.steps if step.kind == "widen"] == []
    assert plan.warnings[0].text.endswith("the column holds 5; source row 2")


@pytest.mark.parametrize(("cheap", "rows"), [(measure_columns.CHEAP, 103), (0.0, 100)])
def test_rows_are_estimated_from_statistics_where_counting_would_take_long(
    one: Board, monkeypatch: pytest.MonkeyPatch, cheap: float, rows: int
) -> None:
    monkeypatch.setattr(measure_columns, "CHEAP", cheap)
    one.given("CREATE TABLE item (id int PRIMARY KEY, v int) WITH (autovacuum_enabled = false);"
              "INSERT INTO item SELECT n, n FROM generate_series(1, 100) n; ANALYZE item;"
              "INSERT INTO item SELECT n, n FROM generate_series(101, 103) n",
              "CREATE TABLE thing (id int PRIMARY KEY, v int)")  # fmt: skip
    assert one.plan(MAP % "v").tables[0].feed.estimate == rows
