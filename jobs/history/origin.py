"""Who acts now, and from where: a page's request, a worker that said its name, or else somebody at a terminal."""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from django.http import HttpRequest

API = "/api/"
WORD = re.compile(r"[a-z_][a-z0-9_-]*")
"""A word of a command that says what is done. Options and values are not kept: they may hold passwords."""


@dataclass(frozen=True, slots=True)
class Origin:
    """who: an account, the user of a terminal, a worker; way: page, command, api or worker; place: which of these."""

    who: str
    way: str
    place: str = ""
    address: str = ""


_request: ContextVar[tuple[HttpRequest, str] | None] = ContextVar("request", default=None)
_worker = ""


@contextmanager
def of_request(request: HttpRequest, address: str) -> Iterator[None]:
    """What is done in here is done by this request. address: the browser's."""
    token = _request.set((request, address))
    try:
        yield
    finally:
        _request.reset(token)


def introduce(worker: str) -> None:
    """Says that this process is no terminal, but works under that name."""
    global _worker
    _worker = worker


def current() -> Origin:
    """Who acts now."""
    if asked := _request.get():
        return _of(*asked)
    return Origin(_worker, "worker") if _worker else Origin(terminal_user(), "command", _command())


def _of(request: HttpRequest, address: str) -> Origin:
    user = getattr(request, "user", None)
    who = user.get_username() if user is not None and user.is_authenticated else ""
    way = "api" if request.path.startswith(API) else "page"
    return Origin(who, way, f"{request.method} {request.path}", address)


def _command() -> str:
    """`run start` of `manage.py run start …`."""
    program, *words = sys.argv or [""]
    if Path(program).name != "manage.py":
        return ""
    return " ".join(word for word in words[:2] if WORD.fullmatch(word))


def terminal_user() -> str:
    """Whose terminal it is; in a container that may be a number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
