"""The time by the control database's clock: hosts need not agree on it, and what is counted from it never runs back."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection

ASKED_EVERY = 60.0
"""Seconds; in between the time goes on by the seconds that passed here."""


class _Asked(NamedTuple):
    answer: datetime
    at: float


_asked: _Asked | None = None


def now() -> datetime:
    """What time it is there; asked once a minute in each process."""
    global _asked
    if _asked is None or time.monotonic() - _asked.at > ASKED_EVERY:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            _asked = _Asked(cursor.fetchone()[0], time.monotonic())
    return _asked.answer + timedelta(seconds=time.monotonic() - _asked.at)
