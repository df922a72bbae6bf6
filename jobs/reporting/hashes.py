"""What identifies a plan and a report, so that paper, files and pages can be told to speak of the same thing.

Both are the hex sha256 of a canonical JSON text in UTF-8: keys sorted, no blanks, no escapes but JSON's own.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any
from uuid import UUID

from jobs.models import Report, Run


def canonical_text(value: Any) -> str:
    """The one spelling of a value as JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """The hex sha256 of its one spelling."""
    return hashlib.sha256(canonical_text(value).encode()).hexdigest()


def plan_sha256(run: Run) -> str:
    """Of the plan that the run executes, as it was frozen with it."""
    return _plan_sha256(run.uid)


@lru_cache(maxsize=64)
def _plan_sha256(uid: UUID) -> str:
    """Plans may be large, and never change."""
    return digest_of(Run.objects.values_list("plan", flat=True).get(uid=uid))


def report_sha256(report: Report) -> str:
    """Of everything that the report says, and of the run that it says it of."""
    return digest_of(report_values(report))


def report_values(report: Report) -> dict[str, Any]:
    """What the hash of a report is taken of."""
    return {
        "run": str(report.run.uid),
        "created": report.created.isoformat(),
        "passed": report.passed,
        "seconds": report.seconds,
        "tables": report.tables,
    }
