"""Pieces of exported scripts: PL/pgSQL blocks, the run that they work for, and what they say when they stop."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from jobs.engine.sql import firing
from jobs.engine.sql.key_sql import Sql
from jobs.engine.target import ledger
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import dollar_quoted, ident, literal, verbatim


class Command(str):
    """What ends in a command of psql instead of a semicolon."""


class Unrepeatable(str):
    """A statement outside of blocks that cannot be executed again once the guard of its script does not hold."""


RUN = verbatim("migrator_run")
LOW, HIGH = "migrator_low", "migrator_high"
"""Names of variables; #variable_conflict lets a column of such a name win."""

RUN_DECLARED = "migrator_run bigint;"


SETTLED = (
    "IF (pg_catalog.current_setting('migrator.backend', true)"
    " OPERATOR(pg_catalog.=) (pg_catalog.pg_backend_pid())::pg_catalog.text) IS NOT TRUE THEN\n"
    "  RAISE EXCEPTION 'the settings at the top of this script are not in force: execute the whole file in one session"
    " of the server, not through a connection pooler in transaction mode';\nEND IF;"
)
"""Every name in it is bound: where it finds something wrong, any path may be in force."""


def block(declared: str, body: str) -> str:
    """An anonymous block. It stops where its settings do not hold, as behind a pooler that changes sessions."""
    text = f"#variable_conflict use_column\nDECLARE\n{declared}\nBEGIN\n{SETTLED}\n{body}\nEND"
    return f"DO {dollar_quoted(text)}"


def stop(message: str) -> str:
    """Ends the script with a sentence."""
    return f"RAISE EXCEPTION USING MESSAGE = {literal(message)};"


def own_run(plan: Plan, alias: str = "r") -> str:
    """Whether a row of migrator.run is the run of this export that is in force."""
    return (
        f"{alias}.mapping = {literal(plan.mapping)} AND {alias}.sha256 = {literal(plan.sha256)}"
        f" AND {alias}.environment = {literal(plan.environment)} AND {alias}.rolled_back_at IS NULL"
        f" AND {ledger.by_hand(alias)}"
    )


def find_run(plan: Plan) -> str:
    """Puts the run's number into its variable, NULL if there is none, and holds it until the commit.

    So two sessions that execute one script at once take turns, chunk by chunk.
    """
    return f"SELECT r.number INTO migrator_run FROM migrator.run AS r\n WHERE {own_run(plan)} FOR UPDATE;"


def require_run(plan: Plan) -> str:
    """The same, and stops where the first script was not executed."""
    missing = stop("this run is not registered here: execute the script `register` of this export first")
    return f"{find_run(plan)}\nIF migrator_run IS NULL THEN\n  {missing}\nEND IF;"


def run_to_take_back(plan: Plan) -> str:
    """The same for a way back, and stops where a worker has taken the run over: what it brought besides, and what the
    control database knows of it, would be left behind."""
    taken = stop("a worker has taken this run over: take it back by `run rollback`")
    return (
        f"{find_run(plan)}\n"
        f"IF (SELECT r.epoch FROM migrator.run AS r WHERE r.number = migrator_run) > 1 THEN\n  {taken}\nEND IF;"
    )


def begun(table: str, run: object = RUN) -> str:
    """Whether anything of a table was copied. Where not, its columns may not be there yet."""
    return (
        f"EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = {run} AND l.table_name = {literal(table)}"
        " AND l.phase = 'copy')"
    )


def bound(statement: str, values: Sequence[str]) -> str:
    """One of the worker's statements, with SQL in the place of each parameter."""
    parts = statement.split("%s")
    assert len(parts) == len(values) + 1, statement
    return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))


def column_at(relation: str, name: str) -> str:
    """Whether a table has a column."""
    return (
        f"EXISTS (SELECT FROM pg_attribute WHERE attrelid = {literal(relation)}::regclass"
        f" AND attname = {literal(name)} AND NOT attisdropped)"
    )


def texts(values: Sequence[str]) -> str:
    """An array constant of texts, also of none."""
    return f"ARRAY[{', '.join(literal(value) for value in values)}]::text[]"


FIRED = "migrator_fired bigint := 0;"
"""The variable for what a statement counts that nobody asks for."""


def executed(statement: str, into: str = "") -> str:
    """One statement of a block. into: variables for what it returns."""
    if isinstance(statement, firing.Settings):
        return f"PERFORM {statement};\n"
    into = into or ("migrator_fired" if isinstance(statement, firing.Counting) else "")
    text = f"{statement}\n  INTO {into};\n" if into else f"{statement};\n"
    return f"{text}{executed(firing.OURS)}" if isinstance(statement, firing.Firing) else text


def counted(statement: str, into: str) -> str:
    """One statement of a block that changes rows, and the variable for how many."""
    if isinstance(statement, firing.Counting):
        return executed(statement, into)
    back = executed(firing.OURS) if isinstance(statement, firing.Firing) else ""
    return f"{statement};\nGET DIAGNOSTICS {into} = ROW_COUNT;\n{back}"


def settled(table: TablePlan) -> str:
    """What the target put off to the commit, done now, as a worker does."""
    if not (table.firing.fires or table.firing.hushed):
        return ""
    return "".join(executed(statement) for statement in (*firing.settle(table), *firing.wake(table)))


def hushed(table: TablePlan) -> str:
    """The triggers that are not to fire, left off until `settled`."""
    return "".join(executed(statement) for statement in firing.hush(table))


def variables(name: str, parts: int) -> tuple[Sql, ...]:
    """The elements of an array variable, as bounds of a range."""
    return tuple(Sql(f"{name}[{place}]") for place in range(1, parts + 1))


def feed_name(plan: Plan, table: str) -> str:
    """The table in the target that holds a table's feed, where source and target are two databases."""
    digest = hashlib.sha256(f"{plan.mapping}/{table}".encode()).hexdigest()[:8]
    shown = f"feed_{table}".encode()[:50].decode(errors="ignore")
    return f"migrator.{ident(f'{shown}_{digest}')}"
