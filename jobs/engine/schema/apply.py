"""Schema steps in the databases: applied once, registered with their hash, and undone in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from jobs.engine.errors import StepFailed
from jobs.engine.feed import run_sql
from jobs.engine.schema import shadow_fill
from jobs.engine.schema.lock_retry import (
    LOCK_TIMEOUT_MS,
    TRIES,
    lock_alone,
    lock_timeout,
    patiently,
    wait_shortly,
)
from jobs.engine.schema.shadow_fill import GoOn
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.schema import kinds, register
from mappings.schema.applied import Applied
from mappings.schema.kinds import Execution
from mappings.sql import NOTHING, Sql, compose, encoded, literal, verbatim

__all__ = ["LOCK_TIMEOUT_MS", "TRIES", "Applied", "Sides", "applied", "apply", "undo"]

FURTHER_LOCKS_MS = 500
"""How long a change that holds its table already may wait for another lock."""

CONCURRENT_LOCK_MS = 60_000
"""How long a concurrent build may wait for transactions that are older than it; nobody waits for it meanwhile."""

UNCOMPRESSED = verbatim(
    "SELECT set_config('wal_compression', 'off', true) FROM pg_roles WHERE rolname = current_user AND rolsuper"
)
"""Until the end of a transaction that builds an index: its pages are logged whole, and to compress those of keys at
random saves nothing and takes a third to a half of the CPU (tests/bench/README.md). Only a superuser may say so."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The two connections; both in autocommit, both the same database where the plan says so."""

    source: psycopg.Connection
    target: psycopg.Connection

    def of(self, side: str) -> psycopg.Connection:
        """The connection on which a step runs."""
        return self.source if side == "source" else self.target


def _always(_: str) -> bool:
    """Nobody asks to stop."""
    return True


def apply(
    sides: Sides,
    plan: Plan,
    run: int,
    step: Step,
    wait: Callable[[str], None],
    *,
    tries: int = TRIES,
    go_on: GoOn = _always,
) -> bool:
    """Applies a step unless the register has it. Returns whether it did. wait(reason) is told of each delay.

    go_on: told how far a long filling is, says whether to go on; Interrupted where not. Raises StepFailed: the
    register has another script for it, the table is not as it was planned for, or somebody holds the lock, who is
    named then.
    """
    known, kind = register.of_step(sides.target, step), kinds.of(step)
    if text := register.complaint(step, known):
        raise StepFailed(text)
    result = kind.look(sides.of(step.side), step, known)
    if result.against:
        raise StepFailed(f"{step.title}: {result.against}")
    if result.done:
        if not result.registered:
            _register(sides.target, plan, run, step)
        return False
    gone = [] if kind.repeats else known  # someone took it away by hand
    kind.carry_out(step, Worker(sides, plan, run, gone, go_on, wait, tries))
    return True


@dataclass(frozen=True, slots=True)
class Worker(Execution[None]):
    """Executes steps, patiently, and registers each: in one transaction with it where both are in the target.

    gone: lines of the register that are no longer true.
    """

    sides: Sides
    plan: Plan
    run: int
    gone: Sequence[Applied]
    go_on: GoOn
    wait: Callable[[str], None]
    tries: int

    def together(self, step: Step) -> None:
        conn = self.sides.of(step.side)

        def change() -> None:
            with conn.transaction():
                self._clear(conn, step, NOTHING)
                if step.index:
                    run_sql(conn, UNCOMPRESSED)
                _execute(conn, step.relation, step.sql, alters=step.index is None)
                if step.side == "target":
                    self._register(step)
            if step.side == "source":
                self._register(step)

        self._patiently(step, change)

    def concurrently(self, step: Step) -> None:
        """The lock that it needs first is asked for in a short transaction of its own, with the short timeout."""
        conn = self.sides.of(step.side)

        def build() -> None:
            with conn.transaction():
                wait_shortly(conn)
                run_sql(conn, compose("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE", step.relation))
            with lock_timeout(conn, CONCURRENT_LOCK_MS):
                self._clear(conn, step, verbatim("CONCURRENTLY "))
                try:
                    for statement in step.sql:
                        run_sql(conn, statement)
                except psycopg.errors.UniqueViolation:
                    self._clear(conn, step, verbatim("CONCURRENTLY "))
                    raise
            self._register(step)

        self._patiently(step, build)

    def one_by_one(self, step: Step) -> None:
        def each() -> None:
            with lock_timeout(self.sides.of(step.side), LOCK_TIMEOUT_MS):
                for statement in step.sql:
                    run_sql(self.sides.of(step.side), statement)
            self._register(step)

        self._patiently(step, each)

    def until_done(self, step: Step) -> None:
        shadow_fill.fill(self.sides.of(step.side), step, self.go_on, self.wait, self.tries)
        self._patiently(step, lambda: self._register(step))

    def _patiently(self, step: Step, change: Callable[[], None]) -> None:
        def all_of_it() -> None:
            for one in self.gone:
                _mark_undone(self.sides.target, one)
            change()

        patiently(self.sides.of(step.side), step.title, all_of_it, self.wait, self.tries)

    def _register(self, step: Step) -> None:
        _register(self.sides.target, self.plan, self.run, step)

    @staticmethod
    def _clear(conn: psycopg.Connection, step: Step, concurrently: Sql) -> None:
        if leftover := kinds.of(step).leftover(conn, step):
            run_sql(
                conn,
                compose("DROP INDEX {}{}", concurrently, leftover),
            )


