"""Every type both ways, unchanged to the last bit: source and target rows are compared as texts."""

from __future__ import annotations

import psycopg
import pytest

from tests.language.feature import Feature

VALUES = {
    "i2": ("smallint", "-32768", "32767"),
    "i8": ("bigint", "-9223372036854775808", "9223372036854775807"),
    "n": ("numeric", "1.1000", "NaN"),
    "n2": ("numeric(20, 4)", "-12345678901234.5600", "12.0000"),
    "nneg": ("numeric(5, -2)", "1200", "-99900"),
    "f4": ("real", "1.1", "-0"),
    "f8": ("double precision", "0.30000000000000004", "-Infinity"),
    "b": ("boolean", "t", "f"),
    "t": ("text", "ü\n\t\\N %s '\"", ""),
    "c": ("char(5)", "ab", ""),
    "q": ('"char"', "x", "\\303"),
    "nm": ("name", "A b", "x"),
    "y": ("bytea", "\\x00ff5c27", "\\x"),
    "d": ("date", "4713-01-01 BC", "infinity"),
    "ts": ("timestamp", "0044-03-15 12:00:00.123456 BC", "-infinity"),
    "tz": ("timestamptz", "2024-03-31 02:30:00+02", "infinity"),
    "ti": ("time", "24:00:00", "00:00:00.000001"),
    "tt": ("timetz", "12:34:56.789+05:30", "00:00-12"),
    "iv": ("interval", "1 year -2 mons 3 days -04:05:06.7", "00:00:00"),
    "m": ("money", "$1,234.56", "-$0.01"),
    "u": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
    "bi": ("bit(3)", "101", "000"),
    "vb": ("bit varying", "10101", ""),
    "ip": ("inet", "10.1.2.3/8", "::1"),
    "ci": ("cidr", "10.0.0.0/8", "2001:db8::/32"),
    "ma": ("macaddr", "08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"),
    "m8": ("macaddr8", "08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00"),
    "js": ("json", '{"b" : 1, "a":  2, "b":3}', "null"),
    "jb": ("jsonb", '{"a": 1.00, "z": [null]}', '"x"'),
    "xp": ("jsonpath", '$."a"[*]?(@ > 1)', "$"),
    "tv": ("tsvector", "'a':1A 'b c':2", ""),
    "tq": ("tsquery", "'a' & !'b'", "'x':*"),
    "po": ("point", "(0.1,-0)", "(1e+300,NaN)"),
    "bx": ("box", "(2,2),(1,1)", "(0,0),(0,0)"),
    "pg": ("polygon", "((0,0),(1,1),(2,0))", "((0.1,0))"),
    "pa": ("path", "[(0,0),(1,1)]", "((0,0),(1,1))"),
    "ln": ("line", "{1,-1,0}", "{0,1,0.5}"),
    "ls": ("lseg", "[(0,0),(1,1)]", "[(1,1),(0,0)]"),
    "cr": ("circle", "<(0,0),1.5>", "<(1,1),0>"),
    "r4": ("int4range", "[1,5)", "empty"),
    "rn": ("numrange", "(1.10,)", "[0,0]"),
    "rt": ("tstzrange", '["2024-01-01 00:00:00+00",infinity)', "(,)"),
    "mr": ("int4multirange", "{[1,3),[5,7)}", "{}"),
    "md": ("datemultirange", "{[2024-01-01,2024-02-01)}", "{(,)}"),
    "oi": ("oid", "4294967295", "0"),
    "ls2": ("pg_lsn", "16/B374D848", "0/0"),
    "ai": ("int[]", "{{1,2},{NULL,4}}", "{}"),
    "ao": ("text[]", '[2:3]={a,"b,c"}', '{NULL,"NULL",""}'),
    "aj": ("jsonb[]", '{"{\\"a\\": 1}"}', "{}"),
    "ap": ("point[]", '{"(1,2)","(3,4)"}', "{}"),
    "ar": ("numeric[]", "{1.10,NaN}", "[0:0]={1}"),
    "en": ("mood", "very happy", "sad"),
    "ea": ("mood[]", '{sad,"very happy"}', "[5:5]={sad}"),
    "dm": ("positive", "5", "1"),
    "da": ("positive[]", "{1,2}", "{}"),
    "co": ("pair", '(1,"a,b")', "(,)"),
    "ca": ("pair[]", '{"(1,x)"}', "{}"),
    "cj": ("shape", '("(1,2)","{""a"" : 1}",{[1]})', "(,,)"),
    "cs": ("shape[]", '{"(\\"(1,2)\\",,)"}', "{}"),
    "aq": ("jsonpath[]", '{"$.\\"a\\""}', "{}"),
    "dj": ("doc", '{"a" : 1}', "null"),
    "cd": ("mail", "A@b", "c@d"),
    "er": ("floatrange", "[1.5,2.5)", "empty"),
}
TYPES = """
CREATE TYPE mood AS ENUM (%s);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN mail AS varchar(50) CHECK (VALUE LIKE '%%@%%');
CREATE TYPE pair AS (nr int, label text);
CREATE DOMAIN doc AS json;
CREATE TYPE shape AS (at point, data json, list doc[]);
CREATE TYPE floatrange AS RANGE (subtype = float8);
"""


