"""The button that takes a run back, and what stands against it: one answer for page and command alike."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import psycopg

from jobs import states
from jobs.actions import refusals
from jobs.actions import start as starting
from jobs.actions.moves import cannot, move, ring_after_commit
from jobs.engine.errors import EngineError, translate
from jobs.engine.moving import undo
from jobs.engine.target import rollback_blockers, rollback_proof
from jobs.engine.target.rollback_blockers import Blocker
from jobs.models import Run
from jobs.running.rollback.counts import counted
from jobs.running.rollback.edited import LEAVE, REFUSE, Choice, IfLeft, if_left
from jobs.running.session import Session, opened
from jobs.running.steps import helper_indexes
from jobs.transitions import User
from mappings.problems import Problem, Refused
from mappings.schema import register

NOTHING_LEFT = IfLeft()


@dataclass(frozen=True, slots=True)
class Against:
    """What stands against a rollback. edited: rows of the run that changed since; hanging: rows of others that point
    to its rows; unproved: what it could not prove; if_left: what leaving the edited rows would come to."""

    edited: tuple[Problem, ...] = ()
    hanging: tuple[Problem, ...] = ()
    unproved: tuple[Problem, ...] = ()
    if_left: IfLeft = NOTHING_LEFT

    def of(self, choice: Choice) -> list[Problem]:
        """What refuses the rollback."""
        if choice == LEAVE and self.edited:
            return [*self.unproved, *map(_problem, self.if_left.blockers)]
        return [*self.unproved, *(self.edited if choice == REFUSE else ()), *self.hanging]


def rollback_against(run: Run, keep_schema: bool = True) -> Against:
    """What a rollback would take that is not the run's own, by kinds. Nothing is changed.

    keep_schema: else Refused where a script that it would undo is not as it was applied.
    """
    try:
        with opened(run, "review of a rollback") as session:
            return _against(session, keep_schema)
    except psycopg.Error as error:
        raise Refused([Problem("", str(translate(error)))]) from error
    except EngineError as error:
        raise Refused([Problem("", str(error))]) from error


def _against(session: Session, keep_schema: bool) -> Against:
    run = session.run
    works = [session.work(table) for table in run.tables.all()]
    known = undo.is_known(session.target, run.pk)
    if known and not keep_schema:
        _refuse_altered_scripts(session)
    counts = counted(run)
    looked = rollback_proof.looked_at(works, counts) if works else {}
    result = rollback_proof.blockers(works, counts, looked, keep_schema=keep_schema) if works else []
    unproved = tuple(map(_problem, result))
    if not (known and undo.wrote(session.target, run.pk)):
        return Against(unproved=unproved)
    untouched = [name for name, one in looked.items() if not one.odd]
    result = rollback_blockers.of_run(works, untouched)
    changed = tuple(_problem(one) for one in result if one.edited)
    hanging = tuple(_problem(one) for one in result if not one.edited)
    return Against(changed, hanging, unproved, if_left(session) if changed else NOTHING_LEFT)


def _problem(blocker: Blocker) -> Problem:
    return Problem(blocker.table, blocker.text)


def rollback_costs(run: Run) -> list[Problem]:
    """Foreign keys onto the run's rows without an index, and what they cost; nothing where nobody can be asked."""
    with suppress(psycopg.Error, EngineError), opened(run, "review of a rollback") as session:
        return [Problem("", helper_indexes.cost(one)) for one in helper_indexes.needed(session)]
    return []


def _refuse_altered_scripts(session: Session) -> None:
    """Of a run that the target knows."""
    works = [session.work(table) for table in session.run.tables.all()[:1]]
    if works and undo.is_last(works[0]):
        result = list(register.problems(session.target, session.plan.mapping))
        way = "mend the register, or roll back with --keep-schema"
        if result:
            raise Refused([Problem(problem.path, f"{problem.text}; {way}") for problem in result])


@refusals.kept("roll back")
def roll_back(
    run: Run,
    actor: User,
    keep_schema: bool = False,
    force: bool = False,
    edited: Choice = REFUSE,
) -> None:
    """Takes the run's rows back. Without force refuses, listing them, where it would take what is not its own.

    edited: of rows that were edited since: refuse, leave (they stay as they are, and with them what they point to), or
    force (they go all the same).
    """
    if (run.status, states.ROLLING_BACK) not in states.MOVES:
        raise cannot(run, states.ROLLING_BACK)
    starting.refuse_if_active(run.mapping, run.environment, but=run.pk)
    if not force:
        if result := rollback_against(run, keep_schema).of(edited):
            raise Refused(result)
    elif not keep_schema:
        # Nothing where that cannot be asked now: the worker asks again.
        with suppress(psycopg.Error, EngineError), opened(run, "review of a rollback") as session:
            if undo.is_known(session.target, run.pk):
                _refuse_altered_scripts(session)

    def remember(moved: Run) -> None:
        Run.objects.filter(pk=moved.pk).update(
            keep_schema=keep_schema, edited="" if edited == REFUSE else edited
        )

    move(run, states.ROLLING_BACK, actor, remember)
    ring_after_commit(run)
