"""The pages of runs: each view translates the request, makes one call inward, and translates back."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.actions import runs as actions
from jobs.models import Run
from jobs.pages import filter_fields, overview, throttle_form
from jobs.pages.decorators import (
    QUERIES,
    STOP_POLLING,
    HtmxRequest,
    View,
    asked,
    button,
    page,
    rights,
    say,
    show,
)
from jobs.pages.one_run.chunk_map import chunk_map, map_choice
from jobs.pages.one_run.live_run import live_page
from jobs.pages.one_run.onlookers import may_look
from jobs.pages.one_run.run import RunPage, run_page, whole_page
from jobs.pages.one_run.shared_polls import same_for_all
from jobs.pages.one_run.tables import table_filters
from jobs.pages.quarantine import Quarantine, quarantine_of
from jobs.pages.report import evidence_of, printed_of
from jobs.reporting.elements import ways_of
from mappings.problems import Problem, Refused
from mappings.web.first_steps import first_steps
from mappings.web.signed_in import signed_in

SAME_FOR_ALL = frozenset({"rows", "tables", "workers"})
"""Regions that look the same for whoever asks: no buttons, no forms."""


@page
def home(request: HttpRequest) -> HttpResponse:
    """What runs, what needs somebody, and the mappings."""
    filters = overview.CardFilters(**asked(request, "q", "status", "env", "sort"))
    home = overview.home(filters, request.GET)
    fields = filter_fields.of_cards(filters, home.environments)
    steps = () if home.recent else first_steps(request.user)
    return show(request, "jobs/home.html", "Overview", home=home, fields=fields, steps=steps)


@page
def runs(request: HttpRequest) -> HttpResponse:
    """The list of runs, searched, filtered, in parts."""
    filters = overview.RunFilters(**asked(request, "q", "status", "mapping", "env", "sort"))
    part = overview.runs(filters, request.GET)
    return show(
        request, "jobs/runs.html", "Runs",
        part=part, runs=part.rows, filters=filters, fields=filter_fields.of_runs(filters),
    )  # fmt: skip


@page
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: where it is, its tables, steps and events."""
    result = run_or_404(pk, lambda pk: whole_page(pk, table_filters(request.GET)))
    return show(
        request, "jobs/run.html", f"Run {pk}",
        run=result.run, page=result, at=result.progress, map=chunk_map(result.run, map_choice(request.GET)),
    )  # fmt: skip


@require_safe
@never_cache
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The regions of a run's page that moved since the browser last asked; 286 once nothing will move."""
    if not may_look(request):
        return HttpResponse(status=STOP_POLLING, headers={"HX-Refresh": "true"})
    result = run_or_404(pk, live_page).filtered(table_filters(request.GET))
    tokens = result.tokens
    moved = frozenset(region for region, token in tokens.items() if request.GET.get(region) != token)
    status = 200 if result.is_live else STOP_POLLING
    if moved <= SAME_FOR_ALL:
        key = (result.filters, *(request.GET.get(region, "") for region in ("rows", "health")), moved)
        text = result.once(key, lambda: _regions(request, result, tokens, moved))
        return same_for_all(HttpResponse(text, status=status))
    return HttpResponse(_regions(request, result, tokens, moved), status=status)


def _regions(request: HttpRequest, result: RunPage, tokens: dict[str, str], moved: frozenset[str]) -> str:
    context = {
        "run": result.run, "page": result, "at": result.progress, "moved": moved, "health": result.health,
        "tokens": tokens, "moved_rows": result.moved_rows(request.GET.get("rows", "")),
        "moved_steps": result.moved_steps(request.GET.get("stepped", "")), **rights(request),
    }  # fmt: skip
    return render_to_string("jobs/run/live.html", context, request)


@page
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """The evidence of one verification of a run: the last one, or the one asked for."""
    result = run_or_404(pk)
    evidence = evidence_of(result.run, request.GET.get("report", ""))
    return show(
        request, "jobs/report.html", f"Report of run {pk}",
        run=result.run, page=result, report=evidence.report, totals=evidence.totals, reports=evidence.all,
        failed=evidence.failed, kept=evidence.kept, ways=ways_of(result.run), identical=evidence.identical,
        printed=printed_of(result.run, evidence.report),
    )  # fmt: skip


@page
def quarantine(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows that were set aside: which, by which column, and what the database said."""
    result = run_or_404(pk)
    aside = Quarantine()
    problems: tuple[Problem, ...] = ()
    try:
        aside = quarantine_of(result.run)
    except Refused as refusal:
        problems = refusal.problems
    return show(
        request, "jobs/quarantine.html", f"Quarantine of run {pk}",
        run=result.run, page=result, aside=aside, problems=problems,
    )  # fmt: skip


@button
def throttle(request: HtmxRequest, pk: int) -> HttpResponse:
    """Sets a run's throttles. Answers htmx with their part of the page, and others with the page."""
    result = run_or_404(pk)
    typed = throttle_form.typed_in(request.POST, request.user.has_perm(QUERIES))
    try:
        actions.throttle(result.run, signed_in(request), result.throttles.changed(typed))
    except Refused as refusal:
        if not request.htmx:
            say(request, refusal.problems)
        result = RunPage(result.run, typed, refusal.problems)
    if not request.htmx:
        return redirect("jobs:run", pk)
    context = {"run": result.run, "page": result, **rights(request)}
    return render(request, "jobs/run/throttles.html", context)


def run_button(name: str, done: str) -> View:
    """The view of a button that does one action to a run and comes back to its page with a word on it."""

    def pressed(request: HttpRequest, pk: int) -> HttpResponse:
        result = get_object_or_404(Run, pk=pk)
        try:
            getattr(actions, name)(result, signed_in(request))
        except Refused as refusal:
            say(request, refusal.problems)
        else:
            messages.info(request, done)
        return redirect("jobs:run", pk)

    return button(pressed)


pause = run_button("pause", "The run pauses when the chunk under way has ended.")
resume = run_button("resume", "The run goes on where it stopped.")
cancel = run_button("cancel", "The run is cancelled. What was copied stays until you roll back.")
retry = run_button("retry", "The run goes on where it stopped; what is done is not done twice.")
repair = run_button(
    "repair", "What is missing is copied, what differs is overwritten; then all is compared again."
)
verify = run_button("verify", "Every row is compared again.")


def run_or_404(pk: int, read: Callable[[int], RunPage] = run_page) -> RunPage:
    """The page of a run, or 404."""
    try:
        return read(pk)
    except Run.DoesNotExist:
        raise Http404(f"There is no run {pk}.") from None
