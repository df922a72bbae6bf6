"""How Redis is reached: never for longer than a moment, as it only rings."""

from __future__ import annotations

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def client(seconds: float = 2) -> Redis:
    """A connection that gives up within about that time; close it after use."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
