"""Rings what should be running and is not: after lost rings, dead workers, a flushed or absent Redis."""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from jobs import states, transitions
from jobs.actions import reviews
from jobs.history import chain
from jobs.models import Chunk, Run
from jobs.notices import deliver
from jobs.processes import doorbell, seats, stop_signals
from jobs.running import runner
from jobs.running.session import STALE_AFTER
from jobs.workers import aside, long_waits

SWEEP_SECONDS: float = getattr(settings, "SWEEP_SECONDS", 3)

log = logging.getLogger(__name__)


def unattended() -> QuerySet[Run]:
    """Runs that should be going on, and on which nobody works, or on which a claim was abandoned."""
    claims = Chunk.objects.filter(table__run=OuterRef("pk"), state="claimed")
    fresh = claims.filter(seen__gte=Now() - STALE_AFTER)
    stale = claims.filter(Q(seen__isnull=True) | Q(seen__lt=Now() - STALE_AFTER))
    nobody = ~Exists(fresh) & (Q(lease_until__isnull=True) | Q(lease_until__lt=Now()))
    return Run.objects.filter(Q(Exists(stale)) | nobody, status__in=sorted(states.RINGING))


def sweep() -> int:
    """Settle pauses, ring for reviews that wait and for every unattended run; how many runs could be rung."""
    for run in Run.objects.filter(status=states.PAUSING):
        runner.settle_pause(run)
    if reviews.waiting().exists():
        doorbell.ring_workers(doorbell.REVIEWS)
    return sum(
        doorbell.ring_workers(run_id) for run_id in unattended().order_by("pk").values_list("pk", flat=True)
    )


def tidy() -> None:
    """Forget seats, and their queues, whose worker died long ago, and old notices."""
    for seat in seats.forgotten():
        doorbell.forget_queue(seat.queue)
        seats.forgotten().filter(pk=seat.pk).delete()
    deliver.forget_old()


def sweep_for_ever() -> None:
    """Sweep every few seconds until asked to stop; go on when a server was away."""
    transitions.introduce("the sweeper")
    away = False
    while not stop_signals.requested():
        try:
            sweep()
            tidy()
            chain.watch()
            long_waits.look()
            aside.NOTICES.wake()
            aside.SCHEDULES.wake()
            away = False
        except (DatabaseError, InterfaceError) as error:
            if not away:
                log.warning("The sweeper waits for the database: %s", str(error).strip())
            away = True
        finally:
            # A fresh connection each time outlives every restart of the database.
            connections.close_all()
        _sleep(SWEEP_SECONDS)


def _sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while not stop_signals.requested() and time.monotonic() < until:
        time.sleep(0.2)
