"""A run as other programs read it: the JSON object, the exit status, and the report as text."""

from __future__ import annotations

import io
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import states
from jobs.models import COUNTS, Report, Run, TableRun
from jobs.reporting import rollback_proof
from jobs.throttles import Throttles

Wanted = Literal["start", "retry", "verify", "rollback"]

DONE, FAILED, REFUSED, DIFFERENT = 0, 1, 2, 3
"""Exit statuses: done and proved; failed, cancelled or stopped; refused, nothing changed; done, but it differs."""

MOST_SAMPLES = 5


def summary(run: Run) -> dict[str, Any]:
    """The run as one JSON object; rows_per_second: rows inserted and updated per second of copying."""
    tables, proof = list(run.tables.all()), rollback_proof.proof_of(run)
    return {
        "run": run.pk,
        "status": run.status,
        "tables": [
            {"name": table.name, **{count: getattr(table, count) for count in COUNTS}} for table in tables
        ],
        "seconds": round(run.seconds, 3),
        "prepare_seconds": round(run.prepare_seconds, 3),
        "copy_seconds": round(run.copy_seconds, 3),
        "verify_seconds": round(run.verify_seconds, 3),
        "rows_per_second": round(copy_rate(run, tables) or 0),
        "equality": equality(tables),
        "failed_checks": failed_checks(found_different(run)),
        **({"rollback": proof.to_json()} if proof else {}),
    }


def copy_rate(run: Run, tables: list[TableRun]) -> float | None:
    """Rows inserted and updated per second of copying; None before there was any."""
    copied = sum(table.inserted + table.updated for table in tables)
    return copied / run.copy_seconds if run.copy_seconds else None


def equality(tables: list[TableRun]) -> str | None:
    """What the last comparison rests on: identical (binary forms) or equal (the types' own); None before the first."""
    if not any(table.comparison for table in tables):
        return None
    return "identical" if all(table.identical for table in tables) else "equal"


def found_different(run: Run) -> Report | None:
    """The report of a run that is at a mismatch: what an earlier one found says nothing of how the run is now."""
    return run.reports.first() if run.status == states.MISMATCH else None


def failed_checks(report: Report | None) -> list[dict[str, str]]:
    """The promises that a verification found broken: of which table, which, and the figures."""
    tables = report.tables if report else []
    return [
        {"table": table.get("name", ""), "check": check["title"], "detail": check["detail"]}
        for table in tables
        for check in table.get("checks") or []
        if check["passed"] is False
    ]


def listed(run: Run) -> dict[str, Any]:
    """The run as one entry of the list of runs; times in ISO 8601, null while there are none."""
    return {
        "run": run.pk,
        "mapping": run.mapping.name,
        "env": run.environment.name,
        "status": run.status,
        "started": run.started.isoformat() if run.started else None,
        "finished": run.finished.isoformat() if run.finished else None,
    }


def exit_code(run: Run, wanted: Wanted) -> int:
    """The exit status for what was wanted of the run, once nothing happens to it any more."""
    if wanted == "rollback":
        if run.status != states.ROLLED_BACK:
            return FAILED
        return DIFFERENT if rollback_proof.is_unexplained(run) else DONE
    return {states.VERIFIED: DONE, states.MISMATCH: DIFFERENT}.get(run.status, FAILED)


