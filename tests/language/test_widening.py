"""widen: target columns that are too small for the data; and what happens where they may not be widened."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.language.feature import Feature

KINDS: dict[str, tuple[str, str, str, list[Any]]] = {
    # target type, mapped SQL of source row id in (1, 2), the type after, the values after
    "varchar": ("varchar(5)", "repeat('é', id * 5)", "character varying(255)", ["é" * 5, "é" * 10]),
    "char": ("char(3)", "repeat('x', id * 2)", "character(4)", ["xx  ", "xxxx"]),
    "varbit": ("varbit(3)", "repeat('1', id * 2)::varbit", "bit varying(4)", ["11", "1111"]),
    "smallint": ("smallint", "id * 20000", "integer", [20000, 40000]),
    "int": ("int", "id * 2000000000::bigint", "bigint", [2000000000, 4000000000]),
    "smallint to bigint": ("smallint", "-id * 2000000000::bigint", "bigint", [-2000000000, -4000000000]),
    "numeric precision": ("numeric(4, 2)", "id * 60.25", "numeric(5,2)", [Decimal("60.25"), Decimal("120.50")]),
    "numbers": ("numeric(3,1)[]", "array[id * 1.5, id * 60]", "numeric(4,1)[]",
                [[Decimal("1.5"), Decimal("60.0")], [Decimal("3.0"), Decimal("120.0")]]),
    "texts": ("varchar(3)[]", "array['x', repeat('x', id * 2)]", "character varying(255)[]",
              [["x", "xx"], ["x", "xxxx"]]),
}  # fmt: skip


def typed(feature: Feature, column: str = "v") -> object:
    found = feature.target(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'new.item'::regclass"
        f" AND attname = '{column}'"
    )
    return found[0][0]


def test_columns_are_widened_and_narrowed_again(feature: Feature) -> None:
    columns = ", ".join(f'"{kind}" {declared}' for kind, (declared, *_) in KINDS.items())
    mapped = ", ".join(f'{kind}: {{expr: "{sql}"}}' for kind, (_, sql, *_) in KINDS.items())
    feature.given("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1), (2)",
                  f"CREATE TABLE item (id int PRIMARY KEY, {columns}); INSERT INTO item VALUES (9)", f"""
tables: [{{source: old.item, target: new.item, columns: {{id: id, {mapped}}}}}]
""")  # fmt: skip
    feature.check({
        f'SELECT "{kind}" FROM item WHERE id < 9 ORDER BY id': [(value,) for value in values]
        for kind, (*_, values) in KINDS.items()})  # fmt: skip
    assert {kind: typed(feature, kind) for kind in KINDS} == {
        kind: wider for kind, (*_, wider, _) in KINDS.items()
    }


def test_fractions_of_a_copied_column_are_kept(feature: Feature) -> None:
    """An expression may mean to round; a column that is taken as it stands, or looked up, does not."""
    feature.given("""
CREATE TABLE item (id int PRIMARY KEY, n numeric, at timestamp, span interval);
INSERT INTO item VALUES (1, 1.125, '2024-01-01 00:00:00.25', '1 day 2.25 s')
""", """
CREATE TABLE item (id int PRIMARY KEY, a timestamp(0), b interval(0), c interval day, d numeric(3, 1), e numeric(3, 1),
  f timestamp(0), g interval(0), h interval day, i numeric(3, 1));
""", """
tables: [{source: old.item, target: new.item, columns: {
  id: id, a: at, b: span, c: {expr: item.span}, d: {from: id, lookup: {table: old.item, key: id, value: n}},
  e: {expr: n}, f: {expr: at + interval '0'}, g: {expr: span * 1}, h: {expr: span + interval '0'}, i: {expr: n * 1}}}]
""")  # fmt: skip
    assert [column for column in "abcdefghi" if f"columns.{column}:" in feature.warnings()] == [*"fghi"]
    feature.check({
        "SELECT a::text, b::text, c::text, d, e FROM item": [
            ("2024-01-01 00:00:00.25", "1 day 00:00:02.25", "1 day 00:00:02.25", Decimal("1.125"), Decimal("1.125"))],
        "SELECT f::text, g::text, h::text, i FROM item": [
            ("2024-01-01 00:00:00", "1 day 00:00:02", "1 day", Decimal("1.1"))],
    })  # fmt: skip


def test_decimals_of_a_copied_column_are_kept(feature: Feature) -> None:
    feature.given("CREATE TABLE item (id int PRIMARY KEY, n numeric); INSERT INTO item VALUES (1, 1.125), (2, 12345.5)",
                  "CREATE TABLE item (id int PRIMARY KEY, v numeric(6, 1), w numeric(6, 1))",
                  "tables: [{source: old.item, target: new.item, columns: {id: id, v: n, w: {expr: n *"
                  " 1.00}}}]")  # fmt: skip
    assert "tables[0].columns.w: " in feature.warnings()
    feature.check({"SELECT v, w FROM item ORDER BY id": [
        (Decimal("1.125"), Decimal("1.1")), (Decimal("12345.500"), Decimal("12345.5"))]})  # fmt: skip
    assert typed(feature) == "numeric(8,3)"


def test_what_fits_is_not_widened(feature: Feature) -> None:
    feature.given("CREATE TABLE item (id int PRIMARY KEY, t text); INSERT INTO item VALUES (1, 'abcde')",
                  "CREATE TABLE item (id smallint PRIMARY KEY, v varchar(5))",
                  "tables: [{source: old.item, target: new.item, columns: {id: id, v: t}}]")  # fmt: skip
    assert not [step for step in feature.plan().steps if step.kind == "widen"]
    feature.check({"SELECT v FROM item": [("abcde",)]})


def test_without_widening_a_value_that_does_not_fit_is_a_row_error(feature: Feature) -> None:
    kinds = ["char", "int", "numeric precision", "smallint", "varbit", "varchar"]
    target = ";".join(f'CREATE TABLE "{kind}" (id int PRIMARY KEY, v {KINDS[kind][0]})' for kind in kinds)
    tables = "".join(f"""
  - {{name: {kind}, source: old.item, target: 'new."{kind}"', columns: {{id: id, v: {{expr: "{KINDS[kind][1]}"}}}}}}"""
                     for kind in kinds)  # fmt: skip
    feature.given("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1), (2)", target,
                  f"widen: false\non_error: quarantine\ntables:{tables}")  # fmt: skip
    aside = "SELECT table_name, source_key, column_name, left(sqlstate, 2) FROM migrator.quarantine"
    feature.check({
        **{f'SELECT id FROM "{kind}"': [(1,)] for kind in kinds},
        f"{aside} ORDER BY 1": [(kind, "2", "v", "22") for kind in kinds]})  # fmt: skip


GENERATED = (
    "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a long name'), (2, 'b')", """
