"""An old shop and a new one in two databases: the environment `local`, and the command that proposes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from tests.conftest import Databases, Pair

OLD = """
CREATE TABLE customer (customer_id integer PRIMARY KEY, first_name varchar(40) NOT NULL, last_name varchar(40),
  email varchar(60) NOT NULL UNIQUE, phone varchar(24), status char(1), birth_date timestamp,
  referred_by integer REFERENCES customer, genre_id integer);
CREATE TABLE genre (genre_id integer PRIMARY KEY, name text NOT NULL);
ALTER TABLE customer ADD FOREIGN KEY (genre_id) REFERENCES genre;
CREATE TABLE invoice (invoice_id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customer,
  invoice_date date NOT NULL, total numeric(10,2) NOT NULL, paid_flag integer);
INSERT INTO genre VALUES (1, 'Rock'), (2, 'Jazz');
INSERT INTO customer SELECT n, 'Ann', 'Lee ' || n, 'a' || n || '@example.org', '+43 1 555 ' || 1000 + n,
  (ARRAY['A','C'])[1 + n % 2], '1980-05-01', nullif(n - 1, 0), 1 + n % 2 FROM generate_series(1, 40) n;
INSERT INTO invoice SELECT n, 1 + n % 40, '2024-01-01', n + 0.5, n % 2 FROM generate_series(1, 60) n;
"""
NEW = """
CREATE SCHEMA crm;
CREATE TABLE crm.client (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, full_name text NOT NULL,
  e_mail text NOT NULL UNIQUE, telephone text, state text NOT NULL CHECK (state IN ('active', 'closed')),
  born date, referrer_id bigint REFERENCES crm.client, genre text, shoe_size integer);
CREATE TABLE crm.bill (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client_id bigint NOT NULL REFERENCES crm.client, billed_on date NOT NULL, amount_cents integer NOT NULL,
  is_paid boolean NOT NULL DEFAULT false);
"""

Suggest = Callable[..., str]


@pytest.fixture
def shop(db: None, databases: Databases) -> Pair:
    """Both databases, and the environment that leads to them."""
    pair = databases.pair("two")
    for url, script in ((pair.source, OLD), (pair.target, NEW)):
        execute(url, script)
    call_command(
        "environment", "set", "local", "--source", pair.source, "--target", pair.target, stdout=io.StringIO()
    )
    return pair


def execute(url: str, script: str) -> None:
    """Runs statements in a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def suggest(*options: str) -> str:
    """What `mapping suggest crm --env local …` prints."""
    out = io.StringIO()
    call_command("mapping", "suggest", "crm", "--env", "local", *options, stdout=out)
    return out.getvalue()


def proposed(*options: str) -> dict[str, Any]:
    """The command's JSON."""
    found: dict[str, Any] = json.loads(suggest("--format", "json", *options))
    return found


def refused(*arguments: str) -> list[str]:
    """The lines on stderr of a command that ends with status 2 and prints nothing else."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("mapping", *arguments, stdout=out, stderr=err)
    assert (caught.value.code, out.getvalue()) == (2, "")
    return err.getvalue().splitlines()
