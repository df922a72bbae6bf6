"""Verification by itself: when it is due, and what is done then. The sweeper's process asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from jobs import clock, states
from jobs.actions import runs
from jobs.history.record import About, reasons, record
from jobs.models import Run, Schedule
from jobs.running import script_runs
from jobs.transitions import User
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused

LATER = timedelta(minutes=10)
"""When it is tried again where a run of the mapping is under way; and how often rows moved by hand are looked for."""

WHY = "The schedule asked for verification."


@dataclass(frozen=True, slots=True)
class Wanted:
    """When to verify: every so many hours, or daily at a time (UTC), or neither; and after a run by hand."""

    every_hours: int | None = None
    daily_at: time | None = None
    after_hand_run: bool = False


def plan_verifications(mapping: Mapping, environment: Environment, actor: User, wanted: Wanted) -> Schedule:
    """Sets when a mapping is verified again in an environment. Refused for times that are none."""
    now = clock.now()
    with transaction.atomic():
        kept = Schedule.objects.select_for_update().filter(mapping=mapping, environment=environment).first()
        schedule = kept or Schedule(mapping=mapping, environment=environment)
        schedule.every_hours, schedule.daily_at = wanted.every_hours, wanted.daily_at
        schedule.after_hand_run = wanted.after_hand_run
        schedule.next_at, schedule.look_at = _next(schedule, now), now if wanted.after_hand_run else None
        try:
            schedule.full_clean()
        except ValidationError as error:
            raise Refused([Problem("", text) for text in error.messages]) from error
        schedule.save()
        record("schedule", "set", f"{schedule}.", _about(schedule), actor=actor)
    return schedule


def _about(schedule: Schedule) -> About:
    return About(mapping=schedule.mapping.name, environment=schedule.environment.name)


def _next(schedule: Schedule, after: datetime) -> datetime | None:
    """The first time of the schedule after that one."""
    if schedule.every_hours:
        return after + timedelta(hours=schedule.every_hours)
    if schedule.daily_at is None:
        return None
    today = datetime.combine(after.astimezone(UTC).date(), schedule.daily_at, UTC)
    return today if today > after else today + timedelta(days=1)


# ---- what the sweeper's process does


def due() -> QuerySet[Schedule]:
    """Those whose time has come, for one thing or the other."""
    return Schedule.objects.filter(Q(next_at__lte=Now()) | Q(look_at__lte=Now()))


def begin_next() -> bool:
    """Does what one schedule wants now; False where none is due."""
    now = clock.now()
    with transaction.atomic():
        result = due().select_for_update(skip_locked=True).order_by("pk").first()
        if result is None:
            return False
        looks = bool(result.look_at and result.look_at <= now)
        verifies = bool(result.next_at and result.next_at <= now)
        times = Schedule.objects.filter(pk=result.pk)
        if looks:
            times.update(look_at=now + LATER)
        if verifies:
            times.update(next_at=_next(result, now))
    schedule = Schedule.objects.select_related("mapping", "environment").filter(pk=result.pk).first()
    if schedule:
        said = _take_over(schedule) if looks else ""
        said = said or (_verify(schedule) if verifies else "")
        if said:
            Schedule.objects.filter(pk=schedule.pk).update(said=said)
    return True


def last_run(mapping: Mapping, environment: Environment) -> Run | None:
    """The last run of the pair whose rows are there."""
    result = Run.objects.filter(mapping=mapping, environment=environment).exclude(status=states.ROLLED_BACK)
    related = result.select_related("mapping", "environment").defer("plan", "plan_selected")
    return related.order_by("-pk").first()


def _verify(schedule: Schedule) -> str:
    """Asks for verification of the last run; what came of it, as a sentence."""
    run = last_run(schedule.mapping, schedule.environment)
    if run is None:
        return "Nothing is migrated that could be verified."
    status = run.status.replace("_", " ")
    if run.is_active:
        Schedule.objects.filter(pk=schedule.pk).update(next_at=clock.now() + LATER)
        return f"Run {run.pk} is {status}; it is tried again soon."
    if (run.status, states.VERIFYING) not in states.MOVES or run.status == states.FAILED:
        return f"Run {run.pk} is {status}: retry it or roll it back, so that there is something to verify."
    try:
        runs.verify(run, None, why=WHY)
    except Refused as refusal:
        return f"Refused: {reasons(refusal.problems)}"
    return f"Verification of run {run.pk} began."


def _take_over(schedule: Schedule) -> str:
    """Starts the run that goes on with what exported scripts moved, which brings what lacks and compares all."""
    mapping, environment = schedule.mapping, schedule.environment
    revision = mapping.latest_revision
    try:
        result = script_runs.moved_by_hand(environment, mapping.name) if revision else []
        if not any(
            (one.sha256, one.environment) == (revision and revision.sha256, environment.name)
            for one in result
        ):
            return ""
        run = runs.start(mapping, environment, None)
    except Refused as refusal:
        return f"Rows that were moved by hand could not be verified: {reasons(refusal.problems)}"
    return f"Run {run.pk} goes on with what was moved by hand, and compares all."
