"""Proposals in the studio: likely targets of source tables, and for columns that nobody filled what might fill them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import psycopg

from mappings.connections.unreachable import DatabaseUnreachable
from mappings.models import TableMapping
from mappings.problems import Refused
from mappings.studio.column_form import text_of
from mappings.studio.draft import Values
from mappings.studio.edits import fill_many
from mappings.studio.frame import Desk
from mappings.studio.live import Live
from mappings.studio.sessions import both_sides
from mappings.suggesting import suggest
from mappings.suggesting.proposals import ColumnProposal
from mappings.suggesting.sides import Table

TURNED_DOWN = "mappings_turned_down"
"""The session's key for proposals that somebody does not want to see again: `table id/column`."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What might fill a target column. filling: as the draft would have it; text: as it would be typed."""

    column: str
    filling: Values
    text: str
    reason: str
    sure: bool


MOST_KEPT = 4
"""Environments whose tables stay matched."""

_kept: dict[int, tuple[Live, suggest.Suggesting]] = {}
_likely: dict[int, tuple[suggest.Suggesting, dict[str, tuple[str, str]]]] = {}
_lock = threading.Lock()


def takes_a_while(live: Live) -> bool:
    """Whether matching the tables is to be awaited: there are many, and nobody asked just now."""
    return len(live.source.tables) > suggest.FEW_TABLES and not live.notes and _kept_of(live) is None


def _kept_of(live: Live) -> suggest.Suggesting | None:
    with _lock:
        kept = _kept.get(live.environment.pk) if live.environment else None
    is_same = kept and kept[0].source is live.source and kept[0].target is live.target
    return kept[1] if kept and is_same else None


def suggesting_of(live: Live) -> suggest.Suggesting | None:
    """Both sides with their tables matched, as long as they are what they were; None where a side does not answer."""
    if live.environment is None or live.notes:
        return None
    if kept := _kept_of(live):
        return kept
    try:
        with both_sides(live.environment) as databases:
            read = live.source.read, live.target.read
            looked = suggest.look(databases.source, databases.target, databases.same, read)
    except (DatabaseUnreachable, Refused, psycopg.Error):
        return None
    with _lock:
        _kept[live.environment.pk] = (live, looked)
        while len(_kept) > MOST_KEPT:
            oldest = next(iter(_kept))
            del _kept[oldest]
            _likely.pop(oldest, None)
    return looked


def likely_targets(desk: Desk) -> dict[str, tuple[str, str]]:
    """(target, why) by source table; those that go best together, each target once. Kept as long as the look is."""
    environment = desk.live.environment
    looked = suggesting_of(desk.live)
    if environment is None or looked is None:
        return {}
    with _lock:
        kept = _likely.get(environment.pk)
    if kept and kept[0] is looked:
        return kept[1]
    result = _best(looked)
    with _lock:
        _likely[environment.pk] = (looked, result)
    return result


def _best(looked: suggest.Suggesting) -> dict[str, tuple[str, str]]:
    """The pairs that go best together; the reason of each compares all their columns, so only theirs is asked for."""
    known = looked.knowledge
    pairs = ((known.source.tables[ours], known.target.tables[theirs]) for ours, theirs in known.partners)
    best = (suggest.table_pair(known, source, target) for source, target in pairs)
    return {proposal.source.sql: (proposal.target.sql, proposal.reason) for proposal in best}


def proposals(desk: Desk, tables: Sequence[TableMapping]) -> dict[int, list[Proposal]]:
    """By table, what might fill its columns that are not filled yet, without what was turned down."""
    environment, looked = desk.live.environment, suggesting_of(desk.live)
    if environment is None or looked is None:
        return {}
    # Pairs that this mapping has are certain, for this look alone.
    looked = replace(looked, knowledge=replace(looked.knowledge), named=set(looked.named))
    mapped = _mapped(desk)
    looked.know([(source, target) for _, source, target in mapped])
    names = {(source.oid, target.oid): name for name, source, target in reversed(mapped)}
    turned_down = set(desk.request.session.get(TURNED_DOWN, ()))
    try:
        with both_sides(environment) as databases:
            looked.source, looked.target = databases.source, databases.target
            return {
                table.pk: [
                    one
                    for one in _of_table(desk, looked, table, names)
                    if f"{table.pk}/{one.column}" not in turned_down
                ]
                for table in tables
            }
    except (DatabaseUnreachable, Refused):
        return {}


