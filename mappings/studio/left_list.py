"""The tables of a mapping as its list shows them: which are complete, which have open questions, which are blocked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mappings.models import TableMapping
from mappings.studio.frame import Desk
from mappings.studio.live import Live
from mappings.studio.sound import sound_part
from mappings.studio.table_look import fills_itself, of_the_run

State = Literal["complete", "open", "blocked"]


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


def entries(desk: Desk, only: int | None = None) -> list[Entry]:
    """Every table in its order, told by the draft and the catalogs alone; `only` that one."""
    return [_entry(desk, table) for table in desk.tables if only in (None, table.pk)]


def _entry(desk: Desk, table: TableMapping) -> Entry:
    state, words = _state(desk, table)
    source = desk.live.source.find(table.source)
    names = " ".join(str(column["name"]) for column in table.values.get("columns", ()))
    rows = source.rows if source else None
    return Entry(table, state, words, rows, desk.table is not None and desk.table.pk == table.pk, names)


def _state(desk: Desk, table: TableMapping) -> tuple[State, str]:
    if table.values.get("columns"):
        sound = sound_part(desk.mapping, table, desk.tables)
        wrong = len(sound.columns) + len(sound.others)
        if wrong:
            return "blocked", f"{wrong} wrong"
    if missing := _not_there(table, desk.live):
        return "blocked", missing
    count = len(_open_columns(table, desk.live))
    if count:
        return "open", f"{count} open"
    if not table.values.get("columns"):
        return "open", "nothing filled"
    return "complete", "complete"


def _not_there(table: TableMapping, live: Live) -> str:
    """What the table names and the databases do not have, as far as anybody knows."""
    for side, relation in ((live.source, table.source), (live.target, table.target)):
        if side.tables and relation and side.find(relation) is None:
            return f"no {relation}"
    return ""


def _open_columns(table: TableMapping, live: Live) -> list[str]:
    """Target columns that must be filled and are not."""
    target = live.target.find(table.target)
    filled = {column["name"] for column in table.values.get("columns", ())} | set(of_the_run(table.values))
    return [
        column.name
        for column in (target.columns if target else ())
        if column.not_null and not fills_itself(column) and column.name not in filled
    ]
