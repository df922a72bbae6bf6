"""A text of the target that stands in another source table: behind a foreign key, as its name or label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mappings.language.spec import Lookup
from mappings.suggesting.casts import family, respelled
from mappings.suggesting.context import Pair
from mappings.suggesting.names import likeness, of_table
from mappings.suggesting.profiles import Profile, affinity
from mappings.suggesting.sides import Column, Reference, Table
from mappings.suggesting.spelling import name_sql

SMALL = 16  # columns of a table of which more than the label is looked up
LABELS = frozenset({"name", "title", "label", "description", "code", "kind", "full name"})


@dataclass(frozen=True, slots=True)
class Found:
    """A source column that is a foreign key, and what is looked up with it."""

    source: str
    lookup: Lookup
    score: float
    reason: str


def candidates(pair: Pair, target: Column) -> Iterator[Found]:
    """Each foreign key of the source by which this target column could be looked up."""
    if family(target) not in ("text", "enum") or pair.target.reference(target.name):
        return
    for reference in pair.source.references:
        parent = pair.knowledge.source.tables.get(reference.parent)
        if parent and len(reference.columns) == 1 and parent.oid != pair.source.oid:
            yield from _through(pair, target, reference, parent)


def _through(pair: Pair, target: Column, reference: Reference, parent: Table) -> Iterator[Found]:
    wanted = pair.target_names[target.name]
    key = reference.columns[0]
    called = max(
        likeness(wanted, of_table(parent.name)),
        likeness(wanted, tuple(u for u in pair.source_names[key] if not u.meanings & {"id"})),
    )
    profiles = pair.knowledge.profiles("source", parent)
    names = pair.knowledge.names("source", parent)
    main = label(parent)
    small = len(parent.columns) <= SMALL
    for column in parent.columns:
        if column.name != main and not small:
            continue
        if family(column) not in ("text", "enum") or column.name in parent.primary_key:
            continue
        values, why = affinity(
            profiles.get(column.name), pair.target_profiles.get(target.name), pair.allowed[target.name]
        )
        own = 0.8 * likeness(wanted, names[column.name]) if column.name != main else called
        score = 1 - (1 - 0.9 * own**1.25) * (1 - 0.6 * max(values, 0.0))
        lookup = Lookup(
            parent.sql, name_sql(reference.parent_columns[0]), _value(pair, column, target, profiles)
        )
        reason = f"{key} leads to {parent.sql}, whose {column.name} is meant" + (f"; {why}" if why else "")
        yield Found(key, lookup, score * (1 + 0.6 * min(values, 0.0)), reason)


def _value(pair: Pair, column: Column, target: Column, profiles: Mapping[str, Profile | None]) -> str:
    """The looked-up column, spelled as the target allows it."""
    allowed, seen = pair.allowed[target.name], profiles.get(column.name)
    spelled = respelled(column, seen.raw, allowed) if seen and allowed else None
    return spelled or name_sql(column.name)


def label(parent: Table) -> str:
    """The column that says what a row of a small table is called; '' where none does."""
    texts = [c for c in parent.columns if family(c) == "text" and c.name not in parent.primary_key]
    from_meaning = [c for c in texts if any(LABELS & u.meanings for u in of_table(c.name))]
    best = from_meaning or (texts if len(texts) == 1 else [])
    return best[0].name if best else ""
