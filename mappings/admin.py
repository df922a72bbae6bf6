"""The forms as pages of the admin. Saving a mapping there makes a revision, or says why it is a draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar
from weakref import WeakKeyDictionary

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from mappings.catalog.fingerprints import Side
from mappings.connections.sessions import DatabaseUnreachable, connect
from mappings.forms.generics import AnyModel, ModelForm, TabularInline
from mappings.forms.live_tables import LiveTables
from mappings.forms.mapping_forms import (
    EnvironmentForm,
    LabelledFormSet,
    MappingFileForm,
    MappingForm,
    OfferingForm,
    TableRowForm,
)
from mappings.forms.revision_admin import RevisionAdmin
from mappings.forms.saving import SavingAdmin
from mappings.forms.signed_in import signed_in
from mappings.forms.table_forms import ColumnFormSet, ColumnRowForm, TableMappingForm
from mappings.language.canonical import dump
from mappings.models import ColumnMapping, Environment, Mapping, TableMapping
from mappings.problems import Refused
from mappings.store import freeze, revision_spec, save_spec, spec_of

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

__all__ = ["EnvironmentAdmin", "MappingAdmin", "RevisionAdmin", "TableMappingAdmin"]

LOOKED_AT = "mappings_environment"  # the session's key for the environment that the forms look at
CHOSEN = "_env"  # the field of a form that chooses it
MOST_TOLD = 3  # problems of a draft that are told at once; its page lists all of them
AnyForm = TypeVar("AnyForm", bound=OfferingForm[Any])
ONLY_LOOK = "_look"  # sent along where the form is to be shown again with what is offered there, not saved


_live_tables: WeakKeyDictionary[HttpRequest, LiveTables] = WeakKeyDictionary()


def live_tables(request: HttpRequest) -> LiveTables:
    """The databases that this request's forms look at: those chosen now, the last ones chosen, or the first."""
    if request not in _live_tables:
        if chosen := request.POST.get(CHOSEN) or request.GET.get("env"):
            request.session[LOOKED_AT] = chosen
        name = request.session.get(LOOKED_AT)
        found = Environment.objects.filter(name=name).first() or Environment.objects.first()
        _live_tables[request] = LiveTables(found)
    return _live_tables[request]


def looking(form: type[AnyForm], request: HttpRequest) -> type[AnyForm]:
    """The form for this request, which knows the live tables."""
    known = {"live": live_tables(request), "only_looks": ONLY_LOOK in request.POST}
    return type(form.__name__, (form,), known)


