"""A page for the tests of the web server: says what was sent; as many bytes as the query asks for, also at once."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/shared":
        time.sleep(0.5)
        _SHARED.append(True)
        start_response("200 OK", [("Content-Length", "9")])
        return [b"by thread"]
    body = environ["wsgi.input"].read()
    wanted = int(environ["QUERY_STRING"] or 0)
    answer = hashlib.sha256(body).hexdigest().encode() + b"x" * wanted
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


_SHARED: list[bool] = []
"""Whether the shared page is made, once it was asked for."""


def _at_once(request: bytes) -> bytes | None:
    if request.startswith(b"GET /shared "):
        if not _SHARED:
            _SHARED.append(False)
            return None
        return b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nat once" if _SHARED[-1] else b""
    asked = re.match(rb"GET /at-once\?(\d+) ", request)
    if not asked:
        return None
    body = b"y" * int(asked[1])
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


application.at_once = _at_once  # type: ignore[attr-defined]
