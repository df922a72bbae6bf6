"""Schema steps in the databases: applied once, registered with their hash, and undone in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from jobs.engine.errors import StepFailed
from jobs.engine.feed import run_sql
from jobs.engine.schema import shadow_fill
from jobs.engine.schema.lock_retry import LOCK_TIMEOUT_MS, TRIES, lock_alone, lock_timeout, patiently
from jobs.engine.schema.shadow_fill import GoOn
from mappings.catalog import views
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Shadow, Step
from mappings.schema import register
from mappings.schema.register import Applied
from mappings.sql import literal

__all__ = ["LOCK_TIMEOUT_MS", "TRIES", "Applied", "Sides", "applied", "apply", "undo"]

FURTHER_LOCKS_MS = 500
"""How long a change that holds its table already may wait for another lock."""

CONCURRENT_LOCK_MS = 60_000
"""How long a concurrent build may wait for transactions that are older than it; nobody waits for it meanwhile."""


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
    known = register.of_step(sides.target, step)
    if _is_done(sides, plan, run, step, known):
        return False
    if text := _changed_since(sides.of(step.side), step):
        raise StepFailed(f"{step.title}: {text}; plan again")
    gone = known if step.kind != "widen" else []  # someone took it away by hand
    if step.kind == "shadow_fill":
        shadow_fill.fill(sides.target, step, go_on, wait, tries)
    patiently(sides.of(step.side), step.title, lambda: _change(sides, plan, run, step, gone), wait, tries)
    return True


def _is_done(sides: Sides, plan: Plan, run: int, step: Step, known: Sequence[Applied]) -> bool:
    """Whether the step is in force, by this register. StepFailed where the register has another script for it."""
    if text := register.complaint(step, known):
        raise StepFailed(text)
    if step.shadow:
        return _is_prepared(sides.target, step, step.shadow, known)
    if not _in_force(sides.of(step.side), step):
        return False
    if known and register.same_script(step, known[0]):
        return True
    if step.kind == "widen" or (step.side == "target" and not step.alone):
        raise StepFailed(
            f"{step.title}: that is so already, but not by a script of this register; plan again"
        )
    _register(sides.target, plan, run, step)  # done, but the worker died before it could say so
    return True


def _is_prepared(conn: psycopg.Connection, step: Step, shadow: Shadow, known: Sequence[Applied]) -> bool:
    """Whether a step that prepares a swap is done, or the swap itself is."""
    found = _index(conn, step) if step.kind == "shadow_index" else None
    kind, beside = (_type(conn, step.relation, name) for name in (shadow.column, shadow.name))
    return shadow_fill.is_done(step, known, kind, beside, bool(found and found[1]))


def _change(sides: Sides, plan: Plan, run: int, step: Step, gone: Sequence[Applied]) -> None:
    """Executes and registers a step: in one transaction where both are in the target."""
    conn = sides.of(step.side)
    for one in gone:
        _mark_undone(sides.target, one)
    if step.kind in ("add_index", "shadow_index") and step.alone:
        _build_alone(conn, step)
    elif step.kind == "shadow_validation":
        for statement in step.sql:
            run_sql(conn, statement)
    elif not step.alone:
        with conn.transaction():
            if step.kind == "add_index":
                _drop_unfinished(conn, step, "")
            _execute(conn, step.relation, step.sql, alters=step.kind != "add_index")
            if step.side == "target":
                _register(sides.target, plan, run, step)
    if step.alone or step.side == "source":
        _register(sides.target, plan, run, step)


def _execute(conn: psycopg.Connection, relation: str, statements: Sequence[str], *, alters: bool) -> None:
    """Inside a transaction: the table's lock first, and then no long wait for any other while it is held."""
    if alters:
        lock_alone(conn, relation)
    with lock_timeout(conn, FURTHER_LOCKS_MS if alters else LOCK_TIMEOUT_MS):
        for statement in statements:
            run_sql(conn, statement)


def _build_alone(conn: psycopg.Connection, step: Step) -> None:
    """Builds an index without a lock that anybody would notice; what a killed or failed build leaves is dropped.

    The lock that it needs first is asked for in a short transaction of its own, with the short timeout.
    """
    with conn.transaction():
        run_sql(conn, f"LOCK TABLE {step.relation} IN SHARE UPDATE EXCLUSIVE MODE")
    with lock_timeout(conn, CONCURRENT_LOCK_MS):
        _drop_unfinished(conn, step, "CONCURRENTLY ")
        try:
            for statement in step.sql:
                run_sql(conn, statement)
        except psycopg.errors.UniqueViolation:
            _drop_unfinished(conn, step, "CONCURRENTLY ")
            raise


