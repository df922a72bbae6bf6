"""Rows that are brought again after a rollback get the keys that they had: what scripts do of it."""

from __future__ import annotations

from jobs.engine.sql.rollback import remember
from jobs.exporting.blocks import executed
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan


def gathered(plan: Plan, table: TablePlan) -> str:
    """What a rollback remembered is made ready, as a worker does while it prepares."""
    if not remember.is_remembered(table):
        return ""
    work = "".join(executed(statement) for statement in remember.gather(plan, table))
    work += "".join(
        f"PERFORM {remember.put_past(plan, table, counter)};\n" for counter in remember.counters(table)
    )
    return f"IF {remember.is_any(plan, table, remember.CHUNKS)} THEN\n{work}END IF;\n"


def either(plan: Plan, table: TablePlan, again: str, new: str) -> str:
    """What gives remembered keys where there are any, and what makes new ones."""
    if not remember.is_remembered(table):
        return new
    return f"IF {remember.is_any(plan, table)} THEN\n{remember.BY_INDEX};\n{again}ELSE\n{new}END IF;\n"