def _execute(conn: psycopg.Connection, relation: Sql, statements: Sequence[Sql], *, alters: bool) -> None:
    """Inside a transaction: the table's lock first, and then no long wait for any other while it is held."""
    if alters:
        lock_alone(conn, relation, FURTHER_LOCKS_MS)
    else:
        wait_shortly(conn)
    for statement in statements:
        run_sql(conn, statement)


REGISTER = verbatim(
    "INSERT INTO migrator.schema_step (run, mapping, side, kind, relation, name, title, sql, undo, alone, fits,"
    " sha256, before, after, views_first, views_last)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
"""An applied step."""


def _register(conn: psycopg.Connection, plan: Plan, run: int, step: Step) -> None:
    conn.execute(encoded(REGISTER), _line(plan, run, step))


def _line(plan: Plan, run: int, step: Step) -> list[object]:
    return [
        run,
        plan.mapping,
        step.side,
        step.kind,
        step.relation,
        step.name,
        step.title,
        list(step.sql),
        list(step.undo),
        step.alone,
        step.fits,
        step.sha256,
        step.before,
        step.after,
        step.views_first,
        step.views_last,
    ]


def register_steps(conn: psycopg.Connection, plan: Plan, run: int, steps: Sequence[Step]) -> None:
    """Writes the lines of steps that were taken, in the transaction that took them."""
    with conn.cursor() as cursor:
        cursor.executemany(encoded(REGISTER), [_line(plan, run, step) for step in steps])


def applied(conn: psycopg.Connection, mapping: str) -> list[Applied]:
    """The steps of a mapping that are in force, the last first."""
    return register.of_mapping(conn, mapping)


def undo(sides: Sides, step: Applied, wait: Callable[[str], None], tries: int = TRIES) -> str:
    """Undoes a registered step. Returns '' if done, or why it was kept: other rows need the width or the flag.

    StepFailed: what is registered is not what was applied, or somebody holds the lock.
    """
    if text := register.altered(step):
        raise StepFailed(text)
    conn = sides.of(step.side)
    kept = ""

    def change() -> None:
        nonlocal kept
        with conn.transaction():
            if step.fits and not _fits(conn, step):
                kept = "rows that are not this mapping's need it, so it was kept"
                return
            back = kinds.of(step).back(conn, step)
            if back.against:
                raise StepFailed(f"Undo: {step.title}: {back.against}")
            _execute(conn, step.relation, back.statements, alters=bool(back.statements))
            if step.side == "target":
                _mark_undone(sides.target, step)
        if step.side == "source":
            _mark_undone(sides.target, step)

    title = f"Undo: {step.title}"
    if not _is_there(conn, step.relation) or kinds.of(step).is_gone(conn, step):
        _mark_undone(sides.target, step)  # somebody dropped the table, or the column
        return ""
    patiently(conn, title, change, wait, tries)
    return kept


def _is_there(conn: psycopg.Connection, relation: str) -> bool:
    row = run_sql(conn, compose("SELECT to_regclass({}) IS NOT NULL", literal(relation))).fetchone()
    return bool(row and row[0])


def _fits(conn: psycopg.Connection, step: Applied) -> bool:
    row = run_sql(conn, step.fits).fetchone()
    return bool(row and row[0])


def _mark_undone(conn: psycopg.Connection, step: Applied) -> None:
    conn.execute("UPDATE migrator.schema_step SET undone_at = now() WHERE id = %s", [step.id])
