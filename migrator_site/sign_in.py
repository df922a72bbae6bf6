"""Where a sign-in comes from: whose wrong passwords are counted, and kept as a trace."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The browser's address.

    With HTTPS=1 a proxy stands in front, and adds to X-Forwarded-For whom it serves: the last entry is its own
    word, those before it are what the browser claims.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))  # a sign-in that no browser asked for has none
    last = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() if settings.HTTPS else ""
    try:
        return str(ip_address(last or peer))
    except ValueError:
        return peer
