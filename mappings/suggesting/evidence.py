"""How well one source column fills one target column, and why: names, values, keys, comments, types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from mappings.suggesting import casts, names
from mappings.suggesting.casts import MOMENTS, Fit, fit
from mappings.suggesting.context import Pair
from mappings.suggesting.names import alike, likeness, units
from mappings.suggesting.profiles import affinity
from mappings.suggesting.sides import Column

RARE = {
    **dict.fromkeys(MOMENTS, "date"), "bool": "true-or-false value", "uuid": "UUID", "json": "JSON",
    "bytes": "binary value", "interval": "interval", "array": "array", "net": "network address", "enum": "enum",
    "time": "time of day",
}  # fmt: skip
"""Families of which a table has few columns: to be the only one tells."""

SAME_NAME = 0.97


@dataclass(frozen=True, slots=True)
class Cell:
    """What speaks for a source column in a target column. score: all of it; name, parents: parts of it."""

    score: float
    reason: str
    fit: Fit
    name: float = 0.0
    parents: float = 0.0
    values: float = 0.0
    keys: float = 0.0


NOTHING = Cell(0.0, "", Fit(0.0))


@dataclass
class Evidence:
    """Weighs the columns of one pair of tables."""

    pair: Pair

    @cached_property
    def likenesses(self) -> dict[tuple[str, str], float]:
        """How alike the names are, of those that have a word in common."""
        pair = self.pair
        return names.Index(pair.target_names).likenesses(pair.source_names)

    @cached_property
    def rare(self) -> dict[str, tuple[int, int]]:
        """How many columns of each rare family the source and the target have."""
        here = Counter(RARE.get(casts.family(column), "") for column in self.pair.source.columns)
        return {name: (here[name], self.rare_targets[name]) for name in here if name}

    @cached_property
    def rare_targets(self) -> Counter[str]:
        """How many columns of each rare family the target has."""
        return Counter(RARE.get(casts.family(column), "") for column in self.pair.fillable)

    def pairs(self, sources: Sequence[Column], targets: Sequence[Column]) -> Iterator[tuple[Column, Column]]:
        """Those of which names, keys, values or types may say anything: of wide tables most have nothing in common."""
        pair = self.pair
        if pair.source_profiles and pair.target_profiles:
            yield from product(sources, targets)
            return
        named = self.likenesses
        groups = (pair.source_references, pair.source_unique), (pair.target_references, pair.target_unique)
        for target in targets:
            kind, listed = (
                RARE.get(casts.family(target), ""),
                bool(pair.allowed[target.name] or target.comment),
            )
            marks = [target.name in group for group in groups[1]]
            for source in sources:
                if (
                    listed
                    or source.comment
                    or (source.name, target.name) in named
                    or any(
                        mark and source.name in group for mark, group in zip(marks, groups[0], strict=True)
                    )
                    or (kind and self._rare(source, target)[0])
                ):
                    yield source, target

    def cell(self, source: Column, target: Column) -> Cell:
        """All that speaks for and against this source column in this target column."""
        pair = self.pair
        here, there = pair.source_references.get(source.name), pair.target_references.get(target.name)
        profile = pair.source_profiles.get(source.name)
        parents = pair.refers(here, there)
        result = fit(source, target, profile)
        quality = 1.0 if parents >= 0.3 else result.quality
        if quality < 0.1:
            return NOTHING
        values, why = affinity(profile, pair.target_profiles.get(target.name), pair.allowed[target.name])
        if here or there:
            values = values if pair.allowed[target.name] else 0.0
        name = self.likenesses.get((source.name, target.name), 0.0)
        keys, key_reason = self._keys(source, target)
        rare, rare_reason = self._rare(source, target)
        comment = self._comment(source, target)
        parts = (
            (0.9 * parents, self._parent_reason(source)),
            (0.95 * name**1.25, name_reason(source.name, target.name, name)),
            (0.6 * max(values, 0.0), why),
            (keys, key_reason),
            (rare, rare_reason),
            (0.5 * comment, "the comment says so"),
            (0.12 * (1 - abs(pair.source_places[source.name] - pair.target_places[target.name])), ""),
        )
        score = self._combined([part for part, _ in parts])
        score *= (0.45 + 0.55 * quality) * (1 + 0.6 * min(values, 0.0)) * self._roles(source, target, parents)
        return Cell(score, reason_of(parts), result, name, parents, values, keys)

    @staticmethod
    def _combined(parts: list[float]) -> float:
        """Each part takes its share of the doubt that the others leave."""
        doubt = 1.0
        for part in parts:
            doubt *= 1 - min(part, 0.99)
        return 1 - doubt

    def _roles(self, source: Column, target: Column, parents: float) -> float:
        """What is left of the score where a foreign key meets what is none, or one to elsewhere."""
        pair = self.pair
        here, there = pair.source_references.get(source.name), pair.target_references.get(target.name)
        sparse = pair.source_profiles.get(source.name)
        factor = 0.85 if target.not_null and not target.default and sparse and sparse.nulls > 0.5 else 1.0
        if here and there:
            return factor * (1.0 if parents >= 0.15 else 0.35)
        if there:
            return factor * (0.9 if pair.allowed[target.name] else 0.6)
        if here and casts.family(target) in ("int", "num", "uuid"):
            return factor * (0.9 if units(target.name)[-1].meanings & KEY_WORDS else 0.6)
        return factor * (0.6 if here else self._spoken_of(source, target))

    def _spoken_of(self, source: Column, target: Column) -> float:
        """A thing's bare name in a text column means what it is called, not the number it has."""
        ends, wanted = units(source.name)[-1].meanings, units(target.name)[-1].meanings
        if casts.family(target) != "text" or not ends & KEYS or wanted & KEY_WORDS or is_legacy(target.name):
            return 1.0
        return 0.75

    def _keys(self, source: Column, target: Column) -> tuple[float, str]:
        ours, theirs = self.pair.source.primary_key, self.pair.target.primary_key
        if (source.name,) == ours and target.name not in self.pair.target_references:
            if (target.name,) == theirs:
                return 0.7, "both are the primary key"
            if is_legacy(target.name):
                return 0.7, "the old key is kept under this name"
            if target.name in theirs:
                return 0.5, "both are part of the primary key"
        if source.name in ours and target.name in theirs and len(ours) > 1:
            return 0.3, "both are part of the primary key"
        unique = (source.name,) in self.pair.source.keys and (target.name,) in self.pair.target.keys
        return (0.25, "both are unique") if unique else (0.0, "")

    def _rare(self, source: Column, target: Column) -> tuple[float, str]:
        here, there = RARE.get(casts.family(source), ""), RARE.get(casts.family(target), "")
        if there == "interval" and (casts.unit(source.name) or (0, ""))[1] == "second":
            return (0.5, "a number of time units") if self.rare_targets["interval"] == 1 else (0.3, "")
        if not here or here != there:
            return 0.0, ""
        ours, theirs = self.rare[here]
        if ours == theirs == 1:
            return 0.5, f"the only {here} on both sides"
        return (0.2, "") if max(ours, theirs) == 2 else (0.0, "")

    def _comment(self, source: Column, target: Column) -> float:
        """How alike a comment is to the other side's name or comment, where there is one."""
        result = [0.0]
        for text, other in ((source.comment, target), (target.comment, source)):
            if text and len(text) < 200:
                result.append(mentions(text, other))
        return max(result)

    def _parent_reason(self, source: Column) -> str:
        reference = self.pair.source.reference(source.name)
        parent = self.pair.knowledge.source.tables.get(reference.parent) if reference else None
        if parent is None or reference is None:
            return ""
        if parent.oid == self.pair.source.oid:
            return "a reference to the table itself on both sides"
        called = "is called like the key of" if reference.implied else "is a foreign key to"
        return f"{called} {parent.sql}, which goes into the table that the target refers to"


