"""The page of a run as it is asked for each second, by everybody who looks: made once for all of them, until it moves.

One query, the pulse, tells whether anything of the run was written since. Where nothing was, what was made for the
last one who asked is shown again; where something was, only that is read again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db import connection
from django.db.models import prefetch_related_objects

from jobs import states
from jobs.models import Run
from jobs.pages.run import RunPage, run_page
from jobs.progress import progress_of

STALE = 2.0
"""Seconds after which the rate of a run is counted again though nothing moved: then it is falling."""
CHART_STEPS = 120
"""The chart is drawn again when the run has gone on by this part of its length, and after a second at the least."""
MOST_KEPT = 64

# What was written to a row has another xmin (the transaction) or another ctid (the place of the row), whoever wrote.
PULSE = """
SELECT r.uid::text, r.xmin::text || r.ctid::text,
       (SELECT md5(string_agg(t.xmin::text || t.ctid::text, ' ' ORDER BY t.id))
          FROM jobs_tablerun t WHERE t.run_id = r.id),
       (SELECT md5(string_agg(s.xmin::text || s.ctid::text, ' ' ORDER BY s.id))
          FROM jobs_steprun s WHERE s.run_id = r.id),
       (SELECT max(e.id) FROM jobs_runevent e WHERE e.run_id = r.id),
       (SELECT max(p.id) FROM jobs_report p WHERE p.run_id = r.id)
  FROM jobs_run r
 WHERE r.id = %s
"""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What changes when the run does, part by part of it."""

    uid: str
    run: str
    tables: str | None
    steps: str | None
    event: int | None
    report: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A page as it was made; made, drawn: when it and its chart were, by the clock of this process."""

    pulse: Pulse
    page: RunPage
    made: float
    drawn: float


_KEPT: dict[int, Kept] = {}


def live_page(pk: int) -> RunPage:
    """The page of a run as it is now, shared with others who look: not to be changed. Run.DoesNotExist."""
    pulse, now = _pulse(pk), time.monotonic()
    kept = _KEPT.get(pk)
    if kept and kept.pulse == pulse and not (_is_moving(kept.page.run) and now - kept.made > STALE):
        return kept.page
    fresh = _made_again(pk, pulse, kept if kept and kept.pulse.uid == pulse.uid else None, now)
    if len(_KEPT) >= MOST_KEPT:
        _KEPT.clear()
    _KEPT[pk] = fresh
    return fresh.page


def _pulse(pk: int) -> Pulse:
    with connection.cursor() as cursor:
        cursor.execute(PULSE, [pk])
        found = cursor.fetchone()
    if found is None:
        raise Run.DoesNotExist(f"There is no run {pk}.")
    return Pulse(*found)


def _is_moving(run: Run) -> bool:
    return run.status in states.WORKING


def _made_again(pk: int, pulse: Pulse, kept: Kept | None, now: float) -> Kept:
    page = run_page(pk)
    prefetch_related_objects([page.run], "tables")  # they are counted in more than one place
    if kept is None:
        return Kept(pulse, page, now, now)
    if pulse.steps == kept.pulse.steps:
        page.steps = kept.page.steps
    if pulse.event == kept.pulse.event:
        page.events = kept.page.events
    if pulse.report == kept.pulse.report:
        page.report = kept.page.report
    was = kept.page
    same_stage = (was.run.status, was.run.stage) == (page.run.status, page.run.stage)
    if same_stage and now - kept.drawn < max(1.0, page.run.seconds / CHART_STEPS):
        page.progress = progress_of(page.run, was.progress.rates)
        return Kept(pulse, page, now, kept.drawn)
    return Kept(pulse, page, now, now)
