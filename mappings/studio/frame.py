"""What every page of the studio is put into: who may see and change it, which table is meant, and how it answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping as Mappings
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from mappings.language.canonical import default_name
from mappings.models import Edit, Environment, Mapping, Revision, TableMapping, Visit
from mappings.problems import Refused
from mappings.store import settings_of
from mappings.studio import draft
from mappings.studio.draft import Overtaken
from mappings.studio.live import Live, environment_of, is_at_hand, live_of, was_slow
from mappings.studio.looking.table_look import TableLook, look_at
from mappings.web.signed_in import signed_in

HERE_FOR = timedelta(seconds=20)
"""Who asked for news within this time has the page open."""

MANY = 40
"""Tables of a mapping that are looked at all at once with what is at hand, and otherwise while somebody is told."""

WAYS = (
    ("expr", "source column or expression"),
    ("ref", "reference"),
    ("lookup", "lookup"),
    ("taken", "unique or next number"),
    ("value", "constant"),
    ("default", "left to its default"),
)
MISSING_WAYS = (
    ("stop", "stop the run"),
    ("quarantine", "set the row aside"),
    ("null", "leave it NULL"),
    ("drop", "inside a value: drop the id"),
    ("keep", "inside a value: keep the old id"),
)

View = Callable[..., HttpResponse]


@dataclass
class Desk:
    """One request to the studio: the mapping, the table that is open, and the live tables it is held against."""

    request: HttpRequest
    mapping: Mapping
    table: TableMapping | None = None

    @property
    def user(self) -> User:
        """Who is signed in."""
        return signed_in(self.request)

    @cached_property
    def live(self) -> Live:
        return live_of(self.environment, fresh="fresh" in self.request.GET)

    @cached_property
    def environment(self) -> Environment | None:
        """The one that the page looks at."""
        return environment_of(self.request, self.mapping)

    @property
    def is_awaited(self) -> bool:
        """Whether its tables have to be read first, and that takes longer than anybody looks at nothing."""
        chosen = self.environment
        if chosen is None or (is_at_hand(chosen) and "fresh" not in self.request.GET):
            return False
        return len(self.tables) >= MANY or was_slow(chosen)

    @cached_property
    def environments(self) -> list[Environment]:
        """Those that the page may look at."""
        return list(Environment.objects.order_by("name"))

    @cached_property
    def tables(self) -> list[TableMapping]:
        return list(self.mapping.tables.order_by("position", "pk"))

    @cached_property
    def table_names(self) -> list[str]:
        """What references may point to, in the tables' order, without reading what the tables say."""
        named = self.mapping.tables.order_by("position", "pk").values_list("values__name", "values__source")
        return [name or default_name(source or "") or "" for name, source in named]

    @cached_property
    def addresses(self) -> dict[str, str]:
        """Those that each of a hundred columns leads to, made once."""
        at = [self.mapping.pk, self.opened().pk]
        names = ("fill", "check", "column")
        result = {name: reverse(f"admin:studio-{name}", args=at) for name in names}
        return {**result, "page": studio_url(self.mapping.pk)}

    @cached_property
    def latest(self) -> Revision | None:
        """The newest revision."""
        return self.mapping.latest_revision

    @cached_property
    def changes(self) -> int:
        """Edits of the draft since its newest revision."""
        if self.latest is None:
            return 0
        return self.mapping.edits.filter(undone=False, made__gt=self.latest.created).count()

    @property
    def may_change(self) -> bool:
        return self.request.user.has_perm("mappings.change_mapping")

    @property
    def settings(self) -> dict[str, object]:
        """What the mapping says besides its tables."""
        return settings_of(self.mapping)

    @property
    def settings_text(self) -> str:
        """The same as the page sends it back, to say what it showed."""
        return json.dumps(self.settings)

    @property
    def is_partial(self) -> bool:
        """Whether only a part of the page was asked for, by its script."""
        return bool(self.request.headers.get("HX-Request"))

    def opened(self) -> TableMapping:
        """The table that the page is about; 404 without one."""
        if self.table is None:
            raise Http404("no such table mapping")
        return self.table

    def look(self) -> TableLook:
        """The open table, held against the live tables as the draft is now."""
        return look_at(self.mapping, self.opened(), self.live)

    def others_here(self) -> list[str]:
        """Who else has this mapping's page open."""
        here = Visit.objects.filter(mapping=self.mapping, seen__gt=Now() - HERE_FOR)
        return [visit.user.get_username() for visit in here.exclude(user=self.user).select_related("user")]

    def url(self, **query: object) -> str:
        """The page of the mapping, with a table open."""
        return studio_url(self.mapping.pk, **query)

    def context(self, **more: object) -> dict[str, object]:
        """What the templates of the studio share."""
        return {
            "desk": self,
            "at": self.addresses if self.table else {},
            "mapping": self.mapping,
            "table": self.table,
            "live": SimpleLazyObject(lambda: self.live),
            "may_change": self.may_change,
            "undoable": draft.last_edit(self.mapping),
            "redoable": draft.next_redo(self.mapping),
            "title": self.mapping.name,
            "ways": WAYS,
            "missing_ways": MISSING_WAYS,
            **more,
        }

    def render(self, template: str, **more: object) -> HttpResponse:
        """A page or a part of it."""
        return render(self.request, f"mappings/studio/{template}.html", self.context(**more))


