"""What an operator may write and how it is re-printed: expressions and orderings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.expressions import allowlist
from mappings.expressions.parser import ColumnName, ExpressionError, parse_expression, parse_ordering
from mappings.expressions.printer import to_sql

PRINTED = [  # as written, but for names and parentheses
    ("a", '"a"'),
    ("T.A", '"t"."a"'),
    ('"T"."a""b"', '"T"."a""b"'),
    ("t . order", '"t"."order"'),
    ("ÄÖß", '"ÄÖß"'),
    ("first_name||' '||last_name", '"first_name" || \' \' || "last_name"'),
    ("lower(Email)", 'pg_catalog."lower"("email")'),
    ("(unit_price * 100)::integer", '("unit_price" * 100)::integer'),
    ("x::text[]", '"x"::pg_catalog.text[]'),
    ("x::numeric( 10,2 )", '"x"::numeric(10, 2)'),
    ('x::public."My Enum"', '"x"::"public"."My Enum"'),
    ("coalesce ( a,'' )", "COALESCE(\"a\", '')"),
    ("a-b", '"a" - "b"'),
    ("a - b - c", '"a" - "b" - "c"'),
    ("a - (b - c)", '"a" - ("b" - "c")'),
    ("a + b * c", '"a" + ("b" * "c")'),
    ("- -1", "1"),
    ("- a", '- "a"'),
    ("2 - -1", "2 - (-1)"),
    ("-1::text", "- 1::pg_catalog.text"),
    ("a != 1", '"a" <> 1'),
    ("date '2020-01-01'", "pg_catalog.date '2020-01-01'"),
    ("interval '1' day", "interval '1' day"),
    ("extract(YEAR from d)", "EXTRACT('year' FROM \"d\")"),
    ("s ~ '\\d'", "\"s\" ~ E'\\\\d'"),
    ("a[1:2]", '"a"[1 : 2]'),
    ("(a[1:2])[1][2]", '("a"[1 : 2])[1][2]'),
    ("case a when 1 then 'x' end", "CASE \"a\" WHEN 1 THEN 'x' END"),
    ("x not in (1,2)", '"x" NOT IN (1, 2)'),
    ("x between symmetric 1 and 2 or y", '("x" BETWEEN SYMMETRIC 1 AND 2) OR "y"'),
    ("(a).b", '(SELECT "b" FROM (SELECT ("a").*) AS field WHERE true OR field."b" IS NULL)'),
]

BOUND = [
    ("lower(Email) || 'x'", 'pg_catalog."lower"("email") OPERATOR(pg_catalog.||) \'x\''),
    ("(a * 100)::int", '("a" OPERATOR(pg_catalog.*) 100)::int'),
    ("a - b - c", '"a" OPERATOR(pg_catalog.-) "b" OPERATOR(pg_catalog.-) "c"'),
    ("a - (b - c)", '"a" OPERATOR(pg_catalog.-) ("b" OPERATOR(pg_catalog.-) "c")'),
    ("a + b * c", '"a" OPERATOR(pg_catalog.+) ("b" OPERATOR(pg_catalog.*) "c")'),
    ("- a", 'OPERATOR(pg_catalog.-) "a"'),
    ("a = any (b)", '"a" OPERATOR(pg_catalog.=) ANY ("b")'),
    ("a like 'x' escape '#'", "\"a\" OPERATOR(pg_catalog.~~) pg_catalog.\"like_escape\"('x', '#')"),
    ("a not ilike any (b)", '"a" OPERATOR(pg_catalog.!~~*) ANY ("b")'),
    ("a similar to 'x'", '"a" OPERATOR(pg_catalog.~) pg_catalog."similar_to_escape"(\'x\')'),
    ("a between 1 and 2", '"a" OPERATOR(pg_catalog.>=) 1 AND "a" OPERATOR(pg_catalog.<=) 2'),
    ("a not between 1 and 2", '"a" OPERATOR(pg_catalog.<) 1 OR "a" OPERATOR(pg_catalog.>) 2'),
    ("a in (1)", '"a" OPERATOR(pg_catalog.=) 1'),
    ("a in (b, c)", '"a" OPERATOR(pg_catalog.=) "b" OR "a" OPERATOR(pg_catalog.=) "c"'),
    (
        "a in (1, 2)",
        '"a" OPERATOR(pg_catalog.=) ANY (ARRAY[1, 2])',
    ),
    (
        "a is distinct from b",
        'NOT COALESCE(("a" OPERATOR(pg_catalog.=) "b"),'
        ' (pg_catalog."num_nulls"("a", "b") OPERATOR(pg_catalog.=) 2))',
    ),
    ("a is not distinct from null", 'pg_catalog."num_nulls"("a") OPERATOR(pg_catalog.=) 1'),
    ("case a when 1 then 'x' end", "CASE WHEN \"a\" OPERATOR(pg_catalog.=) 1 THEN 'x' END"),
    ("pg_input_is_valid(a, 'date')", 'pg_catalog."pg_input_is_valid"("a", \'pg_catalog.date\')'),
    ("tableoid::regclass::text", '"tableoid"::pg_catalog.regclass::pg_catalog.text'),
]

CONSTANTS = [  # by their value, as every server reads it alike
    ("$$it's$$", "'it''s'"),
    ("'a'\n'b'", "'ab'"),
    ("E'\\''", "''''"),
    ("E'\\1'\n'23'", "'\x0123'"),
    ("E'\\123\\x4a\\x4A1'", "'SJJ1'"),
    ("E'\\u00e9\\U0001F600\\uD83D\\uDE00'", "'é😀😀'"),
    ("E'\\b\\f\\n\\r\\t\\v\\q\\x'", "'\b\f\n\r\t\vqx'"),
    ("E'a''b\\\\'", "E'a''b\\\\'"),
    ("'back\\slash'", "E'back\\\\slash'"),
    ("x'1F'\n'a0'", "X'1Fa0'"),
    ("0x1F", "31"),
    ("0o17", "15"),
    ("0b1_01", "5"),
    ("1_000.5e1_0", "1000.5e10"),
    ("0xFFFFFFFFFFFFFFFFF", "295147905179352825855"),
    ("1.", "1."),
]


@pytest.mark.parametrize(("text", "sql"), PRINTED + CONSTANTS)
def test_printed(text: str, sql: str) -> None:
    expression = parse_expression(text)
    assert (expression.text, to_sql(expression.tree)) == (text, sql)


@pytest.mark.parametrize(("text", "sql"), BOUND + CONSTANTS)
def test_bound(text: str, sql: str) -> None:
    assert parse_expression(text).sql == sql


def test_columns_types_and_casts() -> None:
    found = parse_expression(
        ' c."Name"::varchar(5) || lower(x)::mood::text::"S"."T"[] || cast(n as numeric (3, 1))'
    )
    assert found.columns == (ColumnName("c", "Name", 2), ColumnName(None, "x", 32), ColumnName(None, "n", 66))
    assert found.types == ((None, "mood"), ("S", "T"))
    assert found.casts == ("varchar(5)", "numeric (3, 1)")
    assert parse_expression("a::char || b::name || c::text || d::char varying || i::interval day").casts == (
        "char",
        "name",
        "interval day",
    )


def test_an_allowed_function_is_allowed_bare_and_qualified() -> None:
    for name in allowlist.FUNCTIONS - allowlist.NOT_FUNCTIONS - set(allowlist.ARGUMENTS):
        assert parse_expression(f"{name}(a)").sql == f'pg_catalog."{name}"("a")'
        assert parse_expression(f"pg_catalog.{name}(a)").sql == f'pg_catalog."{name}"("a")'


def test_an_ordering() -> None:
    ordering = parse_ordering("c.id DESC NULLS LAST, lower(name), a::mood asc nulls first")
    assert ordering.sql == (
        '"c"."id" DESC NULLS LAST, pg_catalog."lower"("name"), "a"::"mood" ASC NULLS FIRST'
    )
    assert [item.text for item in ordering.items] == ["c.id", "lower(name)", "a::mood"]
    assert [item.sql for item in ordering.items] == ['"c"."id"', 'pg_catalog."lower"("name")', '"a"::"mood"']
    assert [item.columns for item in ordering.items] == [
        (ColumnName("c", "id", 1),),
        (ColumnName(None, "name", 29),),
        (ColumnName(None, "a", 36),),
    ]
    assert ordering.items[2].types == ((None, "mood"),)


def test_bare_names_are_printed_under_a_qualifier() -> None:
    assert parse_expression("a + t.b", "s").sql == '"s"."a" OPERATOR(pg_catalog.+) "t"."b"'
    ordering = parse_ordering("id desc, t.b, lower(name)", "s")
    assert ordering.sql == '"s"."id" DESC, "t"."b", pg_catalog."lower"("s"."name")'
    assert [item.columns[0].qualifier for item in ordering.items] == [None, "t", None]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("a,", 3),
        ("1", 1),
        ("a, 'x' desc", 4),
        ("a using <", 3),
        ("a desc desc", 8),
        ("a nulls", 8),
        ("a)", 2),
    ],
)
def test_a_refused_ordering(text: str, position: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_ordering(text)
    assert caught.value.position == position


def test_every_file_stays_without_django() -> None:
    folder = Path(allowlist.__file__).parent
    for path in folder.glob("*.py"):
        assert "django" not in path.read_text()
