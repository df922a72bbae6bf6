"""Requests of signed-in people that their rights do not allow: who asked for what, and of which run or mapping."""

from __future__ import annotations

from django.http import HttpRequest

from jobs.history.record import NOTHING, REFUSED, About, of_run, record
from jobs.models import Run

TEXT = "This account may not do that."


def keep(request: HttpRequest) -> None:
    """Adds an entry; of nobody who is not signed in, who was sent to the sign-in instead."""
    if request.user.is_authenticated:
        match = request.resolver_match
        verb = (match.url_name or "request") if match else "request"
        record("request", verb.replace("_", " "), TEXT, _about(request), REFUSED)


def _about(request: HttpRequest) -> About:
    """What the address names, as far as it is one of ours."""
    match = request.resolver_match
    if match is None or match.namespace != "jobs":
        return NOTHING
    if match.route.startswith("runs/<int:pk>/"):
        run = Run.objects.only("pk").filter(pk=match.kwargs["pk"]).first()
        return of_run(run) if run else NOTHING
    mapping = str(match.kwargs.get("name", ""))
    return About(mapping=mapping, environment=str(request.POST.get("env", "")))
