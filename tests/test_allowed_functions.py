"""The allow lists against the catalogs of real servers, and re-printed expressions against what they meant."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from mappings import allowed
from mappings.expressions import parse_expression, parse_ordering
from migrator_site.embedded import Postgres

NEWER_THAN_16 = {
    "array_reverse", "array_sort", "bytea", "casefold", "crc32", "crc32c", "gamma", "lgamma", "to_bin", "to_oct",
    "unicode_assigned", "uuid_extract_timestamp", "uuid_extract_version", "xmltext",
}  # fmt: skip

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


@pytest.fixture(scope="module", params=["pg18", "pg16"])
def server(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    running: Postgres = request.getfixturevalue(request.param)
    with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def connection(server: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A transaction with the table t in it, undone afterwards."""
    server.execute("SET TimeZone = 'UTC'")
    server.execute("BEGIN")
    server.execute(SCHEMA)
    yield server
    server.execute("ROLLBACK")


def names(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query)}  # type: ignore[arg-type]


FUNCTIONS = """SELECT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND """


def test_every_allowed_function_exists(server: psycopg.Connection) -> None:
    missing = allowed.FUNCTIONS - names(server, FUNCTIONS + "true")
    assert missing == (NEWER_THAN_16 if server.info.server_version < 170000 else set())


def test_no_overload_of_an_allowed_function_is_unfit(server: psycopg.Connection) -> None:
    unfit = names(server, FUNCTIONS + "(provolatile = 'v' OR proretset OR prokind <> 'f')")
    assert allowed.FUNCTIONS & unfit == {"ts_rewrite"}
    rest = FUNCTIONS + "proname = 'ts_rewrite' AND pronargs = 3 AND provolatile <> 'i'"
    assert allowed.ARGUMENTS["ts_rewrite"][0] == 3 and not names(server, rest)


def test_known_kinds_of_functions_are_what_the_messages_say(server: psycopg.Connection) -> None:
    aggregates = names(server, FUNCTIONS + "prokind = 'a' AND NOT EXISTS "
                       "(SELECT FROM pg_aggregate WHERE aggfnoid = pg_proc.oid AND aggkind = 'h')")  # fmt: skip
    assert aggregates <= allowed.AGGREGATES
    assert names(server, FUNCTIONS + "prokind = 'w'") <= allowed.WINDOW_FUNCTIONS
    assert names(server, FUNCTIONS + "proretset AND proname !~ '^pg_'") <= allowed.SET_RETURNING


def test_operators_are_built_in_and_never_volatile(server: psycopg.Connection) -> None:
    assert names(server, "SELECT oprname::text FROM pg_operator WHERE oprnamespace = 11") == allowed.OPERATORS
    volatile = (
        "SELECT proname::text FROM pg_operator o JOIN pg_proc p ON p.oid = oprcode WHERE provolatile = 'v'"
    )
    assert not names(server, volatile)


def test_every_built_in_type_is_allowed_or_refused(server: psycopg.Connection) -> None:
    types = names(server, "SELECT typname::text FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace")
    assert types >= allowed.TYPES
    assert not types & {
        name for name in types if name not in allowed.TYPES and not allowed.is_refused_type(name)
    }


def test_keywords(server: psycopg.Connection) -> None:
    def words(category: str) -> set[str]:
        return names(server, f"SELECT word FROM pg_get_keywords() WHERE catcode = '{category}'")

    newer = {"json", "json_exists", "json_query", "json_scalar", "json_serialize", "json_table", "json_value",
             "merge_action"} if server.info.server_version < 170000 else set()  # fmt: skip
    assert words("R") == allowed.RESERVED
    assert words("T") == allowed.NOT_COLUMNS
    assert words("C") | newer == allowed.NOT_FUNCTIONS | {"json_object"}


