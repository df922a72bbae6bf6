"""Whether a rollback can prove itself, before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import remains
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target.rollback_blockers import Blocker
from jobs.engine.target.witnesses import (
    Counted,
    Found,
    Ledger,
    Told,
    ask,
    by_ledger,
    columns,
    flagged_by_nobody,
    is_alone,
    is_installed,
    is_owners,
    is_proved_gone,
    look,
    named,
)
from mappings.plan.schema_steps import Step
from mappings.schema import kinds
from mappings.sql import compose, verbatim

UNKNOWN = (
    "the target does not know the run: its schema migrator is gone, or is as it was before the run, and yet"
    " {inserted:,} rows were inserted and {updated:,} updated"
)

WAY_OUT = "put schema migrator back as it was, or take the rows away by hand"

NO_IMAGE = "source rows updated a row of which no before-image is there, so its old values cannot come back"

MADE = "were written in the run's own transactions for no source row, as a trigger does, and would stay as they are"

NOT_IN_MAP = "carry a source id that the map does not have"


def looked_at(works: Sequence[Work], counted: Mapping[str, Counted]) -> dict[str, Found]:
    """What the target says of each table before anything is undone; nothing where the schema migrator is gone."""
    with _patient(works[0].target) as conn:
        if not is_installed(conn):
            return {}
        return {work.table.name: look(work, counted[work.table.name]) for work in works}


def blockers(
    works: Sequence[Work], counted: Mapping[str, Counted], looked: Mapping[str, Found], *, keep_schema: bool
) -> list[Blocker]:
    """What makes it certain, before anything is undone, that a rollback could not prove itself. looked: looked_at."""
    with _patient(works[0].target) as conn:
        goes = bool(looked) and not keep_schema and is_alone(conn, works[0].run)
        if not looked:
            result = ((work, _without_register(work, counted[work.table.name])) for work in works)
        else:
            result = (
                (work, _of_table(work, counted[work.table.name], looked, works, goes)) for work in works
            )
        return [Blocker(work.table.name, text) for work, texts in result for text in texts]


@contextmanager
def _patient(conn: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A transaction whose statements may read whole tables."""
    with conn.transaction():
        run_sql(conn, verbatim("SET LOCAL statement_timeout = '30min'"))
        run_sql(conn, verbatim("SET LOCAL enable_nestloop = off"))
        yield conn


def _without_register(work: Work, counted: Counted) -> Iterator[str]:
    """Nothing in the target remembers the run; only its rows may still show it."""
    there, table = columns(work), work.table
    if not counted.written or not there:
        return
    text = UNKNOWN.format(inserted=counted.inserted, updated=counted.updated)
    row = run_sql(work.target, remains.in_target(table, there, (), ())).fetchone()
    rows, carrying, flagged = row[:3] if row else (0, 0, 0)
    if carrying and not is_owners(table):
        text += "; " + named(ask(work, remains.carrying(table)), f"rows of {table.target} carry a source id")
    elif flagged:
        text += f"; {flagged:,} rows of {table.target} are flagged as migrated"
    elif is_proved_gone(table, counted, there, rows):
        return
    else:
        text += f"; {table.target} has {rows:,} rows, and had {counted.before:,} before"
    yield f"{text}; {WAY_OUT}"


def _of_table(
    work: Work, counted: Counted, looked: Mapping[str, Found], works: Sequence[Work], goes: bool
) -> Iterator[str]:
    """goes: whether the columns that were added go with the rollback."""
    table, result = work.table, looked[work.table.name]
    yield from _of_ledger(work, counted, result)
    yield from _of_map(work, counted, result) if table.link.keep_map else _of_unmapped(work, counted, result)
    if table.into.existing and table.into.existing.then == "update":
        without = ask(work, remains.without_image(work))
        if without[0]:
            yield named(without, NO_IMAGE)
    sharing = [other.table.name for other in works if other.table.into.target_sql == table.into.target_sql]
    if sharing[0] != table.name:  # once for each target
        return
    if goes and (adrift := flagged_by_nobody(work, result, sum(looked[name].speaking for name in sharing))):
        yield adrift
    if result.written:
        strays = ask(work, remains.strays(work.plan, table, result.own))
        if strays[0]:
            yield named(strays, f"rows of {table.target} {MADE}")


def _of_ledger(work: Work, counted: Counted, result: Found) -> Iterator[str]:
    inserted, updated, kept = result.ledger_of(work.run)
    if inserted < counted.inserted or updated < counted.updated or kept < counted.kept:
        yield (
            f"the ledger in the target lists {inserted:,} inserted, {updated:,} updated and {kept:,} kept rows of the"
            f" run; {counted.inserted:,}, {counted.updated:,} and {counted.kept:,} were counted"
        )
    yield from _lost_lists(work, counted, result.ledger)


