"""The source's tables as they are offered to be added: size, what uses them already, and their likely targets."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.studio.frame import Desk
from mappings.studio.proposals import likely_targets
from mappings.suggesting.sides import Table


@dataclass(frozen=True, slots=True)
class Offer:
    """One source table. target: the likely one, '' where none is; why: what it rests on; used: mapped already."""

    table: Table
    target: str
    why: str
    used: bool


def offers(desk: Desk) -> list[Offer]:
    """Every source table, those with a likely target first where they are not mapped yet."""
    used = {table.sql for mapped in desk.tables if (table := desk.live.source.find(mapped.source))}
    likely = likely_targets(desk)
    found = [
        Offer(table, *likely.get(table.sql, ("", "")), table.sql in used) for table in desk.live.source.tables
    ]
    return sorted(found, key=lambda offer: (offer.used, not offer.target))
