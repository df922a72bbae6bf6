"""A report as CSV, its differences alone, and as JSON, all of it; both in pieces, however many differences there are.

CSV is written as PostgreSQL's COPY does: a NULL is nothing at all, an empty text two quotes. A text that a
spreadsheet would take for a formula gets an apostrophe before it; JSON has every value as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict

from jobs.reporting.files.content import COLUMNS, Content, values_of
from jobs.reporting.summary import summary

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What formulas begin with, in one spreadsheet or another."""

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
QUOTED = re.compile(r"""[",\r\n]|^$|^\s|\s$""")
TOGETHER = 500
"""So many lines are sent at once."""


def csv_pieces(content: Content) -> Iterator[str]:
    """A line of names, then a line for each difference; lines end as RFC 4180 wants."""
    lines = [_csv_line(COLUMNS)]
    for one in content.differences:
        lines.append(_csv_line(values_of(one)))
        if len(lines) >= TOGETHER:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _csv_line(values: tuple[str | None, ...]) -> str:
    return ",".join(_csv_field(value) for value in values) + "\r\n"


def _csv_field(value: str | None) -> str:
    if value is None:
        return ""
    text = harmless(value)
    return '"{}"'.format(text.replace('"', '""')) if QUOTED.search(text) else text


def harmless(value: str) -> str:
    """The text so that no spreadsheet takes it for a formula; numbers are none."""
    return f"'{value}" if value.startswith(FORMULA) and not NUMBER.fullmatch(value) else value


def json_pieces(content: Content) -> Iterator[str]:
    """One object: what `run status --format json` says, of what the report is, its checks, and all differences."""
    whole = {
        **summary(content.run),
        "report": content.head,
        "counts": content.tables,
        "checks": content.checks,
    }
    yield json.dumps(whole, ensure_ascii=False)[:-1] + ', "differences": ['
    before, held = "\n", []
    for one in content.differences:
        values = {**asdict(one), "reason": one.reason}
        held.append(before + json.dumps(values, ensure_ascii=False))
        before = ",\n"
        if len(held) >= TOGETHER:
            yield "".join(held)
            held.clear()
    yield "".join(held) + "\n]}\n"