def text(run: Run, width: int = 110, color: bool = False) -> str:
    """The run's report for a terminal: a heading, a table of counts, samples of what differs."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=color, color_system="standard" if color else None)
    tables = list(run.tables.all())
    console.print(_heading(run, tables))
    if tables:
        console.print(_counts(run, tables))
        if equality(tables) == "identical" and run.status in (states.VERIFIED, states.MISMATCH):
            console.print(Text("  compared as identical, by binary forms"))
    for line in _losses(run):
        console.print(Text(f"  {line}", style="yellow"))
    for line in _differences(run):
        console.print(Text(f"  {line}"))
    if proof := rollback_proof.proof_of(run):
        for line in rollback_proof.lines(proof):
            console.print(Text(f"  {line}"))
    if run.error:
        console.print(Text(run.error, style="red"))
    elif told := run.waits_because or run.long_statement:
        console.print(Text(told, style="yellow"))
    for line in _pace(run):
        console.print(Text(line))
    return out.getvalue()


def _pace(run: Run) -> list[str]:
    """How many workers have chunks at once, and what the run is throttled by."""
    lines = [run.told_concurrency] if run.told_concurrency else []
    if run.throttles and run.is_active:
        lines.append(f"throttled: {'; '.join(Throttles.from_json(run.throttles).sentences())}")
    return lines


def outcome(run: Run, quarantined: int) -> str:
    """The status in words; rows that were set aside are never hidden behind it."""
    unproved = run.status == states.ROLLED_BACK and rollback_proof.is_unexplained(run)
    return in_words(run.status, quarantined, unproved)


def in_words(status: str, quarantined: int, unproved: bool) -> str:
    """The same. unproved: whether the proof of a rollback found what nobody accounts for."""
    words = status.replace("_", " ")
    if status == states.ROLLED_BACK:
        return f"{words}, but the proof found a difference" if unproved else words
    return (
        f"{words}, {quarantined:,} {'row' if quarantined == 1 else 'rows'} quarantined"
        if quarantined
        else words
    )


def _heading(run: Run, tables: list[TableRun]) -> Text:
    quarantined = sum(table.quarantined for table in tables)
    style = {states.VERIFIED: "green", states.MISMATCH: "red", states.FAILED: "red"}.get(run.status, "yellow")
    heading = Text(f"Run {run.pk} of {run.mapping.name} in {run.environment.name}: ")
    heading.append(outcome(run, quarantined), style=f"bold {style}")
    seconds = f"prepared in {run.prepare_seconds:.1f} s, copied in {run.copy_seconds:.1f} s"
    return heading.append(f" ({run.seconds:.1f} s; {seconds}, verified in {run.verify_seconds:.1f} s)")


def _counts(run: Run, tables: list[TableRun]) -> Table:
    """A table of counts; after a rollback without what was different before it."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("table", overflow="fold")
    names = ["source_rows", "inserted", "updated", "kept", "quarantined"]
    if run.status != states.ROLLED_BACK:
        names += ["missing", "extra", "different"]
    for name in names:
        shown.add_column(name.replace("source_rows", "source"), justify="right", no_wrap=True)
    for table in tables:
        values = [getattr(table, name) for name in names]
        bad = run.status != states.ROLLED_BACK and (table.missing or table.extra or table.different)
        style = "red" if bad else "yellow" if table.quarantined else ""
        shown.add_row(Text(table.name), *(f"{value:,}" for value in values), style=style)
    return shown


def _losses(run: Run) -> list[str]:
    """What the target's types changed of the source's values, as the plan measured it, from the latest report."""
    report = run.reports.first()
    if report is None or run.status == states.ROLLED_BACK:
        return []
    return [
        f"{table.get('name', '')}.{loss['column']}: {loss['rows']:,} values {loss['told']}, for example"
        f" {', '.join(loss['examples'])}"
        for table in report.tables
        for loss in table.get("losses") or []
    ]


def _differences(run: Run) -> list[str]:
    """The promises that are broken, and a few rows that differ, of each table."""
    report = found_different(run)
    lines = [f"{one['table']}: not so: {one['check']} ({one['detail']})" for one in failed_checks(report)]
    for table in report.tables if report else []:
        for sample in (table.get("samples") or [])[:MOST_SAMPLES]:
            lines.append(f"{table.get('name', '')}: {_sample(sample)}")
    return lines


def _sample(sample: dict[str, Any]) -> str:
    """A row in words: its kind, its key, and for each column what was expected and what was found."""
    columns = "; ".join(
        f"{one['column']} should be {_value(one['expected'])}, is {_value(one['found'])}"
        for one in sample.get("columns") or []
    )
    return f"{sample['kind']} {sample['key']}{f': {columns}' if columns else ''}"


def _value(value: object) -> str:
    return "NULL" if value is None else str(value)
