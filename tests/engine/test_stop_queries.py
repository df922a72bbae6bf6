"""The operator's stop query: what it may read, and that it gets no right besides, whoever asks it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from jobs.engine.target import load_signals
from mappings.connections import sessions
from tests.conftest import Databases
from tests.journeys.world import execute

TABLES = """
CREATE TABLE busy (why text); INSERT INTO busy VALUES ('nightly batch');
CREATE TABLE secret (word text); INSERT INTO secret VALUES ('x');
"""


@pytest.fixture
def place(databases: Databases) -> Iterator[tuple[str, str, str]]:
    """(URL of a superuser, URL of a role without rights, its name), with a table that both may read."""
    url, role = databases.fresh(), f"asker_{uuid.uuid4().hex[:8]}"
    execute(url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'; {TABLES} GRANT SELECT ON busy TO {role}")
    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(netloc=f"{role}:x@{parts.netloc.rpartition('@')[2]}"))
    yield url, plain, role
    execute(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def asked(url: str, query: str) -> str:
    with sessions.connect(url, purpose="asks the target", read_only=True, statement_timeout_ms=2_000) as conn:
        return load_signals.answer(conn, query, "target")


READ = {
    "SELECT why FROM busy;  ": "nightly batch",
    "SELECT count(*) > 0, 1 FROM busy -- many": "the query on the target says so",
    "TABLE busy": "nightly batch",
    "WITH b AS (SELECT * FROM busy) SELECT why FROM b WHERE why LIKE 'nightly%'": "nightly batch",
    "SELECT NULL": "",
    "SELECT count(*) FROM busy": "the query on the target answers 1; it must answer a boolean or a text",
}


@pytest.mark.parametrize("who", ["superuser", "role"])
def test_it_reads_tables_by_their_bare_names(place: tuple[str, str, str], who: str) -> None:
    url = place[0] if who == "superuser" else place[1]
    assert {query: asked(url, query) for query in READ} == READ


def test_statistics_are_seen_by_a_superusers_query_too(place: tuple[str, str, str]) -> None:
    url, _, role = place
    other = psycopg.connect(place[1], autocommit=True)
    with other:
        other.execute("SELECT 'seen'")
        seen = f"SELECT query FROM pg_stat_activity WHERE usename = '{role}'"
        assert asked(url, seen) == "SELECT 'seen'"
        assert "reads both statistics and tables" in asked(url, f"SELECT why FROM busy WHERE EXISTS ({seen})")


FORBIDDEN = {
    "COPY busy TO PROGRAM 'touch {0}'": "is not one SELECT",
    "COPY (SELECT 1) TO '{0}'": "is not one SELECT",
    "DO $$ BEGIN EXECUTE 'COPY busy TO PROGRAM ''touch {0}'''; END $$": "is not one SELECT",
    "SELECT true) AS a; COPY busy TO PROGRAM 'touch {0}'; --": "failed",
    "SET ROLE pg_monitor": "is not one SELECT",
    "SELECT pg_read_file('PG_VERSION')": "permission denied for function pg_read_file",
    "SELECT set_config('role', 'none', true) || pg_read_file('PG_VERSION')": "failed",
    "SELECT set_config('session_authorization', 'default', true) || pg_read_file('PG_VERSION')": "failed",
    "SELECT lo_export(1, '{0}')::text": "permission denied for function lo_export",
    "SELECT set_config('role', 'postgres', true) || takes('COPY busy TO PROGRAM ''touch {0}''')": "failed",
    "SELECT takes('COPY busy TO PROGRAM ''touch {0}''')": "permission denied to COPY to or from an external program",
    "SELECT at_once('COPY busy TO PROGRAM ''touch {0}''')": "failed",
    "SELECT takes('ALTER ROLE {1} SUPERUSER')": "read-only transaction",
    "SELECT takes('RESET ROLE; COPY busy TO PROGRAM ''touch {0}''')": "failed",
    "SELECT takes('SET transaction_read_only = off; DROP TABLE secret')": "failed",
    "DELETE FROM busy RETURNING why": "is not one SELECT",
    "WITH gone AS (DELETE FROM busy RETURNING why) SELECT why FROM gone": "failed",
    "SELECT nextval('counts')::text": "failed",
    "EXPLAIN ANALYZE SELECT true": "is not one SELECT",
}
TAKES = """
CREATE FUNCTION takes(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; RETURN 'taken'; END $$;
CREATE FUNCTION at_once(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT takes($1)';
CREATE SEQUENCE counts;
"""


RIGHTS = {
    "superuser": "",
    "role": "",
    "may become one": "GRANT postgres TO {0}",
    "may run programs": "GRANT pg_execute_server_program TO {0}",
}


@pytest.mark.parametrize("who", RIGHTS)
def test_it_takes_nothing_from_the_server(place: tuple[str, str, str], who: str) -> None:
    url, plain, role = place
    execute(url, f"{TAKES} {RIGHTS[who].format(role)}")
    mark = f"/tmp/migrator_mark_{uuid.uuid4().hex}"
    for query, because in FORBIDDEN.items():
        said = asked(url if who == "superuser" else plain, query.format(mark, role))
        others = {"role": "permission denied", "may run programs": "is not asked with such rights"}
        assert because in said or others.get(who, because) in said, (query, said)
    assert execute(url, f"SELECT pg_stat_file('{mark}', true) IS NULL") == [(True,)]
    assert execute(url, f"SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'") == [(False,)]
    assert execute(url, "SELECT count(*) FROM busy, secret") == [(1,)]
