"""Performs one claimed chunk: the engine's part, its record, and what becomes of it when something is in the way."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import psycopg
from django.conf import settings
from django.db import transaction

from jobs import phases, states, transitions
from jobs.engine.errors import EngineError, Fenced, Transient, timed_out, translate
from jobs.engine.moving import compare, link, prune_orphans, repair, undo
from jobs.engine.moving import copy as copying
from jobs.engine.moving.assigning import assign
from jobs.engine.moving.compare import Keeping
from jobs.engine.one_pass import compare as one_pass
from jobs.engine.one_pass import scattered
from jobs.engine.one_pass.compare import OnlyByKeys
from jobs.engine.sql.walks.chunk_range import PageRange
from jobs.engine.target import analyze, ledger, lock_holders
from jobs.engine.target.ledger import Done
from jobs.models import Chunk, Run, TableRun
from jobs.running import claims, dead_workers, halving, in_passes, throttling
from jobs.running.cutting import tickets
from jobs.running.session import Session

log = logging.getLogger(__name__)


def perform(session: Session, table: TableRun, chunk: Chunk) -> None:
    """One chunk; passing troubles give it back, everything else is raised."""
    began = time.monotonic()
    try:
        result = _do(session, table, chunk)
    except Fenced as error:
        log.warning("run %s: %s", session.run.pk, error)
        transitions.note(session.run, f"{_place(chunk)}: {error}; nothing was written", level="warning")
        claims.release(session, chunk, str(error))
        dead_workers.agree_on_epoch(session)
        return
    except psycopg.Error as error:
        if timed_out(error) and _is_cancelled(session.run):
            claims.release(session, chunk, "the run was cancelled, and its statement ended")
            return
        holders = _holders(session, table, error)
        named = _named(session, table, error, holders)
        if timed_out(error) or isinstance(named, Transient):
            if holders and holders.shut_out:  # fewer rows at a time would wait just the same
                _try_later(session, chunk, named, claims.MOST_WAITS)
            elif not (timed_out(error) and _halved(session, chunk, named)):
                _try_later(session, chunk, named)
            if session.target.broken or session.source.broken:
                raise named from error
            return
        claims.release(session, chunk, str(named))
        raise named from error
    except EngineError as error:
        claims.release(session, chunk, str(error))
        raise
    if result:
        _record(session, table, chunk, result, time.monotonic() - began)


def _record(session: Session, table: TableRun, chunk: Chunk, result: Result, seconds: float) -> None:
    with transaction.atomic():
        brought = claims.complete(
            session, chunk, result.rows, seconds, result.counts, result.samples, elsewhere=result.elsewhere
        )
        if brought is not None and chunk.part:
            in_passes.name_wrong(chunk, result.named)
    if brought is not None and chunk.phase == phases.PRUNE:
        _say_what_was_set_aside(session.run, {table.name: result.counts, **result.elsewhere})
    throttling.pay(session.run, result.counts.get("undone", result.rows))
    if not chunk.pages or (result.rows and chunk.pages["again"]):  # a sweep looks, and has it analysed before
        _after(session, table, brought or 0)


def _is_cancelled(run: Run) -> bool:
    return Run.objects.filter(pk=run.pk, status=states.CANCELLED).exists()


class Result(NamedTuple):
    """What a chunk came to: counts to be added to its table, rows dealt with; counts of other tables, by name; named:
    (kind, source key) of what a pass found missing or different."""

    counts: dict[str, int]
    rows: int
    samples: tuple[object, ...] = ()
    elsewhere: Mapping[str, dict[str, int]] = MappingProxyType({})
    named: tuple[tuple[str, str], ...] = ()


def _holders(session: Session, table: TableRun, error: psycopg.Error) -> lock_holders.Holders | None:
    """Who held the lock that was waited for; None where it was no lock, or nobody can be asked."""
    if not isinstance(error, psycopg.errors.LockNotAvailable):
        return None
    try:
        return lock_holders.holders(session.target, session.plan.table(table.name).into.target_sql)
    except psycopg.Error:
        return None


def _named(
    session: Session, table: TableRun, error: psycopg.Error, holders: lock_holders.Holders | None
) -> EngineError:
    """The error with who stood in the way, where that was a lock. The page says so until the run goes on."""
    named = translate(error)
    if holders is None:
        return named
    text = f"{table.name}: the target is locked by {holders.who or 'someone'}"
    Run.objects.filter(pk=session.run.pk).update(waiting_for=text)
    return type(named)(f"{named}; {text}")


def _halved(session: Session, chunk: Chunk, error: EngineError) -> bool:
    """Whether a chunk that took too long could be cut in two."""
    if not halving.halve(session, chunk, str(error)):
        return False
    transitions.note(session.run, f"{_place(chunk)}: {error}; cut in two", level="warning")
    return True


def _try_later(session: Session, chunk: Chunk, error: EngineError, most: int = claims.MOST_TROUBLES) -> None:
    """Raises Fenced where the chunk was taken over meanwhile, which is why this session was ended."""
    if not claims.try_later(session, chunk, str(error), ended=not session.target.broken, most=most):
        text = "this worker fell silent, and the chunk was taken over; what it had open was ended and wrote nothing"
        transitions.note(session.run, f"{_place(chunk)}: {text}", level="warning")
        raise Fenced(text) from error
    transitions.note(session.run, f"{_place(chunk)}, try {chunk.troubles + 1}: {error}", level="warning")


def _place(chunk: Chunk) -> str:
    return f"{chunk.table.name}, chunk {chunk.number}"


def _do(session: Session, table: TableRun, chunk: Chunk) -> Result | None:
    """The engine's part. A chunk that was tried before may be in the ledger already. None: it is not to be done."""
    if not session.is_installed and chunk.phase in KEPT_FOR_LATER:
        ledger.install(session.target)
        session.is_installed = True
    work = session.work(table)
    ticket = tickets.ticket(chunk, session.run.pk, work.table)
    if isinstance(ticket.range, PageRange) and ticket.range.pages.again:
        work = replace(work, guarded=True)
    if chunk.phase == phases.VERIFY:
        try:
            result = _compare(session, table, chunk, ticket)
        except OnlyByKeys as error:
            if (table.passes or 0) > 1:
                dead_workers.raise_epoch(session)
            in_passes.give_up(session.run, chunk, work, str(error))
            return None
        counts = {
            "source_rows": result.source_rows,
            "compared": result.source_rows,
            "matched": result.matched,
            "missing": result.missing,
            "extra": result.extra,
            "different": result.different,
            "kept_compared": result.kept,
            "kept_alike": result.alike,
            "differences": result.found,
            "recorded": result.recorded,
        }
        return Result(counts, result.source_rows, result.samples, named=result.named)
    if chunk.phase == phases.PRUNE:
        return _prune(session, ticket, first=chunk.attempts == 1)
    done = ledger.recorded(session.target, ticket) if chunk.attempts > 1 else None
    if done is None:
        if chunk.phase == phases.COPY and work.guarded and table.name not in session.looked_at:
            analyze.before_looking(work)
            session.looked_at.add(table.name)
        done = ENGINE[chunk.phase](work, ticket)
    return Result(_counts(chunk.phase, done), done.rows)


