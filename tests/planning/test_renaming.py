"""A definition over another column is what the server itself prints once the column has that name."""

from __future__ import annotations

import psycopg
import pytest

from mappings.schema.rename import renamed, renamed_index
from mappings.sql import ident, verbatim

GIVEN = """
CREATE SCHEMA s; CREATE DOMAIN v AS bigint; CREATE DOMAIN s.year AS bigint;
CREATE TYPE pair AS (x int, year int, v int);
CREATE COLLATION v (provider = libc, locale = 'C');
CREATE OPERATOR CLASS v FOR TYPE bigint USING btree AS FUNCTION 1 pg_catalog.btint8cmp(bigint, bigint), OPERATOR 1 <,
  OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE FUNCTION v(year bigint, v bigint DEFAULT 1) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
CREATE FUNCTION many(VARIADIC v bigint[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
"""
NAMES = ["v", "year", "text", "zone", "C", 'a "b', "ü", "value"]
CHECKS = """
{0} > 0 AND NOT {0} = 3 OR o <> {0}
{0}::text COLLATE "C" > E'v\\\\1 "v" ''v' AND {0}::text COLLATE v < 'v'
{0}::numeric(10, 2) > 1 AND {0}::v > 2 AND {0}::s.year > 3
{0} = ANY (ARRAY[1, {0}, 3]) AND (ARRAY[{0}, o])[{0}] > 1 AND (ARRAY[{0}, o])[1:{0}] IS NOT NULL
EXTRACT(year FROM make_date({0}::int, 1, 1)) > 3
CASE {0} WHEN 1 THEN true ELSE {0} IS NULL END
coalesce({0}, 1) > least({0}, 2) AND nullif({0}, o) = greatest({0}, o)
make_interval(secs => {0}) > '1 day'::interval AND v(year => 1, v => {0}) > v({0})
({0}, o) = (1, 2) AND ROW({0}, 1) IS DISTINCT FROM ROW(1, {0})
{0} OPERATOR(pg_catalog.+) 1 > 2 AND many(VARIADIC ARRAY[{0}, 1]) > 0
normalize({0}::text, NFC) <> 'v' AND {0}::text IS NFC NORMALIZED
trim(both 'v' from {0}::text) <> '' AND overlay({0}::text placing 'v' from 1) <> '' AND position('v' in {0}::text) > 0
({0} || ' days')::interval day to second(3) > '1 year'::interval
(to_jsonb({0}) -> 'v') IS NULL AND {0}::text IS JSON OBJECT WITH UNIQUE KEYS
JSON_VALUE(to_jsonb({0}), '$.v' RETURNING v) > 0 AND JSON_VALUE(to_jsonb({0}), '$' RETURNING text) <> ''
JSON_VALUE(to_jsonb({0}), '$' RETURNING timestamp without time zone) > now()
JSON_EXISTS(to_jsonb({0}), '$.v ? (@ > $year)' PASSING {0} AS year) AND JSON_OBJECT('v' : {0}) IS NOT NULL
JSON_QUERY(to_jsonb({0}), 'strict $.v' WITH WRAPPER) IS NOT NULL AND JSON_ARRAY({0}, 1 RETURNING text) IS NOT NULL
({0}::text::timestamp AT TIME ZONE 'UTC') > now() AND current_user = {0}::text
(p).year > {0} AND (p).v > 1 AND (p).x > {0}
o::text SIMILAR TO {0}::text AND {0}::text LIKE 'v' ESCAPE '#' AND o BETWEEN {0} AND 3
"""
XML = """
xmlelement(name v, xmlattributes({0} AS year), {0}) IS DOCUMENT AND xmlforest({0} AS v, o AS year) IS DOCUMENT
xmlserialize(content xmlelement(name year, {0}) AS text) <> '' AND xmlpi(name value, {0}::text) IS DOCUMENT
"""
INDEXES = """
btree ({0} v DESC, ({0}::text) COLLATE v text_pattern_ops NULLS FIRST, v({0}, o)) INCLUDE ({0}) WITH (fillfactor = 70)
btree (({0} + 1), abs({0}), {0}) NULLS NOT DISTINCT WHERE {0} > 3 AND o IS NOT NULL
gist (tsvector_of({0}) tsvector_ops (siglen = 100)) WHERE {0} IS NOT NULL
"""
TSVECTOR = (
    "CREATE FUNCTION tsvector_of(bigint) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$SELECT 'v'::tsvector$$"
)
DEFINITION = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'made'"
INDEX = "SELECT split_part(pg_get_indexdef('public.made'::regclass), ' USING ', 2)"


def text(conn: psycopg.Connection, query: str) -> str:
    conn.execute("SET LOCAL search_path = ''")
    row = conn.execute(query.encode()).fetchone()
    conn.execute("SET LOCAL search_path = public")
    assert row
    return str(row[0])


def compared(conn: psycopg.Connection, name: str, make: str, query: str) -> tuple[str, str, str]:
    """The definition before, as the server prints it after a renaming, and as we say that it would."""
    column, printed = ident(name), text(conn, f"SELECT quote_ident($name${name}$name$)")
    with conn.transaction(force_rollback=True):
        conn.execute(f"CREATE TABLE thing ({column} bigint, o bigint, p pair)".encode())
        conn.execute(make.format(column).encode())
        before = text(conn, query)
        conn.execute(f'ALTER TABLE thing RENAME COLUMN {column} TO "the New"'.encode())
        after = text(conn, query)
    rename = renamed if query == DEFINITION else renamed_index
    return before, after, rename(before, printed, verbatim('"the New"'))


@pytest.mark.parametrize("server", ["databases", "databases15"])
def test_definitions_are_what_the_server_prints_after_a_renaming(
    request: pytest.FixtureRequest, server: str
) -> None:
    url = request.getfixturevalue(server).fresh()
    old = server == "databases15"
    checks = [line for line in (XML if old else CHECKS).strip().splitlines()]
    indexes = [] if old else INDEXES.strip().splitlines()
    with psycopg.connect(url) as conn:
        conn.execute(f"{GIVEN}{TSVECTOR}".encode())
        for name in NAMES:
            made = [(f"ALTER TABLE thing ADD CONSTRAINT made CHECK ({line})", DEFINITION) for line in checks]
            made += [(f"CREATE INDEX made ON thing USING {line}", INDEX) for line in indexes]
            for make, query in made:
                before, after, ours = compared(conn, name, make, query)
                assert (ours, before == after) == (after, False), before
