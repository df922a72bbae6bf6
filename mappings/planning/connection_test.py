"""What a test of an environment finds of each side: server, role, tables, lacking rights and the GRANT for each."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg

from mappings.catalog.describe import complaint
from mappings.catalog.fingerprints import Side
from mappings.connections.sessions import DatabaseUnreachable, connect, same_database
from mappings.problems import Refused
from mappings.sql import encoded, verbatim

FACTS = verbatim("""
SELECT current_setting('server_version'), current_user::text, pg_encoding_to_char(d.encoding), d.datname::text,
       has_database_privilege(d.oid, 'CREATE'),
       (SELECT count(*) FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
           AND c.relnamespace::regnamespace::text NOT LIKE 'pg\\_%')
  FROM pg_database d WHERE d.datname = current_database()
""")

LACKING = verbatim("""
SELECT n.nspname::text, quote_ident(n.nspname), quote_ident(current_user),
       has_schema_privilege(n.oid, 'USAGE'),
       count(*) FILTER (WHERE NOT has_table_privilege(c.oid, $1))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('information_schema', 'migrator') AND n.nspname NOT LIKE 'pg\\_%'
 GROUP BY n.oid, n.nspname
HAVING NOT has_schema_privilege(n.oid, 'USAGE') OR count(*) FILTER (WHERE NOT has_table_privilege(c.oid, $1)) > 0
 ORDER BY n.nspname
""")
"""Schemas of which this role may not read all tables (of a source), or not write to all (of a target)."""

MOST_NAMED = 5
STATEMENT_TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True)
class Findings:
    """Of one side. facts: one sentence, also of what stood in the way; lacking: (what is missing, its GRANT or '')."""

    side: str
    answers: bool
    facts: str
    lacking: tuple[tuple[str, str], ...] = ()


def tested(urls: dict[Side, str]) -> tuple[Findings, ...]:
    """Each side by itself, as far as its address is given; with both, whether they are one database."""
    with ExitStack() as opened:
        sessions = {side: _open(opened, url) for side, url in urls.items()}
        result = [_findings(side, session) for side, session in sessions.items()]
        both = [one for one in sessions.values() if isinstance(one, psycopg.Connection)]
        if len(both) == 2:
            same = same_database(*both)
            facts = "Both are the same database." if same else "They are two databases."
            result.append(Findings("both", True, facts))
    return tuple(result)


def _open(opened: ExitStack, url: str) -> psycopg.Connection[Any] | str:
    try:
        session = connect(
            url, purpose="connection test", read_only=True, statement_timeout_ms=STATEMENT_TIMEOUT_MS
        )
        return opened.enter_context(session)
    except (DatabaseUnreachable, Refused) as error:
        return str(error)


def _findings(side: Side, session: psycopg.Connection[Any] | str) -> Findings:
    if isinstance(session, str):
        return Findings(side, False, session)
    try:
        row = session.execute(encoded(FACTS)).fetchone()
        assert row is not None
        version, role, encoding, database, may_create, tables = row
        facts = f"PostgreSQL {version}, {tables:,} tables, encoding {encoding}, role {role}"
        return Findings(side, True, facts, tuple(_lacking(session, side, database, may_create)))
    except psycopg.Error as error:
        return Findings(side, False, f"It answers, but could not be looked at: {complaint(error)}.")


def _lacking(
    session: psycopg.Connection[Any], side: Side, database: str, may_create: bool
) -> list[tuple[str, str]]:
    right, grant = ("SELECT", "SELECT") if side == "source" else ("INSERT", "SELECT, INSERT, UPDATE, DELETE")
    with psycopg.RawCursor(session) as cursor:
        rows = cursor.execute(encoded(LACKING), [right]).fetchall()
        name = cursor.execute(
            "SELECT quote_ident($1::text), quote_ident(current_user)", [database]
        ).fetchone()
    assert name is not None
    result = []
    for schema, quoted, role, may_use, count in rows[:MOST_NAMED]:
        if not may_use:
            result.append((f"may not use schema {schema}", f"GRANT USAGE ON SCHEMA {quoted} TO {role};"))
        if count:
            what = "read" if side == "source" else "write to"
            grants = f"GRANT {grant} ON ALL TABLES IN SCHEMA {quoted} TO {role};"
            result.append((f"may not {what} {count:,} tables of schema {schema}", grants))
    if len(rows) > MOST_NAMED:
        result.append((f"and in {len(rows) - MOST_NAMED} more schemas", ""))
    if side == "target" and not may_create:
        grant = f"GRANT CREATE ON DATABASE {name[0]} TO {name[1]};"
        result.append(("may not create the schema migrator, which maps are kept in", grant))
    return result
