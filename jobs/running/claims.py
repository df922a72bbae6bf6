"""Chunks are claimed, not assigned: taking one that waits or cutting the next, recording its end."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from jobs.engine.errors import EngineError
from jobs.engine.moving import ranges
from jobs.models import Chunk, Run, TableRun
from jobs.running import dead_workers
from jobs.running.cutting import next_chunk, page_walk
from jobs.running.cutting.next_chunk import CutSoFar
from jobs.running.session import STALE_AFTER, Session
from mappings.sql import Sql, compose, ident, joined, verbatim

MOST_TROUBLES = 5
"""A chunk that was in so much trouble is not tried again."""

MOST_WAITS = 60
"""How often a chunk waits for a table that somebody locks, ten seconds each and as long in between at most."""


class SurveyedTable(NamedTuple):
    """A table of a run; unfinished: whether its present phase has anything left to do; claimable: whether any of that
    is in nobody's hands; is_cut: whether all of it is cut into chunks.

    is_long: whether it has so many rows that sessions are counted which work on it; busy: how many hold chunks of it
    and live; abandoned: whether somebody holds one who may not.
    """

    pk: int
    name: str
    phase: str
    passes: int | None
    guarded: bool
    unfinished: bool
    claimable: bool
    is_cut: bool
    is_long: bool
    busy: int
    abandoned: bool


SURVEY = """
SELECT t.id, t.name, t.phase, t.passes, t.guarded, u.unfinished,
       u.unfinished AND (NOT t.cut_done OR coalesce(h.abandoned, false)
         OR EXISTS (SELECT FROM jobs_chunk AS c
                     WHERE c.table_id = t.id AND c.phase = t.phase AND c.state = 'waiting')),
       t.cut_done,
       greatest(t.estimated_rows, t.inserted + t.updated + t.kept + t.quarantined) > %s,
       coalesce(h.busy, 0), coalesce(h.abandoned, false)
  FROM jobs_tablerun AS t
  LEFT JOIN (SELECT table_id, count(*) FILTER (WHERE seen >= now() - %s) AS busy,
                    bool_or(seen IS NULL OR seen < now() - %s) AS abandoned
               FROM jobs_chunk WHERE state = 'claimed' GROUP BY table_id) AS h ON h.table_id = t.id
 CROSS JOIN LATERAL (SELECT NOT t.cut_done OR EXISTS (
                       SELECT FROM jobs_chunk AS c
                        WHERE c.table_id = t.id AND c.phase = t.phase AND c.state IN ('waiting', 'claimed'))
                     OFFSET 0) AS u(unfinished)
 WHERE t.run_id = %s ORDER BY t.position
"""


def surveyed(run: Run) -> list[SurveyedTable]:
    """The run's tables as they stand, in their order.

    One query for all, of what is asked for each piece of work and no more: a run may have hundreds of tables.
    """
    with connection.cursor() as cursor:
        stale = STALE_AFTER
        given: list[Any] = [settings.FEW_ROWS, stale, stale, run.pk]
        cursor.execute(SURVEY, given)
        return list(map(SurveyedTable._make, cursor.fetchall()))


def claim(session: Session, judged: SurveyedTable, most: int | None = None) -> Chunk | None:
    """A chunk of the table's present phase for this session: one that waits, one abandoned, or a new cut.

    judged: the table as the caller found it ready; None if its phase has changed since. most: how many sessions that
    live may hold chunks of it, this one among them; None: any number. What is abandoned is taken in any case.
    """
    with transaction.atomic():
        (table,) = TableRun.objects.raw("SELECT * FROM jobs_tablerun WHERE id = %s FOR UPDATE", [judged.pk])
        return _claim_of(session, table, most) if table.phase == judged.phase else None


def claim_any(session: Session, judged: Mapping[int, SurveyedTable]) -> Chunk | None:
    """A chunk of the first of these tables that is not cut to its end and that nobody else cuts just now.

    judged: as in `claim`, by their numbers; each may go on whatever the others are at, and with any number of sessions.
    """
    with transaction.atomic():
        for table in TableRun.objects.raw(NOT_CUT, [list(judged)]):
            return _claim_of(session, table) if table.phase == judged[table.pk].phase else None
    return None


NOT_CUT = """
SELECT * FROM jobs_tablerun WHERE id = ANY (%s) AND NOT cut_done ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED
"""


def _claim_of(session: Session, table: TableRun, most: int | None = None) -> Chunk | None:
    """table: locked."""
    session.tables[table.name] = table
    so_far, ready = next_chunk.so_far(table), table.chunks.filter(READY, phase=table.phase)
    chunk = dead_workers.abandoned(session, ready) if so_far.claimed else None
    if chunk is None and (most is None or so_far.busy < most):
        chunk = _free(session, table, ready, so_far)
    if chunk:
        _take(session, chunk)
    return chunk


READY = Q(not_before__isnull=True) | Q(not_before__lte=Now())


def _free(session: Session, table: TableRun, ready: Any, so_far: CutSoFar) -> Chunk | None:
    walk = page_walk.of(table)
    alone = session.plan.table(table.name).into.serial or (walk and walk.is_sweep)
    if alone and so_far.claimed:
        return None
    waiting = ready.filter(state="waiting").select_for_update(skip_locked=True)
    result = waiting.order_by("number").first() if so_far.undone > so_far.claimed else None
    return result or next_chunk.cut(session, table, so_far)


def _take(session: Session, chunk: Chunk) -> None:
    chunk.state, chunk.worker, chunk.attempts = "claimed", session.token, chunk.attempts + 1
    chunk.epoch, chunk.seen = session.run.epoch, Now()  # by the database's clock: hosts need not agree
    chunk.save()


def complete(
    session: Session,
    chunk: Chunk,
    rows: int,
    seconds: float,
    counts: dict[str, int],
    samples: Sequence[Any] = (),
    *,
    elsewhere: Mapping[str, dict[str, int]] = MappingProxyType({}),
) -> int | None:
    """Records a chunk's end once; counts are added to its table. How many rows the table's copy has dealt with by now;
    None if someone else has recorded it. Within a transaction of the control database.

    elsewhere: counts that are added to other tables of the run, by name.
    """
    wrong = [counts.get("missing", 0), counts.get("different", 0)]
    with connection.cursor() as cursor:
        cursor.execute(END, [rows, seconds, json.dumps(list(samples)), *wrong, chunk.pk, session.token])
        ended = cursor.fetchone()
        if ended is None:
            return None
        size = ranges.next_size(chunk.size or rows, seconds, ended[0])
        cursor.execute(compose("{} {}", _add(counts, size), OF_NUMBER), [chunk.table_id])
        (brought,) = cursor.fetchone()
        for other, more in elsewhere.items():
            cursor.execute(compose("{} {}", _add(more), OF_NAME), [session.run.pk, other])
    return int(brought)


END = """
UPDATE jobs_chunk SET state = 'done', rows = %s, seconds = %s, samples = %s, seen = statement_timestamp(), missing = %s,
                      different = %s
 WHERE id = %s AND state = 'claimed' AND worker = %s
