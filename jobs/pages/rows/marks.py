"""Two values side by side, with the characters marked in which they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

MOST_COMPARED = 400
"""Characters that are compared one by one; of longer ones all between the ends that agree is marked."""

CONTEXT = 40
"""Characters that are shown of what agrees before and after."""

ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters of a value, and whether they are what differs."""

    text: str
    differs: bool


Pieces = tuple[Piece, ...]


def marked(expected: str | None, result: str | None) -> tuple[Pieces, Pieces]:
    """The pieces of both values; none for NULL. Long stretches that agree are cut short."""
    if expected is None or result is None:
        return _whole(expected), _whole(result)
    start = _alike(expected, result)
    left, right = expected[start:], result[start:]
    end = _alike(left[::-1], right[::-1])
    left, right = left[: len(left) - end], right[: len(right) - end]
    same_before = expected[:start]
    same_after = expected[len(expected) - end :] if end else ""
    before = same_before if start <= CONTEXT else ELLIPSIS + same_before[-CONTEXT:]
    after = same_after if end <= CONTEXT else same_after[:CONTEXT] + ELLIPSIS
    middle_left, middle_right = _middles(left, right)
    return (
        _joined(Piece(before, False), *middle_left, Piece(after, False)),
        _joined(Piece(before, False), *middle_right, Piece(after, False)),
    )


def _alike(left: str, right: str) -> int:
    """How many characters both begin with."""
    pairs = zip(left, right, strict=False)
    return next(
        (place for place, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right))
    )


def _whole(value: str | None) -> Pieces:
    return () if not value else (Piece(value, True),)


def _middles(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    if max(len(left), len(right)) > MOST_COMPARED:
        return [Piece(left, True)], [Piece(right, True)]
    blocks = list(_blocks(left, right))
    return (
        [Piece(left[a:b], differs) for differs, a, b, _, _ in blocks],
        [Piece(right[c:d], differs) for differs, _, _, c, d in blocks],
    )


def _blocks(left: str, right: str) -> Iterator[tuple[bool, int, int, int, int]]:
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        yield tag != "equal", a, b, c, d


def _joined(*pieces: Piece) -> Pieces:
    return tuple(piece for piece in pieces if piece.text)
