"""The address of a mail server, taken apart as Django wants it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def mail_server(url: str) -> tuple[str, int, str, str, bool, bool]:
    """Host, port, user, password, STARTTLS or not, TLS or not, of smtp://, smtp+tls:// or smtps://user:password@host:port;
    no host for ''."""
    parts = urlsplit(url)
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    try:
        port = parts.port or ports.get(parts.scheme)
    except ValueError:
        port = None
    if url and not (port and parts.hostname):
        raise ImproperlyConfigured("EMAIL_URL must be smtp+tls://user:password@host:587, smtps:// or smtp://")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return (
        parts.hostname or "", port or 25, user, password, parts.scheme == "smtp+tls", parts.scheme == "smtps",
    )  # fmt: skip
