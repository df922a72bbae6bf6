"""What rows a chunk is of: a range of source keys, of pages of the source table, or of the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs.engine.sql.walks.bounds import Bound
from jobs.engine.sql.walks.pages import Pages


@dataclass(frozen=True, slots=True)
class Part:
    """Rows by the hash of their whole key: those for which it is one of `chosen`, modulo `of`, a power of two.

    by_image: of the key's binary form, which two servers of any version hash alike; else as the types' equality has it.
    """

    of: int
    chosen: tuple[int, ...]
    by_image: bool


Key = tuple[str, ...]
"""Texts of the leading parts of a source key."""


@dataclass(frozen=True, slots=True)
class Range:
    """Source keys above `low` up to and including `high`, as texts of the leading key parts; None: no bound.

    only / without: whole keys, as the map writes them, that the range is narrowed to or that it leaves out.
    part: rows by the hash of their key, which no index leads to: both sides are read as a whole.
    span: the first and the last number in the key part behind those, such as the place in a list, while a search for
    bad rows cuts a single row's list.
    """

    low: Key | None = None
    high: Key | None = None
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    part: Part | None = None
    span: tuple[int, int] | None = None

    def narrowed(self, keys: Sequence[str]) -> Range:
        """The same range, but these keys alone."""
        return replace(self, only=tuple(keys))

    def bounds(self) -> tuple[Key | None, Key | None]:
        """Both ends as the ledger and the control database keep them."""
        return self.low, self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRange(Range):
    """Source rows by where they lie instead of by their keys: pages of the source table. It has no bounds of keys, and
    what is in it says nothing of where its rows are in the target."""

    pages: Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRange(Range):
    """Map rows by who wrote them and by where they lie, instead of by source keys: after one place of a file of the map
    and up to another, those of some transactions."""

    writers: tuple[str, ...]
    above: str
    up_to: str
    file: str

    @classmethod
    def kept(cls, low: Sequence[str], high: Sequence[str]) -> MapRange:
        """From the bounds that were kept of it."""
        (writers, above, file), (_, up_to, _) = low, high
        return cls(writers=tuple(writers.split(",")), above=above, up_to=up_to, file=file)

    def bounds(self) -> tuple[Key, Key]:
        return self.bound(self.above), self.bound(self.up_to)

    def bound(self, place: str) -> Key:
        """A place as one end of it."""
        return ",".join(self.writers), place, self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRange(Range):
    """Source keys between what variables hold."""

    above: Bound
    up_to: Bound | None = None
