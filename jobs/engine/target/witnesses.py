"""Who can tell what a run brought: the control database by its counts, the ledger and the map in the target, and the
target's rows themselves, by their source ids, their flags, and the transactions that wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import dependants, remains
from mappings.plan.table_plan import TablePlan
from mappings.schema import register
from mappings.schema.own_schema import INSTALLED
from mappings.sql import Sql, compose

Told = tuple[int, Sequence[str]]
"""How many, and some of their keys."""

Ledger = Mapping[int, tuple[int, int, int]]
"""By run (inserted, updated, kept)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the control database counted of one table in a run, with the rows that exported scripts brought as it.

    exact: whether its map rows must be as many, because nothing was brought twice; takers: runs that may have taken
    over map rows whose target rows were gone; took: rows that such runs dealt with and rolled back; before: the
    target's rows without the run's; others: rows inserted by each of the mapping's other runs that are not rolled back.
    """

    inserted: int = 0
    updated: int = 0
    kept: int = 0
    exact: bool = True
    takers: tuple[int, ...] = ()
    took: int = 0
    before: int = 0
    others: Mapping[int, int] = field(default_factory=dict)

    @property
    def written(self) -> int:
        """Source rows by which it inserted or updated a row of the target."""
        return self.inserted + self.updated

    @property
    def rows(self) -> int:
        """Source rows that it dealt with, and that a map lists."""
        return self.written + self.kept


@dataclass(frozen=True, slots=True)
class Found:
    """What the witnesses in the target say of one table.

    there: the columns that it has now, none if it is gone; ledger: by run (inserted, updated, kept); own: the run's
    writers; mapped: (inserted, updated, kept) by the run; taken: map rows of Counted.takers; speaking: map rows of all
    runs that speak for a target row; strange, odd: map rows and linked target rows that none of the mapping's runs
    wrote; rows, carrying, flagged, written: target rows, with a source id, with the flag, written by the run; adrift:
    with the flag and without a source id.
    """

    there: tuple[str, ...]
    ledger: Ledger
    own: tuple[str, ...]
    mapped: tuple[int, int, int]
    taken: int
    speaking: int
    strange: int
    rows: int
    carrying: int
    flagged: int
    written: int
    odd: int
    adrift: int

    def has(self, names: Sequence[str]) -> bool:
        """Whether the target has these columns now."""
        return bool(names) and set(names) <= set(self.there)

    def lacking(self, counted: Counted, accounted: int) -> int:
        """How many source rows nobody accounts for, beyond those that other runs may have taken over."""
        return max(0, counted.rows - accounted - self.taken - counted.took) if counted.exact else 0

    def ledger_of(self, run: int) -> tuple[int, int, int]:
        """(inserted, updated, kept) by the ledger."""
        return self.ledger.get(run, (0, 0, 0))


def look(work: Work, counted: Counted) -> Found:
    """Asks all witnesses in the target, each with one pass. The schema migrator must be there."""
    table, run, there = work.table, work.run, columns(work)
    ledger = by_ledger(work, counted)
    phases = remains.WROTE if table.link.keep_map else ("copy",)
    own = tuple(row[0] for row in run_sql(work.target, remains.writers(run, phases)))
    known = [row[0] for row in run_sql(work.target, dependants.writers(work.plan))]
    listed: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    if table.link.keep_map:
        statement = remains.in_map(work, counted.takers, known)
        listed = run_sql(work.target, statement).fetchone() or listed
    rows: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    if there:
        rows = run_sql(work.target, remains.in_target(table, there, own, known)).fetchone() or rows
    inserted, updated, kept, taken, speaking, strange = listed
    total, carrying, flagged, written, odd, adrift = rows
    return Found(
        there, ledger, own, (inserted, updated, kept), taken, speaking, strange,
        total, carrying, flagged, written, odd, adrift,
    )  # fmt: skip


def by_ledger(work: Work, counted: Counted) -> Ledger:
    """What the ledger lists of the table, of the run and of those others that are there."""
    lines = run_sql(work.target, remains.counted((work.run, *counted.others))).fetchall()
    return {line[0]: (line[2], line[3], line[4]) for line in lines if line[1] == work.table.name}


def columns(work: Work) -> tuple[str, ...]:
    """The columns that the target has now; none where it is gone."""
    row = run_sql(work.target, remains.columns(work.table)).fetchone()
    return tuple(row[0]) if row else ()


def is_installed(conn: psycopg.Connection) -> bool:
    """Whether the schema migrator is there, whole."""
    row = run_sql(conn, compose("SELECT {}", INSTALLED)).fetchone()
    return bool(row and row[0])


def ask(work: Work, statement: Sql) -> Told:
    """The answer to one of the statements of sql.remains."""
    row = run_sql(work.target, statement).fetchone()
    assert row is not None
    return row[0], row[1] or []


def named(told: Told, what: str) -> str:
    """`3 rows of crm.client carry .., for example 1, 2`. what: all that comes after the number."""
    count, keys = told
    return f"{count:,} {what}, for example {', '.join(keys)}" if keys else f"{count:,} {what}"


def is_owners(table: TablePlan) -> bool:
    """Whether the source id is a column that was there before any run, and may hold values of the owner's."""
    return table.link.link_by == "map" and bool(table.link.source_id) and table.into.existing is None


def is_ours(work: Work) -> bool:
    """Whether runs of the mapping added all of the source id's columns, by the register."""
    owners = {
        register.owner(work.target, work.table.into.target_sql, name) for name in work.table.link.source_id
    }
    return owners == {work.plan.mapping}


FLAGGED = (
    "are flagged as migrated, and no run brought them: an application copied them, or set the flag. The column would"
    " go with the rollback, and nothing would tell of them any more: clear the flag of these rows, or keep the schema"
)


def flagged_by_nobody(work: Work, result: Found, claimed: int) -> str:
    """The rows, by number and keys, that have the flag and that no run accounts for; '' for none.

    Of a flag that runs of the mapping added. claimed: the map rows that speak for rows of this target.
    """
    table, flag = work.table, work.table.link.is_migrated
    if not flag or flag not in result.there:
        return ""
    suspect = result.adrift if table.link.source_id else result.flagged > claimed
    if not suspect or register.owner(work.target, table.into.target_sql, flag) != work.plan.mapping:
        return ""
    told = ask(work, remains.flagged(work.plan, table, result.there))
    return named(told, f"rows of {table.target} {FLAGGED}") if told[0] else ""


def is_alone(conn: psycopg.Connection, run: int) -> bool:
    """Whether no other run, of whatever mapping, has anything in the target: then columns that were added go."""
    row = conn.execute("SELECT NOT EXISTS (SELECT FROM migrator.ledger WHERE run <> %s)", [run]).fetchone()
    return bool(row and row[0])


def is_proved_gone(table: TablePlan, counted: Counted, there: Sequence[str], rows: int) -> bool:
    """Whether a target can hold nothing of the run: it has no more rows than before, or not even the source id."""
    lost = table.link.source_id and not is_owners(table) and not set(table.link.source_id) & set(there)
    return rows <= counted.before or bool(lost)
