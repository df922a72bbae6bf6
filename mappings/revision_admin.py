"""Revisions in the admin: to look at, never to edit."""

from __future__ import annotations

import difflib
import json

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mappings.canonical import dump
from mappings.models import Revision
from mappings.problems import Refused
from mappings.store import revision_spec


@admin.register(Revision)
class RevisionAdmin(admin.ModelAdmin):
    """Revisions to look at: what each says, and what it changed."""

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

    @admin.display(description="changes to its parent")
    def difference(self, revision: Revision) -> SafeString:
        parent = revision.mapping.revisions.filter(number=revision.number - 1).first()
        if parent is None:
            return format_html("<p>{}</p>", "The first revision.")
        before = _text(parent).splitlines()
        lines = difflib.unified_diff(before, _text(revision).splitlines(), "parent", "this", lineterm="")
        return format_html("<pre>{}</pre>", "\n".join(lines))

    @admin.display(description="mapping file")
    def file(self, revision: Revision) -> SafeString:
        return format_html("<pre>{}</pre>", _text(revision))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Revisions go with their mapping and never alone."""
        match = request.resolver_match
        own_page = match is None or (match.url_name or "").startswith("mappings_revision")
        return not own_page and super().has_delete_permission(request, obj)


def _text(revision: Revision) -> str:
    """A revision as a mapping file; as indented JSON where today's rules would no longer accept it."""
    try:
        return dump(revision_spec(revision))
    except Refused:
        return json.dumps(json.loads(revision.canonical), indent=2, ensure_ascii=False)
