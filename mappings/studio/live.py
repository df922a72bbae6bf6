"""Which environment a page looks at, and what its databases hold: read in bulk and kept, so an edit asks nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from django.db.models.functions import Now
from django.http import HttpRequest

from mappings.catalog.fingerprints import Side
from mappings.compiling.resolve import Databases
from mappings.connections.sessions import connect, same_database
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.expressions.parser import ExpressionError, parse_relation
from mappings.forms.signed_in import signed_in
from mappings.models import Environment, Mapping, Visit
from mappings.problems import Refused
from mappings.suggesting import sides
from mappings.suggesting.sides import Side as Tables
from mappings.suggesting.sides import Table

LOOKED_AT = "mappings_environment"
"""The session's key for the environment that was saved last: looked at where none was chosen."""

FRESH_SECONDS = 60.0
SILENT_SECONDS = 15.0
"""How long nobody asks again a database that did not answer: each time could take as long as the network lets it."""

STATEMENT_TIMEOUT_MS = 3000


EMPTY = Tables({})


@dataclass(frozen=True)
class LiveSide:
    """The tables of one side, by schema and name; note says why there are none to offer, where that is so."""

    read: Tables = EMPTY
    note: str = ""

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table and view, in order."""
        return tuple(self.read.tables.values())

    def find(self, relation: str) -> Table | None:
        """The table that a name means, written as in SQL; without a schema the one of that name."""
        try:
            name = parse_relation(relation)
        except ExpressionError:
            return None
        named = self._by_name.get(name.name, ())
        return next((table for table in named if name.schema in (None, table.schema)), None)

    @cached_property
    def _by_name(self) -> dict[str, list[Table]]:
        """By bare name, those of the schema public before others."""
        found: dict[str, list[Table]] = {}
        for table in sorted(self.read.tables.values(), key=lambda table: table.schema != "public"):
            found.setdefault(table.name, []).append(table)
        return found


@dataclass(frozen=True, slots=True)
class Live:
    """Both sides of the environment that a page looks at; None where no environment is saved yet."""

    environment: Environment | None
    source: LiveSide
    target: LiveSide

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands against offering and checking, one sentence a side."""
        return tuple(dict.fromkeys(side.note for side in (self.source, self.target) if side.note))


_kept: dict[tuple[int, str], tuple[float, object, LiveSide]] = {}
_lock = threading.Lock()


def environment_of(request: HttpRequest, mapping: Mapping) -> Environment | None:
    """The one asked for in the address, the one chosen for this mapping, the one saved last, or the first in order."""
    asked = Environment.objects.filter(name=request.GET.get("env", "")).first()
    if asked:
        choose(request, mapping, asked)
        return asked
    visits = Visit.objects.filter(mapping=mapping, user=signed_in(request), environment__isnull=False)
    if visit := visits.select_related("environment").first():
        return visit.environment
    saved = Environment.objects.filter(name=request.session.get(LOOKED_AT, "")).first()
    return saved or Environment.objects.filter(after=None).first()


def choose(request: HttpRequest, mapping: Mapping, environment: Environment) -> None:
    """This person looks at this mapping in that environment from now on."""
    Visit.objects.update_or_create(
        mapping=mapping,
        user=signed_in(request),
        defaults={"environment": environment},
        create_defaults={"environment": environment, "seen": Now()},
    )


def live_of(environment: Environment | None, fresh: bool = False) -> Live:
    """The tables of both sides; at most a minute old, or read now where `fresh`."""
    if environment is None:
        note = LiveSide(note="No environment is saved yet, so tables are neither offered nor checked.")
        return Live(None, note, note)
    names: tuple[Side, Side] = ("source", "target")
    source, target = (None if fresh else _kept_side(environment, side) for side in names)
    if source is None or target is None:
        with ThreadPoolExecutor(len(names)) as both:  # most of the time is the servers'
            source, target = both.map(lambda side: _read_side(environment, side), names)
    return Live(environment, source, target)


def forget(environment: Environment) -> None:
    """What was read of this environment counts no more."""
    with _lock:
        for key in [key for key in _kept if key[0] == environment.pk]:
            del _kept[key]


def _kept_side(environment: Environment, side: Side) -> LiveSide | None:
    """What was read of it within the minute."""
    with _lock:
        kept = _kept.get((environment.pk, side))
    if kept is None or kept[1] != environment.updated:
        return None
    lasts = SILENT_SECONDS if kept[2].note else FRESH_SECONDS
    return kept[2] if time.monotonic() - kept[0] < lasts else None


def _read_side(environment: Environment, side: Side) -> LiveSide:
    try:
        with session_of(environment, side) as session:
            found = LiveSide(sides.read(session, side))
    except (DatabaseUnreachable, Refused, psycopg.Error) as error:
        found = LiveSide(note=f"Tables are neither offered nor checked: {side} of {environment}: {error}")
    with _lock:
        before = _kept.get((environment.pk, side))
        if before and before[2] == found:
            found = before[2]  # what was made of it counts on
        _kept[environment.pk, side] = (time.monotonic(), environment.updated, found)
    return found


def session_of(environment: Environment, side: Side) -> psycopg.Connection[Any]:
    """A short look at one side: read-only, with a time limit. Raises DatabaseUnreachable, Refused."""
    url = environment.source_url if side == "source" else environment.target_url
    return connect(url, purpose="studio", read_only=True, statement_timeout_ms=STATEMENT_TIMEOUT_MS)


@contextmanager
def both_sides(environment: Environment) -> Iterator[Databases]:
    """Both databases, one session each. Raises DatabaseUnreachable, Refused."""
    with session_of(environment, "source") as source, session_of(environment, "target") as target:
        yield Databases(source, target, same_database(source, target), environment.parameters)
