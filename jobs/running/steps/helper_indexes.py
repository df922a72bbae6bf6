"""Helper indexes around a rollback: built before its first row goes, gone before anything is proved of its end."""

from __future__ import annotations

from collections.abc import Iterable

from jobs import transitions
from jobs.engine.errors import StepFailed
from jobs.engine.schema import helper_index
from jobs.engine.schema.helper_index import Needed
from jobs.models import Run
from jobs.running.session import Session
from jobs.running.steps import late_indexes
from mappings.catalog.unindexed_keys import SECONDS_PER_PAGE, Part
from mappings.plan.schema_steps import in_words
from mappings.sql import Sql


def needed(session: Session) -> list[Needed]:
    """The foreign keys onto the run's rows that have no index, where it would be missed."""
    deleted: dict[str, int] = {}
    for table in session.run.tables.all():
        target = session.plan.table(table.name).into.target_sql
        deleted[target] = deleted.get(target, 0) + table.inserted + table.by_hand
    return helper_index.needed(session.target, deleted)


def cost(one: Needed) -> str:
    """What the rollback would cost without one, and what is done about it."""
    parts = one.key.parts
    able = [part for part in parts if part.may_index]
    text = (
        f"{one.key.display} has no index: for each of {one.rows:,} deleted rows all of it would be read,"
        f" {in_words(one.reads * SECONDS_PER_PAGE)} in all"
    )
    if len(able) == len(parts):
        return f"{text}; a helper index is built for the time of the rollback, while others write"
    return f"{text}, and this role may not build one there; have it built before"


def build(session: Session) -> None:
    """Builds those that are worth it. One that cannot be had is missed, and said so."""
    wanted = needed(session)
    for one in wanted:
        transitions.note(session.run, f"{cost(one)}.")
    _build(session, [part for one in wanted for part in one.key.parts])


def build_for_links(session: Session) -> None:
    """Builds what the rollback finds the run's rows by, where the index on the link was still to come."""
    ids = {table.name: table.link.source_id for table in session.plan.tables}
    steps = [session.plan.steps[number - 1] for number in late_indexes.left(session)]
    parts = [helper_index.of_link(session.target, step, ids[step.table]) for step in steps]
    _build(session, [part for part in parts if part])


def _build(session: Session, parts: list[Part]) -> None:
    against = helper_index.build(
        session.target, session.run.pk, parts, lambda text: _waits(session.run, text)
    )
    for why in against:
        text = f"The rollback goes on without a helper index: {why}."
        transitions.note(session.run, text, level="warning")


def drop(session: Session) -> None:
    """Takes the run's own away. Raises StepFailed where somebody holds one."""
    _drop(session, helper_index.left(session.target, session.plan.mapping, session.run.pk))


def drop_leftovers(session: Session) -> None:
    """Takes away what rollbacks of the mapping's other runs left behind, if that is possible now."""
    own = helper_index.left(session.target, session.plan.mapping, session.run.pk)
    result = helper_index.left(session.target, session.plan.mapping)
    try:
        _drop(session, (name for name in result if name not in own))
    except StepFailed as error:
        transitions.note(session.run, str(error), level="warning")


def _drop(session: Session, names: Iterable[Sql]) -> None:
    for name in names:
        helper_index.drop(session.target, name, lambda text: _waits(session.run, text))


def _waits(run: Run, reason: str) -> None:
    Run.objects.filter(pk=run.pk).update(waiting_for=reason)
