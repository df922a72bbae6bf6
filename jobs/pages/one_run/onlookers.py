"""Who may look at a run, remembered for some seconds: many look, each asks once a second, and little changes.

Only that a session belongs to signed-in staff is remembered, and only for the poll of a run's page. Whoever signs out
is forgotten at once by this process, and by the others when the seconds are over.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

REMEMBERED = 15.0
"""Seconds. With 150 who look, one of them is looked up each tenth of a second."""
MOST = 2_000

_until: dict[str, float] = {}


def is_known(request: HttpRequest) -> bool:
    """Whether the request comes from somebody of whom that is remembered."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return bool(key) and _until.get(key, 0.0) > time.monotonic()


def may_look(request: HttpRequest) -> bool:
    """Whether the request comes from signed-in staff."""
    key, now = request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""), time.monotonic()
    if is_known(request):
        return True
    if not (request.user.is_active and request.user.is_staff):
        _until.pop(key, None)
        return False
    if len(_until) >= MOST:
        _until.clear()
    _until[key] = now + REMEMBERED
    return True


@receiver(user_logged_out)
def forget(**_: Any) -> None:
    """Asks again of everybody: sign-outs are rare."""
    _until.clear()
