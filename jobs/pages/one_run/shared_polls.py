"""What a crowd that looks at one run is told: those who know the same are told the same, and it is made once a moment.

Comes before all other middleware, as most of what a poll costs is on its way to its view. Only answers that look alike
for whoever asks are kept, and they are given only to signed-in staff (`onlookers`), and only where so many ask that the
page itself is as it was a moment ago (`live_run`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from jobs.pages.one_run import live_run, onlookers

PATH = re.compile(r"/runs/(\d+)/live/")
MOST = 500

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it was sent. at: when it was made, by the clock of this process."""

    at: float
    status: int
    content: bytes
    headers: dict[str, str]


_TOLD: dict[Key, Told] = {}


def same_for_all(response: HttpResponse) -> HttpResponse:
    """Marks an answer that may be given to others."""
    response.is_same_for_all = True  # type: ignore[attr-defined]
    return response


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
        told = _TOLD.get(key)
        if told and onlookers.is_known(request) and live_run.joins_crowd(int(match[1]), told.at):
            return HttpResponse(told.content, status=told.status, headers=told.headers)
        response = self.get_response(request)
        if getattr(response, "is_same_for_all", False) and not response.cookies:
            assert isinstance(response, HttpResponse)
            if len(_TOLD) >= MOST:
                _TOLD.clear()
            _TOLD[key] = Told(
                time.monotonic(), response.status_code, response.content, dict(response.headers)
            )
        return response