def studio_url(pk: int, **query: object) -> str:
    """The page of a mapping; query: table, column."""
    given = {key: str(value) for key, value in query.items() if value}
    return reverse("admin:mappings_mapping_change", args=[pk], query=given or None)


def looks(view: View) -> View:
    """A view that shows: for those who may view mappings."""

    @wraps(view)
    def guarded(request: HttpRequest, pk: int, table: int | None = None, **rest: Any) -> HttpResponse:
        return view(_desk(request, pk, table, "view"), **rest)

    return require_safe(never_cache(guarded))


def chooses(view: View) -> View:
    """A view that changes what one person sees of a mapping, and nothing else: for those who may view mappings."""

    @wraps(view)
    def guarded(request: HttpRequest, pk: int) -> HttpResponse:
        return view(_desk(request, pk, None, "view"))

    return require_POST(never_cache(guarded))


def edits(view: View) -> View:
    """A view that changes the draft: for those who may change mappings. A refusal is shown, never a 500."""

    @wraps(view)
    def guarded(request: HttpRequest, pk: int, table: int | None = None, **rest: Any) -> HttpResponse:
        desk = _desk(request, pk, table, "change")
        try:
            return view(desk, **rest)
        except Refused as refused:
            return refusal(desk, [str(problem) for problem in refused.problems])
        except Overtaken as overtaken:
            return refusal(desk, [meanwhile(overtaken)])

    return require_POST(never_cache(guarded))


def _desk(request: HttpRequest, pk: int, table: int | None, right: str) -> Desk:
    if not request.user.has_perm(f"mappings.{right}_mapping") and not (
        right == "view" and request.user.has_perm("mappings.change_mapping")
    ):
        raise PermissionDenied
    mapping = get_object_or_404(Mapping, pk=pk)
    result = get_object_or_404(TableMapping, pk=table, mapping=mapping) if table is not None else None
    return Desk(request, mapping, result)


def refusal(desk: Desk, sentences: list[str]) -> HttpResponse:
    """Why nothing was changed: in its place on the page, or as messages on the page that comes next."""
    if desk.is_partial:
        return desk.render("refused", sentences=sentences)
    for sentence in sentences:
        messages.error(desk.request, sentence)
    return redirect(desk.url(table=desk.table and desk.table.pk))


def meanwhile(overtaken: Overtaken) -> str:
    """Who changed what in the meantime, in a sentence."""
    if overtaken.by is None:
        return "This was changed meanwhile; nothing of yours was saved. Look at it as it is now."
    return f"{said(overtaken.by)} Yours was not saved over it."


def said(edit: Edit) -> str:
    """An edit as a sentence: who did what."""
    who = edit.author.get_username() if edit.author else "Somebody"
    return f"{who} changed this meanwhile ({edit.text})."


def values_of_form(desk: Desk) -> Mappings[str, str]:
    """The posted fields, with line breaks as everywhere but in forms."""
    posted = desk.request.POST.items()
    return {key: value.replace("\r\n", "\n") for key, value in posted if isinstance(value, str)}


__all__ = ["Desk", "chooses", "edits", "looks", "meanwhile", "refusal", "studio_url", "values_of_form"]
