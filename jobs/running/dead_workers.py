"""What happens when a worker dies: whoever finds its claim stale takes the chunk over, and shuts the old worker out.

It is shut out by the run's epoch, which every chunk's transaction looks at in the target (the fence): a worker that was
only frozen and wakes up writes nothing. Whether its chunk was committed before, the ledger says.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from jobs.engine.errors import EngineError
from jobs.engine.target import ledger
from jobs.models import Chunk, Run
from jobs.running.session import STALE_AFTER, Session

MOST_ATTEMPTS = 25
"""Troubles that pass are told from deaths: a chunk that kills every worker must end too."""


def abandoned(session: Session, ready: Any) -> Chunk | None:
    """A chunk whose worker has shown no sign of life, or does not know how its commit ended.

    What that worker left open is ended, and the run's epoch raised: the ledger then has the last word on it.
    """
    stale = ready.filter(state="claimed").filter(Q(seen__lt=Now() - STALE_AFTER) | Q(seen__isnull=True))
    chunk: Chunk | None = stale.select_for_update(skip_locked=True).order_by("number").first()
    if chunk is None:
        return None
    if (deaths := chunk.attempts - chunk.troubles) >= MOST_ATTEMPTS:
        raise EngineError(f"{chunk} was begun {deaths} times, and no worker came to its end")
    session.end_former(chunk.worker)
    raise_epoch(session)
    return chunk


def raise_epoch(session: Session) -> None:
    """Shuts out whoever holds a claim of an older epoch."""
    Run.objects.filter(pk=session.run.pk).update(epoch=F("epoch") + 1)
    session.run.refresh_from_db(fields=["epoch"])
    ledger.raise_epoch(session.target, session.run.pk, session.run.epoch)


def agree_on_epoch(session: Session) -> None:
    """A takeover may have died between the two databases: what is in force in the target then holds in both."""
    with transaction.atomic():
        Run.objects.select_for_update().get(pk=session.run.pk)  # waits for a takeover that is under way
        in_force = ledger.epoch(session.target, session.run.pk)
        Run.objects.filter(pk=session.run.pk, epoch__lt=in_force).update(epoch=in_force)
