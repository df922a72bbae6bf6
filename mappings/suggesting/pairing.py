"""Which source tables may go into which target tables: by their names, their columns, and their neighbours."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from mappings.suggesting import names
from mappings.suggesting.context import Knowledge, Neighbours, Pair
from mappings.suggesting.evidence import Evidence
from mappings.suggesting.sides import Table

CANDIDATES = 8  # target tables of each source table that are looked at column by column
AFFORDABLE = 400_000  # pairs of columns that are looked at altogether; where there are more, names have to do
FEW_PAIRS = 400
MANY_TABLES = 80
ROUNDS = 3  # of neighbours speaking for each other
NAME, COLUMNS = 0.4, 0.6

Scores = dict[tuple[int, int], float]


def sources_of(knowledge: Knowledge) -> list[Table]:
    """Tables that may be a source."""
    return [table for table in knowledge.source.tables.values() if table.kind in "rpf" and table.readable]


def targets_of(knowledge: Knowledge) -> list[Table]:
    """Tables that may be a target."""
    return [table for table in knowledge.target.tables.values() if table.kind in "rp"]


def matches(knowledge: Knowledge, sources: Sequence[Table], targets: Sequence[Table], same: bool) -> Scores:
    """How well tables go together, 0 to 1, of those that may. same: both sides are one database."""
    rough = _rough(knowledge, sources, targets)
    if same:
        rough = _one_way(rough, knowledge)
    kept = _best_of_each(rough)
    if _affordable(sources, targets):
        kept = {pair: _close(knowledge, pair, score) for pair, score in kept.items()}
    return _with_neighbours(kept, knowledge)


def _rough(knowledge: Knowledge, sources: Sequence[Table], targets: Sequence[Table]) -> Scores:
    """By the tables' names and the meanings in their columns' names, rare ones counting more."""
    scores: Scores = defaultdict(float)
    scores.update(_all_of_few(sources, targets))
    for pair, cosine in _cosines(knowledge, sources, targets).items():
        scores[pair] += COLUMNS * cosine
    ours, theirs = (names.of_tables({t.oid: t.name for t in tables}) for tables in (sources, targets))
    for pair, result in names.Index(theirs).likenesses(ours).items():
        scores[pair] += NAME * result if result > 0.2 else 0.0
    return dict(scores)


def _all_of_few(sources: Sequence[Table], targets: Sequence[Table]) -> Scores:
    """Every pair, where there are so few that each can be looked at."""
    few = len(sources) * len(targets) <= FEW_PAIRS
    return {(one.oid, other.oid): 0.0 for one in sources for other in targets} if few else {}


def _cosines(knowledge: Knowledge, sources: Sequence[Table], targets: Sequence[Table]) -> Scores:
    ours = {table.oid: _bag(knowledge.names("source", table)) for table in sources}
    theirs = {table.oid: _bag(knowledge.names("target", table)) for table in targets}
    return _products(*_rare_words(ours, theirs))


Bags = dict[int, dict[str, float]]


def _rare_words(ours: Bags, theirs: Bags) -> tuple[Bags, Bags]:
    """The bags with each word by what it is worth, of length 1; words that many tables have are out."""
    count = len(ours) + len(theirs)
    seen = Counter(word for bags in (ours, theirs) for bag in bags.values() for word in bag)
    most = count / 3 if count > MANY_TABLES else count
    worth = {word: math.log((1 + count) / times) for word, times in seen.items() if times <= most}

    def weighed(bag: dict[str, float]) -> dict[str, float]:
        result = {word: times * worth[word] for word, times in bag.items() if word in worth}
        length = math.sqrt(sum(value * value for value in result.values())) or 1.0
        return {word: value / length for word, value in result.items()}

    return (
        {oid: weighed(bag) for oid, bag in ours.items()},
        {oid: weighed(bag) for oid, bag in theirs.items()},
    )


def _products(ours: Bags, theirs: Bags) -> Scores:
    holders: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for target, bag in theirs.items():
        for word, value in bag.items():
            holders[word].append((target, value))
    scores: Scores = defaultdict(float)
    for source, bag in ours.items():
        for word, value in bag.items():
            for target, other in holders.get(word, ()):
                scores[source, target] += value * other
    return scores


def _bag(columns: dict[str, names.Name]) -> dict[str, float]:
    bag: dict[str, float] = defaultdict(float)
    for result in columns.values():
        for unit in result:
            for word in unit.meanings or {unit.text}:
                bag[word] += unit.weight / max(len(unit.meanings), 1)
    return bag


def _one_way(rough: Scores, knowledge: Knowledge) -> Scores:
    """In one database: between schemas, from the one that holds more; within one schema no table into itself."""
    size: Counter[str] = Counter()
    for table in knowledge.source.tables.values():
        size[table.schema] += table.size
    schema = {oid: table.schema for oid, table in knowledge.source.tables.items()}
    several = len(set(schema.values())) > 1
    return {
        (source, target): score
        for (source, target), score in rough.items()
        if source != target
        and (not several or (size[schema[source]], schema[target]) > (size[schema[target]], schema[source]))
        and (not several or schema[source] != schema[target])
    }


def _affordable(sources: Sequence[Table], targets: Sequence[Table]) -> bool:
    """Whether all candidates can be looked at column by column."""
    widths = [len(table.columns) for table in targets] or [1]
    cost = sum(len(table.columns) for table in sources) * sum(widths) / len(widths)
    return cost * min(CANDIDATES, len(targets)) <= AFFORDABLE


def _best_of_each(rough: Scores) -> Scores:
    """The best candidates of each table of both sides; all others are out."""
    ranked: dict[tuple[str, int], list[tuple[float, tuple[int, int]]]] = defaultdict(list)
    for pair, score in rough.items():
        ranked["source", pair[0]].append((score, pair))
        ranked["target", pair[1]].append((score, pair))
    kept = {pair for result in ranked.values() for _, pair in heapq.nlargest(CANDIDATES, result)}
    return {pair: rough[pair] for pair in kept}


def _close(knowledge: Knowledge, pair: tuple[int, int], rough: float) -> float:
    """By how well their columns go together, one by one, and by their names."""
    source, target = knowledge.source.tables[pair[0]], knowledge.target.tables[pair[1]]
    looked = Pair(source, target, knowledge)
    alike = names.likeness(names.of_table(source.name), names.of_table(target.name))
    covered = coverage(looked)
    return 0.35 * alike + 0.5 * covered + 0.15 * rough


def coverage(pair: Pair) -> float:
    """0 to 1: how much of the columns of either side has a counterpart."""
    evidence = Evidence(pair)
    by_target: dict[str, float] = defaultdict(float)
    by_source: dict[str, float] = defaultdict(float)
    for source, target in evidence.pairs(pair.source.columns, pair.fillable):
        score = max(evidence.cell(source, target).score - 0.2, 0.0) / 0.8
        by_target[target.name] = max(by_target[target.name], score)
        by_source[source.name] = max(by_source[source.name], score)
    filled = sum(by_target.values()) / max(len(pair.fillable), 1)
    used = sum(by_source.values()) / max(len(pair.source.columns), 1)
    return 2 * filled * used / (filled + used) if filled + used else 0.0


def _mean(values: Iterable[float]) -> float:
    result = list(values)
    return sum(result) / len(result) if result else 0.0


def _with_neighbours(scores: Scores, knowledge: Knowledge) -> Scores:
    """Tables whose parents and children go together go together better."""
    first = dict(scores)
    up, down = knowledge.neighbours
    for _ in range(ROUNDS):
        scores = {
            pair: 0.75 * first[pair]
            + 0.25 * max(_agreement(scores, up, pair), 0.9 * _agreement(scores, down, pair))
            for pair in first
        }
    return scores


def _agreement(scores: Scores, neighbours: Neighbours, pair: tuple[int, int]) -> float:
    """How well the neighbours of both go together; as well as the two themselves where one has none."""
    ours, theirs = neighbours[0].get(pair[0], set()), neighbours[1].get(pair[1], set())
    if not ours or not theirs:
        return scores[pair] if not ours and not theirs else 0.5 * scores[pair]
    best = [max((scores.get((one, other), 0.0) for one in ours), default=0.0) for other in theirs]
    return _mean(best)


def reason(knowledge: Knowledge, source: Table, target: Table) -> str:
    """Why two tables may go together, in words."""
    alike = names.likeness(names.of_table(source.name), names.of_table(target.name))
    said = ["names that mean the same" if alike >= 0.85 else "similar names" if alike >= 0.5 else ""]
    if source.name.casefold() == target.name.casefold():
        said = ["same name"]
    marks = {*knowledge.marks("source", source)}
    if count := sum(mark in marks for mark in knowledge.marks("target", target)):
        said.append(f"{count} of {len(target.columns)} columns are called alike")
    up, down = knowledge.neighbours
    for neighbours, what in ((up, "refer to"), (down, "are referred to by")):
        ours, theirs = neighbours[0].get(source.oid, set()), neighbours[1].get(target.oid, set())
        if any(knowledge.match(one, other) >= 0.4 for one in ours for other in theirs):
            said.append(f"both {what} tables that go together")
    return ", ".join(text for text in said if text) or "the columns' types and values"
