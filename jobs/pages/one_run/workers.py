"""What each worker does for a run now: which chunk of which table it holds, or that it prepares, or ends a phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jobs import phases, states
from jobs.models import Chunk, Run

LEADING = {
    "prepare": "prepares the target",
    "copy": "looks after what follows the chunks: links, sequences, the next phase",
    "verify": "counts the tables and writes the report",
    "undo": "takes the schema back",
}
"""What the one worker does that holds a run's lease and no chunk."""


class Claim(NamedTuple):
    """A chunk that a worker holds. size: keys that it was cut for, 0 if not counted."""

    worker: str
    table: str
    phase: str
    number: int
    low: Sequence[str] | None
    high: Sequence[str] | None
    pages: Mapping[str, int] | None
    size: int
    attempts: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """One worker. doing: in words; where: the range of keys that it has in hand, '' if none."""

    worker: str
    doing: str
    table: str = ""
    where: str = ""
    size: int = 0
    attempt: int = 1


def at_work(run: Run) -> tuple[AtWork, ...]:
    """Each worker that is busy with the run, by name. One query."""
    return told(run, claims_of(run) if run.status in states.RINGING else ())


def claims_of(run: Run) -> Iterable[Claim]:
    """The chunks of the run that workers hold."""
    held = Chunk.objects.filter(table__run=run, state="claimed").order_by()
    return map(
        Claim._make,
        held.values_list(
            "worker", "table__name", "phase", "number", "low", "high", "pages", "size", "attempts"
        ),
    )


def told(run: Run, claims: Iterable[Claim]) -> tuple[AtWork, ...]:
    """The same, of claims that were read elsewhere."""
    if run.status not in states.RINGING:
        return ()
    result = [
        AtWork(
            seat_of(one.worker), phases.DOING[one.phase], one.table,
            f"chunk {one.number}, {place(one.low, one.high, one.pages)}", one.size, max(1, one.attempts),
        )
        for one in claims
    ]  # fmt: skip
    holding = {one.worker for one in result}
    if run.lease_owner and seat_of(run.lease_owner) not in holding:
        result.append(AtWork(seat_of(run.lease_owner), LEADING[run.stage]))
    return tuple(sorted(result, key=lambda one: (one.worker, one.table)))


def seat_of(token: str) -> str:
    """The name of a worker without what tells its sessions apart."""
    name, joint, session = token.rpartition("-")
    return name if joint and len(session) == 6 else token or "a worker"


def place(low: Sequence[str] | None, high: Sequence[str] | None, pages: Mapping[str, int] | None) -> str:
    """Where the rows of a chunk are at the source, in words."""
    if not pages:
        return key_range(low, high)
    last = pages["end"] - 1
    return f"page {last:,}" if last == pages["first"] else f"pages {pages['first']:,} to {last:,}"


def key_range(low: Sequence[str] | None, high: Sequence[str] | None) -> str:
    """A range of keys in words."""
    if not low and not high:
        return "all keys"
    if not low:
        return f"keys up to {shown_key(high)}"
    return f"keys after {shown_key(low)}" + (f" up to {shown_key(high)}" if high else " to the end")


def shown_key(key: Sequence[str] | None) -> str:
    """A key as it is read: its parts, long ones cut."""
    return ", ".join(part if len(part) <= 60 else f"{part[:57]}…" for part in key or ())
