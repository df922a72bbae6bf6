"""Mappings and environments in the admin: their lists, and the studio as the page of a mapping."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from mappings.forms.address_fields import field_names
from mappings.forms.environment_form import SIDES, EnvironmentForm
from mappings.forms.mapping_forms import MappingFileForm, MappingForm
from mappings.forms.revision_admin import RevisionAdmin
from mappings.forms.saving import SavingAdmin
from mappings.models import Environment, Mapping, Revision
from mappings.planning.connection_test import tested
from mappings.problems import Refused
from mappings.store import save_spec
from mappings.studio.frame import Desk
from mappings.studio.live import LOOKED_AT, forget
from mappings.studio.pages import studio
from mappings.studio.urls import patterns
from mappings.web.generics import AnyModel, ModelForm
from mappings.web.signed_in import signed_in

__all__ = ["EnvironmentAdmin", "MappingAdmin", "RevisionAdmin"]


class NamedList(SavingAdmin[AnyModel]):
    """A list that is called what it lists."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


@admin.register(Environment)
class EnvironmentAdmin(NamedList[Environment]):
    form = EnvironmentForm
    list_display = ("name", "source", "target", "after")
    actions = None

    change_form_template = "admin/mappings/environment/change_form.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Without the buttons that add, change or delete the environment before this one."""
        form = super().get_form(request, obj, change, **kwargs)
        if after := form.base_fields.get("after"):
            for name in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
                setattr(after.widget, name, False)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Environment | None = None) -> Any:
        """To whom may only look, the addresses are shown as everywhere: without user and password."""
        if obj and not self.has_change_permission(request, obj):
            return [(None, {"fields": ("name", "source", "target", "after", "parameters")})]
        sides = [(side.capitalize(), {"fields": field_names(side), "classes": ("side",)}) for side in SIDES]
        return [(None, {"fields": ("name",)}), *sides, ("More", {"fields": ("after", "parameters")})]

    def source(self, environment: Environment) -> str:
        return environment.label("source")

    def target(self, environment: Environment) -> str:
        return environment.label("target")

    def response_post_save_add(self, request: HttpRequest, obj: Environment) -> HttpResponseRedirect:
        """Before there is a mapping, the overview says what comes next."""
        if Mapping.objects.exists():
            return super().response_post_save_add(request, obj)
        return redirect("jobs:home")

    def save_model(
        self, request: HttpRequest, obj: Environment, form: ModelForm[Environment], change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        _saved[request] = obj

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Once it is saved, tells whether both databases can be reached. The studio looks there next."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if saved := _saved.pop(request, None):
            request.session[LOOKED_AT] = saved.name
            forget(saved)
            test_connections(request, saved)
        return response


_saved: WeakKeyDictionary[HttpRequest, Environment] = WeakKeyDictionary()


def test_connections(request: HttpRequest, environment: Environment) -> None:
    """Says of each side whether it answers, and what rights its role lacks."""
    try:
        result = tested({"source": environment.source_url, "target": environment.target_url})
    except Refused as error:
        messages.warning(request, f"Connection test: {error}")
        return
    for one in result:
        if one.side == "both":
            continue
        if not one.answers:
            messages.warning(request, f"Connection test: {one.side}: {one.facts}")
            continue
        messages.success(request, f"Connection test: the {one.side} answers.")
        lacking = "; ".join(f"{what} ({grant})" if grant else what for what, grant in one.lacking)
        if lacking:
            messages.warning(request, f"The role of the {one.side} {lacking}")


@admin.register(Mapping)
class MappingAdmin(NamedList[Mapping]):
    """The list of mappings; each one's page is the studio."""

    form = MappingForm
    list_display = ("name", "description", "state")
    search_fields = ("name", "description")
    list_per_page = 100
    actions = None
    change_list_template = "admin/mappings/mapping/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mapping]:
        """With what the state is told from, in the list's own query however many mappings there are."""
        newest = Revision.objects.filter(mapping=OuterRef("pk")).order_by("-number")
        dated = (
            super()
            .get_queryset(request)
            .annotate(
                revision_number=Subquery(newest.values("number")[:1]),
                revision_made=Subquery(newest.values("created")[:1]),
            )
        )
        since = Q(edits__undone=False, edits__made__gt=F("revision_made"))
        return dated.annotate(changes=Count("edits", filter=since))

    @admin.display(description="state")
    def state(self, mapping: Any) -> str:
        """The latest revision, and how many edits its draft has seen since."""
        number, changes = mapping.revision_number, mapping.changes
        if number is None:
            return "draft, no revision yet"
        if not changes:
            return f"revision {number}"
        return f"draft, {changes} change{'' if changes == 1 else 's'} since revision {number}"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The studio in place of Django's form."""
        mapping = self.get_object(request, unquote(object_id))
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        if mapping is None:
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_view_or_change_permission(request, mapping):
            raise PermissionDenied
        return studio(Desk(request, mapping))

    def response_post_save_add(self, request: HttpRequest, obj: Mapping) -> HttpResponseRedirect:
        """A mapping that was just named is not done: its tables are next."""
        return redirect("admin:studio-add", obj.pk)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        load = path("load/", wrap(self.load_view), name="mappings_mapping_load")
        return [load, *patterns(wrap), *super().get_urls()]

    def load_view(self, request: HttpRequest) -> HttpResponse:
        """A mapping file, uploaded or pasted, becomes the mapping's newest revision."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = MappingFileForm(request.POST, request.FILES) if request.method == "POST" else MappingFileForm()
        if form.is_bound and form.is_valid():
            revision = save_spec(form.spec, signed_in(request), form.cleaned_data["note"])
            messages.success(request, f"Mapping {revision.mapping} is saved: revision {revision.number}.")
            return redirect("admin:mappings_mapping_change", revision.mapping.pk)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form}
        context["title"] = "Load a mapping file"
        return TemplateResponse(request, "admin/mappings/mapping/load.html", context)
