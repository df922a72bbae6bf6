"""A mapping between two real schemas, and somebody who edits it."""

from __future__ import annotations

from typing import NamedTuple

import psycopg
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from mappings.language.file import parse
from mappings.models import Environment, Mapping, TableMapping
from mappings.store import save_spec
from tests.conftest import Databases
from tests.factories import environment_at

SOURCE = """
CREATE SCHEMA old;
CREATE TABLE old.region (id int PRIMARY KEY, label varchar(40));
CREATE TABLE old.company (id int PRIMARY KEY, name varchar(200) NOT NULL, region_id int, founded int,
                          deleted int NOT NULL DEFAULT 0);
CREATE TABLE old.contact (id int PRIMARY KEY, company_id int REFERENCES old.company, mail text, born text);
INSERT INTO old.region VALUES (1, 'North'), (2, 'South');
INSERT INTO old.company SELECT n, 'Company ' || repeat('x', n), 1 + n % 2, 1990 + n, n % 5 / 4
  FROM generate_series(1, 40) n;
INSERT INTO old.contact SELECT n, 1 + n % 40, 'P' || n || '@Example.org',
                               CASE WHEN n = 7 THEN 'soon' ELSE '2001-02-03' END
  FROM generate_series(1, 60) n;
ANALYZE;
"""

TARGET = """
CREATE SCHEMA new;
CREATE TABLE new.account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20) NOT NULL, region text,
                          founded_on date, kind text NOT NULL, created timestamptz NOT NULL DEFAULT now());
CREATE TABLE new.person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                         account_id bigint NOT NULL REFERENCES new.account, email text, born_on date);
INSERT INTO new.account (name, kind) VALUES ('There already', 'x');
"""

FILE = """
version: 1
name: shop
tables:
  - source: old.company
    where: deleted = 0
    target: new.account
    columns:
      name: name
      kind: {value: legacy}
  - source: old.contact
    target: new.person
    columns:
      account_id: {from: company_id, ref: company}
"""


class Desk(NamedTuple):
    """A signed-in browser at the studio of a mapping."""

    client: Client
    mapping: Mapping
    user: User

    @property
    def url(self) -> str:
        return f"/admin/mappings/mapping/{self.mapping.pk}/"

    def table(self, number: int = 0) -> TableMapping:
        return self.mapping.tables.order_by("position")[number]

    def at(self, number: int = 0) -> str:
        return f"{self.url}tables/{self.table(number).pk}/"

    def fill(self, column: str, number: int = 0, script: bool = True, **fields: str) -> str:
        """What the page says after a column was filled; without a script, the whole page that comes next."""
        headers = {"HX-Request": "true"} if script else {}
        data = {"column": column, **fields}
        return self.client.post(
            f"{self.at(number)}fill/", data, headers=headers, follow=True
        ).content.decode()

    def columns(self, number: int = 0) -> dict[str, dict[str, object]]:
        """How the draft fills the table's columns."""
        return {column["name"]: column for column in self.table(number).values["columns"]}


def environment(databases: Databases, layout: str = "two") -> Environment:
    """Both schemas, in one database or in two."""
    pair = databases.pair("one" if layout == "one" else "two")
    for url, sql in ((pair.source, SOURCE), (pair.target, TARGET)):
        with psycopg.connect(url) as session:
            session.execute(sql.encode())
    return environment_at("local", pair.source, pair.target)


def operator(name: str, *permissions: str) -> User:
    """A member of staff with these permissions on mappings."""
    user = User.objects.create(username=name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def shop(client: Client, databases: Databases, db: None) -> Desk:
    """FILE's mapping, between two databases, at the desk of olga."""
    environment(databases)
    olga = User.objects.create_superuser("olga")
    client.force_login(olga)
    return Desk(client, save_spec(parse(FILE)).mapping, olga)
