"""Marks: short tokens that change when what they stand for does, so that a page is sent only what moved."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import zip_longest

LINE = 4
"""Characters that tell one line of a list from another state of it."""


def mark(*parts: object) -> str:
    """A short token that changes when the parts do."""
    return f"{zlib.crc32(repr(parts).encode()):08x}"


def line_mark(*parts: object) -> str:
    """The same for one line of a list."""
    return mark(*parts)[-LINE:]


def joined(marks: Iterable[str]) -> str:
    """The marks of all lines as one token."""
    return "".join(marks)


def moved_places(marks: list[str], seen: str) -> list[int]:
    """Where marks differ from those in `seen`, one behind the other; beyond what was sent all do."""
    before = [seen[start : start + LINE] for start in range(0, len(seen), LINE)]
    pairs = enumerate(zip_longest(marks, before[: len(marks)]))
    return [place for place, (now, then) in pairs if now != then]
