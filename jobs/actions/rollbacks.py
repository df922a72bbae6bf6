"""The button that takes a run back, and what stands against it: one answer for page and command alike."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from jobs import states
from jobs.actions import refusals
from jobs.actions import start as starting
from jobs.actions.moves import cannot, move, ring_after_commit
from jobs.engine.errors import EngineError, translate
from jobs.engine.moving import undo
from jobs.engine.target import rollback_blockers, rollback_proof
from jobs.models import Run
from jobs.running import helper_indexes
from jobs.running.rollback.counts import counted
from jobs.running.session import Session, opened
from jobs.transitions import User
from mappings.problems import Problem, Refused
from mappings.schema import register


def rollback_obstacles(run: Run, keep_schema: bool = True) -> list[Problem]:
    """What a rollback would take that is not the run's own: rows changed since, rows of others that point to its.

    keep_schema: else Refused where a script that it would undo is not as it was applied.
    """
    try:
        with opened(run, "review of a rollback") as session:
            works = [session.work(table) for table in run.tables.all()]
            known = undo.is_known(session.target, run.pk)
            if known and not keep_schema:
                _refuse_altered_scripts(session)
            found = rollback_proof.obstacles(works, counted(run)) if works else []
            if known and undo.wrote(session.target, run.pk):
                found += rollback_blockers.of_run(works)
    except psycopg.Error as error:
        raise Refused([Problem("", str(translate(error)))]) from error
    except EngineError as error:
        raise Refused([Problem("", str(error))]) from error
    return [Problem(obstacle.table, obstacle.text) for obstacle in found]


def rollback_costs(run: Run) -> list[Problem]:
    """Foreign keys onto the run's rows without an index, and what they cost; nothing where nobody can be asked."""
    with suppress(psycopg.Error, EngineError), opened(run, "review of a rollback") as session:
        return [Problem("", helper_indexes.cost(one)) for one in helper_indexes.needed(session)]
    return []


def _refuse_altered_scripts(session: Session) -> None:
    """Of a run that the target knows."""
    works = [session.work(table) for table in session.run.tables.all()[:1]]
    if works and undo.is_last(works[0]):
        found = list(register.problems(session.target, session.plan.mapping))
        way = "mend the register, or roll back with --keep-schema"
        if found:
            raise Refused([Problem(problem.path, f"{problem.text}; {way}") for problem in found])


@refusals.kept("roll back")
def roll_back(run: Run, actor: User, keep_schema: bool = False, force: bool = False) -> None:
    """Takes the run's rows back. Without force refuses, listing them, where it would take what is not its own."""
    if (run.status, states.ROLLING_BACK) not in states.MOVES:
        raise cannot(run, states.ROLLING_BACK)
    starting.refuse_if_active(run.mapping, run.environment, but=run.pk)
    if not force:
        if found := rollback_obstacles(run, keep_schema):
            raise Refused(found)
    elif not keep_schema:
        # Nothing where that cannot be asked now: the worker asks again.
        with suppress(psycopg.Error, EngineError), opened(run, "review of a rollback") as session:
            if undo.is_known(session.target, run.pk):
                _refuse_altered_scripts(session)

    def remember(moved: Run) -> None:
        Run.objects.filter(pk=moved.pk).update(keep_schema=keep_schema)

    move(run, states.ROLLING_BACK, actor, remember)
    ring_after_commit(run)
