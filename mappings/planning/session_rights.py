"""What the roles of a plan's sessions lack, and what they have beyond need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from mappings.catalog.roles import powers
from mappings.compiling.resolve import Databases
from mappings.plan.schema_steps import Step
from mappings.planning import event_triggers
from mappings.problems import Problem


def lacking(conn: psycopg.Connection) -> Iterator[Problem]:
    """What the target's role must be allowed in its database, whatever the mapping is."""
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


def warnings(databases: Databases, steps: Sequence[Step]) -> Iterator[Problem]:
    """What a session may do beyond its need, and who looks on whenever it changes a schema."""
    yield from _beyond_need(databases)
    yield from event_triggers.of(databases, steps)


def _beyond_need(databases: Databases) -> Iterator[Problem]:
    """A warning where a session could do anything: what others made in the database, triggers and views, runs so."""
    for side, conn in (("source", databases.source), ("target", databases.target)):
        if found := powers.of(conn):
            text = (
                f"the role {found}, and so the triggers, views and functions of this database run with every right on"
                f" its server: name a role in the {side}'s address that has only the rights it needs"
            )
            yield Problem(side, text)
