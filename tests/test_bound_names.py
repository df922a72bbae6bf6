"""Names of users and extensions in expressions: bound to what PostgreSQL would take without anybody else's objects."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from mappings.compiling.names.bind_names import Names
from mappings.expressions.parser import parse_expression
from mappings.sql import verbatim
from migrator_site.embedded import Postgres
from tests import traps
from tests.conftest import Databases

SETUP = """
CREATE SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext;
CREATE EXTENSION pg_trgm SCHEMA ext; CREATE EXTENSION intarray SCHEMA ext; CREATE EXTENSION "uuid-ossp" SCHEMA ext;
ALTER DATABASE {database} SET search_path = "$user", public, ext;
SET search_path = public, ext;
CREATE DOMAIN nick AS citext;
CREATE DOMAIN day AS date;
CREATE TYPE visit AS (at date, note text);
CREATE TABLE t (id int, c citext, k nick, h hstore, p ltree, s text, v varchar(9), a int[], d date, o time);
INSERT INTO t VALUES (1, 'Ab', 'Nick', 'a=>1,b=>2', 'top.one.x', 'aB', 'x', '{3,1,2}', '2024-02-29', '10:00');
"""
MEANT = [
    "c = 'AB'",
    "c = s",
    "c = v",
    "c <> 'AB' or c is null",
    "c like 'a%'",
    "c not ilike 'z%'",
    "s like 'a%'",
    "c in ('x', 'AB')",
    "c = any (array['ab'])",
    "c = any ('{AB}')",
    "c between 'AA' and 'ac'",
    "c is distinct from 'AB'",
    "case c when 'AB' then 1 else 2 end",
    "nullif(c, 'AB')",
    "nullif(c, s)",
    "nullif(s, c)",
    "nullif(k, 'NICK')",
    "c || 'x' = 'abx'",
    "replace(c, 'B', '-')",
    "replace(s, 'B', '-')",
    "pg_catalog.replace(c, 'B', '-')",
    "split_part(c, 'B', 1)",
    "k = 'NICK'",
    "k = c",
    "s::citext = 'AB'",
    "h -> 'a'",
    "h -> v",
    "h -> array['a', 'b']",
    "h ? 'a' and h @> 'b=>2'",
    "h || hstore('z', s)",
    "akeys(h)",
    "(h - 'a'::text)::text",
    "nlevel(p)",
    "ext.nlevel(p)",
    "subpath(p, 0, 1) = 'top'",
    "subltree(p, 1, 2)::text",
    "p <@ 'top'",
    "p ~ '*.one.*'",
    "p ? array['*.one.*'::lquery]",
    "p @ 'one & x'",
    "lca(p, 'top.one.y')",
    "p || 'y'",
    "similarity(s, 'abc') > 0.1",
    "s <-> 'abc'",
    "a @> array[1]",
    "sort(a)",
    "uuid_generate_v5(uuid_ns_url(), s)",
    "s = 'aB' and id = 1",
    "d::day = '2024-02-29'",
]


BY_THE_PATH = ("nullif(c, s)", "nullif(s, c)")
"""Compared as texts, by the session's fixed path alone."""


