"""What the environment says, as values; ImproperlyConfigured with a sentence where it cannot be one."""

from __future__ import annotations

import os

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from redis.connection import parse_url


def environment(name: str, default: str) -> str:
    """An empty variable counts as not set."""
    return os.environ.get(name) or default


def switched_on(name: str, default: str) -> bool:
    return environment(name, default).lower() in ("1", "true", "yes", "on")


def whole_number(name: str, default: int) -> int:
    text = environment(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise ImproperlyConfigured(f"{name} must be a whole number, 0 or more, not {text!r}.")
    return int(text)


def listed(name: str, default: str) -> list[str]:
    return [part.strip() for part in environment(name, default).split(",") if part.strip()]


def fernet_keys(text: str) -> list[str]:
    """Newest first: the first encrypts, all decrypt."""
    keys = [key.strip() for key in text.split(",") if key.strip()]
    for key in keys:
        try:
            Fernet(key)
        except ValueError as error:
            raise ImproperlyConfigured(
                "CREDENTIALS_KEY: Fernet keys, newest first, commas between."
            ) from error
    return keys


def redis_url(url: str) -> str:
    """The URL as it is, if it is one."""
    try:
        parse_url(url)
    except ValueError as error:
        raise ImproperlyConfigured("REDIS_URL must be redis://:password@host:port/0") from error
    return url
