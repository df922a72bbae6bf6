"""The page of a run as it is asked for each second, by everybody who looks: made once for all of them, until it moves.

One query, the pulse, tells whether anything of the run was written since, and what workers hold. Where nothing was,
what was made for the last one who asked is shown again; where tables moved, only those are read again, in one query.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import prefetch_related_objects

from jobs import states
from jobs.models import Run
from jobs.pages.one_run.run import RunPage, run_page
from jobs.pages.one_run.workers import Claim, told
from jobs.progress import counted_tables, progress_again, progress_of

STALE = 2.0
"""Seconds after which the rate of a run is counted again though nothing moved: then it is falling."""
CROWD, MOMENT = 20, 1.0
"""From so many questions a second on, those within so many seconds get the same answer.

A second, as each who looks asks once in it: so all of them know the same when they ask again."""
CHART_STEPS = 120
"""The chart is drawn again when the run has gone on by this part of its length, and after a second at the least."""
MOST_KEPT = 64
READ_FOR_ALL = ("steps", "events", "tables", "progress", "report", "quarantined", "failed", "at_work")
"""What each who looks is shown from the same page."""

# What was written to a row has another xmin (the transaction) or another ctid (the place of the row), whoever wrote.
PULSE = """
SELECT r.uid::text, r.xmin::text || r.ctid::text,
       (SELECT array_agg(t.id || ':' || t.xmin || t.ctid)
          FROM jobs_tablerun t WHERE t.run_id = r.id),
       (SELECT md5(string_agg(s.xmin::text || s.ctid::text, ' ' ORDER BY s.id))
          FROM jobs_steprun s WHERE s.run_id = r.id),
       (SELECT max(e.id) FROM jobs_runevent e WHERE e.run_id = r.id),
       (SELECT max(p.id) FROM jobs_report p WHERE p.run_id = r.id),
       (SELECT json_agg(json_build_array(c.worker, t.name, c.phase, c.number, c.low, c.high, c.pages, c.size,
                                         c.attempts) ORDER BY c.id)::text
          FROM jobs_chunk c JOIN jobs_tablerun t ON t.id = c.table_id
         WHERE c.state = 'claimed' AND t.run_id = r.id)
  FROM jobs_run r
 WHERE r.id = %s
"""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What changes when the run does, part by part. tables: a mark for each; claims: JSON, None if there are none."""

    uid: str
    run: str
    tables: frozenset[str]
    steps: str | None
    event: int | None
    report: int | None
    claims: str | None

    def moved_tables(self, before: Pulse) -> set[int]:
        """The keys of tables that are not as they were."""
        return {int(mark.partition(":")[0]) for mark in self.tables - before.tables}


@dataclass(slots=True)
class Crowd:
    """How many asked of a run in this second, and when it was looked at last."""

    second: int = 0
    asked: int = 0
    looked: float = 0.0

    @property
    def is_large(self) -> bool:
        """Whether so many ask that they are told the same."""
        return self.asked > CROWD

    def may_share(self, now: float) -> bool:
        """Whether so many ask that the last look, a moment ago, will do for this one too."""
        if self.second != int(now):
            self.second, self.asked = int(now), self.asked // 2
        self.asked += 1
        if self.is_large and now - self.looked < MOMENT:
            return True
        self.looked = now
        return False


@dataclass(frozen=True, slots=True)
class Kept:
    """A page as it was made; made, drawn: when all its numbers and its chart were, by the clock of this process."""

    pulse: Pulse
    page: RunPage
    made: float
    drawn: float


_KEPT: dict[int, Kept] = {}
_CROWDS: dict[int, Crowd] = {}


