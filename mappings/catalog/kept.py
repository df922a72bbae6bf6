"""What was read of a database's catalogs a moment ago, for who looks at them time and again.

Only sessions that were given a store (`keep`) answer from it. A plan's own is empty when it begins: it reads everything
anew, but nothing twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import psycopg

Given = ParamSpec("Given")
Found = TypeVar("Found")


class Store:
    """What was read of one database by one role, for `seconds` from its first answer; of each kind the latest."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._kinds: dict[str, OrderedDict[Any, Any]] = {}
        self._lock = threading.Lock()

    @property
    def is_old(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._until

    def get(self, kind: str, key: Any) -> tuple[Any] | None:
        """What was read, in a tuple; None for nothing."""
        with self._lock:
            result = self._kinds.get(kind)
            if result is None or key not in result:
                return None
            result.move_to_end(key)
            return (result[key],)

    def put(self, kind: str, key: Any, value: Any, most: int) -> None:
        """Keeps it, and of its kind no more than `most`."""
        with self._lock:
            result = self._kinds.setdefault(kind, OrderedDict())
            result[key] = value
            while len(result) > most:
                result.popitem(last=False)


_stores: WeakKeyDictionary[psycopg.Connection[Any], Store] = WeakKeyDictionary()


def keep(conn: psycopg.Connection[Any], store: Store) -> None:
    """What this session reads of the catalogs is kept in `store`, and taken from there."""
    _stores[conn] = store


def kept(
    most: int,
) -> Callable[
    [Callable[Concatenate[psycopg.Connection[Any], Given], Found]],
    Callable[Concatenate[psycopg.Connection[Any], Given], Found],
]:
    """For a function that reads frozen values of a catalog, by a session and hashable arguments.

    most: how many of its answers a store keeps.
    """

    def decorate(
        read: Callable[Concatenate[psycopg.Connection[Any], Given], Found],
    ) -> Callable[Concatenate[psycopg.Connection[Any], Given], Found]:
        kind = f"{read.__module__}.{read.__qualname__}"

        @wraps(read)
        def reading(conn: psycopg.Connection[Any], /, *given: Given.args, **named: Given.kwargs) -> Found:
            store = _stores.get(conn)
            if store is None:
                return read(conn, *given, **named)
            key = (given, tuple(sorted(named.items())))
            if known := store.get(kind, key):
                result: Found = known[0]
                return result
            fresh = read(conn, *given, **named)
            store.put(kind, key, fresh, most)
            return fresh

        return reading

    return decorate
