"""Proposes how each target column of one pair of tables is filled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mappings.sql import literal
from mappings.suggesting import casts, composed, lookups
from mappings.suggesting.assignment import assign
from mappings.suggesting.context import Pair
from mappings.suggesting.evidence import RARE, Cell, Evidence
from mappings.suggesting.proposals import ColumnProposal, Parent
from mappings.suggesting.sides import Column, Reference

FLOOR = 0.3  # what has less speaking for it is not proposed
SURE, MARGIN = 0.66, 0.1  # a sure proposal has this much, and this much more than the next best
LEFT_OVER = 0.5
WORTH_TWICE = 0.5  # what a column that is part of an expression needs to be used by itself as well

Kept = TypeVar("Kept", bound=Hashable)
Source = tuple[str, ...]
"""What fills a column: ("column", name), ("lookup", foreign key, number), ("made", number)."""


@dataclass
class Proposing:
    """One pair. chosen: target columns that a person filled, with the source columns that they took for it."""

    pair: Pair
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    others: dict[tuple[Source, str], lookups.Found | composed.Made] = field(default_factory=dict)
    taken: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = {name for names in self.chosen.values() for name in names}
        self.sources = [column for column in self.pair.source.columns if column.name not in self.taken]
        self.referred = self._referred()
        self.evidence = Evidence(self.pair)
        self.targets = [column for column in self.pair.fillable if column.name not in self.chosen]

    def _referred(self) -> set[str]:
        """Foreign keys of the source that the target has one for."""
        pair = self.pair
        return {
            name
            for ours in pair.source.references
            if any(pair.refers(ours, theirs) >= 0.3 for theirs in pair.target.references)
            for name in ours.columns
        }

    def proposals(self) -> tuple[ColumnProposal, ...]:
        """The proposals in the order of the target's columns."""
        scores = self.scores()
        best = {target: source for source, target in assign(_above_floor(scores)).items()}
        parts = {part for source in best.items() for part in self._parts(*source)}
        best = {t: s for t, s in best.items() if s[1] not in parts or scores[s, t] >= WORTH_TWICE}
        result = {t.name: self._proposal(best[t.name], t, scores) for t in self.targets if t.name in best}
        result |= self._left_over(result)
        for target in self.targets:
            if target.name not in result and (constant := self._constant(target)):
                result[target.name] = constant
        return tuple(result[target.name] for target in self.targets if target.name in result)

    def scores(self) -> dict[tuple[Source, str], float]:
        """What speaks for each source in each target column."""
        evidence = self.evidence
        scores: dict[tuple[Source, str], float] = {}
        for source, target in evidence.pairs(self.sources, self.targets):
            cell = evidence.cell(source, target)
            self.cells[source.name, target.name] = cell
            if cell.score > 0:
                scores[("column", source.name), target.name] = cell.score
        for target in self.targets:
            for number, result in enumerate(lookups.candidates(self.pair, target)):
                self._add(scores, ("lookup", result.source, str(number)), target, result)
                if result.source in self.referred:
                    scores[("lookup", result.source, str(number)), target.name] *= 0.7
                if result.source in self.taken:  # most likely for the very thing that is looked up here
                    scores[("lookup", result.source, str(number)), target.name] *= 0.5
            for number, made in enumerate(composed.candidates(self.pair, target)):
                self._add(scores, ("made", target.name, str(number)), target, made)
        return scores

    def _parts(self, target: str, source: Source) -> tuple[str, ...]:
        """The source columns of an expression that is made of several."""
        made = self.others.get((source, target))
        return made.sources if isinstance(made, composed.Made) and len(made.sources) > 1 else ()

    def _add(
        self,
        scores: dict[tuple[Source, str], float],
        source: Source,
        target: Column,
        result: lookups.Found | composed.Made,
    ) -> None:
        self.others[source, target.name] = result
        scores[source, target.name] = result.score

    def _proposal(
        self, source: Source, target: Column, scores: dict[tuple[Source, str], float]
    ) -> ColumnProposal:
        score = scores[source, target.name]
        result = self.others.get((source, target.name))
        if isinstance(result, lookups.Found):
            plain = ColumnProposal(
                target.name, (result.source,), "lookup", score, result.reason, lookup=result.lookup
            )
        elif isinstance(result, composed.Made):
            plain = ColumnProposal(
                target.name, result.sources, "expr", score, result.reason, expr=result.expr
            )
        else:
            plain = self._of_column(source[1], target, self.cells[source[1], target.name])
        return replace(plain, sure=self._is_sure(source, target, scores))

    def _is_sure(self, source: Source, target: Column, scores: dict[tuple[Source, str], float]) -> bool:
        """Whether it has much speaking for it, and clearly more than any other for this target or this source."""
        score = scores[source, target.name]
        if score < SURE:
            return False
        for_target = [
            other
            for (one, name), other in scores.items()
            if name == target.name and one != source and one[1] not in (source[1], target.name)
        ]
        for_source = [other for (one, name), other in scores.items() if one == source and name != target.name]
        return score - max((*for_target, *for_source), default=0.0) >= MARGIN

    def _of_column(self, name: str, target: Column, cell: Cell) -> ColumnProposal:
        source = self.pair.source.column(name)
        assert source is not None
        reason = cell.reason or "what is left over, and the types fit"
        reference = self.pair.source_references.get(name)
        if reference and (parent := self._parent(reference, target, cell)):
            names = (name, *(other for other in reference.columns if other != name))
            names = reference.columns if len(names) > 1 else names
            return ColumnProposal(target.name, names, "ref", cell.score, reason, parent=parent)
        expr = self._respelled(source, target) or cell.fit.expr
        if expr is None:
            return ColumnProposal(target.name, (name,), "from", cell.score, reason)
        note = f"{reason}; cast{': ' + cell.fit.note if cell.fit.note else ''}" if cell.fit.expr else reason
        return ColumnProposal(target.name, (name,), "expr", cell.score, note, expr=expr)

    def _parent(self, reference: Reference, target: Column, cell: Cell) -> Parent | None:
        """Where the reference leads, if the target column refers to the table that its parent goes into."""
        there = self.pair.target.reference(target.name)
        knowledge = self.pair.knowledge
        source = knowledge.source.tables.get(reference.parent)
        if source is None or set(reference.parent_columns) != set(source.primary_key):
            return None
        if there is None or cell.parents < 0.15:
            return None
        parent = knowledge.target.tables[there.parent]
        column = there.parent_columns[there.columns.index(target.name)]
        return Parent(source, parent, None if parent.primary_key == (column,) else column)

    def _respelled(self, source: Column, target: Column) -> str | None:
        allowed, profile = self.pair.allowed[target.name], self.pair.source_profiles.get(source.name)
        if not allowed or profile is None or len(profile.raw) > 40:
            return None
        spelled = casts.respelled(source, profile.raw, allowed)
        return f"({spelled})::{target.cast}" if spelled and casts.family(target) == "enum" else spelled

    def _left_over(self, result: Mapping[str, ColumnProposal]) -> dict[str, ColumnProposal]:
        """Columns of both sides that nothing else took, where the types leave little choice."""
        used = {name for proposal in result.values() for name in proposal.sources}
        sources = [column for column in self.sources if column.name not in used]
        targets = [c for c in self.targets if c.name not in result and not c.default]
        here, there = Counter(map(_breed, sources)), Counter(map(_breed, targets))
        scores: dict[tuple[str, str], float] = {}
        for source in sources:
            for target in targets:
                if _breed(source) != _breed(target):
                    continue
                cell = self.evidence.cell(source, target)
                self.cells[source.name, target.name] = cell
                if cell.score <= 0 or cell.values < -0.25:
                    continue
                bonus = LEFT_OVER / max(here[_breed(source)], there[_breed(target)])
                scores[source.name, target.name] = 1 - (1 - cell.score) * (1 - bonus)
        left = {target: source for source, target in assign(_above_floor(scores)).items()}
        return {
            target.name: replace(
                self._of_column(left[target.name], target, self.cells[left[target.name], target.name]),
                score=scores[left[target.name], target.name],
            )
            for target in targets
            if target.name in left
        }

    def _constant(self, target: Column) -> ColumnProposal | None:
        """What all rows of the target hold already, for a column that must be filled and that nothing fits."""
        profile = self.pair.target_profiles.get(target.name)
        must = target.not_null and not target.default and self.pair.target.reference(target.name) is None
        if not must or profile is None or len(profile.raw) != 1 or profile.count < 2:
            return None
        reason = "nothing of the source fits; all rows of the target hold it"
        value = profile.raw[0]
        return ColumnProposal(target.name, (), "value", 0.3, reason, expr=literal(value), value=value)


def _above_floor(scores: Mapping[tuple[Kept, str], float]) -> dict[tuple[Kept, str], float]:
    return {pair: score for pair, score in scores.items() if score >= FLOOR}


def _breed(column: Column) -> str:
    """The family of a type, those taken together that become each other without a thought."""
    kind = casts.family(column)
    return RARE.get(kind, {"num": "int"}.get(kind, kind))


def unused(pair: Pair, proposals: tuple[ColumnProposal, ...]) -> list[str]:
    """Source columns that nothing uses."""
    used = {name for proposal in proposals for name in proposal.sources}
    return [column.name for column in pair.source.columns if column.name not in used]