def lit(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_every_type_unchanged(feature: Feature) -> None:
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in VALUES.items())
    rows = [", ".join(lit(value[place]) for value in VALUES.values()) for place in (1, 2)]
    nulls = ", ".join("NULL" for _ in VALUES)
    feature.given(
        TYPES % "'sad', 'very happy'" + f"CREATE TABLE item (id int PRIMARY KEY, {columns});"
        f" INSERT INTO item VALUES (1, {rows[0]}), (2, {rows[1]}), (3, {nulls})",
        TYPES % "'very happy', 'sad', 'new'" + f"CREATE TABLE item (id int PRIMARY KEY, {columns})",
        "tables: [{source: old.item, target: new.item, columns: {id: id, "
        + ", ".join(f"{name}: {name}" for name in VALUES) + "}}]",
    )  # fmt: skip
    texts = ", ".join(f"{name}::text" for name in VALUES)
    feature.check(
        {f"SELECT {texts} FROM item ORDER BY id": feature.source(f"SELECT {texts} FROM old.item ORDER BY id")}
    )


def test_an_update_gives_every_type_back(feature: Feature) -> None:
    """The before-images of every type, through existing: update."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in VALUES.items())
    rows = [", ".join(lit(value[place]) for value in VALUES.values()) for place in (1, 2)]
    feature.given(
        TYPES % "'sad', 'very happy'" + f"CREATE TABLE item (id int PRIMARY KEY, {columns});"
        f" INSERT INTO item VALUES (1, {rows[0]}), (2, {rows[1]})",
        TYPES % "'very happy', 'sad', 'new'" + f"CREATE TABLE item (id int PRIMARY KEY, {columns});"
        f" INSERT INTO item VALUES (2, {rows[0]}), (1, {rows[1]})",
        "tables: [{source: old.item, target: new.item, existing: {match: [id], then: update}, columns: {id: id, "
        + ", ".join(f"{name}: {name}" for name in VALUES) + "}}]",
    )  # fmt: skip
    texts = ", ".join(f"{name}::text" for name in VALUES)
    feature.check({f"SELECT {texts} FROM item ORDER BY id": feature.source(
            f"SELECT {texts} FROM old.item ORDER BY id")},
                  counts={"item": (0, 2, 0, 0)})  # fmt: skip


def test_conversions_between_types(feature: Feature) -> None:
    feature.given("""
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN tag AS text;
CREATE TABLE item (id int PRIMARY KEY, a mood, b text, c int, d text, e numeric, f text, g mood[], h text[],
  i text, j int,
  k timestamp, l tag, m varchar(5), n bigint, o text, p text);
