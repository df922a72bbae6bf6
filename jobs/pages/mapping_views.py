"""The pages of a mapping before it runs: its way through the environments, its plan, what a start would do."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.actions import asking, exports, rehearsals, runs
from jobs.actions.start import AlreadyActive
from jobs.exporting import folders
from jobs.models import Rehearsal, Review
from jobs.pages import filter_fields, overview, throttle_form
from jobs.pages.decorators import QUERIES, STOP_POLLING, asked, button, page, say, show
from jobs.pages.health import ailments
from jobs.pages.promotion import PromotionFilters, promotion_page
from jobs.pages.review import changed_since, review_of
from jobs.pages.revisions import revisions_page
from jobs.throttles import NONE
from mappings.models import Environment, Mapping
from mappings.plan import text
from mappings.problems import Problem, Refused
from mappings.web.numbers import whole_number
from mappings.web.signed_in import signed_in


@page
def promotion(request: HttpRequest) -> HttpResponse:
    """How far each mapping is on its way through the environments, and what is missing to go on."""
    shown = promotion_page(PromotionFilters(**asked(request, "q", "done", "todo")), request.GET)
    fields = filter_fields.of_promotion(shown.filters, shown.environments)
    return show(request, "jobs/promotion.html", "Promotion", shown=shown, fields=fields)


@button
def ask(request: HttpRequest, name: str) -> HttpResponse:
    """Asks for a mapping in an environment; those who may start it there are told."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.POST.get("env"))
    try:
        told = asking.ask_for_promotion(
            mapping, environment, signed_in(request), request.POST.get("comment", "")
        )
    except Refused as refusal:
        say(request, refusal.problems)
    else:
        nobody = "Nobody has chosen to be told of it; it is in the history."
        done = f"{told} {'receiver is' if told == 1 else 'receivers are'} told." if told else nobody
        messages.success(request, f"{mapping} is asked for in {environment}. {done}")
    return redirect("jobs:promotion")


@page
def review(request: HttpRequest, name: str) -> HttpResponse:
    """The plan of a mapping against one environment's live databases, before anything is started."""
    mapping = get_object_or_404(Mapping, name=name)
    environments = overview.in_order(list(Environment.objects.select_related("after")))
    environment = chosen_environment(environments, request.GET.get("env"))
    tables = request.GET.getlist("tables")
    anew, safe = bool(request.GET.get("anew")), bool(request.GET.get("safe"))
    review = review_of(mapping, environment, tables, anew, safe)
    if environment and review.is_live and anew:  # reloading the page must not ask once more
        return redirect(overview.review_address(mapping, environment, tables, safe))
    return show(
        request, "jobs/review.html", f"Review {mapping.name}",
        mapping=mapping, environments=environments, environment=environment, review=review, plan=review.plan,
        throttle_fields=throttle_form.fields_of(), safe=safe,
        tables=tables, names=overview.table_names(mapping), active=overview.active_run(mapping, environment),
    )  # fmt: skip


def chosen_environment(environments: list[Environment], name: str | None) -> Environment | None:
    """The environment called `name`; the first one if none is asked for; 404 for an unknown name."""
    if not name:
        return next(iter(environments), None)
    for environment in environments:
        if environment.name == name:
            return environment
    raise Http404(f"There is no environment called {name}.")


@require_safe
@never_cache
def review_live(request: HttpRequest, pk: int) -> HttpResponse:
    """How far the making of a plan is; 286 once it is there, and the page is loaded again."""
    if not (request.user.is_active and request.user.is_staff):
        return HttpResponse(status=STOP_POLLING, headers={"HX-Refresh": "true"})
    result = Review.objects.filter(pk=pk).first()
    if result is None or result.state in ("done", "failed"):
        return HttpResponse(status=STOP_POLLING, headers={"HX-Refresh": "true"})
    return render(request, "jobs/review/measuring.html", {"made": result, "health": ailments()})


