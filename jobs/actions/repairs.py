"""The buttons that mend what a verification found: all of it, or rows that somebody chose, with a preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs import states
from jobs.actions import refusals
from jobs.actions.moves import move, require, ring_after_commit
from jobs.models import Run
from jobs.reporting import differences
from jobs.reporting.differences import Difference, Filters
from jobs.reporting.summary import failed_checks, found_different
from jobs.running import chosen_rows, late_rows
from jobs.running.chosen_rows import ChosenRows
from jobs.transitions import User
from mappings.problems import Problem, Refused

MOST_CHOSEN = 100_000
NAMED = 5
SHOWN = 50


@refusals.kept("repair")
def repair(run: Run, actor: User) -> None:
    """Copies what is missing, overwrites what differs in the rows that the run brought, and compares again."""
    require(run, states.MISMATCH)
    if not late_rows.may_be_repaired(run):
        text = (
            f"run {run.pk} has no row to repair: none is missing or different;"
            " what the target has too much of is reported, never deleted"
        )
        broken = failed_checks(found_different(run))
        result = [Problem(one["table"], f"not so: {one['check']} ({one['detail']})") for one in broken]
        raise Refused([Problem("", text), *result])
    why = "An operator asked for a repair: what is missing is copied, what differs is overwritten."
    move(run, states.COPYING, actor, late_rows.begin_repair, why)
    ring_after_commit(run)


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows that would be mended. extra: chosen rows that nothing is done to, because nothing is ever deleted; first:
    what would become of the first of them, SHOWN lines at most."""

    rows: tuple[ChosenRows, ...]
    extra: int
    first: tuple[Difference, ...] = ()

    @property
    def is_more(self) -> bool:
        """Whether there may be more lines than the first."""
        return len(self.first) == SHOWN

    @property
    def copied(self) -> int:
        """Rows that are missing."""
        return self.count("missing")

    @property
    def overwritten(self) -> int:
        """Rows that are different."""
        return self.count("different")

    def count(self, kind: str, table: str = "") -> int:
        """Rows of a kind, of one table or of all."""
        return sum(len(some.keys) for some in self.rows if some.kind == kind and table in ("", some.table))

    @property
    def tables(self) -> list[tuple[str, int, int]]:
        """(table, rows to copy, rows to overwrite)."""
        names = dict.fromkeys(some.table for some in self.rows)
        return [(name, self.count("missing", name), self.count("different", name)) for name in names]


def choose(run: Run, filters: Filters, ids: Sequence[int] = ()) -> Choice:
    """The rows of these differences, or of all that the filters mean. Refused where they may not be repaired."""
    require(run, states.MISMATCH)
    report = run.reports.first()
    if report is None:
        raise Refused([Problem("", f"run {run.pk} has no report to choose rows from")])
    with differences.opened(run, report) as store:
        result = store.rows(filters, ids, MOST_CHOSEN)
        first = store.of_rows(filters, ids, SHOWN)
    chosen = tuple(
        ChosenRows(table, chunk, kind, keys) for table, chunk, kind, keys in result if kind != "extra"
    )
    extra = sum(len(keys) for *_, kind, keys in result if kind == "extra")
    if sum(len(some.keys) for some in chosen) > MOST_CHOSEN:
        text = f"more than {MOST_CHOSEN:,} rows are chosen; repair the whole run, or choose fewer by a filter"
        raise Refused([Problem("", text)])
    if not chosen:
        text = "none of the chosen rows is missing or different; what the target has too much of is never deleted"
        raise Refused([Problem("", text)])
    return Choice(chosen, extra, first)


@refusals.kept("repair")
def repair_rows(run: Run, actor: User, filters: Filters, ids: Sequence[int] = ()) -> Choice:
    """Mends the chosen rows and no others, then compares all again. The run keeps who chose which."""
    choice = choose(run, filters, ids)
    keys = [f"{some.table} {key}" for some in choice.rows for key in some.keys[:NAMED]][:NAMED]
    named = ", ".join(keys)
    why = (
        f"An operator chose rows to repair: {choice.copied:,} to copy, {choice.overwritten:,} to overwrite"
        f" (for example {named})."
    )
    move(run, states.COPYING, actor, lambda moved: chosen_rows.begin(moved, choice.rows), why)
    ring_after_commit(run)
    return choice
