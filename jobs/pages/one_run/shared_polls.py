"""What a crowd that looks at one run is told: those who know the same are told the same, and it is made once a moment.

Comes before all other middleware, and is asked by the web server itself before it gives a request to Django
(`answer_at_once`), as most of what a poll costs is on its way to its view. Only answers that look alike for whoever
asks are kept, and they are given only to signed-in staff (`onlookers`), and only where so many ask that the page itself
is as it was a moment ago (`live_run`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from jobs.pages.one_run import live_run, onlookers

PATH = re.compile(r"/runs/(\d{1,18})/live/")
MOST = 500

REQUEST = re.compile(rb"GET (/runs/(\d{1,18})/live/)(?:\?([!-~]*))? HTTP/1\.1\r\n")
COOKIES = re.compile(rb"\r\ncookie:([^\r]*)", re.IGNORECASE)
ENCODINGS = re.compile(rb"\r\naccept-encoding:([^\r]*)", re.IGNORECASE)
UNUSUAL = re.compile(
    rb"\r\n(?:connection:(?![ \t]*keep-alive\r)|content-length|transfer-encoding|expect)", re.IGNORECASE
)
SESSION = re.compile(rf"(?:^|;) *{re.escape(settings.SESSION_COOKIE_NAME)}=(\w+) *(?=;|$)".encode())

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Told:
    """An answer as it was sent. at: when it was made, by the clock of this process."""

    at: float
    response: HttpResponse

    @cached_property
    def message(self) -> bytes:
        """As it is sent over a connection that stays."""
        response = self.response
        headers = {
            **response.headers,
            "Content-Length": len(response.content), "Date": http_date(), "Connection": "keep-alive",
        }  # fmt: skip
        lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.content

    def again(self) -> HttpResponse:
        """For one more who asks by Django."""
        return HttpResponse(
            self.response.content, status=self.response.status_code, headers=self.response.headers
        )


_TOLD: dict[Key, Told] = {}
_ASKED: dict[Key, float] = {}
"""Since when Django is asked for an answer that a crowd waits for."""

LONGEST = 1.0
"""Seconds that others wait for it."""


def same_for_all(response: HttpResponse) -> HttpResponse:
    """Marks an answer that may be given to others."""
    response.is_same_for_all = True  # type: ignore[attr-defined]
    return response


def answer_at_once(request: bytes) -> bytes | None:
    """The answer to a poll that others have had, ready to be sent; b"" where it is being made for one of them, None
    where Django is to be asked.

    request: one whole HTTP request. What is written in it in an unusual way is left to those who read it by all rules.
    """
    asked, cookies, encodings = REQUEST.match(request), COOKIES.findall(request), ENCODINGS.findall(request)
    if asked is None or len(cookies) != 1 or len(encodings) > 1 or UNUSUAL.search(request):
        return None
    path, pk, query = asked.groups(b"")
    session = SESSION.findall(cookies[0])
    encoding = b"".join(encodings).strip()
    if len(session) != 1 or not onlookers.is_known(session[0].decode()):
        return None
    key = (path.decode(), query.decode(), encoding.decode("latin-1"))
    told = _TOLD.get(key)
    if told and live_run.joins_crowd(int(pk), told.at):
        return told.message
    return b"" if live_run.is_crowd(int(pk)) and _is_being_made(key) else None


def _is_being_made(key: Key) -> bool:
    """Whether somebody else asked Django for it and waits; whoever asks is the one from now on."""
    now = time.monotonic()
    if now - _ASKED.get(key, 0.0) < LONGEST:
        return True
    if len(_ASKED) >= MOST:
        _ASKED.clear()
    _ASKED[key] = now
    return False


class SharedPolls:
    """The middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        match = PATH.fullmatch(request.path_info) if request.method == "GET" else None
        if match is None:
            return self.get_response(request)
        key = (
            request.path_info,
            request.META.get("QUERY_STRING", ""),
            request.META.get("HTTP_ACCEPT_ENCODING", ""),
        )
        try:
            return self._answer(request, key, int(match[1]))
        finally:
            _ASKED.pop(key, None)

    def _answer(self, request: HttpRequest, key: Key, pk: int) -> HttpResponseBase:
        told, session = _TOLD.get(key), request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if told and onlookers.is_known(session) and live_run.joins_crowd(pk, told.at):
            return told.again()
        response = self.get_response(request)
        if getattr(response, "is_same_for_all", False) and not response.cookies:
            assert isinstance(response, HttpResponse)
            if len(_TOLD) >= MOST:
                _TOLD.clear()
            _TOLD[key] = Told(time.monotonic(), response)
        return response
