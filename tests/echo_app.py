"""A page for the tests of the web server: says what was sent; as many bytes as the query asks for, also at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    wanted = int(environ["QUERY_STRING"] or 0)
    answer = hashlib.sha256(body).hexdigest().encode() + b"x" * wanted
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def _at_once(request: bytes) -> bytes | None:
    asked = re.match(rb"GET /at-once\?(\d+) ", request)
    if not asked:
        return None
    body = b"y" * int(asked[1])
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


application.at_once = _at_once  # type: ignore[attr-defined]
