"""Finds runs that have waited for minutes, for a lock that somebody holds or a server that is away; tells of it."""

from __future__ import annotations

import time

from jobs import states
from jobs.models import Run
from jobs.notices import outbox

LONG_SECONDS = 300.0
"""A wait that is shorter ends by itself often enough."""

_since: dict[int, float] = {}
_told: set[int] = set()


def look() -> None:
    """Called by the sweeper at each round: each wait is told of once, when it has lasted."""
    now = time.monotonic()
    runs = Run.objects.filter(status__in=sorted(states.RINGING)).exclude(waiting_for="")
    waiting = {run.pk: run for run in runs.only("pk", "waiting_for", "status")}
    for gone in set(_since) - set(waiting):
        del _since[gone]
        _told.discard(gone)
    for number, run in waiting.items():
        if now - _since.setdefault(number, now) >= LONG_SECONDS and number not in _told:
            _told.add(number)
            outbox.of_wait(run)
