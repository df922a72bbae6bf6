"""The allow lists against the catalogs of real servers."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from mappings.expressions import allowlist
from migrator_site.embedded import Postgres

NEWER_THAN_16 = {
    "array_reverse", "array_sort", "bytea", "casefold", "crc32", "crc32c", "gamma", "lgamma", "to_bin", "to_oct",
    "unicode_assigned", "uuid_extract_timestamp", "uuid_extract_version", "xmltext",
}  # fmt: skip


@pytest.fixture(scope="module", params=["pg18", "pg16"])
def server(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    running: Postgres = request.getfixturevalue(request.param)
    with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
        yield connection


def names(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query)}


FUNCTIONS = """SELECT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND """


def test_every_allowed_function_exists(server: psycopg.Connection) -> None:
    missing = allowlist.FUNCTIONS - names(server, FUNCTIONS + "true")
    assert missing == (NEWER_THAN_16 if server.info.server_version < 170000 else set())


def test_no_overload_of_an_allowed_function_is_unfit(server: psycopg.Connection) -> None:
    unfit = names(server, FUNCTIONS + "(provolatile = 'v' OR proretset OR prokind <> 'f')")
    assert allowlist.FUNCTIONS & unfit == {"ts_rewrite"}
    rest = FUNCTIONS + "proname = 'ts_rewrite' AND pronargs = 3 AND provolatile <> 'i'"
    assert allowlist.ARGUMENTS["ts_rewrite"][0] == 3 and not names(server, rest)


def test_known_kinds_of_functions_are_what_the_messages_say(server: psycopg.Connection) -> None:
    aggregates = names(server, FUNCTIONS + "prokind = 'a' AND NOT EXISTS "
                       "(SELECT FROM pg_aggregate WHERE aggfnoid = pg_proc.oid AND aggkind = 'h')")  # fmt: skip
    assert aggregates <= allowlist.AGGREGATES
    assert names(server, FUNCTIONS + "prokind = 'w'") <= allowlist.WINDOW_FUNCTIONS
    assert names(server, FUNCTIONS + "proretset AND proname !~ '^pg_'") <= allowlist.SET_RETURNING


def test_operators_are_built_in_and_never_volatile(server: psycopg.Connection) -> None:
    assert (
        names(server, "SELECT oprname::text FROM pg_operator WHERE oprnamespace = 11") == allowlist.OPERATORS
    )
    volatile = (
        "SELECT proname::text FROM pg_operator o JOIN pg_proc p ON p.oid = oprcode WHERE provolatile = 'v'"
    )
    assert not names(server, volatile)


def test_every_built_in_type_is_allowed_or_refused(server: psycopg.Connection) -> None:
    types = names(server, "SELECT typname::text FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace")
    assert types >= allowlist.TYPES
    assert not types & {
        name for name in types if name not in allowlist.TYPES and not allowlist.is_refused_type(name)
    }


def test_keywords(server: psycopg.Connection) -> None:
    def words(category: str) -> set[str]:
        return names(server, f"SELECT word FROM pg_get_keywords() WHERE catcode = '{category}'")

    newer = {"json", "json_exists", "json_query", "json_scalar", "json_serialize", "json_table", "json_value",
             "merge_action"} if server.info.server_version < 170000 else set()  # fmt: skip
    assert words("R") == allowlist.RESERVED
    assert words("T") == allowlist.NOT_COLUMNS
    assert words("C") | newer == allowlist.NOT_FUNCTIONS | {"json_object"}
