"""What every view is put into: who may see and press it, the page around it, and its error messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from urllib.parse import urlsplit, urlunsplit

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

from jobs.pages.health import ailments
from mappings.problems import Problem

OPERATOR = "jobs.change_run"
"""The permission that every button asks for; looking asks for a staff sign-in."""

QUERIES = "mappings.change_environment"
"""The permission to have a query of one's own run in an environment's databases, as a stop signal."""

STOP_POLLING = 286


class HtmxRequest(HttpRequest):
    """A request as django_htmx's middleware hands it on."""

    htmx: HtmxDetails


View = Callable[..., HttpResponseBase]


def page(view: View) -> View:
    """A page to look at: GET, for signed-in staff, never from a cache."""
    return require_safe(never_cache(staff_member_required(view)))


def button(view: View) -> View:
    """A button: POST, for signed-in staff who may operate runs; others are refused.

    Whose session has ended signs in and is back on the page of the button, not at its address, where nothing is.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.method != "POST":
            headers = {"Allow": "POST"}
            return HttpResponse(render(request, "405.html").content, status=405, headers=headers)
        if not (request.user.is_active and request.user.is_staff):
            return redirect_to_login(came_from(request), reverse("admin:login"))
        if not request.user.has_perm(OPERATOR):
            raise PermissionDenied("Your account may look at runs, not operate them.")
        return view(request, *args, **kwargs)

    return guarded


def came_from(request: HttpRequest) -> str:
    """The page of ours that the request was sent from, as a path with its query; the overview if not known."""
    page = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return reverse("jobs:home")
    parts = urlsplit(page)
    return urlunsplit(("", "", parts.path, parts.query, "")) or reverse("jobs:home")


def show(request: HttpRequest, template: str, title: str, **context: object) -> HttpResponse:
    """A page in our frame, with the health banner and whether its buttons are for this user."""
    frame = {"title": title, "health": ailments(), **rights(request)}
    return render(request, template, {**frame, **context})


def asked(request: HttpRequest, *names: str) -> dict[str, str]:
    """What the address says of these, '' for what it does not."""
    return {name: request.GET.get(name, "") for name in names}


def rights(request: HttpRequest) -> dict[str, object]:
    """What this user may do, for templates; asked for where one of them asks."""
    return {
        name: SimpleLazyObject(partial(_may, request, permission))
        for name, permission in (("may_operate", OPERATOR), ("may_query", QUERIES))
    }


def _may(request: HttpRequest, permission: str) -> bool:
    return request.user.has_perm(permission)


def say(request: HttpRequest, problems: tuple[Problem, ...] | list[Problem]) -> None:
    """Each problem as an error message on the next page; a path stays in the letters that it is written in."""
    for problem in problems:
        messages.error(request, str(problem), extra_tags="path" if problem.path else "")
