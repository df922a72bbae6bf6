"""The verifications of a mapping in an environment, one after the other, and what drifted since the last green one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from jobs.models import Report
from mappings.models import Environment, Mapping

MOST = 100

# The counts are summed where they lie: reports are large, for they hold samples of each table.
LATEST = """
SELECT r.id, r.run_id, r.created, r.passed, r.seconds, s.missing, s.different, s.extra, s.source_rows
  FROM jobs_report AS r JOIN jobs_run AS u ON u.id = r.run_id,
       LATERAL (SELECT coalesce(sum((t ->> 'missing')::bigint), 0)::bigint AS missing,
                       coalesce(sum((t ->> 'different')::bigint), 0)::bigint AS different,
                       coalesce(sum((t ->> 'extra')::bigint), 0)::bigint AS extra,
                       coalesce(sum((t ->> 'source_rows')::bigint), 0)::bigint AS source_rows
                  FROM jsonb_array_elements(r.tables) AS t) AS s
 WHERE u.mapping_id = %s AND u.environment_id = %s
 ORDER BY r.id DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """One report, its counts summed over all tables."""

    report: int
    run: int
    created: datetime
    passed: bool
    seconds: float
    missing: int
    different: int
    extra: int
    source_rows: int

    @property
    def wrong(self) -> int:
        """How many rows are not as they should be."""
        return self.missing + self.different + self.extra


@dataclass(frozen=True, slots=True)
class TableDrift:
    """What the last verification found of one table, and how it grew since the last green one."""

    name: str
    missing: int
    different: int
    extra: int
    source_more: int
    target_more: int


@dataclass(frozen=True, slots=True)
class Drift:
    """From the last green verification to the last one; no tables where nothing is wrong and nothing grew."""

    green: Verification | None
    last: Verification
    tables: tuple[TableDrift, ...]


def verifications_of(
    mapping: Mapping, environment: Environment, most: int = MOST
) -> tuple[Verification, ...]:
    """The last ones of all runs of the pair, newest first, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(LATEST, [mapping.pk, environment.pk, most])
        return tuple(Verification(*row) for row in cursor.fetchall())


def drift_of(verifications: Sequence[Verification]) -> Drift | None:
    """None before the first verification. The green one is the last before the newest, which may be green itself."""
    if not verifications:
        return None
    last = verifications[0]
    green = next((one for one in verifications[1:] if one.passed), None)
    wanted = [one.report for one in (last, green) if one]
    by_report = dict(Report.objects.filter(pk__in=wanted).values_list("pk", "tables"))
    before = {table["name"]: table for table in by_report.get(green.report, ())} if green else {}
    tables = [_table(table, before.get(table["name"])) for table in by_report.get(last.report, ())]
    moved = [
        one
        for one in tables
        if any((one.missing, one.different, one.extra, one.source_more, one.target_more))
    ]
    moved.sort(key=lambda one: -(one.missing + one.different + one.extra))
    return Drift(green, last, tuple(moved))


def _table(now: dict[str, object], before: dict[str, object] | None) -> TableDrift:
    def more(name: str) -> int:
        return _count(now, name) - _count(before, name) if before is not None else 0

    return TableDrift(
        str(now["name"]), _count(now, "missing"), _count(now, "different"), _count(now, "extra"),
        more("source_rows"), more("target_after"),
    )  # fmt: skip


def _count(table: dict[str, object], name: str) -> int:
    return int(str(table.get(name) or 0))
