"""Statements that fire what the target's owner made: triggers, and functions of users in checks and defaults.

Those run as in any other session of the role, with its own path and row security, while ours has neither
(mappings.connections.state). A statement that fires them is read by the server under our path, and changes the path
itself when it runs, before the first of them is called: so the path never decides what the statement means.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.plan.table_plan import TablePlan
from mappings.sql import FIXED_PATH, NOTHING, Sql, compose, ident, verbatim


@dataclass(frozen=True, slots=True)
class Settings:
    """What changes settings, without the verb: SELECT, within a block of PL/pgSQL PERFORM."""

    sql: Sql


@dataclass(frozen=True, slots=True)
class Firing:
    """A statement that hands the path over: OURS has to follow. counts: it returns how many rows it changed."""

    sql: Sql
    counts: bool = False


Statement = Sql | Settings | Firing
"""What is executed by itself."""

THEIRS = Settings(
    verbatim(
        "set_config('search_path', current_setting('migrator.firing_path'), true),"
        " set_config('row_security', 'on', true)"
    )
)
OURS = Settings(
    compose("set_config('search_path', '{}', true), set_config('row_security', 'off', true)", FIXED_PATH)
)

HAND_OVER = compose("(SELECT (ROW({})) IS NOT NULL)", THEIRS.sql)
"""A condition without a column of the query: the server asks it first, before it reads or writes anything."""

AT_ONCE = verbatim("SET CONSTRAINTS ALL IMMEDIATE")


def settle(table: TablePlan) -> tuple[Statement, ...]:
    """Has done now what was put off to the commit, which has no statement of its own that could hand the path over."""
    return (THEIRS, AT_ONCE, OURS) if table.firing.fires else (AT_ONCE,)


def hush(table: TablePlan) -> tuple[Sql, ...]:
    """Leaves the triggers off that are not to fire, for this transaction: nobody else sees the table so."""
    off = (
        compose("ALTER TABLE {} DISABLE TRIGGER {}", table.into.target_sql, ident(trigger.name))
        for trigger in table.firing.hushed
    )
    lock = compose("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.into.target_sql)
    return (lock, AT_ONCE, *off) if table.firing.hushed else ()


def wake(table: TablePlan) -> tuple[Sql, ...]:
    """Puts them on again. What is pending has to be done before."""
    return tuple(
        compose("ALTER TABLE {} {} {}", table.into.target_sql, one.enable, ident(one.name))
        for one in table.firing.hushed
    )


def gate(table: TablePlan) -> Sql:
    """The WHERE clause of a query over what a WITH of its writes; nothing where nothing is fired."""
    return compose(" WHERE {}", HAND_OVER) if table.firing.fires else NOTHING


def gated(table: TablePlan, statement: Sql) -> Statement:
    """A statement that has the gate."""
    return Firing(statement) if table.firing.fires else statement


def counted(table: TablePlan, change: Sql) -> Statement:
    """An INSERT, UPDATE or DELETE without a WITH and without RETURNING, behind a gate."""
    if not table.firing.fires:
        return change
    counting = compose(
        "WITH fired AS (\n{}\nRETURNING 1\n)\nSELECT count(*) FROM fired{}", change, gate(table)
    )
    return Firing(counting, counts=True)
