"""Pieces of exported scripts: PL/pgSQL blocks, the run that they work for, and what they say when they stop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import firing
from jobs.engine.sql.walks.bounds import Bound
from jobs.engine.target import ledger
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, dollar_quoted, ident, joined, literal, verbatim


@dataclass(frozen=True, slots=True)
class Command:
    """What ends in a command of psql instead of a semicolon."""

    sql: Sql


@dataclass(frozen=True, slots=True)
class Unrepeatable:
    """A statement outside of blocks that cannot be executed again once the guard of its script does not hold."""

    sql: Sql


Statement = Sql | Command | Unrepeatable
"""What a script is made of."""


def worded(statement: Statement) -> Sql:
    """Its text."""
    return statement.sql if isinstance(statement, Command | Unrepeatable) else statement


RUN = verbatim("migrator_run")
LOW, HIGH = verbatim("migrator_low"), verbatim("migrator_high")
"""Names of variables; #variable_conflict lets a column of such a name win."""

RUN_DECLARED = verbatim("migrator_run bigint;")
COUNT_DECLARED = verbatim("migrator_count bigint; migrator_keys text[];")


SETTLED = verbatim(
    "IF (pg_catalog.current_setting('migrator.backend', true)"
    " OPERATOR(pg_catalog.=) (pg_catalog.pg_backend_pid())::pg_catalog.text) IS NOT TRUE THEN\n"
    "  RAISE EXCEPTION 'the settings at the top of this script are not in force: execute the whole file in one session"
    " of the server, not through a connection pooler in transaction mode';\nEND IF;"
)
"""Every name in it is bound: where it finds something wrong, any path may be in force."""


def block(declared: Sql, body: Sql) -> Sql:
    """An anonymous block. It stops where its settings do not hold, as behind a pooler that changes sessions."""
    text = compose(
        "#variable_conflict use_column\nDECLARE\n{declared}\nBEGIN\n{settled}\n{body}\nEND",
        declared=declared, settled=SETTLED, body=body,
    )  # fmt: skip
    return compose("DO {}", dollar_quoted(text))


def stop(message: str) -> Sql:
    """Ends the script with a sentence."""
    return compose("RAISE EXCEPTION USING MESSAGE = {};", literal(message))


def own_run(plan: Plan, alias: Sql = verbatim("r")) -> Sql:
    """Whether a row of migrator.run is the run of this export that is in force."""
    return compose(
        "{alias}.mapping = {mapping} AND {alias}.sha256 = {sha256}"
        " AND {alias}.environment = {environment} AND {alias}.rolled_back_at IS NULL"
        " AND {by_hand}",
        alias=alias, mapping=literal(plan.mapping), sha256=literal(plan.sha256),
        environment=literal(plan.environment), by_hand=ledger.by_hand(alias),
    )  # fmt: skip


def find_run(plan: Plan) -> Sql:
    """Puts the run's number into its variable, NULL if there is none, and holds it until the commit.

    So two sessions that execute one script at once take turns, chunk by chunk.
    """
    return compose(
        "SELECT r.number INTO migrator_run FROM migrator.run AS r\n WHERE {own_run} FOR UPDATE;",
        own_run=own_run(plan),
    )


def require_run(plan: Plan) -> Sql:
    """The same, and stops where the first script was not executed."""
    missing = stop("this run is not registered here: execute the script `register` of this export first")
    return compose("{}\nIF migrator_run IS NULL THEN\n  {}\nEND IF;", find_run(plan), missing)


def run_to_take_back(plan: Plan) -> Sql:
    """The same for a way back, and stops where a worker has taken the run over: what it brought besides, and what the
    control database knows of it, would be left behind."""
    taken = stop("a worker has taken this run over: take it back by `run rollback`")
    return compose(
        "{find_run}\n"
        "IF (SELECT r.epoch FROM migrator.run AS r WHERE r.number = migrator_run) > 1 THEN\n  {taken}\nEND IF;",
        find_run=find_run(plan),
        taken=taken,
    )


def scripted(plan: Plan, table: TablePlan, run: Sql = RUN) -> Scope:
    """What a script's statements are made for: it looks first, always, so that no table is fresh to it."""
    return Scope(plan, table, run, fresh=False)


def begun(table: str, run: RunNumber = RUN) -> Sql:
    """Whether anything of a table was copied. Where not, its columns may not be there yet."""
    return compose(
        "EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = {run} AND l.table_name = {table}"
        " AND l.phase = 'copy')",
        run=run,
        table=literal(table),
    )


def column_at(relation: Sql, name: str) -> Sql:
    """Whether a table has a column."""
    return compose(
        "EXISTS (SELECT FROM pg_attribute WHERE attrelid = {relation}::regclass"
        " AND attname = {name} AND NOT attisdropped)",
        relation=literal(relation),
        name=literal(name),
    )


FIRED = verbatim("migrator_fired bigint := 0;")
"""The variable for what a statement counts that nobody asks for."""


def executed(statement: firing.Statement, into: Sql = NOTHING) -> Sql:
    """One statement of a block. into: variables for what it returns."""
    if isinstance(statement, firing.Settings):
        return compose("PERFORM {};\n", statement.sql)
    if not isinstance(statement, firing.Firing):
        return _told(statement, into)
    into = into or (verbatim("migrator_fired") if statement.counts else NOTHING)
    return joined("", [_told(statement.sql, into), executed(firing.OURS)])


def _told(statement: Sql, into: Sql) -> Sql:
    return compose("{}\n  INTO {};\n", statement, into) if into else compose("{};\n", statement)


def in_turn(*groups: Iterable[firing.Statement]) -> Sql:
    """Several of them."""
    return joined("", [executed(statement) for group in groups for statement in group])


def counted(statement: firing.Statement, into: Sql) -> Sql:
    """One statement of a block that changes rows, and the variable for how many."""
    assert not isinstance(statement, firing.Settings)
    if not isinstance(statement, firing.Firing):
        return compose("{};\nGET DIAGNOSTICS {} = ROW_COUNT;\n", statement, into)
    if statement.counts:
        return executed(statement, into)
    return joined("", [counted(statement.sql, into), executed(firing.OURS)])


def settled(table: TablePlan) -> Sql:
    """What the target put off to the commit, done now, as a worker does."""
    if not (table.firing.fires or table.firing.hushed):
        return NOTHING
    return in_turn(firing.settle(table), firing.wake(table))


def hushed(table: TablePlan) -> Sql:
    """The triggers that are not to fire, left off until `settled`."""
    return in_turn(firing.hush(table))


def bound_in(variable: Sql, parts: int) -> Bound:
    """The elements of an array variable, as one end of a range."""
    return Bound(tuple(compose("{}[{}]", variable, place) for place in range(1, parts + 1)), late=True)


def feed_name(plan: Plan, table: str) -> Sql:
    """The table in the target that holds a table's feed, where source and target are two databases."""
    digest = hashlib.sha256(f"{plan.mapping}/{table}".encode()).hexdigest()[:8]
    shown = f"feed_{table}".encode()[:50].decode(errors="ignore")
    return compose("migrator.{}", ident(f"{shown}_{digest}"))