def _compare(session: Session, table: TableRun, chunk: Chunk, ticket: ledger.Ticket) -> compare.Compared:
    """What is found wrong is kept in the target, up to the most that a run may keep there."""
    most = max(0, settings.DIFFERENCES_KEPT - claims.recorded(session.run))
    keeping = Keeping(ticket, table.comparison, most, again=chunk.attempts > 1)
    work = session.work(table)
    if chunk.part:
        part = scattered.part(work, *chunk.part)
        return one_pass.compare_part(work, replace(ticket.range, part=part), keeping)
    return compare.compare_chunk(work, ticket.range, keeping)


def _prune(session: Session, ticket: ledger.Ticket, first: bool) -> Result:
    """The one chunk that changes the counts of several tables."""
    changed = {} if first else ledger.recorded_of_all(session.target, ticket)
    if not changed:
        works = {table.name: session.work(table) for table in session.run.tables.all()}
        changed = prune_orphans.prune_chunk(works, ticket)
    counts = {name: _outcomes(done) for name, done in changed.items()}
    rows = sum(done.quarantined for done in changed.values())
    return Result(counts.pop(ticket.table, {}), rows, elsewhere=counts)


def _say_what_was_set_aside(run: Run, counts: Mapping[str, dict[str, int]]) -> None:
    rows = ", ".join(
        f"{some['quarantined']:,} of {name}" for name, some in counts.items() if some.get("quarantined")
    )
    if rows:
        text = f"Set aside after the copy, because a parent was not migrated: {rows}."
        transitions.note(run, text, level="warning")


ENGINE = {
    phases.ASSIGN: assign.assign_chunk,
    phases.COPY: copying.copy_chunk,
    phases.LINK: link.link_chunk,
    phases.REPAIR: repair.repair_chunk,
    phases.UNLINK: undo.unlink_chunk,
    phases.UNDO: undo.undo_chunk,
}


KEPT_FOR_LATER = {phases.VERIFY, phases.PRUNE, phases.UNDO}
"""What keeps differences or keys in the schema `migrator`, of which an older version may have made less."""


def _counts(phase: str, done: Done) -> dict[str, int]:
    if phase == phases.COPY:
        return _outcomes(done)
    return {"undone": done.inserted} if phase == phases.UNDO else {}


def _outcomes(done: Done) -> dict[str, int]:
    return {
        "inserted": done.inserted,
        "updated": done.updated,
        "kept": done.kept,
        "quarantined": done.quarantined,
    }


def _after(session: Session, table: TableRun, brought: int) -> None:
    """A table whose copy is complete is analysed, so that its children's lookups are planned well. brought: how many
    rows it has dealt with, this chunk included."""
    if table.phase != phases.COPY or not analyze.pays(session.work(table), brought):
        return
    rows = claims.copied(table)
    if rows is not None:
        analyze.analyse(session.work(table))
