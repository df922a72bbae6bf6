"""A schema script as the register in a target remembers it."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.catalog.fingerprints import Side
from mappings.sql import Sql


@dataclass(frozen=True, slots=True)
class Applied:
    """A script that was applied: the statements and all that its step said of them, by which run of which mapping."""

    id: int
    run: int
    mapping: str
    side: Side
    kind: str
    relation: Sql
    name: str
    title: str
    sql: list[Sql]
    undo: list[Sql]
    alone: bool
    fits: Sql
    sha256: str
    views_first: int = 0
    views_last: int = 0
    after: str = ""

    @property
    def undo_but_views(self) -> tuple[Sql, ...]:
        """The way back of the column itself; views over it may be others by now."""
        return tuple(self.undo[self.views_first : len(self.undo) - self.views_last])