def _lost_lists(work: Work, counted: Counted, ledger: Ledger) -> Iterator[str]:
    """Without a map, the keys that the ledger lists of other runs are what tells their rows from this run's."""
    for run, rows in counted.others.items() if not work.table.link.keep_map else ():
        listed, *_ = ledger.get(run, (0, 0, 0))
        if listed < rows:
            yield (
                f"the ledger in the target lists {listed:,} of the {rows:,} rows of run {run}, and without a map"
                " nothing else tells them from this run's"
            )


def _of_map(work: Work, counted: Counted, result: Found) -> Iterator[str]:
    table, lacking = work.table, result.lacking(counted, sum(result.mapped))
    if lacking:
        text = f"the map lists {sum(result.mapped):,} of the {counted.rows:,} source rows that the run dealt with"
        strangers = _strangers(work, result)
        yield f"{text}; {strangers}" if strangers else text
    disturbed = lacking or result.strange or result.odd or result.carrying != result.speaking
    if not disturbed or not result.has(table.link.source_id):
        return
    if not lacking:
        told = ask(work, remains.unclaimed(work.plan, table, result.own if is_owners(table) else None))
        if told[0]:
            yield named(told, f"rows of {table.target} {NOT_IN_MAP}")
    if table.into.target_key:
        told = ask(work, remains.displaced(work, Range()))
        if told[0]:
            yield named(told, remains.DISPLACED)


def _strangers(work: Work, result: Found) -> str:
    """Of rows that the map lacks: which can be told by their source id, or by the transactions that wrote them."""
    table = work.table
    if result.has(table.link.source_id) and not is_owners(table):
        told = ask(work, remains.unclaimed(work.plan, table))
        return named(told, f"rows of {table.target} {NOT_IN_MAP}") if told[0] else ""
    told = ask(work, remains.strays(work.plan, table, result.own))
    what = f"rows of {table.target} are the run's by the transactions that wrote them"
    return named(told, what) if told[0] else ""


def _of_unmapped(work: Work, counted: Counted, result: Found) -> Iterator[str]:
    """Without a map a row is the run's by its source id alone."""
    table, there = work.table, result.carrying - sum(counted.others.values())
    if not result.lacking(counted, there):
        return
    unlinked: Told = (0, [])
    if result.flagged:
        unlinked = ask(work, remains.flagged(work.plan, table, result.there))
    if unlinked[0]:
        yield named(
            unlinked, f"rows of {table.target} are flagged as migrated and have no source id any more"
        )
    elif not is_proved_gone(table, counted, result.there, result.rows - there):
        lost = "their source id and flag" if table.link.is_migrated else "their source id"
        yield (
            f"{max(0, there):,} of the {counted.inserted:,} rows that the run inserted have a source id, and"
            f" {table.target} has {result.rows - max(0, there):,} others, where {counted.before:,} were before: whether"
            f" those that lack are gone from it, or lost {lost}, cannot be told without a map"
        )


def dangers(works: Sequence[Work], counted: Mapping[str, Counted]) -> list[Blocker]:
    """What must not even begin, also where it is forced: rows of others would go, or the run's own would no longer
    show that their old values did not come back."""
    result = []
    for work in works:
        table, counts = work.table, counted[work.table.name]
        texts = [] if table.link.keep_map else list(_lost_lists(work, counts, by_ledger(work, counts)))
        if (
            table.into.existing
            and table.into.existing.then == "update"
            and (not table.link.source_id or is_owners(table))
        ):
            without = ask(work, remains.without_image(work))
            texts += [named(without, NO_IMAGE)] if without[0] else []
        result += [Blocker(table.name, text) for text in texts]
    return result


def unregistered(sides: Mapping[str, psycopg.Connection], run: int, steps: Sequence[Step]) -> list[str]:
    """Titles of schema steps that a run applied, that stand, and that the register cannot undo any more.

    sides: the connections to `source` and `target`.
    """
    lost = []
    for step in steps:
        known = (
            sides["target"]
            .execute(
                "SELECT 1 FROM migrator.schema_step WHERE run = %s AND relation = %s AND kind = %s AND name = %s"
                " AND undone_at IS NULL",
                [run, step.relation, step.kind, step.name],
            )
            .fetchone()
        )
        if known is None and stands(sides[step.side], step):
            lost.append(step.title)
    return lost


def stands(conn: psycopg.Connection, step: Step) -> bool:
    """Whether a database shows what a step did: its column, not of the type it found any more, or its index, valid."""
    row = run_sql(conn, compose("SELECT {}", kinds.of(step).shows(step))).fetchone()
    return bool(row and row[0])
