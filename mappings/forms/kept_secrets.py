"""Secrets that were typed into a form that comes back: kept for the next try, and never shown."""

from __future__ import annotations

import json
from typing import cast

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

KEPT_SECONDS = 3600


def sealed(secrets: dict[str, str], about: object) -> str:
    """What the page carries: encrypted, and good for the form about `about` alone."""
    text = json.dumps([str(about), {name: secret for name, secret in secrets.items() if secret}])
    return _keys().encrypt(text.encode()).decode()


def opened(token: str, about: object) -> dict[str, str]:
    """The secrets in it; {} for one that is too old, of another form, or that nobody here sealed."""
    try:
        whose, secrets = json.loads(_keys().decrypt(token.encode(), ttl=KEPT_SECONDS))
    except (InvalidToken, ValueError):
        return {}
    return cast("dict[str, str]", secrets) if whose == str(about) else {}


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CREDENTIALS_KEY])
