"""Types of extensions are compared by their own operators, wherever the extension is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobs.actions import runs
from tests.conftest import Databases
from tests.journeys.world import fresh, work
from tests.language.feature import Feature

EXTENSIONS = "CREATE SCHEMA ext; " + "; ".join(
    f"CREATE EXTENSION {name} SCHEMA ext" for name in ("citext", "hstore", "ltree")
)

SOURCE = """
SET search_path = old, ext;
CREATE DOMAIN nick AS citext CHECK (value <> '');
CREATE TABLE kind (name citext PRIMARY KEY, label text);
INSERT INTO kind VALUES ('Blue', 'blue'), ('RED', 'red');
CREATE TABLE item (code citext PRIMARY KEY, path ltree NOT NULL, traits hstore, kind citext, nick nick, parent citext);
INSERT INTO item SELECT CASE n % 2 WHEN 0 THEN 'Item' ELSE 'iTEM' END || n, ('top.n' || n)::ltree, hstore('n', n::text),
  CASE n % 2 WHEN 0 THEN 'BLUE' ELSE 'red' END, 'Nick' || n, CASE WHEN n > 1 THEN 'ITEM' || n / 2 END
  FROM generate_series(1, 40) n;
CREATE TABLE part (path ltree, number integer, item citext, PRIMARY KEY (path, number));
INSERT INTO part SELECT ('a.' || n % 5)::ltree, n, 'item' || n % 40 + 1 FROM generate_series(1, 60) n;
"""
TARGET = """
SET search_path = new, ext;
CREATE DOMAIN nick AS citext;
CREATE TABLE thing (id serial PRIMARY KEY, code citext UNIQUE, path ltree, traits hstore, kind text, nick nick,
  parent_id integer REFERENCES thing);
CREATE TABLE sort (id serial PRIMARY KEY, name citext, label text);
INSERT INTO sort (name, label) VALUES ('blue', 'was there');
CREATE TABLE piece (path ltree, number integer, thing_id integer REFERENCES thing, PRIMARY KEY (path, number));
"""
MAPPING = """
tables:
  - name: item
    source: old.item
    target: new.thing
    columns:
      code: code
      path: path
      traits: traits
      nick: nick
      kind: {from: kind, lookup: {table: old.kind, key: name, value: label}}
      parent_id: {from: parent, ref: item, missing: "null"}
  - name: kind
    source: old.kind
    target: new.sort
    existing: {match: [name], then: update}
    columns: {name: name, label: label}
  - name: part
    source: old.part
    target: new.piece
    columns: {path: path, number: number, thing_id: {from: item, ref: item, missing: "null"}}
"""


@pytest.fixture
def feature15(databases15: Databases, transactional_db: None) -> Iterator[Feature]:
    with closing(Feature(databases15.pair("one"))) as made:
        made.source(EXTENSIONS)
        yield made


def test_in_one_database_they_are_keys_values_and_matches(feature15: Feature) -> None:
    feature15.given(SOURCE, TARGET, MAPPING, chunk_rows=7)
    feature15.check(
        {
            "SELECT count(*), count(parent_id), count(DISTINCT kind) FROM thing": [(40, 39, 2)],
            "SELECT kind, traits::text FROM thing WHERE code::text = 'iTEM5'": [("red", '"n"=>"5"')],
            "SELECT name::text, label FROM sort ORDER BY id": [("Blue", "blue"), ("RED", "red")],
            "SELECT count(*), count(thing_id) FROM piece": [(60, 60)],
        },
        {"item": (40, 0, 0, 0), "kind": (1, 1, 0, 0), "part": (60, 0, 0, 0)},
    )
    run = feature15.verified()
    feature15.target("UPDATE new.thing SET traits = ext.hstore('n', 'other') WHERE code::text = 'iTEM5'")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"


def test_between_databases_that_have_the_extensions_in_other_schemas(
    databases15: Databases, transactional_db: None
) -> None:
    with closing(Feature(databases15.pair("two"))) as feature:
        feature.source(EXTENSIONS)
        feature.target(EXTENSIONS.replace("ext;", "others;").replace("SCHEMA ext", "SCHEMA others"))
        told_alike = SOURCE.replace(
            "'ITEM' || n / 2", "CASE n / 2 % 2 WHEN 0 THEN 'Item' ELSE 'iTEM' END || n / 2"
        )
        told_alike = told_alike.replace("'item' || n % 40 + 1", "'Item' || (n % 20 + 1) * 2")
        feature.given(told_alike, TARGET.replace(", ext;", ", others;"), MAPPING, chunk_rows=7)
        feature.check(
            {
                "SELECT count(*), count(parent_id), count(DISTINCT kind) FROM thing": [(40, 39, 2)],
                "SELECT kind, traits::text FROM thing WHERE code::text = 'iTEM5'": [("red", '"n"=>"5"')],
                "SELECT name::text, label FROM sort ORDER BY id": [("Blue", "blue"), ("RED", "red")],
                "SELECT count(*), count(thing_id) FROM piece": [(60, 60)],
            },
            {"item": (40, 0, 0, 0), "kind": (1, 1, 0, 0), "part": (60, 0, 0, 0)},
        )
