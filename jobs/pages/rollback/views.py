"""The views of a rollback: its preview, its button, its proof as page and as JSON."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from jobs import states
from jobs.actions import runs as actions
from jobs.actions.rollbacks import Against
from jobs.pages.decorators import button, page, say, show
from jobs.pages.one_run.run_views import run_or_404
from jobs.pages.report import printed_of
from jobs.pages.rollback.preview import undo_of
from jobs.reporting.rollback_proof import proof_of
from jobs.running.rollback.edited import CHOICES, FORCE, REFUSE, Choice
from mappings.problems import Problem, Refused
from mappings.web.signed_in import signed_in


@page
def rollback(request: HttpRequest, pk: int) -> HttpResponse:
    """What a rollback would remove, and what stands against it; nothing is changed."""
    result = run_or_404(pk)
    allowed = result.run.status in states.sources(states.ROLLING_BACK)
    against, problems = Against(), tuple[Problem, ...]()
    costs: list[Problem] = []
    if allowed:
        try:
            against = actions.rollback_against(result.run)
            costs = actions.rollback_costs(result.run)
        except Refused as refusal:
            problems = refusal.problems
    return show(
        request, "jobs/rollback/preview.html", f"Roll back run {pk}",
        run=result.run, page=result, allowed=allowed, against=against, blockers=against.of(FORCE),
        problems=problems, costs=costs, undo=undo_of(result.run), printed=printed_of(result.run),
    )  # fmt: skip


@button
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts the rollback; what takes changes of others counts only together with the mapping's name typed out."""
    result = run_or_404(pk).run
    ticked = {name: "1" for name in ("force", "keep_schema") if request.POST.get(name)}
    edited: Choice = next((one for one in CHOICES if one == request.POST.get("edited")), REFUSE)
    chosen = urlencode({**ticked, **({"edited": edited} if edited != REFUSE else {})})
    again = f"{reverse('jobs:rollback', args=[pk])}{'?' if chosen else ''}{chosen}"
    takes = "force" in ticked or edited == FORCE
    if takes and request.POST.get("confirm", "").strip() != result.mapping.name:
        messages.error(request, f"To force the rollback, type the mapping's name: {result.mapping.name}")
        return redirect(again)
    try:
        actions.roll_back(
            result,
            signed_in(request),
            keep_schema="keep_schema" in ticked,
            force="force" in ticked,
            edited=edited,
        )
    except Refused as refusal:
        say(request, refusal.problems)
        return redirect(again)
    return redirect("jobs:run", pk)


@page
def proof(request: HttpRequest, pk: int) -> HttpResponse:
    """What of the target is as it was before the run, table by table; once the run is rolled back."""
    result = run_or_404(pk)
    proof = proof_of(result.run)
    return show(
        request, "jobs/rollback/proof.html", f"Rollback of run {pk}",
        run=result.run, page=result, proof=proof, printed=printed_of(result.run),
    )  # fmt: skip


@page
def proof_json(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as a file."""
    proof = proof_of(run_or_404(pk).run)
    if proof is None:
        raise Http404(f"Run {pk} is not rolled back.")
    answer = JsonResponse(proof.to_json(), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="run-{pk}-rollback.json"'
    return answer
