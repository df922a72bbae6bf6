"""Notices as signed requests: JSON with a `text` that Slack and its likes show, and the facts for programs.

X-Migrator-Signature is `t=<seconds>,v1=<hex>`, where hex is the HMAC-SHA256, by the webhook's secret, of
`<seconds>.<body>`. X-Migrator-Delivery is the same at each try, so that a receiver can leave out what it knows.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import suppress

from django.conf import settings

from jobs.models import Notice
from jobs.notices.addresses import Place, looked_up, parsed
from jobs.notices.failures import Undeliverable, Undelivered

SECONDS = 10.0
"""For each step of a request, and for all of it twice that: who drips its answer is cut off."""


def send(notice: Notice) -> None:
    """Raises Undelivered. Anything but an answer of 200 to 299 counts as not delivered; no redirect is followed."""
    hook = notice.webhook
    if hook is None or not hook.url:
        raise Undeliverable("the webhook's address cannot be read any more: set it again")
    body = body_of(notice)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Migrator",
        "X-Migrator-Delivery": str(notice.pk),
        "X-Migrator-Signature": signature(hook.secret, body, int(time.time())),
    }
    status = post(looked_up(parsed(hook.url)), body, headers)
    if 300 <= status < 400:
        raise Undelivered(f"{hook.host} answered {status}: redirects are not followed")
    if status >= 300:
        raise Undelivered(f"{hook.host} answered {status}")


def body_of(notice: Notice) -> bytes:
    url = f"{settings.PAGES_URL}{notice.path}"
    said = {"text": f"{notice.text} {url}", "event": notice.event, "title": notice.title, "url": url}
    return json.dumps({**said, **notice.facts, "id": notice.pk, "at": notice.created.isoformat()}).encode()


def signature(secret: str, body: bytes, seconds: int) -> str:
    signed = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


def post(place: Place, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer; its body is not read. Raises Undelivered."""
    connection = _Pinned(place)
    cut = threading.Timer(2 * SECONDS, connection.cut)
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", place.path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Undelivered(f"{place.host} did not answer: {type(error).__name__}") from error
    finally:
        cut.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """Connects to the address that was looked at, whatever the name says by now; no proxy comes in between."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.host, place.port, timeout=SECONDS)
        self.place = place
        self.default_port = {"http": 80, "https": 443}[place.scheme]  # is left out of the Host header

    def connect(self) -> None:
        self.sock = socket.create_connection((self.place.address, self.place.port), SECONDS)
        if self.place.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.place.host)

    def cut(self) -> None:
        """Ends a request that takes too long, in whatever it waits."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
