"""RQ's door: a ring carries a run's id and nothing else. What there is to do stands in PostgreSQL."""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from jobs import transitions
from jobs.actions import reviews
from jobs.processes import control_database, doorbell, seats, stop_signals
from jobs.running import runner

SLICE_SECONDS: float = getattr(settings, "RING_SECONDS", 50)

log = logging.getLogger(__name__)


def ring(run_id: int) -> None:
    """Work on the run for one slice; ring again if there is more to do. Harmless for a run that is finished.

    Runs in a forked work horse: database connections from before the fork give wrong answers.
    """
    connections.close_all()
    transitions.introduce(seats.my_name())
    if run_id == doorbell.REVIEWS:
        reviews.work(seats.my_name())
        return
    try:
        again = runner.advance(run_id, seats.my_name(), time.monotonic() + SLICE_SECONDS)
        if again:
            doorbell.ring_workers(run_id, besides=seats.my_name() if stop_signals.requested() else "")
    except (DatabaseError, InterfaceError) as error:
        control_database.tell(error)
        log.warning(
            "Run %s: this slice broke off, the sweeper will ring again: %s", run_id, str(error).strip()
        )
    finally:
        connections.close_all()
