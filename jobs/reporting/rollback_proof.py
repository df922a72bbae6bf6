"""Whether a rollback brought a target back: each table held against its fingerprint from when the run began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from jobs import states
from jobs.engine.target.fingerprints import Definitions, Digested, Writers
from jobs.engine.target.fingerprints import Fingerprint as Taken
from jobs.models import Fingerprint, Run
from mappings.plan.codec import from_plain

State = Literal["equal", "differs", "unseen"]

NO_FINGERPRINT = "no fingerprint was taken when the run began, so nothing was compared"
WORDS = {"equal": "equal", "differs": "differs", "unseen": "not compared"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found, and in words what that means."""

    state: State
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftRows:
    """Of one table mapping: how many rows were left, how many of them edited, and (source key, target key, why) of
    some; the target lists all (migrator.left_row)."""

    table: str
    rows: int
    edited: int
    named: tuple[tuple[str, str | None, str], ...]

    @property
    def text(self) -> str:
        held = self.rows - self.edited
        keys = ", ".join(key for key, *_ in self.named[:5])
        more = f", with {held:,} to which they point" if held else ""
        return (
            f"{self.edited:,} edited {_row(self.edited)} of {self.table} were left{more}: source rows {keys}"
        )


@dataclass(frozen=True, slots=True)
class TableProof:
    """One target table. before, after: how many rows, None where they were not counted; sequences: in words; left:
    rows of the run that were edited since and were left, and those to which they point."""

    target: str
    tables: tuple[str, ...]
    before: int | None
    after: int | None
    rows: Verdict
    schema: Verdict
    sequences: tuple[str, ...]
    left: tuple[LeftRows, ...] = ()


@dataclass(frozen=True, slots=True)
class RollbackProof:
    """The rollback of a run. state: equal only where everything of every table was looked at and is equal.

    of_run: the run before which the target is held to be again; kept: why its schema steps were not undone.
    """

    run: int
    state: State
    taken: datetime | None
    compared: datetime | None
    of_run: int
    kept: str
    tables: tuple[TableProof, ...]

    @property
    def word(self) -> str:
        return WORDS[self.state]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        times = {
            name: time.isoformat() if (time := getattr(self, name)) else None
            for name in ("taken", "compared")
        }
        return {**asdict(self), **times}


def proof_of(run: Run) -> RollbackProof | None:
    """The proof of a run's rollback; None while it is not rolled back."""
    if run.status != states.ROLLED_BACK:
        return None
    prints = list(run.fingerprints.all())
    numbers = {row.of_run or run.pk for row in prints} - {run.pk}
    first = {row.target: row for row in Fingerprint.objects.filter(run__in=numbers)}
    tables = tuple(_of_table(run, row, first.get(row.target, row)) for row in prints)
    taken = min((first.get(row.target, row).taken for row in prints), default=None)
    compared = max((row.compared for row in prints if row.compared), default=None)
    kept = " ".join(dict.fromkeys(row.schema_kept for row in prints if row.schema_kept))
    of_run = min(numbers, default=run.pk)
    return RollbackProof(run.pk, _together(tables), taken, compared, of_run, kept, tables)


def lines(proof: RollbackProof) -> Iterator[str]:
    """The proof for a terminal."""
    if not proof.tables:
        yield f"rollback {WORDS['unseen']}: {NO_FINGERPRINT}"
        return
    yield f"rollback {proof.word}: the target held against its fingerprint from before run {proof.of_run}"
    for table in proof.tables:
        for what, verdict in (("rows", table.rows), ("schema", table.schema)):
            yield f"{table.target}, {what}: {WORDS[verdict.state]}{_joined(verdict.texts)}"
        yield from (f"{table.target}: {left.text}" for left in table.left)
        yield from (f"{table.target}, sequence {text}" for text in table.sequences)


def _joined(texts: tuple[str, ...]) -> str:
    return f" ({'; '.join(texts)})" if texts else ""


def _together(tables: tuple[TableProof, ...]) -> State:
    found = {verdict.state for table in tables for verdict in (table.rows, table.schema)}
    return "differs" if "differs" in found else "equal" if found == {"equal"} else "unseen"