def live_page(pk: int) -> RunPage:
    """The page of a run as it is now, shared with others who look: not to be changed. Run.DoesNotExist.

    Where a crowd looks, it is as it was a moment ago.
    """
    now, kept = time.monotonic(), _KEPT.get(pk)
    if _CROWDS.setdefault(pk, Crowd()).may_share(now) and kept:
        return kept.page
    pulse = _pulse(pk)
    if kept is None or kept.pulse.uid != pulse.uid:
        fresh = _made(pk, pulse, now)
    elif kept.page.run.status in states.WORKING and now - kept.made > STALE:
        fresh = _made_again(pk, pulse, kept, now)
    elif kept.pulse == pulse:
        return kept.page
    elif kept.pulse.run != pulse.run or len(kept.pulse.tables) != len(pulse.tables):
        fresh = _made_again(pk, pulse, kept, now)
    else:
        fresh = _moved_on(pulse, kept)
    for part in READ_FOR_ALL:
        getattr(fresh.page, part)
    if len(_KEPT) >= MOST_KEPT:
        _KEPT.clear()
        _CROWDS.clear()
    _KEPT[pk] = fresh
    return fresh.page


def joins_crowd(pk: int, told: float) -> bool:
    """Whether one more may be told what others were told then: so many ask, and nobody looked again since.

    It is counted as asked then. told: by the clock of this process.
    """
    crowd, now = _CROWDS.get(pk), time.monotonic()
    if crowd is None or not crowd.is_large or not crowd.looked <= told <= now < crowd.looked + MOMENT:
        return False
    return crowd.may_share(now)


def is_crowd(pk: int) -> bool:
    """Whether so many ask that they are told the same."""
    crowd = _CROWDS.get(pk)
    return crowd is not None and crowd.is_large


def scatter() -> None:
    """Forgets how many asked: the next question is answered by a look of its own."""
    _CROWDS.clear()


def _pulse(pk: int) -> Pulse:
    with connection.cursor() as cursor:
        cursor.execute(PULSE, [pk])
        row = cursor.fetchone()
    if row is None:
        raise Run.DoesNotExist(f"There is no run {pk}.")
    uid, run, tables, *rest = row
    return Pulse(uid, run, frozenset(tables or ()), *rest)


def _claims(pulse: Pulse) -> Iterable[Claim]:
    return map(Claim._make, json.loads(pulse.claims or "[]"))


def _made(pk: int, pulse: Pulse, now: float) -> Kept:
    page = run_page(pk)
    prefetch_related_objects([page.run], "tables")  # they are counted in more than one place
    page.at_work = told(page.run, _claims(pulse))
    return Kept(pulse, page, now, now)


def _made_again(pk: int, pulse: Pulse, kept: Kept, now: float) -> Kept:
    """With all numbers counted again, and the chart where it is time for it."""
    fresh, was = _made(pk, pulse, now), kept.page
    page = fresh.page
    _take_over(page, was, pulse, kept.pulse)
    same_stage = (was.run.status, was.run.stage) == (page.run.status, page.run.stage)
    if same_stage and now - kept.drawn < max(1.0, page.run.seconds / CHART_STEPS):
        page.progress = progress_of(page.run, was.progress.rates)
        return Kept(pulse, page, now, kept.drawn)
    return fresh


def _moved_on(pulse: Pulse, kept: Kept) -> Kept:
    """The run itself is as it was: what moved of its tables, steps and events is read; rates are those of before."""
    was, run = kept.page, kept.page.run
    page = RunPage(run)
    _take_over(page, was, pulse, kept.pulse)
    page.at_work = told(run, _claims(pulse))
    keys = pulse.moved_tables(kept.pulse)
    moved = {table.pk: table for table in counted_tables(keys)} if keys else {}
    page.tables = [moved.get(table.id, table) for table in was.tables]
    page.progress = progress_again(run, was.progress, moved.values())
    return Kept(pulse, page, kept.made, kept.drawn)


def _take_over(page: RunPage, was: RunPage, now: Pulse, then: Pulse) -> None:
    """What has not moved need not be read again."""
    if now.steps == then.steps:
        page.steps, page.step_marks = was.steps, was.step_marks
    if now.event == then.event:
        page.events = was.events
    if now.report == then.report:
        page.report = was.report
