"""Names of any kind, for schemas, tables, columns, and table mappings."""

from __future__ import annotations

import json

import pytest

from tests.language.feature import Feature

NAMES = [
    "order", "Mixed Case", "select", "user", "2nd number", 'quo"te', "it's", "100%", "%s", "%(x)s", "a;b",
            "été", "表", "back\\slash",
    "dot.ted", "dollar$", " lead", "n" * 63, "ü" * 31, "{brace}", ":colon", "--dash", "/*c*/", "id", "k1", "c1",
            "source_key",
]  # fmt: skip


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("link", ["{}", "{source_id: false}"])
def test_columns_and_tables_of_any_name(feature: Feature, link: str) -> None:
    """Every name as a column, a few as a schema and as a table; a row refers to another of such a table."""
    columns = [name for name in NAMES if name != "id"]
    schema, table = 'S%s "x".é', 'T%% "y" Z' + "z" * 40
    ddl = ", ".join(f"{quoted(name)} text" for name in columns)
    where = f"{quoted(schema)}.{quoted(table)}"
    create = f"CREATE SCHEMA {quoted(schema)}; CREATE TABLE {where} (id int PRIMARY KEY, {quoted('Up %s')} int, {ddl})"
    values = ", ".join(f"'v{number}'" for number in range(len(columns)))
    feature.source(f"{create}; INSERT INTO {where} VALUES (1, 2, {values}), (2, NULL, {values})")
    target = "CREATE TABLE {} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {} int REFERENCES {}, {})".format(
        quoted(table), quoted("Up %s"), quoted(table), ddl)  # fmt: skip
    mapped = {name: name for name in columns} | {"Up %s": {"from": "Up %s", "ref": "t%d \"m'"}}
    feature.given("", target, f"""
tables:
  - name: "t%d \\"m'"
    source: {json.dumps(where)}
    target: {json.dumps("new." + quoted(table))}
    link: {link}
    is_migrated: 'is "%s" it'
    columns: {json.dumps(mapped)}
""")  # fmt: skip
    listed = ", ".join(quoted(name) for name in columns)
    expected = tuple(f"v{number}" for number in range(len(columns)))
    feature.check({
        f"SELECT {listed} FROM {quoted(table)}": [expected, expected],
        f"SELECT count(*) FROM {quoted(table)} a JOIN {quoted(table)} b ON b.id = a.{quoted('Up %s')}": [(1,
                )]})  # fmt: skip


@pytest.mark.parametrize("then", ["keep", "update"])
def test_odd_names_with_rows_that_are_there_already(feature: Feature, then: str) -> None:
    feature.given('CREATE TABLE "a%s" ("K%s" text PRIMARY KEY, "V""" text); INSERT INTO "a%s" VALUES'
                  ' (\'x%s"\', \'1\'), (\'y\', \'2\')',
                  'CREATE TABLE "b%s" ("I%d" serial PRIMARY KEY, "K%s" text, "V""" text); INSERT INTO'
                  ' "b%s" ("K%s") VALUES (\'y\')', f"""
tables:
  - name: "m%s"
    source: 'old."a%s"'
    target: 'new."b%s"'
    existing: {{match: ['lower("K%s")'], then: {then}}}
    link: {{source_id: 'S%s', backref: 'B%s'}}
    columns: {{"K%s": "K%s", 'V"': 'V"'}}
""")  # fmt: skip
    feature.check(
        {
            'SELECT "K%s", "V""" FROM "b%s" ORDER BY 1': [
                ('x%s"', "1"),
                ("y", "2" if then == "update" else None),
            ]
        }
    )


def test_odd_names_of_joins_lookups_and_key_parts(feature: Feature) -> None:
    feature.given("""
CREATE TABLE "A a" ("Id" int, "se""c" text, "L%" text, PRIMARY KEY ("Id", "se""c"));
CREATE TABLE "B b" ("Id" int, "Name" text); CREATE TABLE "C%s" ("L%" text, "V v" text);
INSERT INTO "A a" VALUES (1, 'x%', 'l'), (1, 'y', 'l'); INSERT INTO "B b" VALUES (1, 'b%s');
  INSERT INTO "C%s" VALUES ('l', 'val%');
""", 'CREATE TABLE "T t" ("Pk" serial PRIMARY KEY, "N" text, "L" text, "Sec" text, "Up" int)', """
tables:
  - name: Weird One
    source: 'old."A a"'
    alias: A a
    joins: [{table: 'old."B b"', alias: b%, condition: '"b%"."Id" = "A a"."Id"'}]
    key: [A a.Id, 'A a.se"c']
    where: '"A a"."se""c" <> ''%s'''
    target: 'new."T t"'
    columns:
      N: b%.Name
      Sec: 'A a.se"c'
      L: {from: A a.L%, lookup: {table: 'old."C%s"', key: '"L%"', value: '"V v"'}}
      Up: {from: [A a.Id, 'A a.se"c'], ref: Weird One}
""")  # fmt: skip
    feature.check(
        {
            'SELECT "N", "L", "Sec", "Up" = "Pk" FROM "T t" ORDER BY 3': [
                ("b%s", "val%", "x%", True),
                ("b%s", "val%", "y", True),
            ]
        }
    )
