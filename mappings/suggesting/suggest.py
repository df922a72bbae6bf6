"""From two connections to proposals: which tables go together, and how each target column is filled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from mappings.suggesting import pairing, samples, sides
from mappings.suggesting.assignment import assign
from mappings.suggesting.columns import Proposing
from mappings.suggesting.context import Knowledge, Pair
from mappings.suggesting.implied import with_implied
from mappings.suggesting.proposals import ColumnProposal, TableProposal
from mappings.suggesting.sides import Side, Table

MOST_TARGETS = 3  # that are listed for each source table
WORTH_LISTING = 0.05
WORTH_DRAFTING = 0.2
AFFORDABLE = 2_000_000  # pairs of columns of all table pairs together, that are looked at in a minute
CLEARLY = 3  # the power of scores in an assignment: one good pair is worth more than two poor ones
FEW_TABLES = 120  # of a side that are all sampled before the tables are matched

Chosen = Mapping[str, tuple[str, ...]]
"""Target columns that a person filled, each with the source columns that it takes."""


@dataclass
class Suggesting:
    """Both sides of an environment. same: they are one database; named: pairs of tables that people named, by oids."""

    source: psycopg.Connection[Any]
    target: psycopg.Connection[Any]
    same: bool
    knowledge: Knowledge
    named: set[tuple[int, int]] = field(default_factory=set)

    def know(self, tables: Sequence[tuple[Table, Table]]) -> None:
        """Takes it for certain that these pairs of tables go together."""
        known, pairs = self.knowledge, {(source.oid, target.oid) for source, target in tables}
        known.matches = {**known.matches, **dict.fromkeys(pairs, 1.0)}
        self.named |= pairs
        sources, targets = ({pair[side] for pair in pairs} for side in (0, 1))
        others = (p for p in known.partners if p in self.named or not (p[0] in sources or p[1] in targets))
        known.partners = frozenset((*others, *pairs))

    def sample(self, tables: Iterable[tuple[Table, Table]]) -> None:
        """Reads rows of these pairs of tables, and of those that they refer to, where that was not done yet."""
        for source, target in tables:
            for side, table in (("source", source), ("target", target)):
                self._sample(side, table)

    def _sample(self, side: str, table: Table) -> None:
        ours = side == "source"
        known = self.knowledge.source if ours else self.knowledge.target
        read = self.knowledge.source_samples if ours else self.knowledge.target_samples
        assert isinstance(read, dict)
        parents = [known.tables[r.parent] for r in table.references if r.parent in known.tables]
        for wanted in (table, *parents):
            if wanted.oid not in read:
                read[wanted.oid] = samples.read(self.source if ours else self.target, wanted)


def look(
    source: psycopg.Connection[Any],
    target: psycopg.Connection[Any],
    same: bool,
    catalogs: tuple[Side, Side] | None = None,
) -> Suggesting:
    """Matches the tables; of few tables also by their rows. catalogs: of both sides, where they are read already."""
    ours, theirs = catalogs or (sides.read(source, "source"), sides.read(target, "target"))
    knowledge = Knowledge(with_implied(ours), with_implied(theirs))
    result = Suggesting(source, target, same, knowledge)
    sources, targets = pairing.sources_of(knowledge), pairing.targets_of(knowledge)
    if max(len(sources), len(targets)) <= FEW_TABLES:
        knowledge.source_samples = {table.oid: samples.read(source, table) for table in sources}
        knowledge.target_samples = {table.oid: samples.read(target, table) for table in targets}
    knowledge.matches = pairing.matches(knowledge, sources, targets, same)
    fair = {pair: score**CLEARLY for pair, score in knowledge.matches.items() if score >= WORTH_DRAFTING}
    knowledge.partners = frozenset(assign(fair).items())
    return result


def columns(
    knowledge: Knowledge, source: Table, target: Table, chosen: Chosen | None = None
) -> tuple[ColumnProposal, ...]:
    """How each column of `target` that nobody filled yet is filled from `source`, by what was read of them."""
    return Proposing(Pair(source, target, knowledge), chosen or {}).proposals()


def candidates(knowledge: Knowledge) -> list[TableProposal]:
    """For each source table its best target tables, best first, without their columns."""
    by_source: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (source, target), score in knowledge.matches.items():
        by_source[source].append((score, target))
    table_proposals = []
    for oid, table in knowledge.source.tables.items():
        for score, target in sorted(by_source[oid], reverse=True)[:MOST_TARGETS]:
            if score >= WORTH_LISTING:
                table_proposals.append(table_pair(knowledge, table, knowledge.target.tables[target], score))
    return table_proposals


def one_to_one(proposals: Sequence[TableProposal]) -> list[TableProposal]:
    """Those candidates that go best together, each table once, without the poor ones."""
    scores = {p.oids: p.score**CLEARLY for p in proposals if p.score >= WORTH_DRAFTING}
    best = assign(scores)
    return [p for p in proposals if best.get(p.source.oid) == p.target.oid]


def table_pair(
    knowledge: Knowledge, source: Table, target: Table, score: float | None = None
) -> TableProposal:
    """One pair of tables with the reason in words, without its columns."""
    score = knowledge.match(source.oid, target.oid) if score is None else score
    return TableProposal(source, target, score, pairing.reason(knowledge, source, target))


def with_columns(
    suggesting: Suggesting, proposals: Sequence[TableProposal], chosen: Mapping[tuple[int, int], Chosen]
) -> list[TableProposal]:
    """The table pairs with their columns. chosen: by the oids of source and target, what people filled.

    Columns are sure only in pairs that people named or that go best together. Of very many pairs only those get any.
    """
    known = suggesting.knowledge
    cost = sum(len(p.source.columns) * len(p.target.columns) for p in proposals)
    wanted = [p for p in proposals if cost <= AFFORDABLE or p.oids in known.partners]
    suggesting.sample((proposal.source, proposal.target) for proposal in wanted)
    filled = {p.oids: columns(known, p.source, p.target, chosen.get(p.oids)) for p in wanted}
    for oids in filled.keys() - known.partners:
        filled[oids] = tuple(replace(column, sure=False) for column in filled[oids])
    return [replace(proposal, columns=filled.get(proposal.oids, ())) for proposal in proposals]
