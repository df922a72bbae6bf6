"""The evidence of a run as one JSON object, signed: of what, by whom, when, the counts, and digests of each table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from jobs import clock
from jobs.engine.feed import Work
from jobs.engine.moving import bad_rows
from jobs.engine.sql import digest
from jobs.engine.sql.walks.chunk_range import Range
from jobs.models import COUNTS, Report, Run
from jobs.reporting.evidence import signing
from jobs.reporting.hashes import canonical_text, plan_sha256, report_sha256
from mappings.connections import sessions, unreachable
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem, Refused
from mappings.sql import Sql, encoded

FORMAT = "migrator evidence 1"
NO_DIGEST = (
    "the rows of this table, or the rows that they refer to, carry no source key of their own, so that source and"
    " target cannot say the same of them by themselves: only the counts are evidence"
)


def evidence(run: Run, by: str, statement_timeout_ms: int = 0) -> dict[str, Any]:
    """The signed evidence of a run's last verification, digests as the databases are now. by: who asks for it.

    Refused where nothing was verified, or a database does not answer, or not in time.
    """
    report = run.reports.first()
    if report is None:
        raise Refused(
            [Problem("", f"run {run.pk} was not verified yet, so there is nothing to give evidence of")]
        )
    with both_sides(run.environment.source_url, run.environment.target_url, statement_timeout_ms) as sides:
        document = {**_head(run, report, by), **_servers(run, sides), "tables": _tables(run, report, sides)}
    document["public_key"] = signing.public_key()
    document["signature"] = {"algorithm": signing.ALGORITHM, "value": signing.sign(canonical_text(document))}
    return document


def as_text(document: dict[str, Any]) -> str:
    """As it is written to a file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


Sides = dict[str, psycopg.Connection[Any]]


@contextmanager
def both_sides(source_url: str, target_url: str, statement_timeout_ms: int = 0) -> Iterator[Sides]:
    """Both databases, for reading alone. Refused with what a database says."""
    arguments = {"purpose": "evidence", "read_only": True, "statement_timeout_ms": statement_timeout_ms}
    try:
        with (
            sessions.connect(source_url, **arguments) as source,  # type: ignore[arg-type]
            sessions.connect(target_url, **arguments) as target,  # type: ignore[arg-type]
        ):
            yield {"source": source, "target": target}
    except (unreachable.DatabaseUnreachable, psycopg.Error) as error:
        raise Refused([Problem("", str(error).splitlines()[0])]) from error


def rows_and_digest(conn: psycopg.Connection[Any], statement: Sql) -> tuple[int, str]:
    """What such a statement says now. A single statement: anything beyond it is refused by the protocol."""
    with conn.transaction():
        row = conn.execute(encoded(statement), prepare=True).fetchone()
    assert row is not None
    return int(row[0]), str(row[1])


def _head(run: Run, report: Report, by: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made": clock.now().isoformat(),
        "made_by": by,
        "run": {
            "number": run.pk,
            "uid": str(run.uid),
            "status": run.status,
            "started_by": str(run.started_by or "the command line"),
            "created": run.created.isoformat(),
            "started": run.started.isoformat() if run.started else None,
            "finished": run.finished.isoformat() if run.finished else None,
            "prepare_seconds": round(run.prepare_seconds, 3),
            "copy_seconds": round(run.copy_seconds, 3),
            "verify_seconds": round(run.verify_seconds, 3),
        },
        "mapping": run.mapping.name,
        "revision": {"number": run.revision.number, "sha256": run.revision.sha256},
        "plan": {"sha256": plan_sha256(run)},
        "report": {
            "sha256": report_sha256(report),
            "created": report.created.isoformat(),
            "passed": report.passed,
            "seconds": round(report.seconds, 3),
        },
        "environment": run.environment.name,
    }


def _servers(run: Run, sides: Sides) -> dict[str, Any]:
    return {
        side: {
            "address": run.environment.label("source" if side == "source" else "target"),
            "identity": sessions.identity(conn),
            "version": conn.info.server_version,
        }
        for side, conn in sides.items()
    }


def _tables(run: Run, report: Report, sides: Sides) -> list[dict[str, Any]]:
    plan = Plan.from_json(run.plan)
    planned = {table.name: table for table in plan.tables}
    return [
        {
            "name": table["name"],
            "source": planned[table["name"]].source,
            "target": planned[table["name"]].target,
            **{count: table.get(count) or 0 for count in COUNTS},
            "checks": [[check["title"], check["passed"]] for check in table.get("checks") or []],
            **_digests(run, plan, planned[table["name"]], sides),
        }
        for table in report.tables
        if table.get("name") in planned
    ]


def _digests(run: Run, plan: Plan, table: TablePlan, sides: Sides) -> dict[str, Any]:
    """The statements as well, so that who checks needs neither the plan nor this program."""
    if not digest.provable(plan, table):
        return {"digests": None, "why_no_digests": NO_DIGEST}
    work = Work(plan, table, run.pk, False, True, sides["source"], sides["target"])
    whole = Range(without=bad_rows.keys(work))
    statements = {
        "source": digest.proof(digest.source_images(table, whole)),
        "target": digest.proof(digest.target_images(plan, table, Range())),
    }
    return {"digests": {side: _digested(sides[side], sql) for side, sql in statements.items()}}


def _digested(conn: psycopg.Connection[Any], statement: Sql) -> dict[str, Any]:
    rows, result = rows_and_digest(conn, statement)
    return {"rows": rows, "digest": result, "sql": statement}
