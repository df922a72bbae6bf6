"""The pages: each view translates the request, makes one call inward, and translates back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from jobs import actions, pages, rehearsals, states, throttle_form
from jobs.evidence import evidence_of
from jobs.exporting import folders
from jobs.health import ailments
from jobs.models import Rehearsal, Review, Run
from jobs.promotion_page import promotion_page
from jobs.quarantine import MOST_ROWS, SetAside, rows_set_aside
from jobs.review_page import changed_since, review_of
from jobs.revisions_page import revisions_page
from jobs.run_page import RunPage, run_page, undo_of
from jobs.summary import summary
from jobs.throttles import NONE
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused

OPERATOR = "jobs.change_run"
"""The permission that every button asks for; looking asks for a staff sign-in."""

QUERIES = "mappings.change_environment"
"""The permission to have a query of one's own run in an environment's databases, as a stop signal."""

STOP_POLLING = 286

View = Callable[..., HttpResponse]


def page(view: View) -> View:
    """A page to look at: GET, for signed-in staff, never from a cache."""
    return require_safe(never_cache(staff_member_required(view)))


def button(view: View) -> View:
    """A button: POST, for signed-in staff who may operate runs; others are refused."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not request.user.has_perm(OPERATOR):
            raise PermissionDenied("Your account may look at runs, not operate them.")
        return view(request, *args, **kwargs)

    return require_POST(staff_member_required(guarded))


def show(request: HttpRequest, template: str, title: str, **context: object) -> HttpResponse:
    """A page in our frame, with the health banner and whether its buttons are for this user."""
    frame = {"title": title, "health": ailments(), **rights(request)}
    return render(request, template, {**frame, **context})


def rights(request: HttpRequest) -> dict[str, object]:
    """What this user may do, for templates."""
    user = request.user
    return {"may_operate": user.has_perm(OPERATOR), "may_query": user.has_perm(QUERIES)}


def say(request: HttpRequest, problems: tuple[Problem, ...] | list[Problem]) -> None:
    """Each problem as an error message on the next page."""
    for problem in problems:
        messages.error(request, str(problem))


@page
def home(request: HttpRequest) -> HttpResponse:
    """What to do next."""
    return show(request, "jobs/home.html", "Overview", home=pages.home())


@page
def runs(request: HttpRequest) -> HttpResponse:
    """The list of runs, by status."""
    status = request.GET.get("status", "")
    return show(
        request, "jobs/runs.html", "Runs",
        runs=pages.runs(status), chosen=status, statuses=states.STATUSES, groups=pages.GROUPS,
        limit=pages.RUNS_SHOWN,
    )  # fmt: skip


@page
def promotion(request: HttpRequest) -> HttpResponse:
    """How far each mapping is on its way through the environments, and what is missing to go on."""
    return show(request, "jobs/promotion.html", "Promotion", ways=promotion_page())


