"""Rows that are brought again after a rollback get the keys that they had: what scripts do of it."""

from __future__ import annotations

from jobs.engine.sql import remember
from jobs.exporting.blocks import in_turn
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, joined


def gathered(plan: Plan, table: TablePlan) -> Sql:
    """What a rollback remembered is made ready, as a worker does while it prepares."""
    if not remember.is_remembered(table):
        return NOTHING
    put = (remember.put_past(plan, table, counter) for counter in remember.counters(table))
    performed = (compose("PERFORM {};\n", one) for one in put)
    work = joined("", [in_turn(remember.gather(plan, table)), *performed])
    return compose("IF {} THEN\n{}END IF;\n", remember.is_any(plan, table, remember.CHUNKS), work)


def either(plan: Plan, table: TablePlan, again: Sql, new: Sql) -> Sql:
    """What gives remembered keys where there are any, and what makes new ones."""
    if not remember.is_remembered(table):
        return new
    is_any = remember.is_any(plan, table)
    return compose("IF {} THEN\n{}ELSE\n{}END IF;\n", is_any, again, new)