ACCEPTED = r"""
    a
    "Id" + id
    t."order"
    T.order
    t . "a""b"
    Straße
    name
    year + value
    time
    -a
    - - a
    -5
    +5 - -3
    @ -5
    a-b
    a - -1
    2 ^ 3 ^ 2
    -2 ^ 2
    a + b * 2 - 7 / 2 % 3
    (a + b) * 2
    a = 5 and b = 3 or not c
    not a = 5
    not not c
    a <> 5
    a != 5
    a<-1
    a >=-1
    a*-1
    a is null
    a is not null = c
    a isnull or b notnull
    c is true and c is not false or c is unknown
    a is distinct from b
    a is not distinct from null
    a between 1 and 10 and c
    a between symmetric 10 and 1
    a not between b and b + 10 or c
    a in (1, 2, 5)
    a not in (1, 2)
    (a, b) in ((5, 3), (1, 2))
    (a, b) = (5, 3)
    row(a, b) < row(6, 1)
    row()is null
    s like 'H%'
    s not like 'H\_%' escape '\'
    s ilike '%WORLD'
    s ilike any (array['h%', 'x%'])
    s similar to '(H|J)%'
    s not similar to 'H#%' escape '#'
    s ~ '^H' and s !~* 'z$'
    a = any (arr)
    a <> all (array[1, 2])
    5 = some (arr)
    case when a > 3 then 'big' when a is null then null else 'small' end
    case a when 5 then 'five' end
    case when c then case b when 3 then 1 else 2 end end
    coalesce(s, "order", '')
    nullif(a, 5)
    greatest(a, b, 4) - least(1, b)
    extract(year from d)
    extract('epoch' from ts)
    extract("month" from ts)
    substring(s from 2 for 3)
    substring(s for 3)
    substring(s for 3 from 2)
    substring(s from 'l+')
    substring(s, 2, 3)
    substring(s similar '%#"ll#"%' escape '#')
    trim(s)
    trim(both from s)
    trim(both 'H' from s)
    trim(leading 'H' from s)
    trim(trailing from s)
    trim('H' from s)
    trim(s, 'H')
    trim(from s)
    overlay(s placing 'XX' from 2 for 3)
    overlay(s placing 'XX' from 2)
    overlay(s, 'XX', 2)
    position('l' in s)
    normalize(s)
    normalize(s, nfd)
    s is normalized
    s is nfc normalized
    j is json object
    '{}' is not json
    cast(a as text)
    cast(n as numeric(10, 2))
    cast('2024-01-01' as date)
    a::text || 'x'
    a::bigint::text
    n::numeric(10,2)
    n::numeric(3,-1)
    n::decimal
    s::varchar(5)
    s::character varying(5)
    s::varchar
    s::char(3)
    s::char
    s::"char"
    s::pg_catalog."char"
    s::name
    s::pg_catalog.text
    a::smallint
    a::int2
    a::float(24)
    f::real
    f::double precision
    ts::timestamp(0)
    ts::timestamp with time zone
    tz::timestamp(3) without time zone
    tz::timestamptz(0)
    tz::time with time zone
    i::interval day to minute
    i::interval(0)
    i::interval second(2)
    '{1,2}'::int[]
    '{1,2}'::int array
    '{{1,2}}'::int[][]
    '{a}'::text[3]
    '{a}'::varchar(5)[]
    m::text
    'sad'::mood
    'A'::"My Enum"
    'PG'::other.mpaa
    'PG'::other."mpaa"
    '{sad,ok}'::mood[]
    a::small
    '(x,1)'::place
    bits::bit(2)
    bits::bit varying(3)
    '101'::bit
    jb::jsonb -> 'a' -> 'b'
    jb->>'a'
    jb #>> '{a,b}'
    jb @> '{"k": null}'
    jb ? 'a'
    jb ?| array['a', 'z']
    jb - 'a'
    j->'b'->0
    jb['a']['b']
    jsonb_build_object('x', a, 'y', array[a, b])
    json_build_array(1, 'a', null)
    json_object(array['a','b'], array['1','2'])
    to_jsonb(tags)
    row_to_json(row(a, b))
    jsonb_path_query_first(jb, '$.a.b')
    interval '1 day'
    interval '1' year
    interval '1-2' year to month
    interval '1.234' second(1)
    interval(1) '1.26'
    a * interval '1 minute'
    date '2024-01-01' + 1
    timestamp '2024-01-01 00:00' + i
    timestamp(0) '2024-01-01 00:00:00.7'
    timestamp with time zone '2024-01-01 00:00+01'
    timestamptz '2024-01-01 00:00+01'
    time '10:00'
    time(0) with time zone '10:00:00.5+01'
    double precision '1.5'
    numeric(4,1) '12.34'
    varchar(2) 'abc'
    character varying(2) 'abc'
    national character varying(2) 'abc'
    bpchar(4) 'ab'
    bit varying(2) '101'
    char(2) 'abc'
    float8 '1e3'
    uuid '11111111-2222-3333-4444-555555555555' = u
    json '{"a":1}' ->> 'a'
    jsonb '[1]' || '[2]'
    inet '10.0.0.0/8' >> ip
    bool 't'
    "date" '2024-01-01'
    ts at time zone 'Europe/Berlin'
    ts at time zone 'UTC' at time zone 'Asia/Tokyo'
    ts at time zone 'UTC'::text
    ts at time zone interval '2 hours'
    s collate "C" < 'i'
    s || 'x' collate pg_catalog."C"
    (s collate "C")::text
    s collate "C" :: text
    arr[1]
    t.arr[2:3]
    arr[:2]
    arr[2:]
    arr[:]
    arr[a - 4]
    arr[array_lower(arr, 1):a::int]
    (array[1, 2, 3])[2]
    (arr || 4)[4]
    array[[1,2],[3,4]]
    array[array[1], array[2]]
    array[]::int[]
    (string_to_array(s, ' '))[1]
    (at).street
    (at)."No" + 1
    (t.h).at
    ((t.h).at).street
    (h).at.street || 'x'
    (array[at])[1].street
    (at::place).street
    coalesce((at).street, s)
    upper(s) || lower(s) || initcap(s)
    pg_catalog.upper(s)
    "pg_catalog"."upper"(s)
    "upper"(s)
    UPPER(s)
    left(s, 2) || right(s, 2)
    length(s) + char_length(s) + octet_length(s)
    replace(s, 'l', 'L')
    regexp_replace(s, '(l+)', '<\1>', 'g')
    regexp_replace(s, E'\\s+', E'\t')
    (regexp_match(s, '(H)(.)'))[2]
    split_part(s, ' ', 2)
    concat(a, null, s, c)
    concat_ws('-', a, b)
    format('%s %I %L %1$s', s, straße, s)
    lpad(a::text, 5, '0')
    md5(s) || encode(sha256(by), 'hex')
    to_char(ts, 'YYYY-MM-DD "at" HH24:MI')
    to_date('20240101', 'YYYYMMDD')
    to_timestamp(0)
    to_number('1,234', '9,999')
    make_date(2024, 1, 2)
    date_trunc('month', ts)
    date_part('dow', d)
    age(ts, ts - i)
    date(ts)
    int4(n)
    text(a)
    float8(n)
    "numeric"(a)
    round(n, 1) + ceil(n) + floor(n) + abs(n) + sign(n) + trunc(n) + power(2, 3)
    |/ 25.0 + ||/ 27.0
    a & 3 | 8 # 1
    ~ a
    1 << 3 >> 1
    a << 1 = 10
    a + 1 || s
    'a' || 'b' = 'ab'
    'a' < 'b' and 'b' > 'a'
    r @> 3 and not r && int4range(7, 9)
    upper(r) - lower(r)
    daterange('2024-01-01', d) * daterange('2024-02-01', null)
    ip << inet '10.0.0.0/8' or host(ip) = 'x'
    p <-> point '(0,0)'
    to_tsvector('english', s) @@ to_tsquery('english', 'hello & world')
    enum_range(null::mood)
    num_nulls(a, b, null)
    pg_input_is_valid(s, 'integer')
    pg_typeof(a)::text
    array_to_string(tags, ',') || array_length(arr, 1)
    width_bucket(5, 0, 10, 5)
    hashtext(s)
    (d, d + 10) overlaps (d + 5, d + 20)
    true and false or null
    null
    null::text
    'it''s'
    ''
    E'it\'s \u00e9 \\ \n'
    e'a''b'
    $$dollar 'quoted' \ $$
    $tag$ $$ inner $$ $tag$
    B'1010' | b'0101'
    X'1F'
    'back\slash'
    1e5 + 1E-2 + .5 + 1. + 1.5e+3
    0x1F + 0o17 + 0b101 + 1_000
    123456789012345678901234567890
    -9223372036854775808
    ((((((((((a))))))))))
    a::text::varchar(3)::char(2) || (b)::text
    s < 'z' collate "C" and a between -1 and +9
    - a :: text :: int
    not a between 1 and 2 and c
    case when a = 5 then 1 else 0 end + 1
    a is null is null
    a = b is null
    c = (a > b)
    c = NOT true
""".strip("\n")
ONE_EACH = [line.strip() for line in ACCEPTED.splitlines()] + ["'one'\n  ' two'", "E'a\\n'\r'b'", "a\n\t+\fb"]


