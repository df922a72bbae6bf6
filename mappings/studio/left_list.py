"""The tables of a mapping as its list shows them: which are complete, which have open questions, which are blocked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from mappings.models import Mapping, TableMapping
from mappings.studio.draft import Values
from mappings.studio.frame import Desk
from mappings.studio.live import Live
from mappings.studio.looking.sound import alone, parents_of, referred, said, sound_part
from mappings.studio.looking.table_look import fills_itself, of_the_run

State = Literal["complete", "open", "blocked", "awaited"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One table in the list. rows: the planner's estimate of its source; words: what its state is about."""

    table: TableMapping
    state: State
    words: str
    rows: int | None
    is_open: bool
    columns: str
    """Names to be found by."""


def names_alone(desk: Desk) -> list[Entry]:
    """Every table in its order, without what it takes a look at the databases to tell."""
    opened = desk.table.pk if desk.table else None
    return [Entry(table, "awaited", "", None, table.pk == opened, "") for table in desk.tables]


def entries(desk: Desk) -> list[Entry]:
    """Every table in its order, told by the draft and the catalogs alone."""
    named = {table.name: alone(table) for table in desk.tables}
    return [
        _entry(desk, table, [named[name] for name in sorted(referred(table)) if name in named])
        for table in desk.tables
    ]


def entry(desk: Desk) -> list[Entry]:
    """The open table alone, of which an edit tells."""
    return [_entry(desk, desk.opened(), parents_of(desk.mapping, desk.opened()))]


def _entry(desk: Desk, table: TableMapping, parents: list[Values]) -> Entry:
    state, words = _state(desk, table, parents)
    source = desk.live.source.find(table.source)
    names = " ".join(str(column["name"]) for column in table.values.get("columns", ()))
    rows = source.rows if source else None
    return Entry(table, state, words, rows, desk.table is not None and desk.table.pk == table.pk, names)


def _state(desk: Desk, table: TableMapping, parents: list[Values]) -> tuple[State, str]:
    if table.values.get("columns") and (wrong := _wrong(desk.mapping, table, parents)):
        return "blocked", f"{wrong} wrong"
    if missing := _not_there(table, desk.live):
        return "blocked", missing
    if _has_no_key(table, desk.live):
        return "blocked", "no key"
    count = len(_open_columns(table, desk.live))
    if count:
        return "open", f"{count} open"
    if not table.values.get("columns"):
        return "open", "nothing filled"
    return "complete", "complete"


MOST_KEPT = 10_000
_counted: dict[str, int] = {}
_lock = threading.Lock()


def _wrong(mapping: Mapping, table: TableMapping, parents: list[Values]) -> int:
    """How much is wrong with what the table says. It follows from the draft alone, so it is kept by what that says."""
    key = said(mapping, table, parents)
    if key not in _counted:
        sound = sound_part(mapping, table, parents)
        with _lock:
            if len(_counted) >= MOST_KEPT:
                _counted.clear()
            _counted[key] = len(sound.columns) + len(sound.others)
    return _counted[key]


def _not_there(table: TableMapping, live: Live) -> str:
    """What the table names and the databases do not have, as far as anybody knows."""
    for side, relation in ((live.source, table.source), (live.target, table.target)):
        if side.tables and relation and side.find(relation) is None:
            return f"no {relation}"
    return ""


def _has_no_key(table: TableMapping, live: Live) -> bool:
    """Whether nothing tells its source's rows apart."""
    source = live.source.find(table.source)
    return source is not None and not table.values.get("key") and not source.primary_key


def _open_columns(table: TableMapping, live: Live) -> list[str]:
    """Target columns that must be filled and are not."""
    target = live.target.find(table.target)
    filled = {column["name"] for column in table.values.get("columns", ())} | set(of_the_run(table.values))
    return [
        column.name
        for column in (target.columns if target else ())
        if column.not_null and not fills_itself(column) and column.name not in filled
    ]
