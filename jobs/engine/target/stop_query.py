"""The operator's own stop signal: one SELECT, without any right that it does not need.

A READ ONLY transaction is no sandbox: COPY TO PROGRAM and pg_read_file work in it. So the query has to be one that
stands within another, which no COPY, DO or SET does; and where the role is a superuser, or may become one, it runs
within a function that belongs to a role that may only read, as SET ROLE could be taken back by the query itself.
"""

from __future__ import annotations

import psycopg

from mappings.catalog.describe import describe
from mappings.catalog.roles import powers
from mappings.sql import Sql, compose, dollar_quoted, encoded, ident, literal, printed

READERS = ("pg_monitor", "pg_read_all_data")
"""Roles of PostgreSQL that may only read, statistics or tables: tried in this order."""

STATISTICS = "pg_stat_get_"
"""Functions whose answers others' rights leave out in silence."""

THEIR_PATH = (
    "SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('migrator.firing_path'), true)"
)
"""The schemas of the role's own path in which nobody else may create; all else here is bound."""


class NotOneSelect(Exception):
    """The query is not one that yields rows and nothing else."""


class TooMuchRight(Exception):
    """The role may use the server's files or programs, and nobody is there to lend the query fewer rights."""


def ask(conn: psycopg.Connection, query: str) -> object:
    """The first value of the query's first row; None for none. conn: a session of its own (mappings.connections).

    Raises NotOneSelect, TooMuchRight, psycopg.Error; nothing that it did stays.
    """
    query = query.strip().rstrip("; \n\t")
    found = powers.of(conn)
    if found and not found.superuser:
        raise TooMuchRight(str(found))
    if not found:
        with conn.transaction(force_rollback=True):
            conn.execute(THEIR_PATH)
            return _value(conn, _within(conn, query))
    for role in READERS:
        try:
            with conn.transaction(force_rollback=True):
                conn.execute("SET TRANSACTION READ WRITE")  # to make the function; the query runs READ ONLY
                conn.execute(THEIR_PATH)
                return _as_reader(conn, _within(conn, query), role, found.superuser)
        except psycopg.errors.InsufficientPrivilege:
            if role == READERS[-1]:
                raise
    return None


def _within(conn: psycopg.Connection, query: str) -> str:
    """The query within another, as the server understood it: it was parsed, as one statement, and not run."""
    describe(conn, printed(query))
    within = (
        "SELECT pg_catalog.to_jsonb(ROW(answer.*)) OPERATOR(pg_catalog.->) 'f1'::pg_catalog.text"
        f" FROM (\n{query}\n) AS answer LIMIT 1"
    )
    try:
        describe(conn, printed(within))
    except psycopg.errors.SyntaxError as error:
        raise NotOneSelect from error
    return within


def _value(conn: psycopg.Connection, statement: str) -> object:
    row = conn.execute(statement.encode(), prepare=True).fetchone()
    return row[0] if row else None


def _as_reader(conn: psycopg.Connection, statement: str, role: str, superuser: Sql) -> object:
    """Runs it with the rights of a role that may only read, and no way back to ours."""
    hidden = (
        f"the query reads both statistics and tables, for which {' and '.join(READERS)} are needed: a superuser's"
        " rights are not lent to it; name a role of its own in the environment's address"
    )
    look = (
        f"FOR line IN EXECUTE {literal(f'EXPLAIN (VERBOSE, COSTS OFF) {statement}')} LOOP\n"
        f"  IF pg_catalog.strpos(line, {literal(STATISTICS)}) OPERATOR(pg_catalog.>) 0 THEN\n"
        f"    RAISE EXCEPTION USING MESSAGE = {literal(hidden)};\n  END IF;\nEND LOOP;\n"
    )
    body = (
        "DECLARE line pg_catalog.text; found pg_catalog.jsonb;\nBEGIN\n"
        f"{look if role != READERS[0] else ''}"
        f"EXECUTE {literal(statement)} INTO found;\nRETURN found;\nEND"
    )
    conn.execute(encoded(compose("SET LOCAL ROLE {}", superuser)))  # who alone may give a function away
    conn.execute(
        "CREATE FUNCTION pg_temp.migrator_answer() RETURNS pg_catalog.jsonb LANGUAGE plpgsql SECURITY DEFINER AS"
        f" {dollar_quoted(body)}".encode()
    )
    conn.execute(f"ALTER FUNCTION pg_temp.migrator_answer() OWNER TO {ident(role)}".encode())
    conn.execute("SET TRANSACTION READ ONLY")
    return _value(conn, "SELECT pg_temp.migrator_answer()")