def view_definition(connection: psycopg.Connection, sql: str) -> str:
    """How PostgreSQL understands the expression."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE TEMP VIEW v AS SELECT ({sql}) AS it FROM t")  # type: ignore[arg-type]
        row = connection.execute("SELECT pg_get_viewdef('v'::regclass)").fetchone()
    assert row is not None
    return str(row[0])


def values(connection: psycopg.Connection, sql: str) -> list[tuple[str, str]]:
    query = f"SELECT ({sql})::text, pg_typeof(({sql}))::text FROM t ORDER BY id"
    return connection.execute(query).fetchall()  # type: ignore[arg-type]


def difference(connection: psycopg.Connection, text: str) -> str | None:
    """What the printed form gives that the text does not, in value, type or understanding."""
    try:
        printed = parse_expression(text).sql
        with connection.transaction():
            if (found := values(connection, printed)) != (expected := values(connection, text)):
                return f"{text}: {found} instead of {expected}"
            if "AS field" not in printed:
                found, expected = (view_definition(connection, sql) for sql in (printed, text))
    except (psycopg.Error, ValueError) as error:
        return f"{text}: {error}"
    return None if found == expected else f"{text}: {found} instead of {expected}"


def test_printed_expressions_mean_what_was_written(connection: psycopg.Connection) -> None:
    assert [found for text in ONE_EACH if (found := difference(connection, text))] == []


def test_printing_twice_changes_nothing() -> None:
    for text in ONE_EACH:
        printed = parse_expression(text).sql
        if "AS field" not in printed:
            assert parse_expression(printed).sql == printed


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
    rows = connection.execute(f"SELECT id FROM t ORDER BY {ordering.sql}").fetchall()  # type: ignore[arg-type]
    assert rows == [(1,), (2,)]
