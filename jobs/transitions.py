"""Moving a run from one status to the next: one conditional UPDATE, recorded with who, when and why.

The run's own events tell all that happened to it; its moves, and what people did, are in the history as well.
"""

from __future__ import annotations

from typing import TypeAlias

from django.contrib.auth import models as accounts
from django.db import transaction
from django.db.models import F

from jobs import clock, states
from jobs.history import origin
from jobs.history.record import DIFFERS, DONE, FAILED, of_run, record
from jobs.models import Run, RunEvent
from jobs.notices import outbox

User: TypeAlias = accounts.User | None
"""Who pressed a button; None for the product itself."""

SECONDS_OF = {
    states.PREPARING: "prepare_seconds",
    states.COPYING: "copy_seconds",
    states.VERIFYING: "verify_seconds",
    states.ROLLING_BACK: "undo_seconds",
}

STAGE_OF = {status: stage for stage, status in states.STAGE_STATUS.items()}


OUTCOMES = {states.FAILED: FAILED, states.MISMATCH: DIFFERS}
"""Of a move; all others are done."""

_process = ""


def introduce(name: str, worker: bool = True) -> None:
    """Says who acts in this process when nobody is signed in: a worker, the sweeper, somebody at a terminal."""
    global _process
    _process = name
    if worker:
        origin.introduce(name)


class Overtaken(Exception):
    """Someone else moved the run first."""


def move(
    run: Run, to: str, actor: User = None, why: str = "", level: str = "info", *, differs: bool = False
) -> None:
    """Moves `run` from the status it was read with. KeyError if no such arrow; Overtaken if it moved since.

    differs: it came to its end, and yet something is not as it should be; then `why` says what.
    """
    reason = states.reason(run.status, to)
    now = clock.now()
    changes: dict[str, object] = {"status": to, "stage_since": now, "waiting_for": "", "at_work": None}
    if to in STAGE_OF:
        changes |= {"stage": STAGE_OF[to], "error": ""}
    if to == states.FAILED:
        changes["error"] = why
    if run.started is None and to == states.PREPARING:
        changes["started"] = now
    changes["finished"] = now if to in states.FINISHED else None
    if (field := SECONDS_OF.get(run.status)) and run.stage_since:
        changes[field] = F(field) + (now - run.stage_since).total_seconds()
    with transaction.atomic():
        if Run.objects.filter(pk=run.pk, status=run.status).update(**changes) != 1:
            raise Overtaken(f"{run} is no longer {run.status}")
        note(run, why or reason, actor, level, run.status, to, differs=differs)
        outbox.of_move(run, to, troubled=differs or level == "error")
    run.look_again()


def note(
    run: Run,
    text: str,
    actor: User = None,
    level: str = "info",
    from_status: str = "",
    to_status: str = "",
    *,
    differs: bool = False,
) -> None:
    """Records something that happened to a run; in the history too if it is a move, or somebody's doing."""
    RunEvent.objects.create(
        run=run,
        at=clock.now(),
        text=text,
        actor=actor.get_username() if actor else _process,
        level=level,
        from_status=from_status,
        to_status=to_status,
    )
    if to_status or actor or origin.current().way != "worker":
        verb = "started" if to_status and not from_status else to_status.replace("_", " ") or "changed"
        outcome = DIFFERS if differs else OUTCOMES.get(to_status, DONE)
        record("run", verb, text, of_run(run), outcome, actor)
