"""How a mapping stood the test over time in one environment, what drifted, and when it is tested again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from jobs import states
from jobs.actions import schedules
from jobs.actions.schedules import Wanted
from jobs.models import Schedule
from jobs.pages.decorators import button, page, say, show
from jobs.pages.mapping_views import chosen_environment
from jobs.pages.overview import in_order
from jobs.pages.verifications.line import line
from jobs.reporting.verifications import Verification, drift_of, verifications_of
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused
from mappings.web.numbers import whole_number
from mappings.web.signed_in import signed_in

LISTED = 20
TABLES_SHOWN = 50
DRIFTED = ("missing", "different", "extra", "source_more", "target_more")


@page
def verifications(request: HttpRequest, name: str) -> HttpResponse:
    """One environment at a time: the line, the drift, the schedule, the last reports."""
    mapping, environments, environment, result = _looked_at(request, name)
    drift = drift_of(result)
    run = schedules.last_run(mapping, environment) if environment else None
    return show(
        request, "jobs/verifications/verifications.html", f"Verifications of {name}",
        mapping=mapping, environments=environments, environment=environment, found=result[:LISTED], count=len(result),
        drift=drift, tables=drift.tables[:TABLES_SHOWN] if drift else (), line=line(result), oldest=result[-1:],
        schedule=Schedule.objects.filter(mapping=mapping, environment=environment).first(), run=run,
        may_verify=bool(run and run.status in (states.VERIFIED, states.MISMATCH)),
    )  # fmt: skip


@page
def short_line(request: HttpRequest, name: str) -> HttpResponse:
    """A piece of the mapping's own page: the line, and the drift since the last green verification in numbers."""
    mapping, _, environment, result = _looked_at(request, name)
    drift = drift_of(result)
    numbers = [sum(getattr(one, name) for one in drift.tables) for name in DRIFTED] if drift else []
    return render(
        request, "jobs/verifications/line.html",
        {"mapping": mapping, "environment": environment, "found": result, "drift": drift, "line": line(result),
         "numbers": dict(zip(DRIFTED, numbers, strict=False))},
    )  # fmt: skip


def _looked_at(
    request: HttpRequest, name: str
) -> tuple[Mapping, list[Environment], Environment | None, Sequence[Verification]]:
    """(mapping, its environments in order, the one that is chosen, its verifications there)."""
    mapping = get_object_or_404(Mapping, name=name)
    environments = in_order(list(Environment.objects.select_related("after")))
    environment = chosen_environment(environments, request.GET.get("env"))
    return mapping, environments, environment, verifications_of(mapping, environment) if environment else ()


@button
def schedule(request: HttpRequest, name: str) -> HttpResponse:
    """Sets when it is verified again."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.POST.get("env"))
    try:
        wanted = _wanted(request)
        kept = schedules.plan_verifications(mapping, environment, signed_in(request), wanted)
    except Refused as refusal:
        say(request, refusal.problems)
    else:
        messages.success(request, f"{mapping} is verified in {environment} by itself: {kept}.")
    address = reverse("jobs:verifications", args=[name])
    return redirect(f"{address}?{urlencode({'env': environment.name})}")


def _wanted(request: HttpRequest) -> Wanted:
    """What was typed in. Refused for what is no number and no time, or for both."""
    hours, daily = request.POST.get("hours", "").strip(), request.POST.get("daily", "").strip()
    every = whole_number(hours) if hours else None
    if hours and every is None:
        raise Refused([Problem("hours", f"{hours[:20]!r} is no whole number")])
    if hours and daily:
        raise Refused([Problem("", "every so many hours, or daily at a time: not both")])
    try:
        at = time.fromisoformat(daily) if daily else None
    except ValueError as error:
        raise Refused([Problem("daily", f"{daily[:20]!r} is no time of day: write HH:MM")]) from error
    return Wanted(every, at.replace(tzinfo=None) if at else None, bool(request.POST.get("by_hand")))
