"""What the buttons share: moving a run, or the sentence why it cannot be; and ringing the workers afterwards."""

from __future__ import annotations

from collections.abc import Callable

from django.db import IntegrityError, transaction

from jobs import transitions
from jobs.actions import start as starting
from jobs.models import Run
from jobs.processes import doorbell
from jobs.transitions import Overtaken, User
from mappings.problems import Problem, Refused


def move(run: Run, to: str, actor: User, also: Callable[[Run], None] | None = None, why: str = "") -> None:
    try:
        with transaction.atomic():
            transitions.move(run, to, actor, why)
            if also:
                also(run)
    except KeyError as error:
        raise cannot(run, to) from error
    except Overtaken as error:
        raise Refused([Problem("", str(error))]) from error
    except IntegrityError:
        starting.refuse_if_active(run.mapping, run.environment, but=run.pk)
        raise


def require(run: Run, *statuses: str) -> None:
    if run.status not in statuses:
        wanted = " or ".join(words(status) for status in statuses)
        raise Refused([Problem("", f"run {run.pk} is {words(run.status)}, not {wanted}")])


def cannot(run: Run, to: str) -> Refused:
    return Refused([Problem("", f"run {run.pk} is {words(run.status)} and cannot become {words(to)}")])


def words(status: str) -> str:
    return status.replace("_", " ")


def ring_after_commit(run: Run) -> None:
    transaction.on_commit(lambda: doorbell.ring_workers(run.pk))
