"""A rehearsal of a mapping in an environment: the whole plan, rolled back, and what it found, kept as a record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import psycopg

from jobs import clock
from jobs.actions import refusals, reviews, runs, start
from jobs.engine.rehearsal import rehearse as rehearsing
from jobs.engine.schema.apply import Sides
from jobs.history.record import DONE, FAILED, About, record
from jobs.models import Rehearsal
from jobs.transitions import User
from mappings.connections import sessions, unreachable
from mappings.models import Environment, Mapping
from mappings.plan.model import Plan
from mappings.problems import Problem, Refused

SAMPLE_ROWS = 1_000
PAGE_SECONDS = 40.0
"""How long a rehearsal may take that a browser waits for."""

LOCK = 0x6D69_6773
"""Advisory lock, so that one rehearsal at a time is in a target."""

STATEMENT_TIMEOUT_MS = 30_000


@refusals.kept("rehearse")
def rehearse(
    mapping: Mapping,
    environment: Environment,
    actor: User,
    tables: Sequence[str] | None = None,
    rows: int | None = None,
    seconds: float | None = None,
) -> Rehearsal:
    """Rehearses and keeps the report. rows: of each table, None for all; seconds: after which it breaks off.

    Raises AlreadyActive or Refused, with the blockers, before anything is touched.
    """
    start.refuse_if_active(mapping, environment)
    kept = reviews.latest(mapping, environment, tables or ())
    usable = kept is not None and kept.plan is not None
    plan = reviews.usable_plan(kept) if kept and usable else runs.review(mapping, environment, tables)
    if plan.blockers:
        raise Refused(plan.blockers)
    until = time.monotonic() + seconds if seconds else None
    with _opened(environment, plan, timed=until is not None) as sides:
        result = rehearsing.rehearse(
            sides, plan, rows, lambda: until is not None and time.monotonic() > until
        )
    revision = mapping.revisions.get(sha256=plan.sha256, number=plan.revision)
    _remember(mapping, environment, actor, plan, is_clean(asdict(result)))
    return Rehearsal.objects.create(
        created=clock.now(),
        mapping=mapping,
        revision=revision,
        environment=environment,
        actor=actor,
        report=asdict(result),
    )


def _remember(mapping: Mapping, environment: Environment, actor: User, plan: Plan, clean: bool) -> None:
    about = About(mapping.name, plan.revision, plan.sha256, environment.name)
    text = "Nothing stands against a run." if clean else "Something was found: see the rehearsal's report."
    record("run", "rehearsed", text, about, DONE if clean else FAILED, actor)


@contextmanager
def _opened(environment: Environment, plan: Plan, timed: bool) -> Iterator[Sides]:
    """Both databases, each in a transaction that is rolled back whatever happens."""
    writes_back = any(table.link.backref for table in plan.tables)
    timeout = STATEMENT_TIMEOUT_MS if timed else None
    with (
        _connected("target", environment.target_url, False, timeout) as target,
        _connected("source", environment.source_url, not writes_back, timeout) as source,
        target.transaction(force_rollback=True),
        source.transaction(force_rollback=True),
    ):
        row = target.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchone()
        if not (row and row[0]):
            raise Refused([Problem("target", "another rehearsal is under way in this database")])
        yield Sides(target if plan.same_database else source, target)


@contextmanager
def _connected(
    side: str, url: str, read_only: bool, timeout: int | None
) -> Iterator[psycopg.Connection[Any]]:
    try:
        conn = sessions.connect(url, purpose="rehearsal", read_only=read_only, statement_timeout_ms=timeout)
    except unreachable.DatabaseUnreachable as error:
        raise Refused([Problem(side, str(error))]) from error
    try:
        yield conn
    finally:
        conn.close()


def is_clean(report: dict[str, Any]) -> bool:
    """Whether a run of that plan would end verified, as far as the rehearsal went, and leave nothing behind."""
    return not any((
        report["stopped"], report["failed"], report["again"], report["back"],
        *(table["missing"] or table["different"] for table in report["tables"]),
    ))  # fmt: skip


def summary(rehearsal: Rehearsal) -> dict[str, Any]:
    """The report as one JSON object, with its sums."""
    report, tables = rehearsal.report, rehearsal.report["tables"]
    rows, copied = (sum(table[name] for table in tables) for name in ("rows", "copy_seconds"))
    return {
        "rehearsal": rehearsal.pk,
        "mapping": rehearsal.mapping.name,
        "env": rehearsal.environment.name,
        "sha256": rehearsal.revision.sha256,
        "clean": is_clean(report),
        **report,
        "rows_per_second": round(rows / copied) if copied else 0,
        "expected_seconds": round(
            sum(step["seconds"] for step in report["steps"])
            + sum(table["expected_seconds"] for table in tables),
            1,
        ),
        "expected_growth": sum(table["expected_growth"] for table in tables),
    }


def lines(result: dict[str, Any]) -> Iterator[str]:
    """The summary for a terminal."""
    how = "all rows" if result["rows"] is None else f"{result['rows']} rows of each table, with their parents"
    yield f"Rehearsal of {result['mapping']} in {result['env']}: {how}; everything was rolled back."
    if result["stopped"]:
        yield f"It broke off: {result['stopped']}"
    for step in result["steps"]:
        yield f"  {step['title']}: {step['seconds']:.2f} s"
    yield f"  A second application {_changes(result['again'])}."
    yield f"  The undo {_leaves(result['back'])}."
    for table in result["tables"]:
        yield (
            f"  {table['name']}: {table['rows']} of {table['in_scope']} rows: {table['inserted']} inserted,"
            f" {table['updated']} updated, {table['kept']} kept, {table['failed']} fail, {table['different']} differ,"
            f" {table['missing']} missing"
        )
    yield (
        f"  {result['rows_per_second']} rows/s; a run is expected to take {result['expected_seconds']} s"
        f" and to add {result['expected_growth']:,} bytes."
    )
    if result["advanced"]:
        yield f"  Sequences advanced, which no rollback takes back: {', '.join(result['advanced'])}."
    if result["failed"]:
        yield f"  {result['failed']} rows would fail; the first:"
    for row in result["failures"]:
        where = f", column {row['column']}" if row["column"] else ""
        yield f"    {row['table']} {row['key']}{where}: {row['message']} (SQLSTATE {row['sqlstate']})"


def _changes(differences: list[str]) -> str:
    return f"changes {', '.join(differences)}" if differences else "changes nothing"


def _leaves(differences: list[str] | None) -> str:
    if differences is None:
        return "was not rehearsed: it would take too long"
    return f"leaves {', '.join(differences)}" if differences else "leaves the schema as it was"
