"""Why the control database takes no writes: it cannot keep that itself, so whoever finds out tells it through Redis."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from jobs.processes.redis_client import client

KEY = "migrator:control-database"
REMEMBERED_SECONDS = 15
"""Told again by the next beat of a worker, or the next slice, as long as it lasts."""

TAKES_NO_WRITES = {
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it has no free connection left",
    "25006": "it is read-only",
}

log = logging.getLogger(__name__)


def tell(error: BaseException) -> None:
    """Remembers why, where that is what the error says; anything else is nothing new."""
    states = (getattr(one, "sqlstate", None) for one in (error, error.__cause__))
    why = next((TAKES_NO_WRITES[state] for state in states if state in TAKES_NO_WRITES), None)
    if why is None:
        return
    try:
        with client() as redis:
            redis.set(KEY, why, ex=REMEMBERED_SECONDS)
    except RedisError as refused:
        log.warning("Nobody can be told that the control database takes no writes: %s", refused)


def complaint(seconds: float = 2) -> str:
    """Why it takes no writes, as a sentence without its end; '' where nobody said so lately."""
    try:
        with client(seconds) as redis:
            why = redis.get(KEY)
    except RedisError:
        return ""
    return f"The control database takes no writes: {why.decode()}" if isinstance(why, bytes) else ""
