"""What the roles of a plan's sessions lack, and what they have beyond need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import psycopg

from mappings.catalog.roles import powers, table_rights
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Databases
from mappings.plan.schema_steps import Step
from mappings.planning import event_triggers
from mappings.problems import Problem


def lacking(conn: psycopg.Connection, compilers: Mapping[str, Compiler]) -> Iterator[Problem]:
    """What the target's role must be allowed in its database, and on each target and what its rows use."""
    yield from _in_database(conn)
    for table in (compiler.table for compiler in compilers.values()):
        filled = [column.name for column in table.spec.columns]
        updates = table.spec.existing is not None and table.spec.existing.then == "update"
        rights = ("SELECT", "INSERT", "UPDATE") if updates else ("SELECT", "INSERT")
        for right in table_rights.lacking(conn, table.target.oid, filled, rights):
            text = f"this role may not write all of {table.target.display}: {_grant(conn, right)}"
            yield Problem(f"{table.path}.target", text)


def _for_rollback(conn: psycopg.Connection, compilers: Mapping[str, Compiler]) -> Iterator[Problem]:
    for table in (compiler.table for compiler in compilers.values()):
        for right in table_rights.lacking_to_take_back(conn, table.target.oid):
            text = f"a rollback will not be possible: {_grant(conn, right)}"
            yield Problem(f"{table.path}.target", text)


def _grant(conn: psycopg.Connection, right: str) -> str:
    row = conn.execute("SELECT quote_ident(current_user)").fetchone()
    return f"it needs GRANT {right} TO {row[0] if row else 'it'}"


def _in_database(conn: psycopg.Connection) -> Iterator[Problem]:
    row = conn.execute(
        "SELECT to_regnamespace('migrator') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE'),"
        " has_database_privilege(current_database(), 'TEMPORARY'), current_database()"
    ).fetchone()
    assert row is not None
    *allowed, database = row
    for has, right, why in zip(
        allowed, ("CREATE", "TEMPORARY"), ("the schema migrator", "staging"), strict=True
    ):
        if not has:
            yield Problem("target", f"this role needs {right} on the database {database}, for {why}")


def warnings(
    databases: Databases, compilers: Mapping[str, Compiler], steps: Sequence[Step]
) -> Iterator[Problem]:
    """What a rollback lacks, what a session may do beyond its need, and who looks on when it changes a schema."""
    yield from _for_rollback(databases.target, compilers)
    yield from _beyond_need(databases)
    yield from event_triggers.of(databases, steps)


def _beyond_need(databases: Databases) -> Iterator[Problem]:
    """A warning where a session could do anything: what others made in the database, triggers and views, runs so."""
    for side, conn in (("source", databases.source), ("target", databases.target)):
        if result := powers.of(conn):
            text = (
                f"the role {result}, and so the triggers, views and functions of this database run with every right on"
                f" its server: name a role in the {side}'s address that has only the rights it needs"
            )
            yield Problem(side, text)