@button
def rehearse(request: HttpRequest, name: str) -> HttpResponse:
    """Rehearses a sample, and goes to what was found; refused, it goes back to the review with the reasons."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.POST.get("env"))
    tables, rows = request.POST.getlist("tables"), request.POST.get("rows", "")
    sample = whole_number(rows) or rehearsals.SAMPLE_ROWS
    try:
        done = rehearsals.rehearse(
            mapping, environment, signed_in(request), tables or None, sample, rehearsals.PAGE_SECONDS
        )
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(overview.review_address(mapping, environment, tables))
    return redirect("jobs:rehearsal", done.pk)


@page
def rehearsal(request: HttpRequest, pk: int) -> HttpResponse:
    """What a rehearsal found."""
    related = Rehearsal.objects.select_related("mapping", "environment", "revision", "actor")
    done = get_object_or_404(related, pk=pk)
    return show(
        request, "jobs/rehearsal.html", f"Rehearsal of {done.mapping.name}",
        rehearsal=done, mapping=done.mapping, environment=done.environment, found=rehearsals.summary(done),
    )  # fmt: skip


@page
def export(request: HttpRequest, name: str) -> HttpResponse:
    """The plan as SQL that is run by hand, in a zip; a plan with blockers goes back to the review."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.GET.get("env"))
    tables, chosen = request.GET.getlist("tables"), request.GET.get("format", "")
    safe = bool(request.GET.get("safe"))
    if chosen not in folders.FORMATS:
        raise Http404(f"There is no format called {chosen}.")
    try:
        plan = runs.reviewed_plan(mapping, environment, tables or None, reviewed(request.GET), safe)
        files = exports.export(plan, chosen, signed_in(request))
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(overview.review_address(mapping, environment, tables, safe))
    content = HttpResponse(folders.zipped(files), content_type="application/zip")
    content["Content-Disposition"] = f'attachment; filename="{mapping.name}-{environment.name}-{chosen}.zip"'
    return content


@page
def plan(request: HttpRequest, name: str) -> HttpResponse:
    """The plan as a file, as `mapping plan` prints it."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.GET.get("env"))
    tables, chosen = request.GET.getlist("tables"), request.GET.get("format", "")
    safe = bool(request.GET.get("safe"))
    if chosen not in PLAN_TYPES:
        raise Http404(f"There is no format called {chosen}.")
    try:
        made = runs.reviewed_plan(mapping, environment, tables or None, reviewed(request.GET), safe)
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(overview.review_address(mapping, environment, tables, safe))
    content = HttpResponse(f"{text.FORMATS[chosen](made)}\n", content_type=PLAN_TYPES[chosen])
    content["Content-Disposition"] = f'attachment; filename="{mapping.name}-{environment.name}-plan.{chosen}"'
    return content


LONGEST_NUMBER = 19  # of digits that PostgreSQL's keys hold
PLAN_TYPES = {"json": "application/json", "sql": "application/sql"}


def reviewed(asked: QueryDict) -> Review | None:
    """The review from whose page a button came. Refused where nobody knows it any more."""
    pk = asked.get("review", "")
    if not pk:
        return None
    is_number = pk.isascii() and pk.isdecimal() and len(pk) < LONGEST_NUMBER
    result = Review.objects.filter(pk=int(pk)).first() if is_number else None
    if result is None:
        raise Refused([Problem("", "the plan that you reviewed is too old by now; look at it again")])
    return result


@button
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Starts a run and goes to its page; refused, it goes back to the review with the reasons."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.POST.get("env"))
    tables, safe = request.POST.getlist("tables"), bool(request.POST.get("safe"))
    if changes := changed_since(mapping, request.POST.get("revision", "")):
        say(request, changes)
        return redirect(overview.review_address(mapping, environment, tables, safe))
    try:
        throttles = NONE.changed(throttle_form.typed_in(request.POST, request.user.has_perm(QUERIES)))
        run = runs.start(
            mapping,
            environment,
            signed_in(request),
            tables or None,
            reviewed(request.POST),
            throttles=throttles,
            safe=safe,
        )
    except AlreadyActive as refusal:
        say(request, refusal.problems)
        return redirect("jobs:run", refusal.run.pk)
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(overview.review_address(mapping, environment, tables, safe))
    return redirect("jobs:run", run.pk)


@page
def revisions(request: HttpRequest, name: str) -> HttpResponse:
    """The history of a mapping, and two of its revisions side by side."""
    mapping = get_object_or_404(Mapping, name=name)
    shown = revisions_page(mapping, request.GET.get("from", ""), request.GET.get("to", ""))
    return show(request, "jobs/revisions.html", f"Revisions of {mapping.name}", mapping=mapping, at=shown)
