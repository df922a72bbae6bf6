"""What the report page shows: one verification of a run, its counts summed, and the other verifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.models import COUNTS, Report, Run
from jobs.reporting.differences import is_kept
from jobs.reporting.hashes import plan_sha256, report_sha256
from jobs.reporting.summary import failed_checks


@dataclass(frozen=True, slots=True)
class Evidence:
    """report: the one that is shown, None before the first; all: newest first, without their tables.

    failed: the checks that it found broken; kept: whether the target lists all that it found different.
    """

    report: Report | None
    totals: dict[str, int]
    all: tuple[Report, ...]
    failed: tuple[dict[str, str], ...]
    kept: bool = False

    @property
    def identical(self) -> bool:
        """Whether it compared binary forms instead of what types call equal."""
        tables = self.report.tables if self.report else []
        return bool(tables) and all(table.get("equality") == "identical" for table in tables)


def evidence_of(run: Run, asked: str = "") -> Evidence:
    """The verification whose id is asked for, else the last one."""
    reports = tuple(run.reports.defer("tables"))
    wanted = next((report for report in reports if str(report.pk) == asked), next(iter(reports), None))
    totals = totals_of(wanted.tables) if wanted else {}
    differing = wanted and any(table.get("recorded") for table in wanted.tables)
    kept = bool(wanted and differing and is_kept(run, wanted))
    return Evidence(wanted, totals, reports, tuple(failed_checks(wanted)), kept)


def totals_of(tables: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """The counts of all tables, summed; absent ones count as zero."""
    tables = list(tables)
    totals = {name: sum(int(str(table.get(name) or 0)) for table in tables) for name in COUNTS}
    return {**totals, "compared": totals["source_rows"] - totals["quarantined"]}


@dataclass(frozen=True, slots=True)
class Printed:
    """By what a page on paper is told to be of this plan, and of this report if it shows one."""

    plan_sha256: str
    report_sha256: str = ""


def printed_of(run: Run, report: Report | None = None) -> Printed:
    """For the head of a page on paper."""
    return Printed(plan_sha256(run), report_sha256(report) if report else "")