def _of_table(run: Run, row: Fingerprint, first: Fingerprint) -> TableProof:
    was = from_plain(Taken, first.before)
    now = from_plain(Definitions, row.schema_after) if row.schema_after else None
    found = from_plain(Digested, row.rows_after) if row.rows_after else None
    wrote = from_plain(Writers, row.writers) if row.writers else Writers()
    left = tuple(_left(run, row))
    return TableProof(
        row.target,
        tuple(row.tables),
        was.digested.rows,
        found.rows if found else None,
        _rows(was.digested, found, wrote, _by_hand(run, row), sum(one.rows for one in left)),
        _schema(row, was.definitions, now),
        tuple(_sequences(was.definitions, now)),
        left,
    )


def _left(run: Run, row: Fingerprint) -> Iterator[LeftRows]:
    for table in run.tables.filter(name__in=row.tables).exclude(left={}):
        named = tuple((key, target, why) for key, target, why in table.left["named"])
        yield LeftRows(table.name, table.left["rows"], table.left["edited"], named)


def _by_hand(run: Run, row: Fingerprint) -> int:
    return sum(run.tables.filter(name__in=row.tables).values_list("by_hand", flat=True))


def _rows(was: Digested, now: Digested | None, wrote: Writers, by_hand: int, left: int) -> Verdict:
    """Whether the rows are as they were; and if not, what is known of why."""
    if now is None:
        return Verdict("unseen", ("its rows were not looked at after the rollback",))
    if by_hand:
        return Verdict(
            "unseen", (f"exported scripts had brought {by_hand:,} of its rows before the run began",)
        )
    counted = was.rows is not None and now.rows is not None
    if (counted and now.rows != was.rows) or (was.digest and now.digest and now.digest != was.digest):
        return Verdict("differs", tuple(_why(was, now, wrote, left)))
    if not (was.digest and now.digest):
        why = now.why_not or was.why_not
        return Verdict("unseen", (why, f"{now.rows:,} rows, as many as then") if counted else (why,))
    return Verdict("equal")


def _why(was: Digested, now: Digested, wrote: Writers, left: int) -> Iterator[str]:
    more = (now.rows or 0) - (was.rows or 0)
    if more:
        yield f"{abs(more):,} {_row(more)} {'more' if more > 0 else 'fewer'} than then"
    if left:
        yield f"{left:,} {_row(left)} of the run {_was(left)} left, as listed"
    if wrote.others:
        yield f"{wrote.others:,} {_row(wrote.others)} that no run wrote {_was(wrote.others)} added or changed since"
    if wrote.ours:
        yield f"{wrote.ours:,} {_row(wrote.ours)} {_was(wrote.ours)} written by other runs since"
    if wrote.others is None:
        yield "nothing tells any more who wrote its rows"
    elif not (wrote.others or wrote.ours or left):
        yield "no row of it was written since, so rows were deleted"


def _row(count: int) -> str:
    return "row" if abs(count) == 1 else "rows"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _schema(row: Fingerprint, was: Definitions, now: Definitions | None) -> Verdict:
    if now is None:
        return Verdict("unseen", ("its definition was not looked at after the rollback",))
    former, present = Counter(was.facts), Counter(now.facts)
    if former == present:
        return Verdict("equal")
    told = [row.schema_kept.rstrip(".")] if row.schema_kept else []
    gone = {(fact.kind, fact.name): fact.definition for fact in former - present}
    new = {(fact.kind, fact.name): fact.definition for fact in present - former}
    told += [
        f"{kind} {name}: was {gone.get((kind, name)) or 'not there'}, is {new.get((kind, name)) or 'not there'}"
        for kind, name in sorted({**gone, **new})
    ]
    return Verdict("differs", tuple(told))


def _sequences(was: Definitions, now: Definitions | None) -> Iterator[str]:
    """A sequence is never set back: a number that was handed out may be in somebody's hands."""
    former = {sequence.name: sequence.last for sequence in was.sequences}
    for sequence in now.sequences if now else ():
        before, after = former.get(sequence.name), sequence.last
        if before != after:
            yield (
                f"{sequence.name} stands at {_number(after)}, stood at {_number(before)}: it is not set back, because"
                " numbers that were handed out may be known elsewhere"
            )


def _number(last: int | None) -> str:
    return "no number yet" if last is None else f"{last:,}"
