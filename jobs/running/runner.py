"""Drives one run a slice at a time: hands chunks to the engine, records results, honours stop."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import psycopg
from django.db import DatabaseError, InterfaceError

from jobs import phases, states, transitions
from jobs.engine.errors import (
    EngineError,
    Exhausted,
    Fenced,
    Transient,
    translate,
)
from jobs.models import Chunk, Run, TableRun
from jobs.processes import stop_signals
from jobs.running import (
    begin_phase,
    claims,
    forgotten_chunks,
    halving,
    perform_chunk,
    prepare,
    throttling,
    verify,
)
from jobs.running.admission import limits
from jobs.running.admission.standing_by import SHUT_OUT_SECONDS, WORK_IN, others_wait, rest, stand_by
from jobs.running.ahead import Ahead
from jobs.running.claims import SurveyedTable
from jobs.running.rollback import stage as rollback
from jobs.running.session import CHUNK_TIMEOUT_MS, LONGEST_TIMEOUT_MS, Session, opened
from jobs.running.steps import late_indexes
from jobs.transitions import Overtaken
from mappings.problems import Refused

log = logging.getLogger(__name__)

HELD_SECONDS = 1.0
"""How long a slice that is held back keeps its worker while other runs want one."""


def advance(run_id: int, worker: str, deadline: float) -> bool:
    """Works on a run until time.monotonic() passes `deadline`, nothing is left to do, or it wants to stop.

    Returns whether to be rung again at once. The run's own failures are recorded, not raised.
    """
    run = _load(run_id)
    try:
        return _take_up(run, worker, deadline) if run and run.status in states.RINGING else False
    except (Overtaken, Fenced):
        return True
    except Transient as error:
        return _wait_for_better_times(run_id, error)
    except Exhausted as error:
        return _pause(run_id, error)
    except (EngineError, Refused) as error:
        return _fail(run_id, str(error))
    except (DatabaseError, InterfaceError):
        raise  # the control database is away: nothing can be recorded, the sweeper rings later
    except Exception as error:
        log.exception("run %s failed by a fault of ours", run_id)
        return _fail(run_id, f"a fault of the product itself: {type(error).__name__}: {error}")


def _take_up(run: Run, worker: str, deadline: float) -> bool:
    if run.status == states.PAUSING:
        settle_pause(run)
        return False
    rung = stand_by(run, worker, deadline)
    if rung is not None:
        return rung
    with opened(run, worker) as session:
        return _drive(session, deadline)


def _load(run_id: int) -> Run | None:
    related = ("revision", "environment", "mapping")
    return Run.objects.select_related(*related).filter(pk=run_id).first()


def _drive(session: Session, deadline: float) -> bool:
    run, idle_since, ahead = session.run, time.monotonic(), Ahead()
    while time.monotonic() < deadline and not stop_signals.requested():
        run.look_again()
        if run.status == states.PAUSING:
            settle_pause(run)
        if run.status not in states.WORKING | {states.QUEUED}:
            return False
        try:
            held = throttling.hold(session) if run.status in WORK_IN else ""
            busy = not held and (_went_ahead(session, ahead) or _piece(session, ahead))
        except psycopg.Error as error:
            raise translate(error) from error
        if busy or held:
            _waits(run, held)
        if busy:
            idle_since = time.monotonic()
            if run.status in WORK_IN:
                limits.look(session)
        elif others_wait(run) and time.monotonic() - idle_since >= (HELD_SECONDS if held else 0):
            return bool(held)
        else:
            time.sleep(SHUT_OUT_SECONDS) if session.is_shut_out else rest(idle_since)
    return True


def _waits(run: Run, reason: str) -> None:
    """Says what the run waits for; '' once it goes on."""
    if run.waiting_for != reason:
        Run.objects.filter(pk=run.pk, waiting_for=run.waiting_for).update(waiting_for=reason)


def _piece(session: Session, ahead: Ahead) -> bool:
    """One piece of the run's present stage; False if there is none for this session now."""
    if session.run.status in (states.QUEUED, states.PREPARING):
        return _alone(session, _prepare)
    if not session.is_looked_through:
        session.is_looked_through = True
        if _alone(session, forgotten_chunks.take_up):
            return True
    tables, late = claims.surveyed(session.run), late_indexes.pending(session)
    if begin_phase.go_on(tables):
        return True
    if any(_build_late(session, name) for name in late_indexes.due(tables, late)):
        return True
    if not late:
        ahead.note(session, tables)
    if chunk := _claim(session, tables, late):
        perform_chunk.perform(session, *_timed(session, chunk))
        return True
    return not (_goes_on(session.run, tables) or late) and _alone(session, _end_stage)


def _went_ahead(session: Session, ahead: Ahead) -> bool:
    """Performs a chunk of the tables that the last survey found; whether there was one."""
    chunk = ahead.claim(session)
    if chunk:
        perform_chunk.perform(session, *_timed(session, chunk))
    return chunk is not None


