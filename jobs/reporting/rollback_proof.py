"""Whether a rollback brought a target back: each table held against its fingerprint from when the run began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from jobs import states
from jobs.engine.target import verdicts
from jobs.engine.target.fingerprints import Definitions, Digested, Writers
from jobs.engine.target.fingerprints import Fingerprint as Taken
from jobs.engine.target.verdicts import State, Verdict
from jobs.models import Fingerprint, Run
from mappings.plan.codec import from_plain

NO_FINGERPRINT = "no fingerprint was taken when the run began, so nothing was compared"
WORDS = {"equal": "equal", "differs": "differs", "unseen": "not compared"}


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
        were = "was" if self.rows == 1 else "were"
        rows = f"{self.edited:,} edited {_row(self.edited)} of {self.table} {were} left{more}"
        return f"{rows}: source {_row(len(self.named))} {keys}"


@dataclass(frozen=True, slots=True)
class TableProof:
    """One table. side: target, or source, of which only what back-references do is looked at; before, after: how many
    rows, at the source how many have a back-reference, None where they were not counted; sequences: in words; left:
    rows of the run that were edited since and were left, and those to which they point; unexplained: of what differs,
    what nobody accounts for."""

    side: str
    target: str
    tables: tuple[str, ...]
    before: int | None
    after: int | None
    rows: Verdict
    schema: Verdict
    sequences: tuple[str, ...]
    left: tuple[LeftRows, ...] = ()
    unexplained: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """As a person names it."""
        return f"{self.target} at the source" if self.side == "source" else self.target


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

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Of what differs, what neither other runs, nor others' rows, nor the operator's wish account for."""
        return tuple(f"{table.title}: {text}" for table in self.tables for text in table.unexplained)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        times = {
            name: time.isoformat() if (time := getattr(self, name)) else None
            for name in ("taken", "compared")
        }
        return {**asdict(self), "unexplained": list(self.unexplained), **times}


def proof_of(run: Run) -> RollbackProof | None:
    """The proof of a run's rollback; None while it is not rolled back."""
    if run.status != states.ROLLED_BACK:
        return None
    prints = list(run.fingerprints.all())
    numbers = {row.of_run or run.pk for row in prints} - {run.pk}
    first = {(row.side, row.target): row for row in Fingerprint.objects.filter(run__in=numbers)}
    firsts = [(row, first.get((row.side, row.target), row)) for row in prints]
    tables = tuple(_of_table(run, row, before) for row, before in firsts)
    taken = min((before.taken for _, before in firsts), default=None)
    compared = max((row.compared for row in prints if row.compared), default=None)
    kept = " ".join(dict.fromkeys(row.schema_kept for row in prints if row.schema_kept))
    of_run = min(numbers, default=run.pk)
    return RollbackProof(run.pk, _together(tables), taken, compared, of_run, kept, tables)


def is_unexplained(run: Run) -> bool:
    """Whether the proof of a run that is rolled back found what nobody accounts for."""
    return Fingerprint.objects.filter(run_id=run.pk).exclude(unexplained=[]).exists()


def lines(proof: RollbackProof) -> Iterator[str]:
    """The proof for a terminal."""
    if not proof.tables:
        yield f"rollback {WORDS['unseen']}: {NO_FINGERPRINT}"
        return
    yield f"rollback {proof.word}: the target held against its fingerprint from before run {proof.of_run}"
    yield from (f"not accounted for: {text}" for text in proof.unexplained)
    for table in proof.tables:
        for what, verdict in (("rows", table.rows), ("schema", table.schema)):
            yield f"{table.title}, {what}: {WORDS[verdict.state]}{_joined(verdict.texts)}"
        yield from (f"{table.target}: {left.text}" for left in table.left)
        yield from (f"{table.target}, sequence {text}" for text in table.sequences)


def _joined(texts: tuple[str, ...]) -> str:
    return f" ({'; '.join(texts)})" if texts else ""


def _together(tables: tuple[TableProof, ...]) -> State:
    result = {verdict.state for table in tables for verdict in (table.rows, table.schema)}
    return "differs" if "differs" in result else "equal" if result == {"equal"} else "unseen"


def _of_table(run: Run, row: Fingerprint, first: Fingerprint) -> TableProof:
    was = from_plain(Taken, first.before)
    now = from_plain(Definitions, row.schema_after) if row.schema_after else None
    result = from_plain(Digested, row.rows_after) if row.rows_after else None
    wrote = from_plain(Writers, row.writers) if row.writers else Writers()
    left = tuple(_left(run, row))
    by_hand, kept_rows = _by_hand(run, row), sum(one.rows for one in left)
    return TableProof(
        row.side,
        row.target,
        tuple(row.tables),
        was.digested.rows,
        result.rows if result else None,
        verdicts.of_backrefs(was.digested, result)
        if row.side == "source"
        else verdicts.of_rows(was.digested, result, wrote, by_hand=by_hand, left=kept_rows),
        verdicts.of_schema(was.definitions, now, row.schema_kept),
        tuple(verdicts.of_sequences(was.definitions, now)),
        left,
        tuple(row.unexplained),
    )


def _left(run: Run, row: Fingerprint) -> Iterator[LeftRows]:
    for table in run.tables.filter(name__in=row.tables).exclude(left={}):
        named = tuple((key, target, why) for key, target, why in table.left["named"])
        yield LeftRows(table.name, table.left["rows"], table.left["edited"], named)


def _by_hand(run: Run, row: Fingerprint) -> int:
    return sum(run.tables.filter(name__in=row.tables).values_list("by_hand", flat=True))


def _row(count: int) -> str:
    return "row" if count == 1 else "rows"
