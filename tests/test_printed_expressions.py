"""Re-printed expressions against what they meant, on real servers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from mappings.expressions.parser import parse_expression, parse_ordering
from mappings.expressions.printer import to_sql
from mappings.expressions.tree import Between
from mappings.expressions.walking import walk
from migrator_site.embedded import Postgres
from tests.accepted_expressions import ACCEPTED

SCHEMA = """
CREATE SCHEMA other;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE "My Enum" AS ENUM ('A', 'b');
CREATE TYPE other.mpaa AS ENUM ('G', 'PG');
CREATE TYPE place AS (street text, "No" integer);
CREATE TYPE home AS (at place, since date);
CREATE DOMAIN small AS integer CHECK (VALUE < 100);
CREATE TABLE t (
    id integer, "Id" integer, a integer, b integer, c boolean, n numeric, f float8, s text, "order" text,
    straße text, "a""b" text, v varchar(20), d date, ts timestamp, tz timestamptz, i interval, u uuid, j json,
    jb jsonb, arr integer[], tags text[], m mood, at place, h home, ip inet, r int4range, by bytea, name text,
    value integer, year integer, "time" time, p point, bits bit(4));
INSERT INTO t VALUES (1, 10, 5, 3, true, 12.345, 0.1, 'Héllo World', 'ord', 'Weg', 'q', 'abc', '2024-02-29',
    '2024-02-29 12:34:56.789', '2024-02-29 12:34:56+02', '1 day 02:03', '11111111-2222-3333-4444-555555555555',
    '{"a": 1, "b": [1, 2]}', '{"a": {"b": 1}, "k": null}', '{1,2,3}', '{x,y}', 'ok', ROW('Main', 7),
    ROW(ROW('Side', 8), '2020-01-01'), '10.0.0.1/24', '[1,5)', '\\x00ff', 'n', 1, 2020, '10:11', '(1,2)',
    '1010'), (2, NULL, NULL, -3, false, -1.5, 'NaN', '', NULL, '', NULL, NULL, 'infinity', NULL, NULL, NULL, NULL,
    NULL, NULL, '{}', NULL, NULL, NULL, NULL, NULL, 'empty', '', NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.fixture(params=["pg18", "pg16"])
def connection(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A transaction with the table t in it, undone afterwards."""
    running: Postgres = request.getfixturevalue(request.param)
    with psycopg.connect(running.url("postgres"), autocommit=True) as server:
        server.execute("SET TimeZone = 'UTC'")
        server.execute("BEGIN")
        server.execute(SCHEMA)
        yield server
        server.execute("ROLLBACK")


def view_definition(connection: psycopg.Connection, sql: str) -> str:
    """How PostgreSQL understands the expression."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE TEMP VIEW v AS SELECT ({sql}) AS it FROM t")
        row = connection.execute("SELECT pg_get_viewdef('v'::regclass)").fetchone()
    assert row is not None
    return str(row[0])


def values(connection: psycopg.Connection, sql: str) -> list[tuple[str, str]]:
    query = f"SELECT ({sql})::text, pg_typeof(({sql}))::text FROM t ORDER BY id"
    return connection.execute(query).fetchall()


ONLY_VALUES = re.compile(r"AS field|CASE WHEN FALSE|num_nulls|CASE")
"""What is printed in another way than PostgreSQL shows it, although it means the same."""


def difference(connection: psycopg.Connection, text: str) -> str | None:
    """What a printed form gives that the text does not, in value, type or understanding."""
    try:
        expression = parse_expression(text)
        for printed in (to_sql(expression.tree), expression.sql):
            with connection.transaction():
                if (found := values(connection, printed)) != (expected := values(connection, text)):
                    return f"{text}: {found} instead of {expected} by {printed}"
                between = printed == expression.sql and any(
                    isinstance(n, Between) for n in walk(expression.tree)
                )
                if not between and not ONLY_VALUES.search(printed):
                    view, meant = (view_definition(connection, sql) for sql in (printed, text))
                    if view != meant:
                        return f"{text}: {view} instead of {meant} by {printed}"
    except (psycopg.Error, ValueError) as error:
        return f"{text}: {error}"
    return None


def test_printed_expressions_mean_what_was_written(connection: psycopg.Connection) -> None:
    assert [found for text in ACCEPTED if (found := difference(connection, text))] == []


def test_printing_twice_changes_nothing() -> None:
    for text in ACCEPTED:
        printed = to_sql(parse_expression(text).tree)
        if "AS field" not in printed:
            assert to_sql(parse_expression(printed).tree) == printed
            assert parse_expression(printed).sql == parse_expression(text).sql


def test_a_missing_field_is_an_error_not_a_function(connection: psycopg.Connection) -> None:
    connection.execute("CREATE FUNCTION secret(text) RETURNS text LANGUAGE sql AS $$ SELECT 'called' $$")
    connection.execute("CREATE FUNCTION secret(place) RETURNS text LANGUAGE sql AS $$ SELECT 'called' $$")
    assert values(connection, "(s).secret")[0][0] == values(connection, "(at).secret")[0][0] == "called"
    for text in (
        "(s).secret",
        "(at).secret",
        "(h).at.secret",
        "(at).count",
        "(at).s",
        "(f).pg_sleep",
        "(a).nextval",
    ):
        with pytest.raises(psycopg.errors.Error), connection.transaction():
            values(connection, parse_expression(text).sql)


def test_ordering_runs(connection: psycopg.Connection) -> None:
    ordering = parse_ordering("t.a DESC NULLS LAST, lower(name), id asc")
    rows = connection.execute(f"SELECT id FROM t ORDER BY {ordering.sql}").fetchall()
    assert rows == [(1,), (2,)]