def keep(request: HttpRequest, mapping: Mapping, note: str = "") -> None:
    """A revision of the mapping as it is saved now, or the list of what a draft still lacks."""
    before = mapping.latest_revision
    try:
        revision = freeze(mapping, signed_in(request), note)
    except Refused as refused:
        messages.warning(request, "Saved as a draft, without a revision. What is still wrong:")
        for problem in refused.problems[:MOST_TOLD]:
            messages.warning(request, str(problem), extra_tags="path")
        if (more := len(refused.problems) - MOST_TOLD) > 0:
            messages.warning(request, f"And {more} more: all of them are on the page of {mapping}.")
        return
    if revision != before:
        messages.success(request, f"Revision {revision.number} of {mapping} is saved.")
    elif note:
        messages.info(
            request, f"{mapping} says what revision {revision.number} says: there is none new to note."
        )


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

    def get_fields(self, request: HttpRequest, obj: Environment | None = None) -> Any:
        """To whom may only look, the addresses are shown as everywhere: without user and password."""
        if obj and not self.has_change_permission(request, obj):
            return ("name", "source", "target", "after")
        return ("name", "source_url", "target_url", "after")

    def source(self, environment: Environment) -> str:
        return environment.label("source")

    def target(self, environment: Environment) -> str:
        return environment.label("target")

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
        """Once it is saved, tells whether both databases can be reached. Forms of mappings look there next."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if saved := _saved.pop(request, None):
            request.session[LOOKED_AT] = saved.name
            test_connections(request, saved)
        return response


_saved: WeakKeyDictionary[HttpRequest, Environment] = WeakKeyDictionary()


def test_connections(request: HttpRequest, environment: Environment) -> None:
    sides: tuple[Side, ...] = ("source", "target")
    for side in sides:
        try:
            url = environment.source_url if side == "source" else environment.target_url
            connect(url, purpose="connection test", read_only=True).close()
            messages.success(request, f"Connection test: the {side} answers.")
        except (DatabaseUnreachable, Refused) as error:
            messages.warning(request, f"Connection test: {side}: {error}")


class LookingAdmin(NamedList[AnyModel]):
    """A page whose form offers what is in the live tables, and says where they are."""

    class Media:
        css = {"all": ["mappings/forms.css"]}
        js = ["mappings/look.js"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=looking(self.form, request), **kwargs)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        offers = {
            "live": live_tables(request),
            "environments": Environment.objects.all(),
            "chosen_as": CHOSEN,
        }
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **offers})


class Counted(TypedDict):
    """What the list of table mappings asks for besides."""

    mapped: int


class TableInline(TabularInline[TableMapping, Mapping]):
    model = TableMapping
    form = TableRowForm
    formset = LabelledFormSet[TableMapping, Mapping]
    extra = 1
    readonly_fields = ("columns",)
    verbose_name_plural = "table mappings"

    def get_formset(self, request: HttpRequest, obj: Mapping | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, form=looking(TableRowForm, request), **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TableMapping]:
        return super().get_queryset(request).annotate(mapped=Count("columns"))

    @admin.display(description="Columns, joins, links")
    def columns(self, table: WithAnnotations[TableMapping, Counted]) -> SafeString | str:
        """The way to the page of a table mapping, where all the rest of it is."""
        if not table.pk:
            return "once it is saved"
        url = reverse("admin:mappings_tablemapping_change", args=[table.pk])
        mapped = f"{table.mapped} mapped" if table.mapped else "Map its columns"
        return format_html('<a href="{}" aria-label="{}: {}">{}</a>', url, mapped, table, mapped)


@admin.register(Mapping)
class MappingAdmin(LookingAdmin[Mapping]):
    form = MappingForm
    list_display = ("name", "description", "state")
    search_fields = ("name", "description")
    readonly_fields = ("state", "problems")
    inlines = (TableInline,)
    actions = None
    change_list_template = "admin/mappings/mapping/change_list.html"
    change_form_template = "admin/mappings/mapping/change_form.html"

    def state(self, mapping: Mapping) -> str:
        """The latest revision, and whether the rows have moved on from it without becoming a new one."""
        latest = mapping.latest_revision if mapping.pk else None
        if latest is None:
            return "draft"
        try:
            current = spec_of(mapping) == revision_spec(latest)
        except Refused:
            current = False
        return f"revision {latest.number}" if current else f"draft after revision {latest.number}"

    def problems(self, mapping: Mapping) -> SafeString:
        """What a draft still lacks, by the paths of the mapping file."""
        try:
            if mapping.pk:
                spec_of(mapping)
        except Refused as refused:
            rows = ((str(problem),) for problem in refused.problems)
            return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", rows))
        return format_html("{}", "none")

    def get_fields(self, request: HttpRequest, obj: Mapping | None = None) -> Any:
        """What is not saved yet has neither a state nor problems."""
        fields = super().get_fields(request, obj)
        return [name for name in fields if name != "seen" and (obj or name not in self.readonly_fields)]

    def save_related(
        self, request: HttpRequest, form: ModelForm[Mapping], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        keep(request, form.instance, form.cleaned_data["note"])

    def response_post_save_add(self, request: HttpRequest, obj: Mapping) -> HttpResponseRedirect:
        """A mapping that was just named is not done: its tables are next."""
        return redirect("admin:mappings_mapping_change", obj.pk)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("load/", wrap(self.load_view), name="mappings_mapping_load"),
            path("<int:pk>/file/", wrap(self.file_view), name="mappings_mapping_file"),
            *super().get_urls(),
        ]

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

    def file_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The mapping as a file to keep; a draft that is no whole mapping goes back to its page."""
        mapping = get_object_or_404(Mapping, pk=pk)
        if not self.has_view_permission(request, mapping):
            raise PermissionDenied
        try:
            text = dump(spec_of(mapping))
        except Refused as refused:
            for problem in refused.problems:
                messages.error(request, str(problem), extra_tags="path")
            return redirect("admin:mappings_mapping_change", pk)
        response = HttpResponse(text, content_type="application/yaml; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{mapping.name}.yml"'
        return response


class ColumnInline(TabularInline[ColumnMapping, TableMapping]):
    model = ColumnMapping
    form = ColumnRowForm
    formset = ColumnFormSet
    extra = 3
    verbose_name_plural = "column mappings"

    def get_formset(self, request: HttpRequest, obj: TableMapping | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, form=looking(ColumnRowForm, request), **kwargs)


@admin.register(TableMapping)
class TableMappingAdmin(LookingAdmin[TableMapping]):
    """A page for each table mapping, reached from its mapping; rows are added and removed there."""

    form = TableMappingForm
    inlines = (ColumnInline,)
    change_form_template = "admin/mappings/tablemapping/change_form.html"
    fieldsets = (
        (None, {"fields": ("name", ("source", "alias"), "target", "where")}),
        ("Identity", {"fields": (("key", "key_is_content"), ("distinct", "order_by"))}),
        ("Joins", {"fields": ("joins",)}),
        ("Rows that are already in the target", {"fields": (("existing_match", "existing_then"),)}),
        ("Link to the source", {"fields": ("source_id", ("map_rows", "backref"), "is_migrated")}),
        ("Revision", {"fields": ("note",)}),
    )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_related(
        self, request: HttpRequest, form: ModelForm[TableMapping], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        keep(request, form.instance.mapping, form.cleaned_data["note"])

    def delete_model(self, request: HttpRequest, obj: TableMapping) -> None:
        super().delete_model(request, obj)
        keep(request, obj.mapping)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Table mappings have no list of their own: the mappings are the list."""
        return redirect("admin:mappings_mapping_changelist")

    def response_post_save_change(self, request: HttpRequest, obj: TableMapping) -> HttpResponseRedirect:
        return redirect("admin:mappings_mapping_change", obj.mapping_id)
