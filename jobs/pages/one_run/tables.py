"""The tables of a run as its page lists them: searched, filtered, sorted, in parts; the address keeps all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlencode

from jobs.models import Run
from jobs.pages.filter_fields import FilterField
from jobs.pages.one_run.marks import line_mark
from jobs.progress import TableProgress

SHOWN = 50
FEW = 8
"""Up to so many tables are looked through without a search."""
ASIDE = "with quarantined rows"
WORKING = "under way"
RESTING = ("waiting", "done", "paused", "stopped")
STATES = (WORKING, *RESTING, ASIDE)
MOST_FIRST = ("rows", "inserted", "updated", "kept", "quarantined")

ORDERS: dict[str, Callable[[TableProgress], Any]] = {
    "name": lambda table: table.name,
    "state": lambda table: (table.state in RESTING, table.state),
    "progress": lambda table: table.fraction,
    "rows": lambda table: -table.total_rows,
    "inserted": lambda table: -table.inserted,
    "updated": lambda table: -table.updated,
    "kept": lambda table: -table.kept,
    "quarantined": lambda table: -table.quarantined,
}
"""Orders besides that of the plan: what is under way, least far on, or most, stands first."""


@dataclass(frozen=True, slots=True)
class TableFilters:
    """Which tables are shown. q: a piece of a table's name, on either side; at: how many stand before them."""

    q: str = ""
    state: str = ""
    sort: str = ""
    at: str = ""

    @property
    def any(self) -> bool:
        return bool(self.q or self.state)

    @property
    def items(self) -> list[tuple[str, str]]:
        """Names and values, for the fields of another form on the page."""
        return list(asdict(self).items())

    def query(self, **changed: object) -> str:
        """As it stands in an address; '' where nothing is asked for."""
        return urlencode({name: text for name, text in {**asdict(self), **changed}.items() if text})


ALL_TABLES = TableFilters()


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of the list, and its place in the part that is shown, from 0."""

    place: int
    table: TableProgress


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column. sort: the query that sorts by it; is_on: whether the list is."""

    title: str
    query: str
    is_on: bool
    css: str = ""

    @property
    def way(self) -> str:
        return "descending" if self.title.lower() in MOST_FIRST else "ascending"


class ShownTables:
    """A part of a run's tables, as the filters say."""

    def __init__(self, run: Run, tables: Sequence[TableProgress], filters: TableFilters) -> None:
        self.run, self.filters, self.all = run, filters, len(tables)
        narrowed = filters.q or filters.state
        result = [table for table in tables if _is_meant(table, filters)] if narrowed else list(tables)
        if order := ORDERS.get(filters.sort):
            result.sort(key=order)
        self.total, self.start = len(result), _start(filters.at, len(result))
        self.rows = [
            TableRow(place, one) for place, one in enumerate(result[self.start : self.start + SHOWN])
        ]

    @property
    def earlier(self) -> str:
        """The query of the part before, with where the list stands; '' where there is none."""
        return self._part(max(0, self.start - SHOWN)) if self.start else ""

    @property
    def later(self) -> str:
        return self._part(self.start + SHOWN) if self.start + SHOWN < self.total else ""

    def _part(self, start: int) -> str:
        return f"{self.filters.query(at=start)}#run-tables"

    @property
    def is_searched(self) -> bool:
        """Whether a search stands above the list."""
        return self.all > FEW or self.filters.any

    @property
    def fields(self) -> tuple[FilterField, ...]:
        states = (("", "any"), *((state, state) for state in STATES))
        orders = (("", "as planned"), *((name, name) for name in ORDERS))
        return (
            FilterField("q", "Table", self.filters.q),
            FilterField("state", "State", self.filters.state, states),
            FilterField("sort", "Order", self.filters.sort, orders),
        )

    @property
    def headings(self) -> tuple[Heading, ...]:
        return tuple(self._heading(*column) for column in COLUMNS)

    def _heading(self, title: str, sort: str, css: str) -> Heading:
        return Heading(
            title, f"{self.filters.query(sort=sort, at='')}#run-tables", self.filters.sort == sort, css
        )

    @cached_property
    def marks(self) -> list[str]:
        """For each line a few characters that change when the line does."""
        stage, status = self.run.stage, self.run.status
        return [_line_mark(stage, status, row.table) for row in self.rows]

    @property
    def names(self) -> tuple[object, ...]:
        """Which lines there are, in their order."""
        return (self.total, [row.table.name for row in self.rows])


@lru_cache(maxsize=4_096)
def _line_mark(stage: str, status: str, table: TableProgress) -> str:
    """Most tables are as they were when the last one asked."""
    return line_mark(stage, status, table)


COLUMNS = (
    ("Table", "name", ""),
    ("State", "state", ""),
    ("Progress", "progress", "wide"),
    *((name.capitalize(), name, "num") for name in MOST_FIRST),
)


def _is_meant(table: TableProgress, filters: TableFilters) -> bool:
    q = filters.q.strip().lower()
    if q and not any(q in name.lower() for name in (table.name, table.source, table.target)):
        return False
    if filters.state == ASIDE:
        return table.quarantined > 0
    if filters.state == WORKING:
        return table.state not in RESTING
    return filters.state not in STATES or table.state == filters.state


def _start(text: str, total: int) -> int:
    """Where the part begins; somebody may have typed anything, or tables have left the list."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return 0
    return min(int(text), max(0, total - 1) // SHOWN * SHOWN)


def table_filters(asked: Mapping[str, str]) -> TableFilters:
    """What an address asks for."""
    return TableFilters(**{name: asked.get(name, "")[:100] for name in ("q", "state", "sort", "at")})
