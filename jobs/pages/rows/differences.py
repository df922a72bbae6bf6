"""What the page of a verification's differences shows: a part of them, filtered and in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from jobs.models import Report, Run
from jobs.pages.filter_fields import FilterField
from jobs.pages.rows.marks import Pieces, marked
from jobs.reporting import differences
from jobs.reporting.differences import KINDS, ORDERS, WHY, Difference, Filters
from jobs.reporting.elements import said, ways_of

SHOWN = 100
MOST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One difference as it is shown. first: it begins another row than the line before; same_text: only the binary
    images differ; element: which ids inside the value differ."""

    difference: Difference
    first: bool
    expected: Pieces
    found: Pieces
    element: str = ""

    @property
    def same_text(self) -> bool:
        one = self.difference
        return bool(one.column) and one.expected is not None and one.expected == one.found

    @property
    def address(self) -> str:
        """The query of the row's passport."""
        one = self.difference
        by = {"source": one.source_key} if one.source_key is not None else {"target": one.target_key or ""}
        return urlencode({"table": one.table, **by})


@dataclass(frozen=True, slots=True)
class DifferencesPage:
    """lines: a part of what is meant; total: of all that is meant, is_more: and there are more than that; earlier,
    later: the queries of the parts beside."""

    report: Report
    filters: Filters
    sort: str
    lines: tuple[Line, ...]
    total: int
    is_more: bool
    earlier: str
    later: str

    @property
    def asked_query(self) -> str:
        """The filters, without the order, as the query of an address."""
        return urlencode(self.filters.given())

    @property
    def unkept(self) -> int:
        """Differences that were found beyond those that may be kept."""
        result = sum(int(table.get("differences") or 0) for table in self.report.tables)
        return result - recorded_of(self.report)

    @property
    def may_be_chosen(self) -> bool:
        """Whether any line is of a row that a repair could mend."""
        return any(line.difference.kind != "extra" for line in self.lines)


def differences_page(run: Run, report: Report, at: Mapping[str, str]) -> DifferencesPage:
    """Raises Refused where the target cannot be asked, or keeps them no more."""
    filters, sort = Filters.of(at), at.get("sort") or "key"
    with differences.opened(run, report) as store:
        part = store.part(filters, sort, SHOWN, _id(at.get("after")), _id(at.get("before")))
        total, is_more = store.count(filters) if filters.given() else (recorded_of(report), False)
    kept = {**filters.given(), **({"sort": sort} if sort != "key" else {})}
    return DifferencesPage(
        report, filters, sort, tuple(lines_of(run, part.rows)), total, is_more,
        urlencode({**kept, "before": part.rows[0].id}) if part.earlier else "",
        urlencode({**kept, "after": part.rows[-1].id}) if part.later else "",
    )  # fmt: skip


def recorded_of(report: Report) -> int:
    """How many differences a verification kept."""
    return sum(int(table.get("recorded") or 0) for table in report.tables)


def _id(text: str | None) -> int | None:
    """An id as it stands in an address; None for what is none."""
    return min(int(text), MOST_ID) if text and text.isascii() and text.isdecimal() else None


def lines_of(run: Run, rows: Iterable[Difference]) -> Iterator[Line]:
    """Differences as they are shown, those of a row behind each other."""
    ways, before = ways_of(run), None
    for one in rows:
        row = (one.table, one.kind, one.source_key, one.target_key)
        element = said(ways.get((one.table, one.column), ()), one.expected, one.found)
        yield Line(one, row != before, *marked(one.expected, one.found), element)
        before = row


def fields_of(report: Report, filters: Filters, sort: str) -> tuple[FilterField, ...]:
    """Above the differences."""
    tables = [(table["name"], table["name"]) for table in report.tables]
    columns = dict.fromkeys(
        column["column"]
        for table in report.tables
        for column in table.get("columns") or []
        if filters.table in ("", table["name"])
    )
    return (
        FilterField("key", "Source key", filters.key),
        FilterField("target_key", "Target key", filters.target_key),
        FilterField("table", "Table", filters.table, (("", "all"), *tables)),
        FilterField("column", "Column", filters.column, (("", "all"), *((name, name) for name in columns))),
        FilterField("kind", "Kind", filters.kind, (("", "all"), *((kind, kind) for kind in KINDS))),
        FilterField("why", "Why", filters.why, (("", "any reason"), *WHY_IN_SHORT.items())),
        FilterField("sort", "Order", sort, _orders()),
    )


def _orders() -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{sign}{name}", f"{name}{word}") for name in ORDERS for sign, word in (("", ""), ("-", ", falling"))
    )


WHY_IN_SHORT = {code: code for code in WHY} | {
    "target": "written in the target since",
    "source": "changed in the source since",
    "source or trigger": "source changed, or a trigger",
    "taken": "gone from the target since",
    "refused": "never copied, or refused by a trigger",
    "never or taken": "never copied, or gone since",
    "refused or taken": "refused by a trigger, or gone since",
    "not ours": "not written by the migration",
}
"""Reasons as choices of a filter."""
