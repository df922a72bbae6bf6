"""The first stage of a run: the plan is checked, the target gets its register and its schema steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import psycopg

from jobs import states, transitions
from jobs.engine.errors import PlanBroken, StepFailed
from jobs.engine.feed import run_sql
from jobs.engine.moving import compare, ranges, sequences
from jobs.engine.moving.rollback import remembered
from jobs.engine.schema.apply_together import is_small
from jobs.engine.schema.shadow_fill import Interrupted
from jobs.engine.sql.merging import superseded
from jobs.engine.target import ledger
from jobs.models import Run, StepRun, TableRun
from jobs.running import dead_workers, fingerprints, script_runs
from jobs.running.cutting import page_walk
from jobs.running.session import Session
from jobs.running.steps import helper_indexes, late_indexes
from jobs.running.steps.apply_step import apply_step, apply_together
from mappings.catalog import tables as catalog
from mappings.compiling.names.resolve import Databases
from mappings.language.spec import MappingSpec
from mappings.plan.schema_steps import Step
from mappings.planning.drift import drift_of
from mappings.problems import Problem, Refused
from mappings.schema import register
from mappings.store import revision_spec

LOOKS = 6
"""How often a look at locked tables is tried, each for at most 2 s (structures.read)."""


def prepare(session: Session) -> bool:
    """Brings the run from queued to copying. Goes on where an earlier try stopped; False if it was stopped."""
    run = session.run
    if run.status == states.QUEUED:
        transitions.move(run, states.PREPARING)
    _check_plan(session)
    script_runs.take_over(session)
    enter(session)
    fingerprints.take(session)
    if not _take_steps(session):
        return False
    # Another mapping may have begun since: what a step found in force is then not this run's.
    _refuse(register.taken(session.target, session.plan))
    tables = list(reversed(run.tables.all()))  # children first: their parents are then older than the end
    for table in tables:
        work = session.work(table)
        sequences.put_ahead(work, work.table.into.drawn)
        table.remembered = remembered.is_any(work)
        table.fresh = compare.is_fresh(work, run.pk)
        table.guarded = not table.fresh
        table.target_before = compare.count_rows(work)
        table.walk = page_walk.begun(session, table)
        last = ranges.last_key(work)
        table.upper = list(last) if last else None
        table.by_hand = script_runs.rows_by_hand(session, table)
        table.chunk_rows = ranges.first_size(work, table.chunk_rows)
    if not _still_wanted(run):
        return False
    with session.alone():  # both at once: whoever fell silent before must not let go what another prepares
        TableRun.objects.bulk_update(
            tables,
            ["fresh", "guarded", "remembered", "target_before", "walk", "upper", "by_hand", "chunk_rows"],
        )
        transitions.move(run, states.COPYING)
    return True


def _take_steps(session: Session) -> bool:
    """Takes the plan's schema steps, but for those that come after the copy; False if it was stopped."""
    tables = {table.name: table for table in session.run.tables.all()}
    rows, known = session.run.steps.filter(backward=False), _registered(session)
    for _, some in itertools.groupby(
        zip(session.plan.steps, rows, strict=True), lambda pair: _group(session, pair[0])
    ):
        group = list(some)
        if len(group) > 1 and not _still_wanted(session.run):
            return False
        together = len(group) > 1 and not any(register.changed(step) in known for step, _ in group)
        if not (together and apply_together(session, group)) and not _take(session, group, tables):
            return False
    return True


def _registered(session: Session) -> set[register.Changed]:
    """What those of the plan's steps change that are in force by now."""
    found = register.of_steps(session.target, session.plan.steps)
    return {changed for changed, applied in found.items() if applied}


def _group(session: Session, step: Step) -> str:
    """What small steps of a small table have in common, which are taken at once; else a step's own hash."""
    small = session.sizes.get(step.table, late_indexes.WORTH_ROWS) < late_indexes.WORTH_ROWS
    return step.relation if small and is_small(step) else step.sha256


def _take(session: Session, group: Sequence[tuple[Step, StepRun]], tables: Mapping[str, TableRun]) -> bool:
    """Takes steps one by one; False if it was stopped."""
    for step, row in group:
        if not _still_wanted(session.run):
            return False
        if late_indexes.may_wait(session, step, tables):
            StepRun.objects.filter(pk=row.pk).update(note=late_indexes.NOTE)
            continue
        try:
            apply_step(session, step, row, _still_wanted)
        except Interrupted:
            return False
    return True


def enter(session: Session) -> None:
    """Makes the run known in the target, under a new epoch; whoever still copies for another is shut out."""
    run = session.run
    ledger.install(session.target)
    session.is_installed = True
    if session.plan.overwrites:
        run_sql(session.target, superseded.TARGET_INDEX)
    plan = session.plan
    ledger.enter(
        session.target, run.pk, run.uid, plan.mapping, plan.sha256, plan.environment,
        revision=plan.revision, operator=_operator(run),
    )  # fmt: skip
    ledger.shut_out_others(session.target, session.plan.mapping, run.pk)
    helper_indexes.drop_leftovers(session)
    dead_workers.raise_epoch(session)


def _operator(run: Run) -> str:
    """Who started the run: who signed in, or whose terminal it was."""
    if run.started_by:
        return run.started_by.get_username()
    first = run.events.order_by("id").first()
    return first.actor if first else ""


def _check_plan(session: Session) -> None:
    """The plan is the law: its revision must still be what was hashed, and the tables what it was made on."""
    revision, plan = session.run.revision, session.plan
    try:
        spec = revision_spec(revision)
    except Refused as error:
        raise PlanBroken(str(error)) from error
    if revision.sha256 != plan.sha256:
        raise PlanBroken("the run's plan was made from another revision than the run names")
    _refuse(_drift(session, spec))


def _refuse(problems: Iterable[Problem]) -> None:
    if text := "\n".join(map(str, problems)):
        raise PlanBroken(text)


def _drift(session: Session, spec: MappingSpec) -> list[Problem]:
    """What changed since the plan was made. StepFailed where a table stays locked, naming by whom."""
    both = Databases(session.source, session.target, session.plan.same_database)
    for attempt in range(1, LOOKS + 1):
        try:
            return drift_of(session.plan, spec, both)
        except psycopg.errors.LockNotAvailable as error:
            who = catalog.lockers(session.target) or catalog.lockers(session.source) or "one is locked"
            if attempt == LOOKS:
                raise StepFailed(f"the tables cannot be looked at: {who}; {LOOKS} tries were made") from error
            Run.objects.filter(pk=session.run.pk).update(waiting_for=f"Waiting to look at the tables: {who}")
    raise AssertionError("the last try returns or raises")


def _still_wanted(run: Run) -> bool:
    return run.read_status() == states.PREPARING
