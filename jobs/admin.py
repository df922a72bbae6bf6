"""Runs in the admin: a list to find them by, each leading to its own page. Nothing is edited here."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from jobs.models import Run
from jobs.notices.admin import WebhookAdmin, WishAdmin
from mappings.web.generics import ModelAdmin

__all__ = ["RunAdmin", "WebhookAdmin", "WishAdmin"]

admin.site.enable_nav_sidebar = False


@admin.register(Run)
class RunAdmin(ModelAdmin[Run]):
    """Read-only: a run is changed by its buttons alone."""

    list_display = ("id", "mapping", "environment", "status", "started_by", "created", "finished")
    list_filter = ("status", "environment", "mapping")
    list_select_related = ("mapping", "environment", "started_by")
    search_fields = ("mapping__name", "environment__name", "started_by__username")
    date_hierarchy = "created"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return bool(request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).defer("plan")

    def change_view(
        self, request: HttpRequest, object_id: str, *args: object, **kwargs: object
    ) -> HttpResponse:
        """The run's own page, which shows more than a form could."""
        if self.get_object(request, unquote(object_id)) is None:
            raise Http404(f"There is no run {unquote(object_id)}.")
        return redirect(reverse("jobs:run", args=[unquote(object_id)]))
