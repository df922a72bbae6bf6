"""Two texts side by side, line by line, with what differs inside a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

CONTEXT = 3
"""Equal lines that are shown around a difference."""

LEAST_ALIKE = 0.4
"""Two lines with less in common differ as a whole."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line. differs: the other side has something else there."""

    text: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one side."""

    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of each side, None where one has no such line; kind gap: `skipped` equal lines are left out."""

    kind: Literal["same", "changed", "removed", "added", "gap"]
    left: Line | None = None
    right: Line | None = None
    skipped: int = 0


def side_by_side(before: str, after: str) -> tuple[Row, ...]:
    """Both texts in rows; none if they are equal."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return ()
    return tuple(_rows(old, new))


def _rows(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    last = (len(old), len(new))
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        if kind == "equal":
            yield from _equal(old, a, b, a_end - a, first=a == b == 0, last=(a_end, b_end) == last)
            continue
        for left, right in zip_longest(range(a, a_end), range(b, b_end)):
            yield _different(old, new, left, right)


def _equal(old: Sequence[str], a: int, b: int, count: int, *, first: bool, last: bool) -> Iterator[Row]:
    """Equal lines: those next to a difference, and how many are left out between them."""
    head, tail = 0 if first else CONTEXT, 0 if last else CONTEXT
    skipped = count - head - tail
    for index in range(count):
        if skipped > 1 and head <= index < count - tail:
            if index == head:
                yield Row("gap", skipped=skipped)
            continue
        pieces = (Piece(old[a + index], False),)
        yield Row("same", Line(a + index + 1, pieces), Line(b + index + 1, pieces))


def _different(old: Sequence[str], new: Sequence[str], left: int | None, right: int | None) -> Row:
    if left is None:
        assert right is not None
        return Row("added", right=Line(right + 1, (Piece(new[right], True),)))
    if right is None:
        return Row("removed", left=Line(left + 1, (Piece(old[left], True),)))
    left_pieces, right_pieces = _compare(old[left], new[right])
    return Row("changed", Line(left + 1, left_pieces), Line(right + 1, right_pieces))


def _compare(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both lines in pieces, by words; as a whole where they have little in common."""
    left, right = _words(old), _words(new)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < LEAST_ALIKE:
        return (Piece(old, True),), (Piece(new, True),)
    codes = matcher.get_opcodes()
    return (
        tuple(Piece("".join(left[a:b]), kind != "equal") for kind, a, b, _, _ in codes if b > a),
        tuple(Piece("".join(right[a:b]), kind != "equal") for kind, _, _, a, b in codes if b > a),
    )


def _words(line: str) -> list[str]:
    return re.findall(r"\w+|\s+|[^\w\s]", line)
