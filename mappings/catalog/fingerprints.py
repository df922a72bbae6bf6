"""The structure of the tables that a mapping touches, as values: its fingerprint, and how two of them differ.

A structure knows of each fact what the tables' owner made and what is there now. What this product added
(columns, indexes, widths, by its register) is in the second only, so that environments agree in which the
mapping has run and in which it has not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Side = Literal["source", "target"]
Place = tuple[str, str, str, str]
Facts = dict[Place, "Fact"]

LOCAL = ("dependent",)
"""Kinds of facts in which environments may differ: views, policies and publications that hang on a column."""

LONGEST = 120
"""Characters of a definition that a sentence quotes."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is true of a table, '' where it is not there.

    kind: table, column, primary key, unique index, constraint, trigger or dependent; own: as the tables' owner
    made it; live: as it is.
    """

    kind: str
    name: str
    own: str
    live: str


@dataclass(frozen=True, slots=True)
class TableStructure:
    """One table (schema.name) and what is true of it, in a stable order."""

    side: Side
    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that differs; '' for not there."""

    side: str
    table: str
    kind: str
    name: str
    was: str
    now: str

    def __str__(self) -> str:
        what = f"{self.kind} {self.name}".strip()
        return f"{self.side} {self.table}, {what}: was {_shown(self.was)}, is {_shown(self.now)}"


def fingerprint(structure: Iterable[TableStructure]) -> str:
    """The hex sha256 of what the owners made of the tables."""
    facts = _by_place(structure)
    lines = sorted([*place, fact.own] for place, fact in facts.items() if fact.own and fact.kind not in LOCAL)
    return hashlib.sha256(json.dumps(lines, ensure_ascii=False).encode()).hexdigest()


def between_environments(was: Iterable[TableStructure], now: Iterable[TableStructure]) -> tuple[Change, ...]:
    """Why two fingerprints differ."""
    return tuple(change for change in _changes(was, now) if change.kind not in LOCAL)


def since_planned(was: Iterable[TableStructure], now: Iterable[TableStructure]) -> tuple[Change, ...]:
    """What changed in one environment since `was`: by its owner, or because a rollback took away what was added.

    What was added or widened since, by the register, is no change: the plan's own steps do that.
    """
    was, now = tuple(was), tuple(now)
    return (*_changes(was, now), *_undone(_by_place(was), _by_place(now)))


def _changes(was: Iterable[TableStructure], now: Iterable[TableStructure]) -> Iterator[Change]:
    before, after = _by_place(was), _by_place(now)
    for place in sorted({**before, **after}):
        old, new = _own(before, place), _own(after, place)
        whole = (*place[:2], "table", "")
        if old != new and (place == whole or (whole in before) == (whole in after)):
            yield Change(*place, old, new)


def _undone(before: Facts, after: Facts) -> Iterator[Change]:
    for place, fact in before.items():
        if fact.live == fact.own or _own(after, place) != fact.own:
            continue
        live = after[place].live if place in after else ""
        if live == fact.own:
            yield Change(*place, fact.live, live)


def _own(facts: Facts, place: Place) -> str:
    return facts[place].own if place in facts else ""


def _by_place(structure: Iterable[TableStructure]) -> Facts:
    return {
        (table.side, table.name, fact.kind, fact.name): fact for table in structure for fact in table.facts
    }


def _shown(text: str) -> str:
    if not text:
        return "not there"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