INDEX = """
SELECT x.indexrelid::regclass::text, x.indisvalid,
       x.indrelid = t.oid AND x.indisunique = {unique} AND x.indpred IS NULL AND x.indexprs IS NULL
         AND {listed} = (SELECT string_agg('"' || replace(a.attname, '"', '""') || '"', ', ' ORDER BY k.place)
                           FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(number, place)
                           JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number)
  FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = {relation}::regclass
 WHERE c.relname = {name} AND c.relnamespace = t.relnamespace
"""


def _index(conn: psycopg.Connection, step: Step) -> tuple[str, bool, bool] | None:
    """(name, whether it is valid, whether it is the one that is meant) of the index by the step's name."""
    unique = "true" if step.index and step.index.unique else "false"
    query = INDEX.format(
        relation=literal(step.relation), unique=unique, listed=literal(step.after), name=literal(step.name)
    )
    row = run_sql(conn, query).fetchone()
    return (row[0], row[1], row[2]) if row else None


def _drop_unfinished(conn: psycopg.Connection, step: Step, concurrently: str) -> None:
    """A killed CREATE INDEX CONCURRENTLY leaves an index that guards nothing; it goes before the next try.

    So does one over a shadow column whose worker died before it could register it: its name says nothing of its keys.
    """
    found = _index(conn, step)
    if found and (not found[1] or step.kind == "shadow_index"):
        run_sql(conn, f"DROP INDEX {concurrently}{found[0]}")


def _in_force(conn: psycopg.Connection, step: Step) -> bool:
    """Whether the database is as the step leaves it."""
    if step.kind == "add_index":
        found = _index(conn, step)
        if found and found[1] and not found[2]:
            raise StepFailed(f"{step.title}: there is another index of that name; drop or rename {found[0]}")
        return bool(found and found[1])
    kind = _type(conn, step.relation, step.name)
    return kind == step.after if step.kind == "widen" else kind is not None


def _type(conn: psycopg.Connection, relation: str, name: str) -> str | None:
    """The type of a column, None where there is no such column."""
    row = run_sql(
        conn,
        f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = {literal(relation)}::regclass"
        f" AND attname = {literal(name)} AND NOT attisdropped",
    ).fetchone()
    return row[0] if row else None


def _changed_since(conn: psycopg.Connection, step: Step) -> str:
    """Why a widening no longer fits the table that it was planned for, else ''."""
    if step.kind != "widen":
        return ""
    if (kind := _type(conn, step.relation, step.name)) != step.before:
        return f"the column is {kind or 'gone'} now, not {step.before} as it was planned for"
    if views.over(conn, step.relation, step.name).around(()) != step.of_views:
        return "views over the column were changed since"
    return ""


REGISTER = (
    "INSERT INTO migrator.schema_step (run, mapping, side, kind, relation, name, title, sql, undo, alone, fits,"
    " sha256, before, after, views_first, views_last)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
"""An applied step."""


def _register(conn: psycopg.Connection, plan: Plan, run: int, step: Step) -> None:
    conn.execute(
        REGISTER.encode(),
        [
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
        ],
    )


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
            statements = _undoing(conn, step)
            _execute(conn, step.relation, statements, alters=bool(statements))
            if step.side == "target":
                _mark_undone(sides.target, step)
        if step.side == "source":
            _mark_undone(sides.target, step)

    title = f"Undo: {step.title}"
    if not _is_there(conn, step.relation):
        _mark_undone(sides.target, step)  # the table is gone, and what was added to it as well
        return ""
    patiently(conn, title, change, wait, tries)
    return kept


def _undoing(conn: psycopg.Connection, step: Applied) -> tuple[str, ...]:
    """The way back; views over the column come back as they are now, not as they were when it was widened."""
    if step.kind != "widen":
        return tuple(step.undo)
    over = views.over(conn, step.relation, step.name)
    if over.problems:
        raise StepFailed(f"Undo: {step.title}: {'; '.join(over.problems)}")
    return over.around(step.undo_but_views)


def _is_there(conn: psycopg.Connection, relation: str) -> bool:
    row = run_sql(conn, f"SELECT to_regclass({literal(relation)}) IS NOT NULL").fetchone()
    return bool(row and row[0])


def _fits(conn: psycopg.Connection, step: Applied) -> bool:
    row = run_sql(conn, step.fits).fetchone()
    return bool(row and row[0])


def _mark_undone(conn: psycopg.Connection, step: Applied) -> None:
    conn.execute("UPDATE migrator.schema_step SET undone_at = now() WHERE id = %s", [step.id])
