"""Databases with settings and encodings of their own: the values arrive as they were."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.journeys.acceptance import Promise
from tests.journeys.world import NewWorld, World, execute

SETTINGS = {
    "source": {
        "datestyle": "'SQL, DMY'", "intervalstyle": "iso_8601", "timezone": "'Asia/Kolkata'", "bytea_output": "escape",
        "extra_float_digits": "'-5'", "client_encoding": "latin1", "standard_conforming_strings": "off",
        "xmloption": "document", "default_transaction_read_only": "on", "search_path": "nowhere, public",
        "default_transaction_isolation": "serializable", "idle_session_timeout": "'1s'", "row_security": "off",
    },
    "target": {
        "datestyle": "'German'", "intervalstyle": "sql_standard", "timezone": "'America/St_Johns'",
        "extra_float_digits": "0", "client_encoding": "sql_ascii", "backslash_quote": "on", "work_mem": "'64kB'",
        "default_transaction_isolation": "'repeatable read'", "transaction_timeout": "'1s'", "lock_timeout": "'1ms'",
        "default_transaction_read_only": "on", "synchronous_commit": "off", "quote_all_identifiers": "on",
        "statement_timeout": "'1s'", "transform_null_equals": "on", "array_nulls": "off",
    },
}  # fmt: skip
COLUMNS = {
    "at": "timestamptz", "day": "date", "span": "interval", "raw": "bytea", "exact": "double precision",
    "price": "money", "words": "text[]", "spans": "tstzrange", "letters": "text", "doc": "jsonb",
}  # fmt: skip
ODD_ROW = (
    "timestamptz '0044-03-15 12:30:00.123456+05:30 BC', date '2024-02-03', interval '-1 mon 3 days -04:05:06.7',"
    " '\\x00275c5cff'::bytea, 0.1::float8 + 0.2, 12.34::numeric::money, ARRAY['NULL', NULL, '', 'a\"b\\c'],"
    " tstzrange('2024-03-31 01:30+00', 'infinity'), 'größer ''\\', jsonb '{\"a\": [1.00, \"\\u00e9\"]}'"
)
TYPED = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION slow();
"""
MAPPING = f"""
version: 1
name: odd
tables:
  - name: item
    source: public.item
    target: public.thing
    existing: {{match: [number], then: update}}
    columns: {{number: id, {", ".join(f"{name}: {name}" for name in COLUMNS)}}}
"""
PROMISE = Promise(
    "odd",
    "item",
    f"SELECT id::text, {', '.join(f'{name}::text' for name in COLUMNS)} FROM public.item",
    f"SELECT number::text, id::text, {', '.join(f'{name}::text' for name in COLUMNS)} FROM public.thing",
)


def set_all(pair: Pair) -> None:
    for side, url in zip(SETTINGS, pair, strict=True):
        name = urlsplit(url).path[1:]
        for setting, value in SETTINGS[side].items():
            execute(url, f"SET transaction_read_only = off; ALTER DATABASE {name} SET {setting} = {value}")


def reset_all(pair: Pair) -> None:
    for url in pair:
        server, name = url.rsplit("/", 1)
        execute(f"{server}/postgres", f"ALTER DATABASE {name} RESET ALL")


def test_settings_of_the_databases_change_no_value(new_world: NewWorld) -> None:
    world = new_world("two")
    world.source(f"CREATE TABLE item (id integer PRIMARY KEY, {TYPED}); INSERT INTO item SELECT 1, {ODD_ROW};"
                 "INSERT INTO item (id) VALUES (2)")  # fmt: skip
    world.target(f"CREATE TABLE thing (id serial PRIMARY KEY, number integer, {TYPED});"
                 f"INSERT INTO thing SELECT 7, 1, {ODD_ROW}; UPDATE thing SET exact = exact * 3;"
                 f"{SLOW}")  # fmt: skip
    before = world.target("SELECT thing::text FROM thing")
    world.define(MAPPING, PROMISE)
    set_all(world.pair)
    try:
        run = world.started()
        assert (run.status, run.error) == ("verified", "")
        reset_all(world.pair)
        assert world.complaints() == []
        set_all(world.pair)
        assert world.rolled_back(run).status == "rolled_back"
    finally:
        reset_all(world.pair)
    assert world.target("SELECT thing::text FROM thing") == before


@pytest.fixture
def encoded(pg18: Postgres, databases: Databases) -> Iterator[dict[str, str]]:
    """URLs of fresh databases by encoding."""
    names = {encoding: f"t_{uuid.uuid4().hex[:12]}" for encoding in ("LATIN1", "SQL_ASCII")}
    for encoding, name in names.items():
        options = f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' STRATEGY file_copy"
        execute(pg18.url("postgres"), f"CREATE DATABASE {name} TEMPLATE template0 {options}")
    yield {"UTF8": databases.fresh(), **{encoding: pg18.url(name) for encoding, name in names.items()}}
    for name in names.values():
        execute(pg18.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


LETTERS = """
version: 1
name: letters
on_error: quarantine
tables:
  - {name: item, source: item, target: thing, columns: {number: id, label: label}}
"""
LETTERS_PROMISE = Promise(
    "letters", "item", "SELECT id::text, label FROM item WHERE id < 100",
    "SELECT number::text, id::text, label FROM thing",
)  # fmt: skip


def copied(source: str, target: str, bad: str) -> World:
    """A world whose rows were copied from a source of one encoding to a target of another, of which one cannot be."""
    world = World(Pair(source, target))
    for url in world.pair:
        label = "label text"
        execute(f"{url}?client_encoding=utf8", f"CREATE TABLE item (id integer PRIMARY KEY, {label});"
                f"CREATE TABLE thing (id serial PRIMARY KEY, number integer, {label})")  # fmt: skip
    execute(
        f"{source}?client_encoding=utf8",
        f"INSERT INTO item VALUES (1, 'Größe'), (2, 'é'), (3, NULL), (101, {bad})",
    )
    world.define(LETTERS, LETTERS_PROMISE)
    run = world.started()
    assert (run.status, run.error) == ("verified", "")
    return world


@pytest.mark.parametrize(
    ("source", "target", "bad", "sqlstate"),
    [
        ("LATIN1", "UTF8", "NULL", None),
        ("UTF8", "LATIN1", "'日本'", "22P05"),
        ("SQL_ASCII", "UTF8", "convert_from('\\xe9'::bytea, 'SQL_ASCII')", "22021"),
    ],
)
def test_letters_arrive_in_another_encoding_or_their_row_is_set_aside(
    encoded: dict[str, str], source: str, target: str, bad: str, sqlstate: str | None
) -> None:
    world = copied(encoded[source], encoded[target], bad)
    found = execute(f"{encoded[target]}?client_encoding=utf8",
                    "SELECT source_key, sqlstate FROM migrator.quarantine")  # fmt: skip
    assert found == ([("101", sqlstate)] if sqlstate else [])
    pair = Pair(*(f"{url}?client_encoding=utf8" for url in world.pair))
    execute(pair.target, "DELETE FROM thing WHERE number > 100")
    execute(pair.target, "DELETE FROM migrator.migration_map WHERE source_key = '101'")
    world.pair = pair
    assert world.complaints() == []
