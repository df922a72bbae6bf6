"""Rows that were moved by hand with exported scripts: the next start goes on with their run as its own.

The run keeps its number where that is free here, and gets the run's otherwise. It brings the rest, looking first
whether each row is there, links and compares all, and a rollback takes all back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from jobs import transitions
from jobs.engine.moving import compare
from jobs.engine.target import script_runs
from jobs.engine.target.script_runs import ByHand
from jobs.models import Chunk, Run, TableRun
from jobs.running.session import Session
from mappings.connections import sessions, unreachable
from mappings.models import Environment
from mappings.plan.model import Plan
from mappings.problems import Problem, Refused


def moved_by_hand(environment: Environment, mapping: str) -> list[ByHand]:
    """The runs of a mapping that exported scripts made in the target and that nobody has taken over."""
    with _looking(environment) as conn:
        return _not_taken_over(script_runs.by_hand(conn, mapping))


def to_go_on_with(environment: Environment, plan: Plan) -> list[ByHand]:
    """The same, for a start. Raises Refused where the target has rows of a run that an environment unknown here
    brought."""
    with _looking(environment) as conn:
        result = script_runs.by_hand(conn, plan.mapping)
        strangers = script_runs.elsewhere(conn, plan.mapping, environment.name)
    if strangers:
        _refuse_strangers(environment, plan, strangers)
    return _not_taken_over(result)


@contextmanager
def _looking(environment: Environment) -> Iterator[psycopg.Connection[Any]]:
    try:
        with sessions.connect(environment.target_url, purpose="start", read_only=True) as conn:
            yield conn
    except unreachable.DatabaseUnreachable as error:
        raise Refused([Problem("target", str(error))]) from error


def _not_taken_over(by_hand: Sequence[ByHand]) -> list[ByHand]:
    known = Run.objects.filter(uid__in=[run.uid for run in by_hand]).values_list("uid", flat=True)
    taken = set(known) if by_hand else set()
    return [run for run in by_hand if run.uid not in taken]


def _refuse_strangers(environment: Environment, plan: Plan, result: Sequence[tuple[int, UUID, str]]) -> None:
    """An environment may have had another name when its own runs were done."""
    known = Run.objects.filter(uid__in=[uid for _, uid, _ in result], environment=environment)
    ours = set(known.values_list("uid", flat=True))
    for number, uid, name in result:
        if uid not in ours:
            text = (
                f"run {number} of {plan.mapping} in environment {name} has rows in this target: work on it there, or"
                " roll it back first"
            )
            raise Refused([Problem("", text)])


def own(plan: Plan, by_hand: Sequence[ByHand]) -> ByHand | None:
    """The run that a start of the plan goes on with: of the same revision, and of no table that the plan leaves out."""
    return next((run for run in by_hand if _is_of(plan, run) and set(run.tables) <= set(plan.selected)), None)


def _is_of(plan: Plan, run: ByHand) -> bool:
    return (run.sha256, run.environment) == (plan.sha256, plan.environment)


def number_for(run: ByHand | None, plan: Plan) -> int | None:
    """The number that the new run takes over; None for the next one: later runs have higher numbers."""
    if run is None or run.number != plan.next_run - 1 or Run.objects.filter(pk=run.number).exists():
        return None
    return run.number


def mark(run: Run, plan: Plan) -> None:
    """Gives a new run the uid by which it is known to go on with what was moved by hand."""
    run.uid = script_runs.uid_of(plan.mapping, plan.sha256, plan.environment, run.pk)
    run.save(update_fields=["uid"])


def announce(run: Run, taken: ByHand | None, by_hand: Sequence[ByHand]) -> None:
    """Says in the run's events what was found."""
    for other in by_hand:
        rows = ", ".join(f"{name} {count:,}" for name, count in sorted(other.tables.items()))
        text = f"Exported scripts moved rows by hand as run {other.number} of the target: {rows}."
        if other is taken:
            text += " This run goes on with it: it brings the rest and compares all."
        else:
            text += f" They are of revision {other.sha256[:12]} or of other tables, so their own scripts undo them."
        transitions.note(run, text)


def is_taken_over(run: Run, plan: Plan) -> bool:
    """Whether a run goes on with what exported scripts began."""
    return run.uid == script_runs.uid_of(plan.mapping, plan.sha256, plan.environment, run.pk)


def take_over(session: Session) -> None:
    """Makes the run in the target this one, and its chunks known, so that new ones are numbered after them."""
    run, plan = session.run, session.plan
    if not is_taken_over(run, plan):
        return
    for result in script_runs.by_hand(session.target, plan.mapping):
        if _is_of(plan, result) and result.number != run.pk:
            script_runs.renumber(session.target, result.number, run.pk, run.uid)
    tables = {table.name: table for table in run.tables.all()}
    done = [
        Chunk(
            table=tables[chunk.table], phase=chunk.phase, number=chunk.number, state="done",
            low=chunk.range.low, high=chunk.range.high,
        )
        for chunk in script_runs.committed(session.target, run.pk, list(tables))
    ]  # fmt: skip
    with session.alone():
        Chunk.objects.bulk_create(done, ignore_conflicts=True)


def rows_by_hand(session: Session, table: TableRun) -> int:
    """How many rows of a table were there as the run's own before it copied anything."""
    return compare.own_rows(session.work(table)) if is_taken_over(session.run, session.plan) else 0
