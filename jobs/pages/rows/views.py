"""The pages and buttons of single rows: each view translates the request, makes one call inward, and back."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from jobs.actions import passports, repairs, runs
from jobs.actions.repairs import Choice
from jobs.engine.moving.passport import ColumnNow, Passport
from jobs.models import Run
from jobs.pages.decorators import button, page, say, show
from jobs.pages.filter_fields import FilterField
from jobs.pages.report import printed_of
from jobs.pages.rows.differences import DifferencesPage, differences_page, fields_of, lines_of
from jobs.pages.rows.marks import Pieces, marked
from jobs.reporting.differences import Filters
from jobs.reporting.elements import said, ways_of
from mappings.problems import Problem, Refused
from mappings.web.signed_in import signed_in


@page
def differences(request: HttpRequest, pk: int) -> HttpResponse:
    """What the last verification of a run found, row by row and column by column."""
    run, at = _run_or_404(pk), request.GET.dict()
    report = run.reports.first()
    result: DifferencesPage | None = None
    problems: tuple[Problem, ...] = ()
    if report:
        try:
            result = differences_page(run, report, at)
        except Refused as refusal:
            problems = refusal.problems
    filters, sort = Filters.of(at), at.get("sort") or "key"
    return show(
        request, "jobs/rows/differences.html", f"Differences of run {pk}",
        run=run, report=report, part=result, problems=problems,
        fields=fields_of(report, filters, sort) if report else (), is_filtered=bool(filters.given()),
        printed=printed_of(run, report),
    )  # fmt: skip


@page
def row(request: HttpRequest, pk: int) -> HttpResponse:
    """The passport of one row, by the key of its source row or of its target row."""
    run = _run_or_404(pk)
    table, source, target = (request.GET.get(name, "") for name in ("table", "source", "target"))
    known: Passport | None = None
    problems: tuple[Problem, ...] = ()
    if table and (source or target):
        try:
            known = passports.row_passport(run, table, source or None, None if source else target)
        except Refused as refusal:
            problems = refusal.problems
    names = [(name, name) for name in run.tables.values_list("name", flat=True)]
    fields = (
        FilterField("table", "Table", table, tuple(names)),
        FilterField("source", "Source key", source),
        FilterField("target", "or target key", target),
    )
    return show(
        request, "jobs/rows/passport.html", f"Row of run {pk}",
        run=run, known=known, problems=problems, fields=fields,
        lines=list(_passport_lines(run, known)) if known else [],
    )  # fmt: skip


def _passport_lines(run: Run, known: Passport) -> Iterator[tuple[ColumnNow, Pieces, Pieces, str]]:
    ways = ways_of(run)
    for one in known.columns:
        element = (
            said(ways.get((known.table, one.column), ()), one.expected, one.found) if one.differs else ""
        )
        yield (one, *marked(one.expected, one.found), element)


@page
def repair_rows(request: HttpRequest, pk: int) -> HttpResponse:
    """Which rows a repair would mend that somebody chose; nothing is changed."""
    run = _run_or_404(pk)
    filters, ids = _chosen(request.GET)
    choice: Choice | None = None
    problems: tuple[Problem, ...] = ()
    try:
        choice = repairs.choose(run, filters, ids)
    except Refused as refusal:
        problems = refusal.problems
    return show(
        request, "jobs/rows/repair.html", f"Repair rows of run {pk}",
        run=run, choice=choice, problems=problems, filters=filters.given(), ids=ids,
        lines=list(lines_of(run, choice.first)) if choice else (),
    )  # fmt: skip


@button
def start_repair(request: HttpRequest, pk: int) -> HttpResponse:
    """Mends the rows that were chosen and shown."""
    run = get_object_or_404(Run, pk=pk)
    filters, ids = _chosen(request.POST)
    try:
        choice = repairs.repair_rows(run, signed_in(request), filters, ids)
    except Refused as refusal:
        say(request, refusal.problems)
        query = urlencode({**filters.given(), "id": ids}, doseq=True)
        return redirect(f"{reverse('jobs:repair-rows', args=[pk])}?{query}")
    done = f"{choice.copied:,} rows are copied and {choice.overwritten:,} overwritten; then all is compared again."
    messages.info(request, done)
    return redirect("jobs:run", pk)


def _run_or_404(pk: int) -> Run:
    """The run, without what its own page shows besides."""
    return get_object_or_404(Run.objects.select_related("mapping", "environment", "revision"), pk=pk)


def _chosen(given: QueryDict) -> tuple[Filters, tuple[int, ...]]:
    """The filters, and the differences that were ticked."""
    ids = [int(text) for text in given.getlist("id") if text.isascii() and text.isdecimal()]
    return Filters.of({name: given.get(name, "") for name in given}), tuple(one for one in ids if one < 2**63)


@button
def verify_identical(request: HttpRequest, pk: int) -> HttpResponse:
    """Compares source and target again, by binary forms."""
    try:
        runs.verify(get_object_or_404(Run, pk=pk), signed_in(request), identical=True)
    except Refused as refusal:
        say(request, refusal.problems)
    else:
        messages.info(request, "Every row is compared again, in every bit of its binary form.")
    return redirect("jobs:run", pk)
