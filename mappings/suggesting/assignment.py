"""Who goes with whom, each once, so that the sum of the scores is the largest (the Hungarian method)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

A = TypeVar("A", bound=Hashable)
B = TypeVar("B", bound=Hashable)


def assign(scores: Mapping[tuple[A, B], float]) -> dict[A, B]:
    """The best pairs of those that have a score above 0, none of either side twice.

    Each island of pairs that share no side with others is solved by itself: there are mostly many small ones.
    """
    result: dict[A, B] = {}
    for island in _islands({pair: score for pair, score in scores.items() if score > 0}):
        result.update(_assign_island(island))
    return result


def _islands(scores: dict[tuple[A, B], float]) -> list[dict[tuple[A, B], float]]:
    root: dict[tuple[str, Hashable], tuple[str, Hashable]] = {}

    def find(node: tuple[str, Hashable]) -> tuple[str, Hashable]:
        while (above := root.setdefault(node, node)) != node:
            root[node] = root[above]
            node = above
        return node

    for a, b in scores:
        root[find(("a", a))] = find(("b", b))
    islands: dict[tuple[str, Hashable], dict[tuple[A, B], float]] = {}
    for pair, score in scores.items():
        islands.setdefault(find(("a", pair[0])), {})[pair] = score
    return list(islands.values())


def _assign_island(scores: dict[tuple[A, B], float]) -> dict[A, B]:
    rows = list(dict.fromkeys(a for a, _ in scores))
    columns = list(dict.fromkeys(b for _, b in scores))
    if len(rows) > len(columns):
        turned = _assign_island({(b, a): score for (a, b), score in scores.items()})
        return {a: b for b, a in turned.items()}
    cost = [[-scores.get((a, b), 0.0) for b in columns] for a in rows]
    chosen = _hungarian(cost)
    pairs = [(a, columns[column]) for a, column in zip(rows, chosen, strict=True)]
    return {a: b for a, b in pairs if (a, b) in scores}


def _hungarian(cost: list[list[float]]) -> list[int]:
    """The column of each row in the cheapest assignment; there are at least as many columns as rows.

    Kuhn's method with potentials: rows are added one by one along the cheapest path that frees a column.
    """
    width = len(cost[0])
    by_row, by_column = [0.0] * len(cost), [0.0] * (width + 1)
    owner = [-1] * (width + 1)  # the row that has a column; the last stands for the row that is added
    for row in range(len(cost)):
        owner[width], column = row, width
        least, before = [float("inf")] * width, [width] * width
        seen = [False] * (width + 1)
        while owner[column] != -1:
            seen[column] = True
            column = _step(cost, owner, column, by_row, by_column, (least, before, seen))
        while column != width:
            owner[column], column = owner[before[column]], before[column]
    result = [-1] * len(cost)
    for column in range(width):
        if owner[column] != -1:
            result[owner[column]] = column
    return result


def _step(
    cost: list[list[float]],
    owner: list[int],
    column: int,
    by_row: list[float],
    by_column: list[float],
    path: tuple[list[float], list[int], list[bool]],
) -> int:
    """The next column of the path, after the potentials have made it free of cost."""
    least, before, seen = path
    row, delta, following = owner[column], float("inf"), -1
    for other, price in enumerate(cost[row]):
        if seen[other]:
            continue
        reduced = price - by_row[row] - by_column[other]
        if reduced < least[other]:
            least[other], before[other] = reduced, column
        if least[other] < delta:
            delta, following = least[other], other
    for other, is_seen in enumerate(seen):
        if is_seen:
            by_row[owner[other]] += delta
            by_column[other] -= delta
        elif other < len(least):
            least[other] -= delta
    return following