@pytest.fixture
def names(databases15: Databases) -> Iterator[Names]:
    """The setup, seen through a session with the fixed path."""
    url = databases15.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SETUP.replace("{database}", url.rpartition("/")[2]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog, pg_temp")
        connection.execute("SET TimeZone = 'UTC'")
        yield Names(connection)


def value(names: Names, sql: str, path: str = "pg_catalog, pg_temp") -> object:
    with names.conn.transaction(force_rollback=True):
        names.conn.execute(f"SET LOCAL search_path = {path}")
        row = names.conn.execute(f"SELECT ({sql})::text, pg_typeof({sql})::oid FROM public.t").fetchone()
    return row


def bound(names: Names, text: str) -> str:
    found = names.bind(parse_expression(text), verbatim("public.t"))
    assert found.complaint is None, f"{text}: {found.complaint}"
    return found.expression.sql


def test_types_of_extensions_keep_their_operators_and_functions(names: Names) -> None:
    wrong = []
    for text in MEANT:
        meant, sql = value(names, text, "public, ext"), bound(names, text)
        try:
            found = value(names, sql)
        except psycopg.Error as error:
            found = str(error)
        if found != meant:
            wrong.append(f"{text}: {found} instead of {meant} by {sql}")
    assert not wrong, "\n".join(wrong)


def test_an_operator_of_a_user_in_the_same_schema_is_never_taken(names: Names) -> None:
    texts = [text for text in MEANT if "::citext" not in text and text not in BY_THE_PATH]
    before = {text: bound(names, text) for text in texts}
    values = {text: value(names, sql) for text, sql in before.items()}
    traps.set_traps(names.conn)
    names.conn.execute(
        "CREATE FUNCTION ext.trap(nick, ext.citext) RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'trapped'; END $$".replace("(nick", "(public.nick")
    )
    names.conn.execute(
        "CREATE OPERATOR ext.= (FUNCTION = ext.trap, LEFTARG = public.nick, RIGHTARG = ext.citext)"
    )
    names.conn.execute(
        "CREATE FUNCTION ext.nlevel(text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'x'; END $$"
    )
    again = Names(names.conn)
    for text, sql in before.items():
        assert bound(again, text) == sql
        assert value(again, sql, traps.PATH) == values[text], text


def test_what_cannot_be_told_is_a_complaint(names: Names) -> None:
    names.conn.execute(
        "CREATE FUNCTION ext.levenshtein(text, text) RETURNS integer LANGUAGE sql AS 'SELECT 1'"
    )
    for text, complaint in (
        ("levenshtein(s, s)", "belongs to the extension fuzzystrmatch"),
        ("public.nlevel(p)", "belongs to the extension ltree"),
        ("nlevel(a)", "cast its arguments"),
        ("o at time zone 'Europe/Berlin'", "offset of a zone"),
        ("jsonb_populate_record(null::public.visit, '{}')", "read the clock"),
        ("row(s, s)::public.visit", "read the clock"),
        ("concat('(', s, ',x)')::visit", "read the clock"),
    ):
        assert complaint in (names.bind(parse_expression(text), verbatim("public.t")).complaint or ""), text


TODAY = [
    "coalesce(s, 'now')::timestamptz",
    "'today'::text::date",
    "('to' || 'day')::date",
    "case when id = 1 then 'yesterday' end::timestamp",
    "array['tomorrow', s]::text[]::date[]",
    "array[s || '', 'x' || s]::date[]",
    "concat('[', s, ',)')::daterange",
    "concat('{', s, '}')::date[]",
    "concat('{', left(s, 2), '\\', substr(s, 3), '}')::date[]",
    "s::day",
    "upper(s)::timestamptz(0)",
    "(s || '10:00')::timestamp",
    "date(s)",
    "timestamptz(s || '')",
    "c::date",
    "k::text::time",
]


@pytest.mark.parametrize("word", ["today", " NoW ", "Yesterday"])
def test_no_text_reads_the_clock(names: Names, word: str) -> None:
    names.conn.execute("UPDATE public.t SET s = %s, c = %s, k = %s", [word, word, word])
    for text in TODAY:
        sql = bound(names, text)
        with pytest.raises(psycopg.errors.InvalidDatetimeFormat, match="depends on the clock"):
            value(names, sql)


def test_other_texts_become_times_as_ever(names: Names) -> None:
    names.conn.execute("UPDATE public.t SET s = '2024-02-29', c = 'epoch', k = 'allballs'")
    for text in (
        "s::date",
        "c::timestamp",
        "k::time",
        "array[s, '2020-01-01']::date[]",
        "s::day",
        "date(d)",
        "d::timestamp",
    ):
        assert value(names, bound(names, text)) == value(names, text, "public, ext")
    assert "regexp_replace" not in bound(names, "d::timestamp::date")


def test_each_child_of_an_inherited_table_says_which_it_is(pg18: Postgres) -> None:
    with psycopg.connect(pg18.url("postgres"), autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute(
            "CREATE SCHEMA old; CREATE TABLE old.base (a int); CREATE TABLE old.child () INHERITS (old.base)"
        )
        connection.execute("INSERT INTO old.base VALUES (1); INSERT INTO old.child VALUES (2)")
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        sql = parse_expression("tableoid::regclass::text").sql
        rows = connection.execute(f"SELECT {sql} FROM old.base ORDER BY a").fetchall()
        connection.execute("ROLLBACK")
    assert rows == [("old.base",), ("old.child",)]
