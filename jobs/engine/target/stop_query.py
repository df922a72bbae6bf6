"""The operator's own stop signal: one SELECT, without any right that it does not need.

A READ ONLY transaction is no sandbox: COPY TO PROGRAM and pg_read_file work in it. So the query has to be one that
stands within another, which no COPY, DO or SET does; and where the role is a superuser, or may become one, it runs
within a function that belongs to a role that may only read, as SET ROLE could be taken back by the query itself.
"""

from __future__ import annotations

import psycopg

from mappings.catalog.describe import describe
from mappings.catalog.roles import powers
from mappings.sql import NOTHING, Sql, compose, dollar_quoted, encoded, ident, literal, printed, verbatim

READERS = ("pg_monitor", "pg_read_all_data")
"""Roles of PostgreSQL that may only read, statistics or tables: tried in this order."""

STATISTICS = "pg_stat_get_"
"""Functions whose answers others' rights leave out in silence."""

THEIR_PATH = verbatim(
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
    asked = printed(query.strip().rstrip("; \n\t"))
    result = powers.of(conn)
    if result and not result.superuser:
        raise TooMuchRight(str(result))
    if not result:
        with conn.transaction(force_rollback=True):
            conn.execute(encoded(THEIR_PATH))
            return _value(conn, _within(conn, asked))
    for role in READERS:
        try:
            with conn.transaction(force_rollback=True):
                conn.execute("SET TRANSACTION READ WRITE")  # to make the function; the query runs READ ONLY
                conn.execute(encoded(THEIR_PATH))
                return _as_reader(conn, _within(conn, asked), role, result.superuser)
        except psycopg.errors.InsufficientPrivilege:
            if role == READERS[-1]:
                raise
    return None


def _within(conn: psycopg.Connection, query: Sql) -> Sql:
    """The query within another, as the server understood it: it was parsed, as one statement, and not run."""
    describe(conn, query)
    within = compose(
        "SELECT pg_catalog.to_jsonb(ROW(answer.*)) OPERATOR(pg_catalog.->) 'f1'::pg_catalog.text"
        " FROM (\n{query}\n) AS answer LIMIT 1",
        query=query,
    )
    try:
        describe(conn, within)
    except psycopg.errors.SyntaxError as error:
        raise NotOneSelect from error
    return within


def _value(conn: psycopg.Connection, statement: Sql) -> object:
    row = conn.execute(encoded(statement), prepare=True).fetchone()
    return row[0] if row else None


def _as_reader(conn: psycopg.Connection, statement: Sql, role: str, superuser: Sql) -> object:
    """Runs it with the rights of a role that may only read, and no way back to ours."""
    hidden = (
        f"the query reads both statistics and tables, for which {' and '.join(READERS)} are needed: a superuser's"
        " rights are not lent to it; name a role of its own in the environment's address"
    )
    look = compose(
        "FOR line IN EXECUTE {literal} LOOP\n"
        "  IF pg_catalog.strpos(line, {statistics}) OPERATOR(pg_catalog.>) 0 THEN\n"
        "    RAISE EXCEPTION USING MESSAGE = {hidden};\n  END IF;\nEND LOOP;\n",
        literal=literal(f"EXPLAIN (VERBOSE, COSTS OFF) {statement}"), statistics=literal(STATISTICS),
        hidden=literal(hidden),
    )  # fmt: skip
    body = compose(
        "DECLARE line pg_catalog.text; found pg_catalog.jsonb;\nBEGIN\n"
        "{look}"
        "EXECUTE {statement} INTO found;\nRETURN found;\nEND",
        look=look if role != READERS[0] else NOTHING,
        statement=literal(statement),
    )
    conn.execute(encoded(compose("SET LOCAL ROLE {}", superuser)))  # who alone may give a function away
    made = compose(
        "CREATE FUNCTION pg_temp.migrator_answer() RETURNS pg_catalog.jsonb LANGUAGE plpgsql SECURITY DEFINER AS {}",
        dollar_quoted(body),
    )
    conn.execute(encoded(made))
    conn.execute(encoded(compose("ALTER FUNCTION pg_temp.migrator_answer() OWNER TO {}", ident(role))))
    conn.execute("SET TRANSACTION READ ONLY")
    return _value(conn, verbatim("SELECT pg_temp.migrator_answer()"))
