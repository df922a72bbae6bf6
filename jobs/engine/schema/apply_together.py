"""Several small steps of one table in one transaction: of hundreds of tables each is locked once, not once a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from jobs.engine.errors import StepFailed
from jobs.engine.feed import run_sql
from jobs.engine.schema import apply
from jobs.engine.schema.apply import Sides
from jobs.engine.schema.lock_retry import lock_alone, patiently
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.schema import kinds
from mappings.sql import compose, encoded, joined


def is_small(step: Step) -> bool:
    """Whether a step may be one of several: it adds to a target what is there in a moment."""
    return step.side == "target" and step.kind in ("add_column", "add_index") and not step.alone


def apply_together(
    sides: Sides, plan: Plan, run: int, steps: Sequence[Step], wait: Callable[[str], None]
) -> bool:
    """Applies small steps of one table, all or none, with their lines in the register.

    None of them is in the register. False, and nothing is done, where one is in force all the same, or fails: taken one
    by one they say what is the matter. StepFailed where somebody holds the lock.
    """
    conn = sides.target
    if _any_begun(conn, steps):
        return False
    statements = [statement for step in steps for statement in step.sql]

    def change() -> None:
        with conn.transaction():
            lock_alone(conn, steps[0].relation, apply.FURTHER_LOCKS_MS)
            conn.execute(encoded(joined(";\n", statements)), prepare=False)
            apply.register_steps(conn, plan, run, steps)

    try:
        patiently(conn, steps[0].title, change, wait)
    except StepFailed as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        return False
    return True


def _any_begun(conn: psycopg.Connection, steps: Sequence[Step]) -> bool:
    """Whether the table shows anything of steps that are not in the register."""
    begun = joined(" OR ", (kinds.of(step).begun(step) for step in steps))
    row = run_sql(conn, compose("SELECT {}", begun)).fetchone()
    return bool(row and row[0])
