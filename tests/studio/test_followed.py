"""The preview tells what becomes of each id inside a value, and of values that may be taken, before any run."""

from __future__ import annotations

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client

from mappings.language.file import parse
from mappings.store import save_spec
from mappings.studio.live import live_of
from mappings.studio.looking.table_look import ColumnRow, look_at
from tests.conftest import Databases
from tests.factories import environment_at

pytestmark = pytest.mark.django_db

SOURCE = """
CREATE SCHEMA old;
CREATE TABLE old.users (id int PRIMARY KEY, name text, gone boolean NOT NULL DEFAULT false);
INSERT INTO old.users VALUES (4, 'ada', false), (7, 'bob', false), (9, 'cid', true);
CREATE TABLE old.task (id int PRIMARY KEY, owner int, members int[], doc jsonb, path text, note text, login text);
INSERT INTO old.task VALUES
  (1, 4, '{4,99,NULL,7}', '{"owner": "7", "steps": [{"task": 1}, {"task": 5}]}', '/4/9/',
   'for @[user:7] and @[user:x]', 'ada'),
  (2, 9, NULL, NULL, NULL, NULL, 'new'),
  (3, NULL, '{}', '{}', '', '', 'new');
"""

TARGET = """
CREATE SCHEMA new;
CREATE TABLE new.users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
CREATE TABLE new.task (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint, members bigint[], doc jsonb,
                       path text, note text, login varchar(20), place int);
CREATE UNIQUE INDEX ON new.task (lower(login));
INSERT INTO new.task (login, place) VALUES ('ADA', 41);
"""

FILE = """
version: 1
name: tasks
on_error: quarantine
tables:
  - {source: old.users, target: new.users, where: not gone, columns: {name: name}}
  - source: old.task
    target: new.task
    columns:
      owner: {from: owner, ref: users}
      members: {from: members, each: true, ref: users, missing: drop}
      doc: {from: doc, refs: [{path: "$.owner", ref: users}, {path: "$.steps[*].task", ref: task, missing: keep}]}
      path: {from: path, split: "/", ref: users, missing: stop}
      note: {from: note, pattern: '@\\[user:(\\w+)\\]', ref: users, missing: keep}
      login: {from: login, unique: {suffix: "-{n}"}}
      place: {number: {order_by: id}}
"""


def said(column: ColumnRow | None) -> list[list[tuple[str, str, str]]]:
    """What becomes of the parts of each row's value."""
    assert column is not None
    return [[(part.text, part.becomes, part.tone) for part in pair.parts] for pair in column.values]


@pytest.mark.parametrize("layout", ["one", "two"])
def test_each_id_and_each_taken_value_is_told(client: Client, databases: Databases, layout: str) -> None:
    pair = databases.pair("one" if layout == "one" else "two")
    for url, sql in ((pair.source, SOURCE), (pair.target, TARGET)):
        with psycopg.connect(url) as session:
            session.execute(sql.encode())
    live = live_of(environment_at("local", pair.source, pair.target))
    mapping = save_spec(parse(FILE)).mapping
    table = mapping.tables.get(position=1)
    look = look_at(mapping, table, live)
    there = ("→ new id of users", "ok")
    aside = ("no such row in users, its row is set aside", "bad")
    assert said(look.column("owner")) == [[("4", *there)], [("9", *aside)], []]
    dropped = ("99", "no such row in users, it is dropped", "warn")
    assert said(look.column("members")) == [[("4", *there), dropped, ("7", *there)], [], []]
    task = [("1", "→ new id of task", "ok"), ("5", "no such row in task, it stays", "warn")]
    assert said(look.column("doc")) == [[("7", *there), *task], [], []]
    stops = ("9", "no such row in users, the run stops", "bad")
    assert said(look.column("path")) == [[("4", *there), stops], [], []]
    kept = ("x", "no such row in users, it stays", "warn")
    assert said(look.column("note")) == [[("7", *there), kept], [], []]
    login = [parts[0][1] for parts in said(look.column("login"))]
    assert login[0].startswith("is taken in the target: becomes ada-2") and login[1] == "is free"
    assert login[2].startswith("a row before it says the same: becomes new-2")
    assert said(look.column("place")) == [[("42, 43, 44 …", "given by the run", "mute")]], "once for all rows"
    members = look.column("members")
    assert members and [pair.after for pair in members.values] == [None, None, "{}"], "what holds no id stays"
    assert [row.name for row in look.columns if row.fit.tone == "bad"] == []

    client.force_login(User.objects.create_superuser("olga"))
    rows = client.get(f"/admin/mappings/mapping/{mapping.pk}/tables/{table.pk}/rows/").content.decode()
    assert "no such row in users, it is dropped" in rows and "ada-2" in rows and "→ new id of task" in rows
    odd = {"filter": "fails", "column": "members"}
    assert client.get(f"/admin/mappings/mapping/{mapping.pk}/tables/{table.pk}/rows/", odd).status_code == 200
