"""What is known of both sides while pairs are looked at: catalogs, samples, and which tables go well together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mappings.suggesting import names
from mappings.suggesting.casts import family
from mappings.suggesting.profiles import Profile, profile
from mappings.suggesting.samples import Sample
from mappings.suggesting.sides import Column, Reference, Side, Table

Matches = Mapping[tuple[int, int], float]
"""How well a source table and a target table go together, 0 to 1, by their oids; 0 for those that are not there."""


Neighbours = tuple[dict[int, set[int]], dict[int, set[int]]]
"""By oid the tables that foreign keys lead to, or come from: of the source, and of the target."""


@dataclass
class Knowledge:
    """source, target: with implied references; samples: by oid of each side, as far as they were read;

    partners: the matches that go best together, each table once.
    """

    source: Side
    target: Side
    source_samples: Mapping[int, Sample] = field(default_factory=dict)
    target_samples: Mapping[int, Sample] = field(default_factory=dict)
    matches: Matches = field(default_factory=dict)
    partners: frozenset[tuple[int, int]] = frozenset()
    _profiles: dict[tuple[str, int], dict[str, Profile | None]] = field(default_factory=dict)
    _names: dict[tuple[str, int], dict[str, names.Name]] = field(default_factory=dict)
    _marks: dict[tuple[str, int], tuple[frozenset[str], ...]] = field(default_factory=dict)

    def profiles(self, side: str, table: Table) -> dict[str, Profile | None]:
        """What the sampled values of a table's columns look like."""
        samples = self.source_samples if side == "source" else self.target_samples
        if (side, table.oid) not in self._profiles:
            sample = samples.get(table.oid, {})
            self._profiles[side, table.oid] = {
                column.name: profile(column, sample[column.name])
                for column in table.columns
                if column.name in sample
            }
        return self._profiles[side, table.oid]

    def names(self, side: str, table: Table) -> dict[str, names.Name]:
        """The names of a table's columns, taken apart."""
        if (side, table.oid) not in self._names:
            columns = [column.name for column in table.columns]
            self._names[side, table.oid] = names.of_columns(table.name, columns)
        return self._names[side, table.oid]

    def marks(self, side: str, table: Table) -> tuple[frozenset[str], ...]:
        """What each column's name comes down to: those of equal marks are called alike."""
        if (side, table.oid) not in self._marks:
            self._marks[side, table.oid] = tuple(map(names.mark, self.names(side, table).values()))
        return self._marks[side, table.oid]

    @cached_property
    def neighbours(self) -> tuple[Neighbours, Neighbours]:
        """(those that tables refer to, those that refer to them)."""
        up: Neighbours = (defaultdict(set), defaultdict(set))
        down: Neighbours = (defaultdict(set), defaultdict(set))
        for number, side in enumerate((self.source, self.target)):
            for table in side.tables.values():
                for reference in table.references:
                    if reference.parent != table.oid:
                        up[number][table.oid].add(reference.parent)
                        down[number][reference.parent].add(table.oid)
        return up, down

    def match(self, source: int, target: int) -> float:
        """How well two tables go together."""
        return self.matches.get((source, target), 0.0)

    def allowed(self, table: Table, column: Column) -> tuple[str, ...]:
        """What a target column may hold: an enum's labels, a check's list, the codes of a table of few rows."""
        if column.labels:
            return column.labels
        reference = table.reference(column.name)
        if reference is None or len(reference.columns) > 1 or family(column) not in ("text", "enum"):
            return ()
        values = self.target_samples.get(reference.parent, {}).get(reference.parent_columns[0], [])
        return tuple(value for value in values if value is not None)


@dataclass
class Pair:
    """One source table and one target table, with what is known of their columns."""

    source: Table
    target: Table
    knowledge: Knowledge

    def __post_init__(self) -> None:
        self.source_names = self.knowledge.names("source", self.source)
        self.target_names = self.knowledge.names("target", self.target)
        self.source_profiles = self.knowledge.profiles("source", self.source)
        self.target_profiles = self.knowledge.profiles("target", self.target)
        self.fillable = [column for column in self.target.columns if not self._fills_itself(column)]
        self.source_places, self.target_places = _places(self.source), _places(self.target)
        self.source_references, self.target_references = _references(self.source), _references(self.target)
        self.source_unique, self.target_unique = _unique(self.source), _unique(self.target)
        self.source_meanings = _meanings(self.source, self.source_names)
        self.target_meanings = _meanings(self.target, self.target_names)
        self.allowed = {column.name: self.knowledge.allowed(self.target, column) for column in self.fillable}

    def _fills_itself(self, column: Column) -> bool:
        """Generated columns, and keys that the server makes."""
        made_key = column.counts and self.target.reference(column.name) is None
        return bool(column.generated) or made_key

    def refers(self, reference: Reference | None, other: Reference | None) -> float:
        """How well two foreign keys' parents go together: 1 where they are these tables themselves."""
        if reference is None or other is None:
            return 0.0
        if (reference.parent == self.source.oid) != (other.parent == self.target.oid):
            return 0.0
        if reference.parent == self.source.oid:
            return 1.0
        match = self.knowledge.match(reference.parent, other.parent)
        partners = (reference.parent, other.parent) in self.knowledge.partners
        return (1 + match) / 2 if partners else match


def _places(table: Table) -> dict[str, float]:
    """0 for a table's first column, 1 for its last."""
    last = max(len(table.columns) - 1, 1)
    return {column.name: place / last for place, column in enumerate(table.columns)}


def _references(table: Table) -> dict[str, Reference]:
    """The foreign key that each column is part of."""
    result = {name for reference in table.references for name in reference.columns}
    return {name: reference for name in result if (reference := table.reference(name))}


def _unique(table: Table) -> set[str]:
    """Columns that are unique by themselves, or part of the primary key."""
    return {key[0] for key in table.keys if len(key) == 1} | set(table.primary_key)


def _meanings(table: Table, named: dict[str, names.Name]) -> dict[str, list[Column]]:
    """The columns whose names mean something, by what they mean."""
    result: dict[str, list[Column]] = {}
    for column in table.columns:
        for meaning in {meaning for unit in named[column.name] for meaning in unit.meanings}:
            result.setdefault(meaning, []).append(column)
    return result
