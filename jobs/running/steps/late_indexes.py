"""The index on the link is built after a copy by pages, where the target had no row of the mapping: keys that come in
no order then need no look at a page of the index each. Keys in order go in faster beside it (tests/bench/README.md).

Meanwhile nothing looks a row up by it. That none comes twice is what the ledger and the fence see to: a chunk's rows
commit with its line in the ledger, which takes each number once. The index, which is unique, proves it at the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from jobs import phases, states
from jobs.engine.errors import StepFailed
from jobs.engine.moving import compare
from jobs.engine.target.sole_writer import is_sole
from jobs.models import Run, StepRun, TableRun
from jobs.running.claims import SurveyedTable
from jobs.running.session import Session
from jobs.running.steps.apply_step import apply_step
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.schema import kinds
from mappings.schema.kinds import indexes
from mappings.schema.kinds.add_index import concurrently

WORTH_ROWS = 20_000
"""A table of fewer rows has its index before: to come back for it would take longer."""

MOMENT_ROWS = 3_000_000
"""So many rows are indexed in about a second; whoever wants to write to them may wait for that, not for longer."""

LONGER_ROWS = 30_000_000
"""So many where nobody but the run has written to the table so far. Whoever begins to just then waits until the index
is built, about half a second for a million rows; readers never wait. Concurrently the table would be read twice."""

NOTE = "after the copy"


def may_wait(session: Session, step: Step, tables: Mapping[str, TableRun]) -> bool:
    """Whether a step that is due now may as well be taken once its table is copied. tables: of the run, by name."""
    table = tables.get(step.table)
    if table is None or not _is_late(session.plan, session.plan.table(step.table), step):
        return False
    return compare.is_fresh(session.work(table), session.run.pk)


def _is_late(plan: Plan, table: TablePlan, step: Step) -> bool:
    """Whether a step builds the index on a link that comes with this plan, and that no chunk of the copy asks for."""
    if kinds.of(step).gives != "index" or not (step.index and step.index.unique):
        return False
    if table.feed.estimate < WORTH_ROWS or table.link.link_by != "source_id":
        return False
    added = {
        other.name
        for other in plan.steps
        if kinds.of(other).gives == "column" and other.relation == step.relation
    }
    return set(table.link.source_id) <= added and not (_is_shared(plan, table) or _has_it_before(table))


def _is_shared(plan: Plan, table: TablePlan) -> bool:
    """Whether another table mapping reads or writes the target."""
    into = table.into.target_sql
    return sum(into in (other.into.target_sql, other.feed.source_sql) for other in plan.tables) > 1


def _has_it_before(table: TablePlan) -> bool:
    """Whether keys come in their order, or a chunk looks rows up by their link."""
    asks = table.into.existing or table.whole or table.link.backref or table.assigning
    return table.feed.walk != "pages" or bool(asks)


def pending(session: Session) -> dict[str, int]:
    """By table, the number of the step that waits for its copy; nothing but while the run copies."""
    if session.run.status != states.COPYING or session.is_indexed:
        return {}
    result = {session.plan.steps[position - 1].table: position for position in left(session)}
    session.is_indexed = not result
    return result


def left(session: Session) -> list[int]:
    """The numbers of the steps that build an index and that the run has not taken."""
    steps = session.run.steps.filter(backward=False).exclude(state="done")
    numbers = steps.values_list("position", flat=True)
    return [number for number in numbers if kinds.of(session.plan.steps[number - 1]).gives == "index"]


def stands_in_the_way(table: SurveyedTable, parents: tuple[str, ...], waiting: Mapping[str, int]) -> bool:
    """Whether a table has to wait for an index: its parents are looked up by theirs, its own rows by its own."""
    if not waiting or table.phase not in phases.PARENTS_FIRST:
        return False
    return any(name in waiting for name in parents) or (table.guarded and table.name in waiting)


def due(tables: list[SurveyedTable], waiting: Mapping[str, int]) -> list[str]:
    """The tables whose index can be built now."""
    copying = [table for table in tables if table.phase == phases.COPY and table.name in waiting]
    return [table.name for table in copying if table.guarded or not table.unfinished]


def build(session: Session, name: str) -> bool:
    """Builds a table's index, under the lease; False if it stands. StepFailed where two rows have one source id."""
    position = pending(session).get(name)
    if position is None:
        return False
    step, row = session.plan.steps[position - 1], session.run.steps.get(backward=False, position=position)
    table = session.run.tables.get(name=name)
    if step.alone or not _may_be_at_once(session, step, table) or indexes.find(session.target, step):
        apply_step(session, concurrently(step), row, _goes_on)
    else:
        _build_at_once(session, step, row)
    return True


def _may_be_at_once(session: Session, step: Step, table: TableRun) -> bool:
    """Whether so many rows may be indexed while nobody may write to them."""
    if table.inserted <= MOMENT_ROWS:
        return True
    alone = table.inserted <= LONGER_ROWS and table.target_before == 0
    return alone and is_sole(session.target, step.relation, table.inserted)


def _build_at_once(session: Session, step: Step, row: StepRun) -> None:
    """Builds it while nobody may write; concurrently where somebody writes there after all."""
    try:
        apply_step(session, step, row, _goes_on, tries=1)
    except StepFailed as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        apply_step(session, concurrently(step), row, _goes_on)


def _goes_on(run: Run) -> bool:
    return run.read_status() == states.COPYING