RETURNING (SELECT t.chunk_rows FROM jobs_tablerun AS t WHERE t.id = table_id)
"""
"""The end of a chunk, as long as the session holds its claim; how large the table's next ones were to be."""

OF_NUMBER = verbatim("WHERE id = %s RETURNING inserted + updated + kept + quarantined")
OF_NAME = verbatim("WHERE run_id = %s AND name = %s")


def _add(counts: Mapping[str, int], size: int | None = None) -> Sql:
    """Adds to what is counted of a table. size: of its next chunks."""
    changes = [compose("{name} = {name} + {n}", name=ident(name), n=n) for name, n in counts.items()]
    changes += [compose("chunk_rows = {}", size)] if size is not None else []
    return compose("UPDATE jobs_tablerun SET {}", joined(", ", changes))


def release(session: Session, chunk: Chunk, error: str) -> None:
    """Gives a chunk back that this session is known to have left unwritten."""
    mine(session, chunk).update(state="waiting", worker="", error=error)


def try_later(session: Session, chunk: Chunk, error: str, ended: bool, most: int = MOST_TROUBLES) -> bool:
    """Gives a chunk back after a passing trouble, to be tried a little later; False if somebody took it over.

    ended: whether the transaction is known to have ended; else the next worker makes sure of it, and asks the ledger.
    Raises EngineError once it was tried `most` times.
    """
    troubles = chunk.troubles + 1
    delay = timedelta(seconds=min(10.0, 0.2 * 2**troubles) * random.uniform(0.5, 1.0))
    changes: dict[str, Any] = {"state": "waiting", "worker": ""} if ended else {"seen": None}
    changes |= {"error": error, "troubles": troubles, "not_before": Now() + delay}
    if mine(session, chunk).update(**changes) != 1:
        return False
    if troubles >= most:
        raise EngineError(
            f"{chunk.table.name}, chunk {chunk.number} failed {troubles} times; the last: {error}"
        )
    return True


def mine(session: Session, chunk: Chunk) -> Any:
    """The chunk, as long as this session holds its claim."""
    return Chunk.objects.filter(pk=chunk.pk, state="claimed", worker=session.token)


def copied(table: TableRun) -> int | None:
    """How many rows a table's copy dealt with, once it is cut to its end and every chunk of it is recorded; None until
    then."""
    with connection.cursor() as cursor:
        cursor.execute(COPIED, [table.pk])
        row = cursor.fetchone()
    return row and int(row[0])


COPIED = """
SELECT t.inserted + t.updated + t.kept + t.quarantined FROM jobs_tablerun AS t
 WHERE t.id = %s AND t.phase = 'copy' AND t.cut_done
   AND NOT EXISTS (SELECT FROM jobs_chunk AS c WHERE c.table_id = t.id AND c.phase = 'copy' AND c.state <> 'done')
"""


def recorded(run: Run) -> int:
    """How many differences of the run are kept in the target."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(recorded), 0)::bigint FROM jobs_tablerun WHERE run_id = %s", [run.pk]
        )
        return int(cursor.fetchone()[0])


def under_way(run: Run) -> bool:
    """Whether a session that lives has a chunk of the run, or does what only one may do."""
    live = Chunk.objects.filter(table__run=run, state="claimed", seen__gte=Now() - STALE_AFTER)
    return live.exists() or Run.objects.filter(pk=run.pk, lease_until__gte=Now()).exists()
