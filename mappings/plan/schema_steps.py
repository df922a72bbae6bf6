"""One schema step of a plan, as a frozen value: its SQL and its way back, how heavy it is, and what it touches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as Several
from dataclasses import dataclass
from typing import Literal

from mappings.catalog.fingerprints import Side
from mappings.sql import Sql, compose, joined, verbatim

Weight = Literal["catalog only", "table scan", "index build", "backfill", "full rewrite"]
StepKind = Literal[
    "widen", "add_column", "add_index",
    "shadow_column", "shadow_fill", "shadow_index", "shadow_constraints", "shadow_validation",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Affected:
    """Something that depends on a changed column, and what the change does to it."""

    kind: str
    name: str
    definition: str
    fate: str


@dataclass(frozen=True, slots=True)
class Heaviness:
    """What a change costs others.

    waits: who stands still while the lock is held; seconds: for how long, estimated, 0 for a moment; size: bytes
    that are read or written; also_locked: other tables that are locked as well; undo_*: the same of its undo.
    """

    waits: str = ""
    seconds: float = 0.0
    size: int = 0
    rebuilds: tuple[str, ...] = ()
    also_locked: tuple[str, ...] = ()
    undo_weight: Weight = "catalog only"
    undo_seconds: float = 0.0

    @property
    def held(self) -> str:
        """How long the lock is held, in words."""
        return in_words(self.seconds)

    @property
    def undo_held(self) -> str:
        """How long the undo's lock is held, in words."""
        return in_words(self.undo_seconds)


def in_words(seconds: float) -> str:
    """An estimated time: a moment, about 12 s, about 3 min."""
    if seconds < 1:
        return "a moment"
    return f"about {round(seconds)} s" if seconds < 120 else f"about {round(seconds / 60)} min"


@dataclass(frozen=True, slots=True)
class Shadow:
    """The column that is being widened the safe way, and the one beside it that takes its place."""

    column: str
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a step builds. on: the table and what of it; all as SQL but for unique."""

    name: Sql
    on: Sql
    unique: bool

    def build(self, *, concurrently: bool = False, unless_there: bool = False) -> Sql:
        """The statement; the index is the same one, however it is built."""
        words = [
            verbatim("CREATE UNIQUE INDEX" if self.unique else "CREATE INDEX"),
            *([verbatim("CONCURRENTLY")] if concurrently else []),
            *([verbatim("IF NOT EXISTS")] if unless_there else []),
        ]
        return compose("{} {} ON {}", joined(" ", words), self.name, self.on)


@dataclass(frozen=True, slots=True)
class Step:
    """One schema change, idempotent by the register. sql and undo are whole statements in order.

    kind: what answers for it (mappings.schema.kinds); alone: outside a transaction block; shadow: of a
    step that prepares a swap; way_around: whether a heavy change can be had without its long lock, and at what cost;
    index: what the step builds, if that is an index, to be printed in its other forms; views_first, views_last: how
    many of the first and last statements, there and back, take views over the column away and make them again;
    no_way_around: `way_around` says why there is none.
    """

    kind: StepKind
    table: str
    relation: Sql
    side: Side
    name: str
    title: str
    sql: tuple[Sql, ...]
    undo: tuple[Sql, ...]
    weight: Weight
    lock: str
    alone: bool
    before: Sql
    after: Sql
    fits: Sql
    heaviness: Heaviness = Heaviness()
    affected: tuple[Affected, ...] = ()
    shadow: Shadow | None = None
    way_around: str = ""
    index: Index | None = None
    views_first: int = 0
    views_last: int = 0
    no_way_around: bool = False

    @property
    def of_views(self) -> tuple[str, ...]:
        """What the step does to views, without the change that they stand in the way of."""
        return (*self.sql[: self.views_first], *self.sql[len(self.sql) - self.views_last :])

    def is_script(self, statements: Several[str]) -> bool:
        """Whether these were its statements. An index is the same one, built concurrently or not."""
        forms = [self.index.build(concurrently=one) for one in (False, True)] if self.index else []
        return list(statements) in [list(self.sql), *([form] for form in forms)]

    @property
    def sha256(self) -> str:
        """The hash under which the step is registered in the target."""
        return script_sha256(self.sql, self.undo, self.fits)


def script_sha256(statements: Several[str], undo: Several[str] = (), fits: str = "") -> str:
    """The hash of a schema script: of its statements, one below the other, and of its way back."""
    way_back = [*(["-- undo"] if undo else []), *undo, *(["-- if", fits] if fits else [])]
    return hashlib.sha256("\n".join([*statements, *way_back]).encode()).hexdigest()
