"""Who may look at a run, remembered for some seconds: many look, each asks once a second, and little changes.

Only that a session belongs to signed-in staff is remembered, and only for the poll of a run's page. When the seconds
are over, all who were seen are looked up at once: whose session and user are as they were may go on looking. Whoever
signs out is forgotten at once by this process, and by the others when the seconds are over.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

REMEMBERED = 15.0
"""Seconds."""
MOST = 2_000


class Seen(NamedTuple):
    """Whom a look found behind a session: what may not change if it is to count again."""

    session: str
    user: int
    password: str


_seen: dict[str, Seen] = {}
_until = 0.0
_looking = Lock()


def is_known(key: str) -> bool:
    """Whether the session of that key belongs to somebody who was seen to be staff a moment ago."""
    return key in _seen and time.monotonic() < _until


def may_look(request: HttpRequest) -> bool:
    """Whether the request comes from signed-in staff."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if key in _seen:
        _look_again()
        if key in _seen:
            return True
    user = request.user
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        return False
    session = Session.objects.filter(session_key=key).values_list("session_data", flat=True).first()
    if session is not None:
        if len(_seen) >= MOST:
            _seen.clear()
        _seen[key] = Seen(session, user.pk, user.password)
    return True


def _look_again() -> None:
    """All who were seen, in two queries, when the seconds are over."""
    global _until
    with _looking:
        now, seen = time.monotonic(), dict(_seen)
        if now < _until:
            return
        living = Session.objects.filter(session_key__in=seen, expire_date__gt=timezone.now())
        sessions = dict(living.values_list("session_key", "session_data"))
        staff = User.objects.filter(pk__in={one.user for one in seen.values()}, is_active=True, is_staff=True)
        passwords = dict(staff.values_list("pk", "password"))
        for key, one in seen.items():
            if (sessions.get(key), passwords.get(one.user)) != (one.session, one.password):
                _seen.pop(key, None)
        _until = now + REMEMBERED


@receiver(user_logged_out)
def forget(**_: Any) -> None:
    """Asks again of everybody: sign-outs are rare."""
    _seen.clear()
