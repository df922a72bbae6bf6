"""Pages at `/`, the forms at `/admin/`, `/healthz` for machines."""

from __future__ import annotations

from django.contrib import admin
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 `ok` while pages can be served; 503 when the control database does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("the control database does not answer\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


def nowhere(request: HttpRequest, anything: str) -> HttpResponse:
    """In place of the admin's way to whatever page some object has: none has one, and some have no table."""
    raise Http404(f"There is no /admin/r/{anything}.")


admin.site.site_header = admin.site.site_title = "Migrator"
admin.site.index_title = "Mappings, environments and runs"

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("admin/r/<path:anything>", nowhere),
    path("admin/", admin.site.urls),
    path("", include("jobs.urls")),
]