Names: TypeAlias = Mapping[tuple[int, int], str]
"""What the mapping calls a table, by the oids of its source and target; the first of several."""


def _of_table(
    desk: Desk, looked: suggest.Suggesting, table: TableMapping, names: Names
) -> Iterator[Proposal]:
    known = looked.knowledge
    source, target = desk.live.source.find(table.source), desk.live.target.find(table.target)
    if source is None or target is None:
        return
    if source.oid not in known.source.tables or target.oid not in known.target.tables:
        return
    wanted = suggest.table_pair(known, known.source.tables[source.oid], known.target.tables[target.oid])
    chosen = {column["name"]: _sources(column) for column in table.values.get("columns", ())}
    try:
        (result,) = suggest.with_columns(looked, [wanted], {(source.oid, target.oid): chosen})
    except psycopg.Error:
        return
    for column in result.columns:
        if column.target not in chosen and (filling := _filling(column, names)):
            yield Proposal(column.target, filling, _text(filling), column.reason, column.sure)


def _mapped(desk: Desk) -> list[tuple[str, Table, Table]]:
    """(name, source, target) of the mapping's tables that are in the databases."""
    result = []
    for mapped in desk.tables:
        source, target = desk.live.source.find(mapped.source), desk.live.target.find(mapped.target)
        if source and target:
            result.append((mapped.name, source, target))
    return result


def _sources(column: Values) -> tuple[str, ...]:
    """The source columns that a filling takes, as far as its names tell."""
    names = column.get("from", ())
    return (names,) if isinstance(names, str) else tuple(names)


def _filling(column: ColumnProposal, names: Names) -> Values | None:
    """As the draft would have it; None for a reference to a table that this mapping does not bring."""
    if column.how == "value":
        return {"value": column.value}
    if column.how == "expr":
        return {"expr": column.expr}
    sources = column.sources[0] if len(column.sources) == 1 else list(column.sources)
    if column.how == "lookup" and column.lookup:
        lookup = column.lookup
        return {"from": sources, "lookup": {"table": lookup.table, "key": lookup.key, "value": lookup.value}}
    if column.how != "ref" or column.parent is None:
        return {"from": sources}
    parent = column.parent
    ref: str | Values | None = names.get((parent.source.oid, parent.target.oid))
    if ref is None:
        return None
    return {"from": sources, "ref": {"table": ref, "column": parent.column} if parent.column else ref}


def _text(filling: Values) -> str:
    """A proposal as one would say it."""
    if "ref" in filling:
        ref = filling["ref"]
        return f"{text_of(filling)} → {ref if isinstance(ref, str) else ref['table']}"
    if "lookup" in filling:
        return f"{text_of(filling)}, looked up in {filling['lookup']['table']}"
    return f"always {filling['value']}" if "value" in filling else text_of(filling)


def take_sure(desk: Desk, tables: Sequence[TableMapping]) -> int:
    """Fills what is not filled yet with the proposals that are sure; how many."""
    sure = {
        table: [(one.column, one.filling) for one in result if one.sure]
        for table, result in proposals(desk, tables).items()
    }
    return fill_many(desk.mapping.pk, sure, desk.user)


def turn_down(desk: Desk, table: TableMapping, column: str) -> None:
    """This proposal is not shown again while the session lasts."""
    kept = [*desk.request.session.get(TURNED_DOWN, ()), f"{table.pk}/{column}"]
    desk.request.session[TURNED_DOWN] = kept[-500:]


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
    result = [
        Offer(table, *likely.get(table.sql, ("", "")), table.sql in used) for table in desk.live.source.tables
    ]
    return sorted(result, key=lambda offer: (offer.used, not offer.target))
