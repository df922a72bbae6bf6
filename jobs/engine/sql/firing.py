"""Statements that fire what the target's owner made: triggers, and functions of users in checks and defaults.

Those run as in any other session of the role, with its own path and row security, while ours has neither
(mappings.connections.state). A statement that fires them is read by the server under our path, and changes the path
itself when it runs, before the first of them is called: so the path never decides what the statement means.
"""

from __future__ import annotations

from mappings.plan.table_plan import TablePlan
from mappings.sql import FIXED_PATH, ident


class Settings(str):
    """What changes settings, without the verb: SELECT, within a block of PL/pgSQL PERFORM."""


THEIRS = Settings(
    "set_config('search_path', current_setting('migrator.firing_path'), true),"
    " set_config('row_security', 'on', true)"
)
OURS = Settings(f"set_config('search_path', '{FIXED_PATH}', true), set_config('row_security', 'off', true)")

HAND_OVER = f"(SELECT (ROW({THEIRS})) IS NOT NULL)"
"""A condition without a column of the query: the server asks it first, before it reads or writes anything."""

AT_ONCE = "SET CONSTRAINTS ALL IMMEDIATE"


def settle(table: TablePlan) -> tuple[str, ...]:
    """Has done now what was put off to the commit, which has no statement of its own that could hand the path over."""
    return (THEIRS, AT_ONCE, OURS) if table.firing.fires else (AT_ONCE,)


def hush(table: TablePlan) -> tuple[str, ...]:
    """Leaves the triggers off that are not to fire, for this transaction: nobody else sees the table so."""
    off = (
        f"ALTER TABLE {table.into.target_sql} DISABLE TRIGGER {ident(trigger.name)}"
        for trigger in table.firing.hushed
    )
    return (
        (f"LOCK TABLE {table.into.target_sql} IN SHARE ROW EXCLUSIVE MODE", AT_ONCE, *off)
        if table.firing.hushed
        else ()
    )


def wake(table: TablePlan) -> tuple[str, ...]:
    """Puts them on again. What is pending has to be done before."""
    return tuple(
        f"ALTER TABLE {table.into.target_sql} {one.enable} {ident(one.name)}" for one in table.firing.hushed
    )


class Firing(str):
    """A statement that hands the path over: OURS has to follow. counts: it returns how many rows it changed."""

    counts = False


class Counting(Firing):
    """A statement that returns how many rows it changed."""

    counts = True


def gate(table: TablePlan) -> str:
    """The WHERE clause of a query over what a WITH of its writes; nothing where nothing is fired."""
    return f" WHERE {HAND_OVER}" if table.firing.fires else ""


def gated(table: TablePlan, statement: str) -> str:
    """A statement that has the gate."""
    return Firing(statement) if table.firing.fires else statement


def counted(table: TablePlan, change: str) -> str:
    """An INSERT, UPDATE or DELETE without a WITH and without RETURNING, behind a gate."""
    if not table.firing.fires:
        return change
    return Counting(f"WITH fired AS (\n{change}\nRETURNING 1\n)\nSELECT count(*) FROM fired{gate(table)}")