KEY_WORDS = frozenset({"id", "number", "code", "reference"})
KEYS = frozenset({"id", "number"})
LEGACY = frozenset(
    {"legacy", "old", "former", "external", "ext", "src", "source", "orig", "original", "previous", "import"}
)


def is_legacy(name: str) -> bool:
    """Whether a column is called like one that keeps the old system's key."""
    result = units(name)
    words = {word for unit in result for word in unit.text.split()}
    return bool(words & LEGACY) and len(words) > 1


def mentions(text: str, column: Column) -> float:
    """How much of a column's name, or of its comment, a text says."""
    said = units(text)
    name = units(column.name)
    named = sum(unit.weight * max((alike(unit, word) for word in said), default=0.0) for unit in name)
    in_comment = likeness(said, units(column.comment)) if column.comment else 0.0
    return max(named / sum(unit.weight for unit in name) * (0.9 if len(said) < 8 else 0.5), in_comment)


def reason_of(parts: tuple[tuple[float, str], ...]) -> str:
    """The one or two strongest reasons, in words."""
    said = sorted((part for part in parts if part[1] and part[0] >= 0.15), key=lambda part: -part[0])
    return ", ".join(text for _, text in said[:2])


def name_reason(source: str, target: str, name: float) -> str:
    """How the names are alike, in words; '' where they hardly are."""
    if source.casefold() == target.casefold():
        return "same name"
    if name >= SAME_NAME:
        return "same name but for how it is written"
    if name >= 0.85:
        return "names that mean the same"
    if name >= 0.5:
        return "similar names"
    return "a word of the names in common" if name > 0.2 else ""
