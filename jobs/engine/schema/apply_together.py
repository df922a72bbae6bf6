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
from mappings.schema import kinds, register
from mappings.schema.kinds.kind import Look


def is_small(step: Step) -> bool:
    """Whether a step may be one of several: it adds to a target what is there in a moment."""
    return step.side == "target" and step.kind in ("add_column", "add_index") and not step.alone


def apply_together(
    sides: Sides, plan: Plan, run: int, steps: Sequence[Step], wait: Callable[[str], None]
) -> bool:
    """Applies small steps of one table, all or none, with their lines in the register.

    False, and nothing is done, where one is in force already, or fails: taken one by one they say what is the matter.
    StepFailed where somebody holds the lock.
    """
    conn = sides.target
    known = register.of_steps(conn, steps)
    if any(known.values()) or not all(_is_new(conn, step) for step in steps):
        return False

    def change() -> None:
        with conn.transaction():
            lock_alone(conn, steps[0].relation, apply.FURTHER_LOCKS_MS)
            for step in steps:
                for statement in step.sql:
                    run_sql(conn, statement)
            apply.register_steps(conn, plan, run, steps)

    try:
        patiently(conn, steps[0].title, change, wait)
    except StepFailed as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        return False
    return True


def _is_new(conn: psycopg.Connection, step: Step) -> bool:
    """Whether the table shows nothing of a step that is not in the register."""
    kind = kinds.of(step)
    return kind.look(conn, step, ()) == Look() and not kind.leftover(conn, step)
