"""What an operator may write, how it is re-printed, and what is refused at which character."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from mappings import allowed
from mappings.expressions import (
    ColumnName,
    ExpressionError,
    RelationName,
    parse_expression,
    parse_ordering,
    parse_relation,
    quote_identifier,
)

PRINTED = [
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
    ("- -1", "- - 1"),
    ("a != 1", '"a" <> 1'),
    ("date '2020-01-01'", "pg_catalog.date '2020-01-01'"),
    ("interval '1' day", "interval '1' day"),
    ("extract(YEAR from d)", "EXTRACT('year' FROM \"d\")"),
    ("s ~ '\\d'", "\"s\" ~ E'\\\\d'"),
    ("$$it's$$", "'it''s'"),
    ("'a'\n'b'", "'ab'"),
    ("E'\\''", "E'\\''"),
    ("a[1:2]", '"a"[1 : 2]'),
    ("case a when 1 then 'x' end", "CASE \"a\" WHEN 1 THEN 'x' END"),
    ("x not in (1,2)", '"x" NOT IN (1, 2)'),
    ("(a).b", '(SELECT "b" FROM (SELECT (("a")).*) AS field WHERE true OR field."b" IS NULL)'),
]


@pytest.mark.parametrize(("text", "sql"), PRINTED)
def test_printed(text: str, sql: str) -> None:
    expression = parse_expression(text)
    assert (expression.text, expression.sql) == (text, sql)


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


REFUSED = [  # text, position, part of the message
    ("", 1, "empty"),
    ("  \n ", 5, "empty"),
    ("a; drop table t", 2, "no statements"),
    ("1; drop table t", 2, "no statements"),
    ("1) , (2", 2, "a ) without its ("),
    ("a) from secrets --", 2, "a ) without its ("),
    ("a) or (true", 2, "a ) without its ("),
    ("(a", 3, ") is expected, but the text ends"),
    ("1, 2", 2, "one expression only"),
    ("a b", 3, "nothing more"),
    ("a as b", 3, "nothing more"),
    ("a from t", 3, "nothing more"),
    ("a union select 1", 3, "nothing more"),
    ("a desc", 3, "order_by"),
    ("()", 2, "empty"),
    ("a +", 4, "a value is expected, but the text ends"),
    ("(select 1)", 2, "subselect"),
    ("select 1", 1, "subselect"),
    ("a in (select b from t)", 7, "subselect"),
    ("a = any (select 1)", 10, "subselect"),
    ("array(select 1)", 6, "subselect"),
    ("exists (select 1)", 1, "subselect"),
    ("exists(table t)", 1, "subselect"),
    ("with x as (select 1) select 1", 1, "statements"),
    ("(table secrets)", 2, "statements"),
    ("(values (1))", 2, "statements"),
    ("count(*)", 1, "aggregate"),
    ("sum(a)", 1, "aggregate"),
    ("1 + max(a)", 5, "aggregate"),
    ("array_agg(a order by b)", 1, "aggregate"),
    ("lower(a order by b)", 9, "ORDER BY"),
    ("lower(distinct a)", 7, "DISTINCT"),
    ("lower(variadic a)", 7, "VARIADIC"),
    ("make_interval(days => 1)", 15, "named arguments"),
    ("make_interval(days := 1)", 15, "named arguments"),
    ("a => 1", 3, "named arguments"),
    ("row_number() over ()", 1, "window function"),
    ("lower(a) over ()", 10, "OVER"),
    ("lower(a) filter (where b)", 10, "FILTER"),
    ("lower(a) within group (order by b)", 10, "WITHIN"),
    ("generate_series(1, 2)", 1, "set of rows"),
    ("unnest(a)", 1, "set of rows"),
    ("regexp_matches(a, 'x')", 1, "set of rows"),
    ("pg_sleep(1)", 1, "not on the list"),
    ("pg_catalog.pg_sleep(1)", 1, "not on the list"),
    ('"pg_sleep"(1)', 1, "not on the list"),
    ('"pg_catalog" . "pg_sleep"(1)', 1, "not on the list"),
    ("set_config('a', 'b', false)", 1, "not on the list"),
    ("current_setting('x')", 1, "not on the list"),
    ("query_to_xml('select 1', true, true, '')", 1, "not on the list"),
    ("lo_import('/etc/passwd')", 1, "not on the list"),
    ("pg_read_file('x')", 1, "not on the list"),
    ("nextval('s')", 1, "another answer each time"),
    ("dblink('a', 'b')", 1, "not on the list"),
    ('"Lower"(a)', 1, "not on the list"),
    ("public.lower(a)", 1, "pg_catalog.name"),
    ("a.lower(b)", 1, "pg_catalog.name"),
    ("xmlparse(document a)", 1, "not on the list"),
    ("xmlelement(name a)", 1, "not on the list"),
    ("grouping(a)", 1, "not on the list"),
    ("treat(a as b)", 1, "not on the list"),
    ("numeric(a)", 1, "not on the list"),
    ("ts_rewrite(a, 'select 1')", 1, "runs a query"),
    ("age(a)", 1, "current date"),
    ("random()", 1, "leave the column unmapped"),
    ("clock_timestamp()", 1, "leave the column unmapped"),
    ("now()", 1, "leave the column unmapped"),
    ("a < current_timestamp", 5, "leave the column unmapped"),
    ("current_date", 1, "leave the column unmapped"),
    ("current_user", 1, "another answer"),
    ("user", 1, "another answer"),
    ("localtime(0)", 1, "another answer"),
    ("current_schema", 1, "another answer"),
    ("date 'today'", 6, "clock"),
    ("timestamp ' Now '", 11, "clock"),
    ("'now'::timestamptz(0)", 1, "clock"),
    ("cast('tomorrow' as date)", 6, "clock"),
    ("default", 1, "DEFAULT"),
    ("t.*", 3, "all columns"),
    ("(t).*", 5, "all columns"),
    ("*", 1, "all columns"),
    ("row(t.*)", 7, "all columns"),
    ("a.b.c", 5, "two parts"),
    ("$1", 1, "parameters"),
    ("a = $1", 5, "parameters"),
    ("a $x", 3, "$"),
    ("from", 1, "key word"),
    ("order", 1, '"order"'),
    ("left", 1, "key word"),
    ("order.a", 1, "key word"),
    ("all(a)", 1, "key word"),
    ("x::regclass", 4, "list of types"),
    ("x::pg_catalog.regclass", 4, "list of types"),
    ("x::oid", 4, "list of types"),
    ("x::_regclass", 4, "list of types"),
    ("x::_text", 4, "list of types"),
    ("x::pg_class", 4, "list of types"),
    ("x::pg_toast.y", 4, "list of types"),
    ("x::record", 4, "list of types"),
    ('x::"regproc"[]', 4, "list of types"),
    ("cast(x as regclass)", 11, "list of types"),
    ("regclass 'pg_class'", 1, "list of types"),
    ("mood 'ok'", 1, "built-in types"),
    ("\"My Enum\" 'ok'", 1, "built-in types"),
    ("x::setof int", 4, "not a type"),
    ("x::a.b.c", 8, "[schema.]name"),
    ("x::varchar(n)", 12, "whole number"),
    ("x::numeric(1.5)", 12, "whole number"),
    ("x::", 4, "but the text ends"),
    ("x operator(pg_catalog.+) y", 3, "OPERATOR"),
    ("x %% y", 3, "list of operators"),
    ("x <=> y", 3, "list of operators"),
    ("x ===+ y", 3, "list of operators"),
    ("* a", 1, "all columns"),
    ("/ a", 1, "a value is expected"),
    ("a = b = c", 7, "parentheses"),
    ("a < b > c", 7, "parentheses"),
    ("a like b like c", 10, "parentheses"),
    ("a between 1", 12, "AND is expected"),
    ("a is 5", 6, "expected"),
    ("a at b", 3, "nothing more"),
    ("case when a then b", 19, "END"),
    ("case end", 6, "key word"),
    ("lower(a", 8, ") is expected"),
    ("lower(a,)", 9, "a value is expected"),
    ("a[", 3, "a value is expected"),
    ("a[]", 3, "subscript"),
    ("lower(a)[1]", 9, "nothing more"),
    ("array[1][1]", 9, "nothing more"),
    ("nullif(a)", 1, "two arguments"),
    ("a overlaps (b, c)", 3, "two periods"),
    ("(a, b) overlaps c", 17, "two periods"),
    ("extract(null from d)", 9, "a field like year"),
    ("interval '1'(0)", 13, "nothing more"),
    ("'abc", 1, "no closing '"),
    ("a || 'abc''", 6, "no closing '"),
    ("E'\\\\''", 1, "no closing '"),
    ("E'\\'", 1, "no closing '"),
    ('"abc', 1, 'no closing "'),
    ('"x""y', 1, 'no closing "'),
    ('""', 1, "empty"),
    ("$$abc", 1, "$"),
    ("$a$ $b$", 1, "$"),
    ("U&'\\0061'", 1, "U&"),
    ('u&"\\0061"', 1, "U&"),
    ("N'a'", 1, "N'"),
    ("B'12'", 1, "not a digit"),
    ("X'xyz'", 1, "not a digit"),
    ("'a' 'b'", 5, "nothing more"),
    ("a --", 3, "comments"),
    ("a -- b\n or c", 3, "comments"),
    ("a /* */", 3, "comments"),
    ("a+/* x */b", 3, "comments"),
    ("a--1", 2, "comments"),
    ("/* a", 1, "comments"),
    ("1a", 1, "number"),
    ("0x", 1, "number"),
    ("1__0", 1, "number"),
    ("1_", 1, "number"),
    ("1..2", 2, "nothing more"),
    ("a\\b", 2, "not part of SQL"),
    ("a { b", 3, "not part of SQL"),
    ("a\u00a0+ b", 2, "NO-BREAK SPACE"),
    ("a\u200b", 2, "ZERO WIDTH SPACE"),
    ("a\uff1bdrop", 2, "FULLWIDTH SEMICOLON"),
    ("\u2018a\u2019", 1, "LEFT SINGLE QUOTATION MARK"),
    ("\uff53elect(1)", 1, "not on the list"),
    ("l\u043ewer(a)", 1, "not on the list"),
    ("\u212aey(a)", 1, "not on the list"),
    ("a\x00b", 2, "NUL"),
    ("'\x00'", 2, "NUL"),
    ("a\ud800", 2, "surrogate"),
    ("a" * 64, 1, "63 bytes"),
    ("ä" * 32, 1, "63 bytes"),
    ('"' + "ä" * 32 + '"', 1, "63 bytes"),
    ("a" * 10_001, 10_001, "longer than 10,000"),
    ("(" * 101 + "a" + ")" * 101, 101, "nested deeper"),
    ("(" * 10_000, 101, "nested deeper"),
    ("[" * 10_000, 1, "a value is expected"),
    ("array" + "[" * 9_000, 105, "nested deeper"),
    ("- " * 5_000, 203, "nested deeper"),
    ("not " * 2_000 + "a", 405, "nested deeper"),
    ("case when " * 900, 1_001, "nested deeper"),
    ("lower(" * 1_500, 601, "nested deeper"),
    ("a[" * 4_000, 201, "nested deeper"),
    ("1 or 1 and not 1 = 1 + 1 * (" * 300, 2_801, "nested deeper"),
]


@pytest.mark.parametrize(("text", "position", "part"), REFUSED, ids=[repr(row[0][:40]) for row in REFUSED])
def test_refused(text: str, position: int, part: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert part in caught.value.message
    assert (caught.value.text, caught.value.position) == (text, position)


def test_an_error_says_what_and_where() -> None:
    with pytest.raises(ValueError, match="character") as caught:
        parse_expression("a; drop table t")
    message = "one expression only, no statements: ; is not allowed"
    assert str(caught.value) == f"{message} at character 2: …; drop table t"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 99 + "a" + ")" * 99,
        "1*(1+" * 80 + "1" + ")" * 80,
        "a" * 63,
        '"' + "ä" * 31 + '"',
        " " * 9_999 + "a",
        "count",
        "rank + max",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_accepted_at_the_limits(text: str) -> None:
    parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "+".join(["a"] * 5_000),
        "'" + "x" * 9_998 + "'",
        "'a'" + "\n" * 9_000,
        "'a'" + "\n'b'" * 2_000,
        "'" * 9_998,
        '"' * 9_999,
        "E'" + "\\" * 9_000,
        "$$" * 5_000,
        "$a" * 5_000,
        "+-" * 5_000,
        "1_" * 5_000,
        "(1," * 90 + "2" + ")" * 90,
        "(a)" + ".b" * 4_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_long_input_is_read_fast(text: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(ExpressionError):
        parse_expression(text)
    assert time.perf_counter() - start < 2


def test_an_allowed_function_is_allowed_bare_and_qualified() -> None:
    for name in allowed.FUNCTIONS - allowed.NOT_FUNCTIONS - set(allowed.ARGUMENTS):
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


@pytest.mark.parametrize(
    ("text", "schema", "name", "sql"),
    [
        ("customer", None, "customer", '"customer"'),
        (" Legacy.Customer ", "legacy", "customer", '"legacy"."customer"'),
        ('cd."Weird Name"', "cd", "Weird Name", '"cd"."Weird Name"'),
        ('"Verein"."group"', "Verein", "group", '"Verein"."group"'),
        ('"a.b"', None, "a.b", '"a.b"'),
        ('"a""b"', None, 'a"b', '"a""b"'),
        ("public.order", "public", "order", '"public"."order"'),
        ("Straße", None, "straße", '"straße"'),
    ],
)
def test_a_relation(text: str, schema: str | None, name: str, sql: str) -> None:
    assert parse_relation(text) == RelationName(schema, name)
    assert parse_relation(text).sql == sql


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        (" ", 2),
        ("a.b.c", 5),
        ("a.", 3),
        (".a", 1),
        ("a b", 3),
        ("a; drop table b", 2),
        ("order", 1),
        ("'a'", 1),
        ("a.'b'", 3),
        ("a-b", 2),
        ("a --", 3),
        ("1a", 1),
        ('"a', 1),
        ("a" * 64, 1),
        ("a." + "b" * 64, 3),
        ("a\x00", 2),
        ("(select 1)", 1),
    ],
)
def test_a_refused_relation(text: str, position: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_relation(text)
    assert caught.value.position == position


def test_names_are_quoted() -> None:
    assert [quote_identifier(name) for name in ("a", 'a"b', "Ä b")] == ['"a"', '"a""b"', '"Ä b"']


def test_every_file_stays_without_django() -> None:
    for name in ("expressions", "expression_tokens", "allowed"):
        assert "django" not in (Path(allowed.__file__).parent / f"{name}.py").read_text()
