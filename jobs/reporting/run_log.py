"""The log of a run: what happened to it, one line each, oldest first; read as it is sent, however long."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.models import Run, RunEvent
from jobs.reporting.hashes import plan_sha256

READ_AT_ONCE = 500


def lines_of(run: Run) -> Iterator[str]:
    """Lines with their ends: time in UTC, level, who, the move if it was one, and what happened."""
    yield f"# Run {run.pk} of {run.mapping.name} in {run.environment.name}, revision {run.revision.number}\n"
    yield f"# sha256 of the revision {run.revision.sha256}, of the plan {plan_sha256(run)}\n"
    for event in run.events.order_by("id").iterator(READ_AT_ONCE):
        yield f"{_line(event)}\n"


def _line(event: RunEvent) -> str:
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    moved = ""
    if event.to_status and event.to_status != event.from_status:
        moved = f" [{event.from_status or 'new'} -> {event.to_status}]"
    actor = f" ({event.actor})" if event.actor else ""
    return f"{at} {event.level.upper():7}{moved} {_one_line(event.text)}{actor}"


def _one_line(text: str) -> str:
    """What a database said may have lines of its own: they are indented, so that each event begins a line."""
    return "\n    ".join(text.splitlines())
