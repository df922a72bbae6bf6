"""What is wrong with a value stops an exported script with the sentence that a worker has for its row."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Databases
from tests.export.test_recipes import WAYS
from tests.export.twins import Twin
from tests.journeys.world import Layout

SOURCE = """
CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a'), (2, 'b');
CREATE TABLE groups (id int PRIMARY KEY, name text); INSERT INTO groups VALUES (2, 'x');
CREATE TABLE task (id int PRIMARY KEY, kind text DEFAULT 'U', one int, path text, many int[], doc jsonb, body text);
INSERT INTO task VALUES (1, 'U', 1, '/1/', '{1}', '{"owner": 1}', '@1');
INSERT INTO task (id, COLUMNS) VALUES (2, THEIRS)
"""
TARGET = """
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY, name text);
CREATE TABLE groups (id bigint GENERATED ALWAYS AS IDENTITY (START 200) PRIMARY KEY, name text);
CREATE TABLE task (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, one bigint, path text, many bigint[], doc jsonb,
    body text, code varchar(2) UNIQUE, place smallint, born date);
INSERT INTO task (place) VALUES (32766)
"""
MAPPING = """
widen: false
tables:
  - {{source: old.users, target: new.users, columns: {{name: name}}}}
  - {{source: old.groups, target: new.groups, columns: {{name: name}}}}
  - {{source: old.task, {0}target: new.task, columns: {{{1}}}}}
"""


class Bad(NamedTuple):
    """A source column with the SQL of a bad value, a target column filled from it, and what must be said of the row.
    joins: of the table mapping."""

    column: str
    value: str
    fills: str
    said: str
    joins: str = ""


BAD = (
    Bad("path", "'/1/x/'", "path: {from: path, ref: users, split: /}", "the users row x was not migrated"),
    Bad("many", "'{1,7}'", "many: {from: many, ref: users, each: true}", "the users row 7 was not migrated"),
    Bad("many", "'{{1},{2}}'", "many: {from: many, ref: users, each: true}",
        "more than a plain list of ids: {{1},{2}}"),
    Bad("doc", """'{"owner": [1]}'""", "doc: {from: doc, refs: [{path: $.owner, ref: users}]}",
        "the path $.owner meets array [1]"),
    Bad("doc", """'{"owner": "x"}'""", "doc: {from: doc, refs: [{path: $.owner, ref: users}]}",
        "the users row x was not migrated"),
    Bad("body", "'@2@9'", r"body: {from: body, ref: users, pattern: '@(\d+)'}", "the users row 9 was not migrated"),
    Bad("kind, one", "'F', 1", "one: {from: one, ref: {by: kind, of: {U: users, G: groups}}}",
        "kind names no table mapping: F"),
    Bad("one", "2", "one: {from: one, ref: [users, groups]}", "more than one of users, groups has the row 2"),
    Bad("path", "'1,x'", "one: e.e, body: t.body", 'invalid input syntax for type integer: "x"',
        """alias: t, joins: [{unnest: "string_to_array(nullif(t.path, '/1/'), ',')::int[]", alias: e,"""
        " ordinality: n}], "),
    Bad("doc", """'{"a": 1}'""", "body: {expr: e.e::text}", "t.doc is no list but object {",
        "where: 't.id = 2', alias: t, joins: [{unnest: t.doc, alias: e, ordinality: n}], "),
    Bad("kind", "'U'", """code: {from: kind, unique: {suffix: "{n}"}}, place: {number: {}}""",
        "is out of range for type smallint"),
    Bad("path", "'31.02.2020'", "born: {expr: \"date_of(nullif(path, '/1/'), 'dmy')\"}",
        'date/time field value out of range: "2020-02-31"'),
)  # fmt: skip


@pytest.mark.parametrize(("layout", "form"), [
    ("one", "psql"), ("two", "psql"),
    pytest.param("two", "flyway", marks=pytest.mark.long), pytest.param("one", "django", marks=pytest.mark.long),
])  # fmt: skip
def test_a_script_stops_with_the_sentence_of_a_worker(
    databases: Databases, layout: Layout, form: str, tmp_path: Path, transactional_db: None
) -> None:
    for number, bad in enumerate(BAD):
        twin = Twin(databases, layout, f"twin{number}")
        source = SOURCE.replace("COLUMNS", bad.column).replace("THEIRS", bad.value)
        twin.given(source, TARGET, MAPPING.format(bad.joins, bad.fills))
        before = twin.state()
        folder = twin.export(tmp_path / str(number) / "exported", form)
        begun = False
        with pytest.raises(AssertionError) as stopped:
            twin.psql(folder / "by_psql/1_before")
            begun = True
            WAYS[form].there(twin, folder)
        assert bad.said in str(stopped.value), (bad, str(stopped.value)[-2000:])
        if begun:  # else it stopped at the source, before there was anything to take back
            twin.psql(folder / "by_psql/3_before_undo")
            WAYS[form].back(twin, folder)
        assert twin.state() == before, bad
        assert bad.said in twin.run().error, (bad, twin.run().error)