@page
def review(request: HttpRequest, name: str) -> HttpResponse:
    """The plan of a mapping against one environment's live databases, before anything is started."""
    mapping = get_object_or_404(Mapping, name=name)
    environments = pages.in_order(list(Environment.objects.select_related("after")))
    environment = chosen_environment(environments, request.GET.get("env"))
    tables = request.GET.getlist("tables")
    review = review_of(mapping, environment, tables, anew=bool(request.GET.get("anew")))
    if (
        environment and review.is_live and request.GET.get("anew")
    ):  # reloading the page must not ask once more
        return redirect(pages.review_address(mapping, environment, tables))
    return show(
        request, "jobs/review.html", f"Review {mapping.name}",
        mapping=mapping, environments=environments, environment=environment, review=review, plan=review.plan,
        throttle_fields=throttle_form.fields_of(),
        tables=tables, names=pages.table_names(mapping), active=pages.active_run(mapping, environment),
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
    found = Review.objects.filter(pk=pk).first()
    if found is None or found.state in ("done", "failed"):
        return HttpResponse(status=STOP_POLLING, headers={"HX-Refresh": "true"})
    return render(request, "jobs/review/measuring.html", {"made": found, "health": ailments()})


@button
def rehearse(request: HttpRequest, name: str) -> HttpResponse:
    """Rehearses a sample, and goes to what was found; refused, it goes back to the review with the reasons."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.POST.get("env"))
    tables, rows = request.POST.getlist("tables"), request.POST.get("rows", "")
    sample = int(rows) if rows.isascii() and rows.isdigit() and int(rows) else rehearsals.SAMPLE_ROWS
    try:
        done = rehearsals.rehearse(
            mapping, environment, request.user, tables or None, sample, rehearsals.PAGE_SECONDS
        )
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(pages.review_address(mapping, environment, tables))
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
    if chosen not in folders.FORMATS:
        raise Http404(f"There is no format called {chosen}.")
    try:
        plan = actions.reviewed_plan(mapping, environment, tables or None, reviewed(request.GET))
        files = folders.export(plan, chosen)
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(pages.review_address(mapping, environment, tables))
    content = HttpResponse(folders.zipped(files), content_type="application/zip")
    content["Content-Disposition"] = f'attachment; filename="{mapping.name}-{environment.name}-{chosen}.zip"'
    return content


def reviewed(asked: QueryDict) -> Review | None:
    """The review from whose page a button came. Refused where nobody knows it any more."""
    pk = asked.get("review", "")
    if not pk:
        return None
    found = Review.objects.filter(pk=int(pk)).first() if pk.isdecimal() else None
    if found is None:
        raise Refused([Problem("", "the plan that you reviewed is too old by now; look at it again")])
    return found


@button
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Starts a run and goes to its page; refused, it goes back to the review with the reasons."""
    mapping = get_object_or_404(Mapping, name=name)
    environment = get_object_or_404(Environment, name=request.POST.get("env"))
    tables = request.POST.getlist("tables")
    if changes := changed_since(mapping, request.POST.get("revision", "")):
        say(request, changes)
        return redirect(pages.review_address(mapping, environment, tables))
    try:
        throttles = NONE.changed(throttle_form.typed_in(request.POST, request.user.has_perm(QUERIES)))
        run = actions.start(
            mapping, environment, request.user, tables or None, reviewed(request.POST), throttles=throttles
        )
    except actions.AlreadyActive as refusal:
        say(request, refusal.problems)
        return redirect("jobs:run", refusal.run.pk)
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(pages.review_address(mapping, environment, tables))
    return redirect("jobs:run", run.pk)


@page
def revisions(request: HttpRequest, name: str) -> HttpResponse:
    """The history of a mapping, and two of its revisions side by side."""
    mapping = get_object_or_404(Mapping, name=name)
    shown = revisions_page(mapping, request.GET.get("from", ""), request.GET.get("to", ""))
    return show(request, "jobs/revisions.html", f"Revisions of {mapping.name}", mapping=mapping, at=shown)


@page
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: where it is, its tables, steps and events."""
    found = run_or_404(pk)
    return show(request, "jobs/run.html", f"Run {pk}", run=found.run, page=found, at=found.progress)


@require_safe
@never_cache
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The regions of a run's page that moved since the browser last asked; 286 once nothing will move."""
    if not (request.user.is_active and request.user.is_staff):
        return HttpResponse(status=STOP_POLLING, headers={"HX-Refresh": "true"})
    found = run_or_404(pk)
    moved = {region for region, token in found.tokens.items() if request.GET.get(region) != token}
    context = {
        "run": found.run, "page": found, "at": found.progress, "moved": moved, "health": found.health,
        **rights(request), "oob": True,
    }  # fmt: skip
    return render(request, "jobs/run/live.html", context, status=200 if found.is_live else STOP_POLLING)


@page
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """The evidence of one verification of a run: the last one, or the one asked for."""
    found = run_or_404(pk)
    evidence = evidence_of(found.run, request.GET.get("report", ""))
    return show(
        request, "jobs/report.html", f"Report of run {pk}",
        run=found.run, page=found, report=evidence.report, totals=evidence.totals, reports=evidence.all,
    )  # fmt: skip


@page
def quarantine(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows that were set aside: which, by which column, and what the database said."""
    found = run_or_404(pk)
    rows: tuple[SetAside, ...] = ()
    problems: tuple[Problem, ...] = ()
    try:
        rows = rows_set_aside(found.run)
    except Refused as refusal:
        problems = refusal.problems
    return show(
        request, "jobs/quarantine.html", f"Quarantine of run {pk}",
        run=found.run, page=found, rows=rows, problems=problems, most=MOST_ROWS,
    )  # fmt: skip


@page
def report_json(request: HttpRequest, pk: int) -> HttpResponse:
    """The report as the commands print it with --format json."""
    answer = JsonResponse(summary(run_or_404(pk).run), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="run-{pk}.json"'
    return answer


@page
def rollback(request: HttpRequest, pk: int) -> HttpResponse:
    """What a rollback would remove, and what stands against it; nothing is changed."""
    found = run_or_404(pk)
    allowed = found.run.status in states.sources(states.ROLLING_BACK)
    obstacles: list[Problem] = []
    problems: tuple[Problem, ...] = ()
    if allowed:
        try:
            obstacles = actions.rollback_obstacles(found.run)
        except Refused as refusal:
            problems = refusal.problems
    return show(
        request, "jobs/rollback.html", f"Roll back run {pk}",
        run=found.run, page=found, allowed=allowed, obstacles=obstacles, problems=problems,
        undo=undo_of(found.run),
    )  # fmt: skip


@button
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts the rollback; `force` counts only together with the mapping's name typed out."""
    found = run_or_404(pk).run
    force = bool(request.POST.get("force"))
    if force and request.POST.get("confirm", "").strip() != found.mapping.name:
        messages.error(request, f"To force the rollback, type the mapping's name: {found.mapping.name}")
        return redirect("jobs:rollback", pk)
    try:
        actions.roll_back(found, request.user, keep_schema=bool(request.POST.get("keep_schema")), force=force)
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect("jobs:rollback", pk)
    return redirect("jobs:run", pk)


@button
def throttle(request: HttpRequest, pk: int) -> HttpResponse:
    """Sets a run's throttles. Answers htmx with their part of the page, and others with the page."""
    found = run_or_404(pk)
    typed = throttle_form.typed_in(request.POST, request.user.has_perm(QUERIES))
    try:
        actions.throttle(found.run, request.user, found.throttles.changed(typed))
    except Refused as refusal:
        if not request.htmx:
            say(request, refusal.problems)
        found = RunPage(found.run, typed, refusal.problems)
    if not request.htmx:
        return redirect("jobs:run", pk)
    context = {"run": found.run, "page": found, **rights(request)}
    return render(request, "jobs/run/throttles.html", context)


def run_button(name: str, done: str) -> View:
    """The view of a button that does one action to a run and comes back to its page with a word on it."""

    def pressed(request: HttpRequest, pk: int) -> HttpResponse:
        found = get_object_or_404(Run, pk=pk)
        try:
            getattr(actions, name)(found, request.user)
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


def run_or_404(pk: int) -> RunPage:
    """The page of a run, or 404."""
    try:
        return run_page(pk)
    except Run.DoesNotExist:
        raise Http404(f"There is no run {pk}.") from None
