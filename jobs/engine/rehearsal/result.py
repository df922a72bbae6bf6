"""What a rehearsal found, as values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A schema step as it went: seconds, without the time that others would have waited."""

    title: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A source row that a run could not migrate. key: as the map writes it, '' where it is not known."""

    table: str
    key: str
    column: str
    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class TableTried:
    """One table: rows that were tried of those in scope, what became of them, and what all of them would take."""

    name: str
    in_scope: int
    rows: int
    inserted: int
    updated: int
    kept: int
    failed: int
    missing: int
    different: int
    copy_seconds: float
    verify_seconds: float
    bytes_per_row: float
    expected_seconds: float
    expected_growth: int


@dataclass
class Tried:
    """What a rehearsal found. again, back: how the catalogs differed after a second application, and after the undo;
    back is None where that was left out. stopped: why it broke off, '' if it did not."""

    rows: int | None
    steps: list[StepTaken] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    back: list[str] | None = None
    tables: list[TableTried] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    advanced: list[str] = field(default_factory=list)
    stopped: str = ""
    seconds: float = 0.0
