"""Whether runs can go on at all: is a worker seated, does Redis answer. For the banner on the pages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import redis
from django.conf import settings

from jobs.processes import seats

PING_SECONDS = 0.3
KEPT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is down, what that means for the operator, and the command that mends it."""

    title: str
    text: str
    command: str = ""


def ailments() -> tuple[Ailment, ...]:
    """What is wrong now; looked at most every two seconds, however many pages are open."""
    return _ailments_at(int(time.monotonic() / KEPT_SECONDS))


@lru_cache(maxsize=1)
def _ailments_at(tick: int) -> tuple[Ailment, ...]:
    found = []
    if not _redis_answers():
        found.append(
            Ailment(
                "Redis does not answer.",
                "Nothing is lost: runs are saved, a slice under way finishes, and all goes on by itself "
                "once Redis is back. Check REDIS_URL, or start everything again with",
                "make up",
            )
        )
    if not seats.live().exists():
        found.append(
            Ailment(
                "No worker is running.",
                "Runs are saved and wait until one takes them up. Start the servers and workers with",
                "make up",
            )
        )
    return tuple(found)


def _redis_answers() -> bool:
    """Whether Redis answers a ping in time."""
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PING_SECONDS, socket_connect_timeout=PING_SECONDS
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