def _build_late(session: Session, table: str) -> bool:
    """Builds the index of a table that is copied, unless another session does what only one may."""
    return _alone(session, lambda session: late_indexes.build(session, table))


def _prepare(session: Session) -> bool:
    """Prepares the run, unless another did while this session waited for its turn: that would fence its chunks out."""
    if session.run.status not in (states.QUEUED, states.PREPARING):
        return True
    return prepare.prepare(session)


def _goes_on(run: Run, tables: list[SurveyedTable]) -> bool:
    """Whether any table of the run's present stage has something left to do."""
    return any(table.unfinished for table in tables if table.phase in WORK_IN[run.status])


def _end_stage(session: Session) -> bool:
    """Ends the stage if every chunk of it is done. What looked idle may have been a table that waited for another."""
    if _goes_on(session.run, claims.surveyed(session.run)):
        return False
    if forgotten_chunks.take_up(session):
        return True
    STAGE_ENDS[session.run.status](session)
    return True


def _alone(session: Session, act: Callable[[Session], bool]) -> bool:
    """Does what only one may do, under the lease; False if another session has it, or nothing was to do."""
    if not session.lease():
        return False
    try:
        session.limit(LONGEST_TIMEOUT_MS)
        session.run.look_again()
        return session.run.status in states.WORKING | {states.QUEUED} and act(session)
    finally:
        session.release()


STAGE_ENDS = {
    states.COPYING: verify.end_of_copy,
    states.VERIFYING: verify.end_of_comparison,
    states.ROLLING_BACK: rollback.end_of_undoing,
}


def _claim(session: Session, tables: list[SurveyedTable], late: Mapping[str, int]) -> Chunk | None:
    free, session.is_shut_out = limits.room(session.run, tables), False
    for table in tables:
        due = table.phase in WORK_IN[session.run.status] and table.unfinished
        if not due or not _may_go_on(session, table, tables):
            continue
        if late_indexes.stands_in_the_way(table, session.parents[table.name], late):
            continue
        if limits.is_shut_out([table], free):
            session.is_shut_out = True
            continue
        if not table.claimable:
            continue
        session.limit(CHUNK_TIMEOUT_MS if halving.is_divisible(session, table) else LONGEST_TIMEOUT_MS)
        if chunk := claims.claim(session, table, table.busy + free if table.is_long else None):
            return chunk
    return None


def _timed(session: Session, chunk: Chunk) -> tuple[TableRun, Chunk]:
    """A claimed chunk with its table, and the time that its statements may take."""
    table = next(table for table in session.tables.values() if table.pk == chunk.table_id)
    divisible = halving.is_divisible(session, table) and not chunk.part
    if not divisible or (chunk.troubles and _is_one_list(session, table)):
        session.limit(LONGEST_TIMEOUT_MS)
    return table, chunk


def _is_one_list(session: Session, table: TableRun) -> bool:
    """Whether a chunk that took too long may be the list of a single row, which is not cut in two."""
    planned = session.plan.table(table.name)
    return planned.feed.range_parts < len(planned.feed.key)


def _may_go_on(session: Session, table: SurveyedTable, tables: list[SurveyedTable]) -> bool:
    """Parents are copied before their children, and children are undone before their parents."""
    if table.phase in phases.PARENTS_FIRST:
        waits_for = session.parents[table.name]
        first = [other for other in tables if other.name in waits_for]
    elif table.phase in phases.CHILDREN_FIRST:
        first = [other for other in tables if table.name in session.parents[other.name]]
    else:
        first = []
    if any(other.phase == phases.AFTER_ALL.get(table.phase) for other in tables):
        return False
    return not any(other.unfinished and other.phase in phases.IN_ORDER for other in first)


def settle_pause(run: Run) -> None:
    """Pausing ends when the last chunk under way has ended, or its worker has shown no sign of life for a while.

    The sweeper asks for it as well: it needs neither a worker nor Redis.
    """
    if not claims.under_way(run):
        with suppress(Overtaken):
            transitions.move(run, states.PAUSED)


def _pause(run_id: int, error: EngineError) -> bool:
    run = _load(run_id)
    if run and (run.status, states.PAUSED) in states.MOVES:
        with suppress(Overtaken):
            transitions.move(
                run, states.PAUSED, why=f"Paused: {error}. Make room, then resume.", level="error"
            )
            Run.objects.filter(pk=run_id).update(error=str(error))
    return False


def _fail(run_id: int, why: str) -> bool:
    run = _load(run_id)
    if run and (run.status, states.FAILED) in states.MOVES:
        with suppress(Overtaken):
            transitions.move(run, states.FAILED, why=why, level="error")
    return False


def _wait_for_better_times(run_id: int, error: Transient) -> bool:
    """A server that is away is tried again until it is back; the run says what it waits for."""
    Run.objects.filter(pk=run_id).update(waiting_for=str(error))
    log.warning("run %s waits: %s", run_id, error)
    time.sleep(random.uniform(0.5, 1.5))
    return True