CREATE TABLE item (id int PRIMARY KEY, name varchar(5), first varchar(5),
  loud text GENERATED ALWAYS AS (upper(name)) STORED, size int);
CREATE INDEX item_loud ON item (loud); INSERT INTO item (id, name) VALUES (9, 'here');
""", "tables: [{source: old.item, target: new.item, columns: {id: id, name: name, size: {expr: length(name)}}}]",
)  # fmt: skip
LOUD = {"SELECT loud FROM item ORDER BY id": [("A LONG NAME",), ("B",), ("HERE",)]}


def test_a_generated_column_that_depends_on_a_widened_one(feature: Feature) -> None:
    feature.given(*GENERATED)
    feature.check(LOUD)


def test_a_generated_column_on_an_older_server(feature16: Feature) -> None:
    """PostgreSQL 16 can only drop and add it again, so it moves to the end; all else is as before."""
    feature16.given(*GENERATED)
    rows = "SELECT id, name, first, loud, size FROM new.item ORDER BY id"
    shape, before = feature16.shape(), feature16.target(rows)
    for _ in range(2):
        run = feature16.verified()
        feature16.expect(LOUD)
        feature16.undo(run)
        assert (feature16.shape(), feature16.target(rows)) == (shape, before)


def test_a_width_that_other_rows_need_is_kept_and_said_so(feature: Feature) -> None:
    feature.given("CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a long name')",
                  "CREATE TABLE item (id int PRIMARY KEY, name varchar(5))",
                  "tables: [{source: old.item, target: new.item, columns: {id: id, name: name}}]")  # fmt: skip
    run = feature.verified()
    feature.target("INSERT INTO new.item VALUES (2, 'newer and longer')")
    assert feature.rolled_back(run).status == "rolled_back"
    assert feature.target("SELECT id, name FROM new.item") == [(2, "newer and longer")]
    assert [step.state for step in run.steps.filter(backward=True) if "Widen" in step.title] == ["kept"]


def test_a_constant_widens_its_column(feature: Feature) -> None:
    feature.given("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1)",
                  "CREATE TABLE item (id int PRIMARY KEY, v varchar(5), w varchar(3)[], n numeric(4, 2))", """
tables: [{source: old.item, target: new.item, columns: {
  id: id, v: {value: telephone}, w: {value: [a, bcde]}, n: {value: 123.5}}}]
""")  # fmt: skip
    feature.check({"SELECT v, w, n FROM item": [("telephone", ["a", "bcde"], Decimal("123.50"))]})


@pytest.mark.parametrize("kind", ["varchar", "smallint"])
def test_references_are_widened_with_the_keys_they_carry(feature: Feature, kind: str) -> None:
    """Through a foreign key, a chosen column, a reference to a reference, and to the same table."""
    declared, sql, _, values = KINDS[kind]
    wide = "text" if kind == "varchar" else "int"
    feature.given("""
CREATE TABLE item (id int PRIMARY KEY, up int); CREATE TABLE part (id int PRIMARY KEY, item int);
INSERT INTO item VALUES (1, 2), (2, 1); INSERT INTO part VALUES (1, 1), (2, 2);
""", f"""
CREATE TABLE item (v {declared} PRIMARY KEY, up {declared} REFERENCES item, nick {wide} UNIQUE);
CREATE TABLE part (v {declared} PRIMARY KEY REFERENCES item, nick {declared});
CREATE TABLE last (id int PRIMARY KEY, v {declared} REFERENCES part);
""", f"""
tables:
  - {{name: last, source: old.part, target: new.last, columns: {{id: id, v: {{from: id, ref: part}}}}}}
  - source: old.part
    target: new.part
    columns: {{v: {{from: item, ref: item}}, nick: {{from: item, ref: {{table: item, column: nick}}}}}}
  - source: old.item
    target: new.item
    columns: {{v: {{expr: "{sql}"}}, nick: {{expr: "{sql}"}}, up: {{from: up, ref: item}}}}
""")  # fmt: skip
    feature.check({"SELECT v, up, nick FROM item ORDER BY 1": [(values[0], values[1], values[0]),
                                                              (values[1], values[0], values[1])],
                   "SELECT v, nick FROM part ORDER BY 1": [(value, value) for value in values],
                   "SELECT v FROM last ORDER BY 1": [(value,) for value in values]})  # fmt: skip
