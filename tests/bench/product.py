"""The product, driven as a user drives it: a click, and looking at the run until it comes to rest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils import timezone

from jobs import states
from jobs.actions import runs
from jobs.models import Run
from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.plan.model import Plan
from mappings.store import save_spec
from tests.bench.servers import Servers
from tests.bench.workers import Use, Workers, watched
from tests.factories import environment_at

Layout = Literal["one", "two"]
LAYOUTS: tuple[Layout, ...] = ("one", "two")
LOOK_SECONDS, FIRST_LOOK_SECONDS = 0.1, 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Source, target and the environment that leads to them."""

    layout: Layout
    source: str
    target: str
    environment: Environment


@dataclass(frozen=True, slots=True)
class Trip:
    """Seconds from click to verified, and of its parts; use: of the work horses meanwhile.

    copy_cpu, verify_cpu: seconds of CPU in those stages, of both servers and the workers.
    """

    run: Run
    rows: int
    click: datetime
    first_row: float
    prepare: float
    copy: float
    verify: float
    whole: float
    use: Use
    copy_cpu: float
    verify_cpu: float


@dataclass(frozen=True, slots=True)
class Return:
    """Seconds from the click on roll back to rolled back, and of the stage that the workers do."""

    stage: float
    whole: float


def place(servers: Servers, layout: Layout) -> Place:
    """Makes the environment of a layout."""
    source = servers.near.url("bench")
    target = source if layout == "one" else servers.far.url("bench")
    return Place(layout, source, target, environment_at(layout, source, target))


def mapping(text: str) -> Mapping:
    """Loads a mapping file."""
    return Mapping.objects.get(pk=save_spec(parse(text)).mapping_id)


def planned(place: Place, mapping: Mapping) -> tuple[Plan, float]:
    """The plan that the review page shows, and the seconds it took."""
    began = time.perf_counter()
    plan = runs.review(mapping, place.environment)
    return plan, time.perf_counter() - began


def migrate(place: Place, mapping: Mapping, workers: Workers) -> Trip:
    """Starts a run, and waits until it is verified."""
    with watched(workers) as use:
        click = timezone.now()
        run = runs.start(mapping, place.environment, None)
        first = _first_row(run, workers)
        rest(run, states.VERIFIED, workers)
    at = moves(run)
    rows = sum(table.inserted for table in run.tables.all())
    prepare = _between(at[states.PREPARING], at[states.COPYING])
    copy = _between(at[states.COPYING], at[states.VERIFYING])
    verify = _between(at[states.VERIFYING], at[states.VERIFIED])
    whole = _between(click, at[states.VERIFIED])
    stages = (states.COPYING, states.VERIFYING, states.VERIFIED)
    copying, verifying, verified = (at[stage].timestamp() for stage in stages)
    used = use.all.between(copying, verifying), use.all.between(verifying, verified)
    return Trip(run, rows, click, _between(click, first), prepare, copy, verify, whole, use, *used)


def again(place: Place, mapping: Mapping, workers: Workers) -> float:
    """Starts a run that finds all rows there. Returns the seconds of its copy."""
    run = runs.start(mapping, place.environment, None)
    rest(run, states.VERIFIED, workers)
    at = moves(run)
    return _between(at[states.COPYING], at[states.VERIFYING])


def roll_back(run: Run, workers: Workers) -> Return:
    """Rolls a run back, and waits until it is."""
    click = timezone.now()
    runs.roll_back(Run.objects.get(pk=run.pk), None)
    rest(run, states.ROLLED_BACK, workers)
    at = moves(run)
    end = at[states.ROLLED_BACK]
    return Return(_between(at[states.ROLLING_BACK], end), _between(click, end))


def _first_row(run: Run, workers: Workers) -> datetime:
    """When the run's page would first have shown a copied row."""
    while not run.tables.filter(inserted__gt=0).exists():
        _refuse_failed(run, workers)
        time.sleep(FIRST_LOOK_SECONDS)
    return timezone.now()


def rest(run: Run, wanted: str, workers: Workers) -> None:
    """Waits until the run is as wanted."""
    while _refuse_failed(run, workers) != wanted:
        time.sleep(LOOK_SECONDS)


def _refuse_failed(run: Run, workers: Workers) -> str:
    run.refresh_from_db(fields=["status", "error"])  # and not its plan, fifty times a second
    if run.status in (states.FAILED, states.MISMATCH, states.PAUSED, states.CANCELLED):
        raise RuntimeError(f"{run} is {run.status}: {run.error}\n{workers.last_words()}")
    return run.status


def moves(run: Run) -> dict[str, datetime]:
    """When the run last came to each status."""
    return {event.to_status: event.at for event in run.events.order_by("id") if event.to_status}


def _between(one: datetime, other: datetime) -> float:
    return (other - one).total_seconds()
