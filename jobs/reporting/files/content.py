"""What a report's file holds: the counts and checks of its tables, and its differences as a stream from the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from jobs.models import COUNTS, Report, Run
from jobs.reporting import differences
from jobs.reporting.differences import Difference, Filters
from jobs.reporting.hashes import plan_sha256, report_sha256
from mappings.problems import Problem, Refused

STREAM_MS = 600_000
"""For how long the target may look for the next differences of a stream."""

COLUMNS = ("table", "kind", "source_key", "target_key", "column", "expected", "found", "why")


@dataclass(frozen=True, slots=True)
class Content:
    """A report and its differences; the latter can be read once. filters: which of them."""

    run: Run
    report: Report
    filters: Filters
    differences: Iterator[Difference]

    @property
    def head(self) -> dict[str, Any]:
        """Of what the file is, in the order in which it is read."""
        run, report = self.run, self.report
        return {
            "run": run.pk,
            "run_uid": str(run.uid),
            "status": run.status,
            "mapping": run.mapping.name,
            "revision": run.revision.number,
            "revision_sha256": run.revision.sha256,
            "plan_sha256": plan_sha256(run),
            "report_sha256": report_sha256(report),
            "environment": run.environment.name,
            "source": run.environment.label("source"),
            "target": run.environment.label("target"),
            "source_server": run.plan_source or "",
            "target_server": run.plan_target or "",
            "started_by": str(run.started_by or "the command line"),
            "verified": report.created.isoformat(),
            "passed": report.passed,
            "filters": self.filters.given(),
        }

    @property
    def tables(self) -> list[dict[str, Any]]:
        """Name, counts, and how many differences were found and kept, of each table."""
        more = ("differences", "recorded")
        return [
            {"name": table.get("name", ""), **{count: table.get(count) or 0 for count in (*COUNTS, *more)}}
            for table in self.report.tables
        ]

    @property
    def checks(self) -> list[dict[str, Any]]:
        """What was checked of each table; passed: None where it was not."""
        return [
            {
                "table": table.get("name", ""),
                **{name: check.get(name) for name in ("title", "passed", "detail")},
            }
            for table in self.report.tables
            for check in table.get("checks") or []
        ]


class _Stream:
    """The differences of a report, with the session that they come from: closed at the end, or with the stream."""

    def __init__(self, run: Run, report: Report, filters: Filters, sort: str) -> None:
        self._stack = ExitStack()
        store = self._stack.enter_context(differences.opened(run, report, STREAM_MS))
        self._rows = store.stream(filters, sort)

    def __iter__(self) -> Iterator[Difference]:
        return self

    def __next__(self) -> Difference:
        try:
            return next(self._rows)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()


def content_of(run: Run, filters: Filters, asked: str = "", sort: str = "key") -> Content:
    """The report whose id is asked for, else the last one. Refused where there is none, or its differences are gone."""
    reports = list(run.reports.all()) if asked else [run.reports.first()]
    report = next((one for one in reports if one and asked in ("", str(one.pk))), None)
    if report is None:
        raise Refused(
            [Problem("", f"run {run.pk} has no such report; it is written when all rows are compared")]
        )
    none: Iterator[Difference] = iter(())
    return Content(run, report, filters, none if is_clean(report) else _Stream(run, report, filters, sort))


def is_clean(report: Report) -> bool:
    """Whether it found nothing that could be listed."""
    return not any(
        table.get(count)
        for table in report.tables
        for count in ("differences", "missing", "extra", "different")
    )


def values_of(one: Difference) -> tuple[str | None, ...]:
    """A difference in the order of COLUMNS."""
    return (
        one.table,
        one.kind,
        one.source_key,
        one.target_key,
        one.column,
        one.expected,
        one.found,
        one.reason,
    )
