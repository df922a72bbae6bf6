"""What the report page shows: one verification of a run, its counts summed, and the other verifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.models import Report, Run
from jobs.reporting.summary import COUNTS


@dataclass(frozen=True, slots=True)
class Evidence:
    """report: the one that is shown, None before the first; all: newest first, without their tables."""

    report: Report | None
    totals: dict[str, int]
    all: tuple[Report, ...]


def evidence_of(run: Run, asked: str = "") -> Evidence:
    """The verification whose id is asked for, else the last one."""
    reports = tuple(run.reports.defer("tables"))
    wanted = next((report for report in reports if str(report.pk) == asked), next(iter(reports), None))
    return Evidence(wanted, totals_of(wanted.tables) if wanted else {}, reports)


def totals_of(tables: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """The counts of all tables, summed; absent ones count as zero."""
    tables = list(tables)
    return {name: sum(int(str(table.get(name) or 0)) for table in tables) for name in COUNTS}
