"""What is left of a run in the target although every chunk of it is undone, while anything can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import remains
from jobs.engine.target.rollback_blockers import Blocker
from jobs.engine.target.witnesses import (
    Counted,
    Found,
    Told,
    ask,
    flagged_by_nobody,
    is_alone,
    is_ours,
    is_owners,
    is_proved_gone,
    look,
    named,
)
from mappings.sql import verbatim


class Left(NamedTuple):
    """What of a run is still there, and by target what may be of it, of which nothing can tell any more."""

    blockers: list[Blocker]
    doubts: dict[str, str]


def left(works: Sequence[Work], counted: Mapping[str, Counted], *, last: bool, keep_schema: bool) -> Left:
    """What of a run is still in the target although every chunk of it is undone; to be asked while the ledger stands.

    last: whether no other run of the mapping is left there.
    """
    conn, result = works[0].target, Left([], {})
    with conn.transaction():
        goes = last and not keep_schema and is_alone(conn, works[0].run)
        run_sql(conn, verbatim("SET LOCAL enable_nestloop = off"))
        freed: dict[str, int] = dict(run_sql(conn, remains.undone(works[0].run)).fetchall())
        for work in works:
            name, counts = work.table.name, counted[work.table.name]
            looked = look(work, counts)
            texts = _left_of(work, counts, looked, freed.get(name, 0), last, goes)
            result.blockers.extend(Blocker(name, text) for text in texts)
            if doubt := _doubt(work, counts, looked, freed.get(name, 0)):
                result.doubts[work.table.into.target_sql] = doubt
    return result


def _left_of(
    work: Work, counted: Counted, result: Found, freed: int, last: bool, goes: bool
) -> Iterator[str]:
    """goes: whether the columns that were added are about to go."""
    table = work.table
    for statement, what in (
        (remains.left_in_map(work), "source rows are still in the map"),
        (remains.left_images(table, work.run), "rows did not get their old values back"),
    ):
        told = ask(work, statement)
        if told[0]:
            yield named(told, what)
    if not result.there:
        return
    lacking = result.lacking(counted, freed)
    visible = _visible(work, result, last, lacking)
    if visible:
        yield visible
    elif goes and (adrift := flagged_by_nobody(work, result, 0)):
        yield adrift
    elif lacking and not _accounted_for(work, counted, result):
        yield (
            f"{freed:,} of the {counted.rows:,} source rows that the run dealt with were undone, and nothing tells of"
            f" the others; {table.target} has {result.rows:,} rows, and had {counted.before:,} before"
        )


def _visible(work: Work, result: Found, last: bool, lacking: int) -> str:
    """The rows that show by themselves that they are the run's."""
    table = work.table
    if result.written:
        told = ask(work, remains.strays(work.plan, table, result.own, after=work.run))
        if told[0]:
            return named(told, f"rows of {table.target} are still as the run wrote them")
    told = _still_linked(work, result, last, lacking)
    if told[0]:
        return named(told, f"rows of {table.target} carry a source id that no run accounts for")
    if lacking and result.flagged:
        told = ask(work, remains.flagged(work.plan, table, result.there))
        if told[0]:
            return named(
                told, f"rows of {table.target} are flagged as migrated, and no run accounts for them"
            )
    return ""


def _still_linked(work: Work, result: Found, last: bool, lacking: int) -> Told:
    """lacking: how many rows the counts miss; then whatever carries a source id is of them, where no run is left."""
    table = work.table
    if not result.carrying or not result.has(table.link.source_id) or is_owners(table):
        return 0, []
    if last and (lacking or is_ours(work)):
        return ask(work, remains.carrying(table))
    if table.link.keep_map and result.carrying != result.speaking:
        return ask(work, remains.unclaimed(work.plan, table))
    return 0, []


def _accounted_for(work: Work, counted: Counted, result: Found) -> bool:
    """Whether rows that were not found to be undone are gone, as far as anything tells."""
    table = work.table
    if is_proved_gone(table, counted, result.there, result.rows):
        return True
    known = result.ledger_of(work.run)[0] >= counted.inserted
    return bool(
        not table.link.keep_map and table.link.is_migrated and known
    )  # whoever deleted them, no flag is left


def _doubt(work: Work, counted: Counted, result: Found, freed: int) -> str:
    """Without a map: rows that were rewritten since the run, where it lacks some; they may have lost source id and
    flag."""
    table, lacking = work.table, result.lacking(counted, freed)
    proved = is_proved_gone(table, counted, result.there, result.rows)
    if table.link.keep_map or not (lacking and result.has(table.link.source_id)) or proved:
        return ""
    told = ask(work, remains.unlinked_since(work.plan, table, work.run))
    if not told[0]:
        return ""
    what = f"rows of {table.target} without a source id were written since by no run"
    return (
        f"{freed:,} of the {counted.rows:,} source rows that the run dealt with were undone, and without a map nothing"
        f" tells whether the other {lacking:,} are gone or lost their source id and flag: {named(told, what)}"
    )
