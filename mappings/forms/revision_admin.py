"""Revisions in the admin: to look at, never to edit."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mappings.models import Revision
from mappings.store import revision_text
from mappings.web.generics import ModelAdmin


@admin.register(Revision)
class RevisionAdmin(ModelAdmin[Revision]):
    """Revisions to look at: what each says. Two side by side are on a page of their own."""

    list_display = ("mapping", "number", "author", "created", "short")
    list_filter = ("mapping",)
    ordering = ("mapping", "-number")
    fields = (
        "mapping_link",
        "number",
        "author",
        "created",
        "note",
        "sha256",
        "parent_sha256",
        "difference",
        "file",
    )
    readonly_fields = fields

    @admin.display(description="SHA-256")
    def short(self, revision: Revision) -> str:
        return revision.sha256[:12]

    @admin.display(description="mapping")
    def mapping_link(self, revision: Revision) -> SafeString:
        url = reverse("admin:mappings_mapping_change", args=[revision.mapping_id])
        return format_html('<a href="{}">{}</a>', url, revision.mapping)

    @admin.display(description="difference")
    def difference(self, revision: Revision) -> SafeString:
        url = reverse("jobs:revisions", args=[revision.mapping.name])
        return format_html('<a href="{}?to={}">What it changed, side by side</a>', url, revision.number)

    @admin.display(description="mapping file")
    def file(self, revision: Revision) -> SafeString:
        return format_html("<pre>{}</pre>", revision_text(revision))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Revision | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Revision | None = None) -> bool:
        """Revisions go with their mapping and never alone."""
        match = request.resolver_match
        own_page = match is None or (match.url_name or "").startswith("mappings_revision")
        return not own_page and super().has_delete_permission(request, obj)
