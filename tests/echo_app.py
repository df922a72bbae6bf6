"""A page for the tests of the web server: says what was sent; as many bytes as the query asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    wanted = int(environ["QUERY_STRING"] or 0)
    answer = hashlib.sha256(body).hexdigest().encode() + b"x" * wanted
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
