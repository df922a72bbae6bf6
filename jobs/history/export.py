"""The history as CSV or JSON, a row at a time, however long it is."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from jobs.history.chain import HASHED, moment
from jobs.models import HistoryEntry

COLUMNS = (*HASHED, "hash")
FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
AT_ONCE = 2_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins so is a formula for a spreadsheet; somebody may have typed it to be one."""


def rows(result: QuerySet[HistoryEntry]) -> Iterator[dict[str, Any]]:
    """Each entry as plain values, from which its hash can be made again."""
    for values in result.values(*COLUMNS).iterator(AT_ONCE):
        yield {**values, "at": moment(values["at"])}


def written(result: QuerySet[HistoryEntry], form: str) -> Iterator[str]:
    """The entries in one of FORMATS, in pieces."""
    return _csv(result) if form == "csv" else _json(result)


class _Line:
    """What csv writes to: hands each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(result: QuerySet[HistoryEntry]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for row in rows(result):
        yield writer.writerow([_cell(row[name]) for name in COLUMNS])


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _json(result: QuerySet[HistoryEntry]) -> Iterator[str]:
    before = "[\n"
    for row in rows(result):
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"
