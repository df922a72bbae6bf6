"""A strict content security policy on every response (Django 5.2 has none of its own); requests that can be read; gzip;
and who asks, for the history."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from jobs.history import origin, refused_requests
from migrator_site.sign_in import client_address

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
    )
)


class ContentSecurityPolicy:
    """No inline scripts or styles, no eval, nothing from elsewhere, no page of ours in a frame."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class Readable:
    """Refuses addresses and forms that cannot be read, or that have a NUL character in them: PostgreSQL takes none.

    Django refuses the former as well, but the page with which it does reads the form once more, for its token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if problem := _unreadable(request):
            return HttpResponse(f"{problem}\n", status=400, content_type="text/plain")
        return self.get_response(request)


def _unreadable(request: HttpRequest) -> str:
    """What is wrong with a request before any view looks at it; '' for nothing."""
    if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return "no address has a NUL character"
    try:
        fields = list(request.POST.lists())
    except (BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError) as error:
        return f"the form cannot be read: {str(error)[:200]}"
    if any("\0" in text for name, texts in fields for text in (name, *texts)):
        return "no form has a NUL character"
    return ""


PLAIN = ("/admin/login/", "/admin/password_change/", "/admin/auth/", "/admin/mappings/environment/")


class Compressed(GZipMiddleware):
    """Pages go compressed, but none on which a secret stands beside what somebody else may have put there.

    From the sizes of many such answers the secret could be guessed (BREACH). Tokens against forged requests are masked
    anew in each answer, and each has a random length besides. What answers a form may repeat what was typed into it.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.method != "GET" or request.path.startswith(PLAIN):
            return response
        return super().process_response(request, response)


class Origin:
    """What is done by a request is kept with who sent it and from where, and so is what it may not do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with origin.of_request(request, client_address(request)):
            response = self.get_response(request)
            if response.status_code == 403:
                refused_requests.keep(request)
            return response
