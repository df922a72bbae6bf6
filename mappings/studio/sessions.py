"""Sessions with an environment's databases for the studio's short looks, kept open between one edit and the next.

What they read of the catalogs is kept for the minute, for all threads of the process: an edit asks only for rows.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from mappings.catalog.fingerprints import Side
from mappings.catalog.kept import Store, keep
from mappings.compiling.names.resolve import Databases
from mappings.connections.sessions import connect, same_database
from mappings.models import Environment

STATEMENT_TIMEOUT_MS = 3000

FRESH_SECONDS = 60.0

IDLE_SECONDS = 3.0
"""How long a session is kept that nobody uses: while somebody types. DROP DATABASE and CREATE DATABASE … TEMPLATE wait
five seconds for others to leave, and fail then."""

MOST_IDLE = 8
MOST_STORES = 16

Key: TypeAlias = tuple[int, datetime, Side]
"""An environment as it was saved last, and which of its databases: nothing of its address."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A session that waits to be used again. since: by the clock of time.monotonic."""

    key: Key
    session: psycopg.Connection[Any]
    since: float


_idle: list[Idle] = []
_stores: dict[Key, Store] = {}
_same: dict[tuple[int, datetime], tuple[float, bool]] = {}
_lock = threading.Lock()
_tidying = threading.Event()


@contextmanager
def session_of(environment: Environment, side: Side) -> Iterator[psycopg.Connection[Any]]:
    """A short look at one side: read-only, with a time limit. Raises DatabaseUnreachable, Refused."""
    key = (environment.pk, environment.updated, side)
    session = _waiting(key) or _opened(environment, side)
    keep(session, _store(key))
    try:
        yield session
    finally:
        _lay_aside(key, session)


@contextmanager
def both_sides(environment: Environment) -> Iterator[Databases]:
    """Both databases, one session each. Raises DatabaseUnreachable, Refused."""
    with session_of(environment, "source") as source, session_of(environment, "target") as target:
        yield Databases(source, target, _is_same(environment, source, target), environment.parameters)


def forget(environment: Environment) -> None:
    """What was read of this environment counts no more."""
    with _lock:
        for key in [key for key in _stores if key[0] == environment.pk]:
            del _stores[key]
        for known in [known for known in _same if known[0] == environment.pk]:
            del _same[known]
        gone = [one for one in _idle if one.key[0] == environment.pk]
        _idle[:] = [one for one in _idle if one not in gone]
    _close(gone)


def _opened(environment: Environment, side: Side) -> psycopg.Connection[Any]:
    url = environment.source_url if side == "source" else environment.target_url
    session = connect(url, purpose="studio", read_only=True, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
    session.prepare_threshold = None  # a table may be altered between two looks of one session
    return session


def _waiting(key: Key) -> psycopg.Connection[Any] | None:
    """A session with that database that is still alive."""
    while True:
        with _lock:
            result = next((one for one in reversed(_idle) if one.key == key), None)
            if result is None:
                return None
            _idle.remove(result)
        if _is_alive(result.session):
            return result.session
        _close([result])


def _is_alive(session: psycopg.Connection[Any]) -> bool:
    """Whether its server has said nothing since: that it ends the session is all that it says unasked."""
    if session.closed or session.info.transaction_status != TransactionStatus.IDLE:
        return False
    waiting = select.poll()
    waiting.register(session.pgconn.socket, select.POLLIN)
    return not waiting.poll(0)


def _lay_aside(key: Key, session: psycopg.Connection[Any]) -> None:
    if session.closed or session.info.transaction_status != TransactionStatus.IDLE:
        session.close()
        return
    with _lock:
        _idle.append(Idle(key, session, time.monotonic()))
        gone, _idle[:] = _idle[:-MOST_IDLE], _idle[-MOST_IDLE:]
        if not _tidying.is_set():
            _tidying.set()
            threading.Thread(target=_tidy, name="studio sessions", daemon=True).start()
    _close(gone)


def _tidy() -> None:
    """Closes what nobody used for a while, as long as there is any."""
    while _tidying.is_set():
        time.sleep(IDLE_SECONDS / 4)
        now = time.monotonic()
        with _lock:
            gone = [one for one in _idle if now - one.since >= IDLE_SECONDS]
            _idle[:] = [one for one in _idle if one not in gone]
            if not _idle:
                _tidying.clear()
        _close(gone)


def _close(idle: list[Idle]) -> None:
    for one in idle:
        with suppress(psycopg.Error):
            one.session.close()


def _store(key: Key) -> Store:
    """What is kept of that database; of those asked for longest ago nothing."""
    with _lock:
        result = _stores.pop(key, None)
        if result is None or result.is_old:
            result = Store(FRESH_SECONDS)
        _stores[key] = result
        while len(_stores) > MOST_STORES:
            del _stores[next(iter(_stores))]
        return result


def _is_same(
    environment: Environment, source: psycopg.Connection[Any], target: psycopg.Connection[Any]
) -> bool:
    """Whether both sessions are in one database; asked once a minute."""
    key = (environment.pk, environment.updated)
    known = _same.get(key)
    if known is None or time.monotonic() - known[0] >= FRESH_SECONDS:
        known = time.monotonic(), same_database(source, target)
        with _lock:
            _same[key] = known
            while len(_same) > MOST_STORES:
                del _same[next(iter(_same))]
    return known[1]
