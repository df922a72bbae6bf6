"""A worker that a run has no room for stands by, without sessions in its databases, or goes to another run."""

from __future__ import annotations

import time

from jobs import clock, phases, states
from jobs.models import Run
from jobs.processes import seats, stop_signals
from jobs.running import claims
from jobs.running.admission import limits

IDLE_SECONDS = (0.01, 0.25)
"""How long a worker rests that finds nothing to do, at least and at most: a tenth of how long there was nothing."""

SHUT_OUT_SECONDS = 1.0
"""How long one rests whom a run has no room for; and for how long those who are not needed let others begin."""

WORK_IN = {
    states.STAGE_STATUS[stage]: found for stage, found in phases.OF_STAGE.items() if stage != "prepare"
}
"""The phases whose chunks may be claimed in a status; to prepare is not cut into chunks."""


def others_wait(run: Run) -> bool:
    """Whether any other run wants workers."""
    return Run.objects.filter(status__in=states.RINGING).exclude(pk=run.pk).exists()


def rest(idle_since: float) -> None:
    """For a little while, and longer the longer there was nothing to do."""
    least, most = IDLE_SECONDS
    time.sleep(min(most, max(least, (time.monotonic() - idle_since) / 10)))


def stand_by(run: Run, worker: str, deadline: float) -> bool | None:
    """Returns once the run has room for the worker: None. Else, at the end of the slice or to leave for another run,
    whether the run is to be rung again."""
    since, is_needed = time.monotonic(), _is_among_the_first(run, worker)
    while True:
        shut_out = _is_shut_out(run)
        if not (shut_out or (not is_needed and _begins(run, since))):
            return None
        if time.monotonic() >= deadline or stop_signals.requested():
            return True
        if others_wait(run):
            return False if shut_out else None
        time.sleep(SHUT_OUT_SECONDS if shut_out else IDLE_SECONDS[1])
        run.look_again()
        if run.status not in states.RINGING:
            return False


def _is_among_the_first(run: Run, worker: str) -> bool:
    """Of the seats, in the order of their names, those begin that the run has room for; one without a seat as well."""
    first = list(seats.live().order_by("name").values_list("name", flat=True))
    return worker not in first[run.most_at_once :]


def _begins(run: Run, since: float) -> bool:
    """Whether those who begin may not be there yet, nor have the chunks that will tell."""
    if run.status in (states.QUEUED, states.PREPARING):
        return time.monotonic() - since < SHUT_OUT_SECONDS
    if run.status not in WORK_IN or run.stage_since is None:
        return False
    young = (clock.now() - run.stage_since).total_seconds() < SHUT_OUT_SECONDS
    return young and limits.is_shut_out(_due(run, claims.surveyed(run)), 0)


def _is_shut_out(run: Run) -> bool:
    """Whether as many sessions as bring something have all that there is to do in the run."""
    if run.status not in WORK_IN:
        return False
    tables = claims.surveyed(run)
    return limits.is_shut_out(_due(run, tables), limits.room(run, tables))


def _due(run: Run, tables: list[claims.SurveyedTable]) -> list[claims.SurveyedTable]:
    return [table for table in tables if table.unfinished and table.phase in WORK_IN[run.status]]
