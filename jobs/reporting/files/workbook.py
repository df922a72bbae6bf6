"""A report as a workbook: what it is of, the tables, the checks, and every difference; row by row, in constant memory.

Every text is written as text, so none becomes a formula, a link or a number. A sheet holds so many rows as Excel
reads, then the next one goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from jobs.reporting.files.content import COLUMNS, Content, values_of

ROWS_OF_A_SHEET = 1_048_576
LONGEST = 32_767
"""Characters of a cell."""

AS_WRITTEN = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
WIDTHS = (24, 12, 20, 20, 24, 36, 36, 60)


def write(content: Content, out: IO[bytes] | str, most: int = ROWS_OF_A_SHEET) -> None:
    """Writes the workbook to a file, or to an address of one. most: rows of a sheet, its head among them."""
    with Workbook(out, dict(AS_WRITTEN)) as book:
        bold = book.add_format({"bold": True})
        head = ((name, _told(value)) for name, value in content.head.items())
        _sheet(book, "Report", ("what", "is"), (22, 80), head, bold)
        tables = content.tables
        names = tuple(tables[0]) if tables else ("name",)
        _sheet(book, "Tables", names, (24,), (tuple(table.values()) for table in tables), bold)
        checks = (
            (one["table"], one["title"], _passed(one["passed"]), one["detail"]) for one in content.checks
        )
        _sheet(book, "Checks", ("table", "check", "result", "detail"), (24, 60, 14, 80), checks, bold)
        number, left = 1, most
        sheet = _begun(book, "Differences", COLUMNS, WIDTHS, bold)
        row = 0
        for one in content.differences:
            row += 1
            if row >= left:
                number, row = number + 1, 1
                sheet = _begun(book, f"Differences {number}", COLUMNS, WIDTHS, bold)
            _put(sheet, row, values_of(one))


def _sheet(
    book: Any,
    name: str,
    heads: Sequence[str],
    widths: Sequence[int],
    rows: Iterable[Sequence[Any]],
    bold: Any,
) -> None:
    sheet = _begun(book, name, heads, widths, bold)
    for number, row in enumerate(rows, start=1):
        _put(sheet, number, row)


def _begun(book: Any, name: str, heads: Sequence[str], widths: Sequence[int], bold: Any) -> Worksheet:
    sheet: Worksheet = book.add_worksheet(name)
    for column, width in enumerate(widths):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(1, 0)
    for column, text in enumerate(heads):
        sheet.write_string(0, column, text, bold)
    return sheet


def _put(sheet: Worksheet, row: int, values: Sequence[Any]) -> None:
    """Numbers as numbers, NULL as an empty cell, all else as text."""
    for column, value in enumerate(values):
        if isinstance(value, int) and not isinstance(value, bool):
            sheet.write_number(row, column, value)
        elif value is not None:
            sheet.write_string(row, column, _fitting(str(value)))


def _fitting(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    note = f"… ({len(text):,} characters; whole in the CSV and JSON files)"
    return text[: LONGEST - len(note)] + note


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text}" for name, text in value.items()) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _passed(value: bool | None) -> str:
    return {True: "passed", False: "failed", None: "not checked"}[value]
