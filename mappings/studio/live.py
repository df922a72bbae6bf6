"""Which environment a page looks at, and what its databases hold: read in bulk and kept, so an edit asks nobody."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import psycopg
from django.db.models.functions import Now
from django.http import HttpRequest

from mappings.catalog.fingerprints import Side
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.expressions.parser import ExpressionError, parse_relation
from mappings.models import Environment, Mapping, Visit
from mappings.problems import Refused
from mappings.studio import sessions
from mappings.studio.sessions import FRESH_SECONDS, session_of
from mappings.suggesting import sides
from mappings.suggesting.sides import Side as Tables
from mappings.suggesting.sides import Table
from mappings.web.signed_in import signed_in

LOOKED_AT = "mappings_environment"
"""The session's key for the environment that was saved last: looked at where none was chosen."""

SILENT_SECONDS = 15.0
"""How long nobody asks again a database that did not answer: each time could take as long as the network lets it."""

MOST_SIDES = 8
"""Of how many databases the tables are kept: some 10 MB for 300 tables of 100 columns."""

SLOW_SECONDS = 0.5

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
        result: dict[str, list[Table]] = {}
        for table in sorted(self.read.tables.values(), key=lambda table: table.schema != "public"):
            result.setdefault(table.name, []).append(table)
        return result


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
_took: dict[tuple[int, str], float] = {}
"""Seconds that it took to read a side the last time, by environment."""
_lock = threading.Lock()


def environment_of(request: HttpRequest, mapping: Mapping) -> Environment | None:
    """The one asked for in the address, the one where this person looked at it before, the one saved last, or the first
    in order. There it stays, whatever environments are made later.
    """
    name = request.GET.get("env", "")
    asked = Environment.objects.filter(name=name).first() if name else None
    visits = Visit.objects.filter(mapping=mapping, user=signed_in(request), environment__isnull=False)
    if not asked and (visit := visits.select_related("environment").first()):
        return visit.environment
    name = request.session.get(LOOKED_AT, "")
    saved = Environment.objects.filter(name=name).first() if name and not asked else None
    environment = asked or saved or Environment.objects.filter(after=None).first()
    if environment:
        choose(request, mapping, environment)
    return environment


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
    if fresh:
        sessions.forget(environment)
    source, target = (None if fresh else _kept_side(environment, side) for side in names)
    if source is None or target is None:
        with ThreadPoolExecutor(len(names)) as both:  # most of the time is the servers'
            source, target = both.map(lambda side: _read_side(environment, side), names)
    return Live(environment, source, target)


def is_at_hand(environment: Environment) -> bool:
    """Whether both sides were read within the minute."""
    names: tuple[Side, Side] = ("source", "target")
    return all(_kept_side(environment, side) is not None for side in names)


def was_slow(environment: Environment) -> bool:
    """Whether one of its sides took noticeably long to be read the last time."""
    with _lock:
        return any(seconds > SLOW_SECONDS for (pk, _), seconds in _took.items() if pk == environment.pk)


def forget(environment: Environment) -> None:
    """What was read of this environment counts no more."""
    with _lock:
        for key in [key for key in _kept if key[0] == environment.pk]:
            del _kept[key]
    sessions.forget(environment)


def _kept_side(environment: Environment, side: Side) -> LiveSide | None:
    """What was read of it within the minute."""
    with _lock:
        kept = _kept.get((environment.pk, side))
    if kept is None or kept[1] != environment.updated:
        return None
    lasts = SILENT_SECONDS if kept[2].note else FRESH_SECONDS
    return kept[2] if time.monotonic() - kept[0] < lasts else None


def _read_side(environment: Environment, side: Side) -> LiveSide:
    begun = time.monotonic()
    try:
        with session_of(environment, side) as session:
            result = LiveSide(sides.read(session, side))
    except (DatabaseUnreachable, Refused, psycopg.Error) as error:
        result = LiveSide(note=f"Tables are neither offered nor checked: {side} of {environment}: {error}")
    with _lock:
        _took[environment.pk, side] = time.monotonic() - begun
        before = _kept.get((environment.pk, side))
        if before and before[2] == result:
            result = before[2]  # what was made of it counts on
        _kept.pop((environment.pk, side), None)
        _kept[environment.pk, side] = (time.monotonic(), environment.updated, result)
        while len(_kept) > MOST_SIDES:
            del _kept[next(iter(_kept))]
    return result