INSERT INTO item VALUES (1, 'glad', 'sad', 12, '34', 1.5, '{"a":1}', '{sad,glad}', '{glad}', 't', 1,
  '2024-01-01 10:00', 'x',
  '9', 5, '2024-02-29', '(1,2)');
""", """
CREATE TYPE feeling AS ENUM ('glad', 'sad', 'odd');
CREATE DOMAIN tag AS varchar(20) CHECK (VALUE <> '');
CREATE TABLE item (id int PRIMARY KEY, a text, b feeling, c text, d int, e text, f jsonb, g text[], h feeling[],
  i boolean,
  j boolean, k timestamptz, l tag, m int, n numeric(9, 2), o date, p point, aa feeling, gg feeling[]);
""", """
tables:
  - source: old.item
    target: new.item
    columns: {id: id, a: a, b: b, c: c, d: d, e: e, f: f, g: g, h: h, i: i, j: j, l: l, m: m, n: n, o: o, p: p,
        aa: a, gg: g,
              k: {expr: "k AT TIME ZONE 'Europe/Rome'"}}
""")  # fmt: skip
    feature.check({"SELECT a, b::text, c, d, e, f, g, h::text, i, j, k AT TIME ZONE 'UTC' = '2024-01-01"
                   " 09:00', l, m, n::text,"
                   " o::text, p::text, aa::text, gg::text FROM item": [
                       ("glad", "sad", "12", 34, "1.5", {"a": 1}, ["sad", "glad"], "{glad}", True, True, True,
                               "x", 9, "5.00",
                        "2024-02-29", "(1,2)", "glad", "{sad,glad}")]})  # fmt: skip


def test_an_enum_value_that_the_target_lacks_is_a_row_error(feature: Feature) -> None:
    feature.given("""
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE item (id int PRIMARY KEY, mood mood);
INSERT INTO item VALUES (1, 'sad'), (2, 'glad');
""", "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE item (id int PRIMARY KEY, mood mood);", """
on_error: quarantine
tables: [{source: old.item, target: new.item, columns: {id: id, mood: mood}}]
""")  # fmt: skip
    feature.check({
        "SELECT id FROM item": [(1,)],
        "SELECT source_key, column_name, sqlstate FROM migrator.quarantine": [("2", "mood", "22P02")]})  # fmt: skip


def test_xml_where_the_server_has_it(feature: Feature) -> None:
    try:
        feature.source("SELECT '<a/>'::xml")
    except psycopg.Error:
        pytest.skip("this server was built without xml")
    feature.given("CREATE TABLE item (id int PRIMARY KEY, x xml); INSERT INTO item VALUES (1, '<a"
                  " b=\"1\"/>'), (2, NULL)",
                  "CREATE TABLE item (id int PRIMARY KEY, x xml)",
                  "tables: [{source: old.item, target: new.item, columns: {id: id, x: x}}]")  # fmt: skip
    feature.check({"SELECT x::text FROM item ORDER BY id": [('<a b="1"/>',), (None,)]})


def test_a_cast_to_a_type_that_only_the_target_has(feature: Feature) -> None:
    """As the last thing of an expression it means the same in one database and in two."""
    feature.given("CREATE TABLE item (id int PRIMARY KEY, t text); INSERT INTO item VALUES (1, 'SAD'), (2, 'ok')", """
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(9) CHECK (VALUE <> '');
CREATE TABLE thing (id int PRIMARY KEY, a mood, b mood, c mood[], d short);
""", """
tables: [{source: old.item, target: new.thing, columns: {
  id: id, a: {expr: "lower(t)::new.mood"}, b: {expr: "cast(case id when 1 then 'ok' end as new.mood)"},
  c: {expr: "array[lower(t), 'ok']::new.mood[]"}, d: {expr: "left(t, 2)::new.short"}}}]
""")  # fmt: skip
    feature.check({"SELECT a::text, b::text, c::text, d FROM thing ORDER BY id": [
        ("sad", "ok", "{sad,ok}", "SA"), ("ok", None, "{ok,ok}", "ok")]})  # fmt: skip
