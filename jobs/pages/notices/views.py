"""What somebody wants to be told and how, what was told lately, and what their browser fetches to show."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from jobs.models import Notice
from jobs.models.notices import EVENTS, GIVEN_UP, WAYS
from jobs.notices import deliver, mail, news, wishes
from jobs.notices.wishes import Row
from jobs.pages.decorators import View, page, show
from jobs.pages.paging import part
from mappings.web.signed_in import signed_in

SHOWN = 20
HOOKS = "jobs.change_webhook"
"""The permission to see what webhooks were told, and to try again."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box to tick: its name and value in the form, what it means, whether it is ticked."""

    name: str
    value: str
    label: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One environment with its boxes."""

    name: str
    events: tuple[Box, ...]
    ways: tuple[Box, ...]


def _own(view: View) -> View:
    """A form about the person who sends it: POST, for signed-in staff."""
    return require_POST(staff_member_required(view))


@page
def notices(request: HttpRequest) -> HttpResponse:
    """What somebody wants to be told, and the latest notices."""
    user = signed_in(request)
    shown = part(_seen_by(request), ("-id",), SHOWN, {}, request.GET)
    return show(
        request, "jobs/notices/notices.html", "Notices",
        lines=[_line(row) for row in wishes.rows_of(user)], events=EVENTS, part=shown,
        mail_is_set_up=mail.is_set_up(), address=user.email, may_retry=request.user.has_perm(HOOKS),
    )  # fmt: skip


def _seen_by(request: HttpRequest) -> QuerySet[Notice]:
    own = Q(user=signed_in(request))
    seen = own | Q(webhook__isnull=False) if request.user.has_perm(HOOKS) else own
    return Notice.objects.filter(seen).select_related("user", "webhook")


def _line(row: Row) -> Line:
    return Line(
        row.name,
        tuple(Box(f"events-{row.key}", name, text, name in row.events) for name, text in EVENTS.items()),
        tuple(Box(f"ways-{row.key}", name, text, name in row.ways) for name, text in WAYS.items()),
    )


@_own
def save(request: HttpRequest) -> HttpResponse:
    """Keeps what was ticked."""
    user = signed_in(request)
    keys = {row.key for row in wishes.rows_of(user)}
    ticked = request.POST.getlist
    wishes.save(user, {key: (ticked(f"events-{key}"), ticked(f"ways-{key}")) for key in keys})
    messages.success(request, "You are told what you ticked from now on.")
    return redirect("jobs:notices")


@_own
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Tries a notice again that was given up."""
    result = get_object_or_404(_seen_by(request), pk=pk, state=GIVEN_UP)
    deliver.try_again(result)
    messages.info(request, "It is tried again.")
    return redirect("jobs:notices")


@require_safe
@never_cache
def fetch(request: HttpRequest) -> HttpResponse:
    """What the browser has to show now; nothing for whoever is not signed in."""
    if not (request.user.is_active and request.user.is_staff):
        return JsonResponse({"notices": []})
    return JsonResponse({"notices": news.fetch(signed_in(request))})
