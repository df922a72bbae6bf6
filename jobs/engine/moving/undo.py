"""One chunk back: what a run inserted is unlinked, deleted and unmapped, and what it overwrote is restored."""

from __future__ import annotations

import psycopg

from jobs.engine import feed
from jobs.engine.errors import EngineError
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs, bad_rows
from jobs.engine.moving.undo_ranges import standing
from jobs.engine.sql import remains, remember, remove
from jobs.engine.sql.merging import superseded
from jobs.engine.sql.rollback import as_copied
from jobs.engine.sql.walks.chunk_range import MapRange, Range
from jobs.engine.target import ledger, witnesses
from jobs.engine.target.ledger import Done, Ticket
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, encoded, verbatim

BY_INDEX = verbatim("SET LOCAL enable_seqscan = off")
"""Without statistics the planner would read the whole table for a first or last range."""


def unlink_chunk(work: Work, ticket: Ticket) -> Done:
    """Empties the deferred references and the back-references of one chunk."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        feed.hush(work)
        chunk, updated = standing(work, ticket.range), 0
        if any(ref.deferred for ref in work.table.references):
            statement = remove.unlink(work, chunk)
            updated = feed.change(work, statement)
        if work.table.link.backref:
            feed.settle(work)
            backrefs.clear(work, chunk)
        done = Done(updated=updated)
        feed.settle(work)
        ledger.record(work.target, ticket, done)
    return done


def undo_chunk(work: Work, ticket: Ticket) -> Done:
    """Deletes one chunk's rows and their map rows."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        feed.hush(work)
        chunk = standing(work, ticket.range)
        held = _held(work, chunk)
        if work.table.link.keep_map:
            done = _as_copied(work, chunk) or _by_the_map(work, chunk)
        else:
            done = _unmapped(work, chunk)
        if held and done.inserted < held:
            raise EngineError(_kept_by_triggers(work, held - done.inserted))
        feed.settle(work)
        ledger.record(work.target, ticket, done)
    return done


def _held(work: Work, chunk: Range) -> int:
    """How many rows must go, where a trigger could keep them; else 0."""
    if not any(trigger.delete for trigger in work.table.firing.triggers):
        return 0
    own = remove.owned(work, chunk)
    row = run_sql(work.target, compose("SELECT count(*) FROM {}", own)).fetchone()
    return row[0] if row else 0


def _kept_by_triggers(work: Work, rows: int) -> str:
    names = ", ".join(trigger.name for trigger in work.table.firing.triggers if trigger.delete)
    return (
        f"{work.table.name}: {rows} rows of {work.table.target} cannot be taken back, because a trigger keeps them"
        f" from being deleted ({names}); disable it, then roll back again"
    )


def _as_copied(work: Work, chunk: Range) -> Done | None:
    """Deletes what some chunks of the copy wrote, target and map each in its own order.

    Both are told by the writer alone, so it must be certain that they are the very rows that the chunks wrote in
    pairs: all of them, on both sides. None, and nothing is deleted, where that is not so, or cannot be.
    """
    table = work.table
    paired = table.link.keep_map and table.link.link_by == "source_id" and table.link.aligned
    if not paired or not isinstance(chunk, MapRange) or any(ref.deferred for ref in table.references):
        return None
    copied = run_sql(work.target, as_copied.copied_by(table, work.run, chunk.writers)).fetchall()
    rows = sum(inserted for *_, inserted in copied)
    if len(copied) != len(chunk.writers):
        return None
    with work.target.transaction() as attempt:
        _keep_keys(work, chunk)
        freed = feed.changed_by(work.target, as_copied.unmap(work, chunk))
        run_sql(work.target, BY_INDEX)
        if freed == rows and all(_remove_written(work, *chunk) for chunk in copied):
            return Done(inserted=rows, updated=rows)
        raise psycopg.Rollback(attempt)
    return None


def _remove_written(
    work: Work, writer: str, low: list[str] | None, high: list[str] | None, rows: int
) -> bool:
    """Deletes the target rows of one chunk of the copy; whether they are as many as it wrote."""
    chunk = Range(tuple(low) if low else None, tuple(high) if high else None)
    return feed.change(work, as_copied.remove_written(work.table, chunk, writer)) == rows


def _unmapped(work: Work, chunk: Range) -> Done:
    """Deletes the rows of a range that the run brought, where no map says so."""
    if chunk.low or chunk.high:
        run_sql(work.target, BY_INDEX)
    _keep_keys(work, chunk)
    rows = sum(feed.change(work, statement) for statement in remove.remove_unmapped(work, chunk))
    return Done(inserted=rows, updated=rows)


def _keep_keys(work: Work, chunk: Range) -> None:
    """Keeps the keys of the rows that are about to go, for a later run."""
    for statement in remember.keep(work, chunk):
        run_sql(work.target, statement)


def _by_the_map(work: Work, chunk: Range) -> Done:
    """Deletes the rows that the map says the run brought, one by one, and restores what it overwrote."""
    # Every row is found by an index; the planner does not know how few the chunk's map rows are.
    run_sql(work.target, verbatim("SET LOCAL enable_hashjoin = off"))
    run_sql(work.target, verbatim("SET LOCAL enable_mergejoin = off"))
    if work.table.link.link_by == "source_id":
        with work.target.transaction() as attempt:
            removed, freed, brought = feed.run_remove(work, chunk)
            if removed == brought:
                return Done(inserted=removed, updated=freed)
            raise psycopg.Rollback(attempt)
    # By the map's key another row might go; and rows that are restored need the chunk's own writer, not a savepoint's.
    _refuse_displaced(work, chunk)
    removed, freed, _ = feed.run_remove(work, chunk)
    return Done(inserted=removed, updated=freed)


def _refuse_displaced(work: Work, chunk: Range) -> None:
    """Raises EngineError where rows would stay, or others go, because they are not where the map says.

    The map rows that tell of them would be gone with the chunk, so it is not begun.
    """
    table = work.table
    if not (table.link.source_id and table.into.target_key):
        return
    count, keys = witnesses.ask(work, remains.displaced(work, chunk))
    if count:
        raise EngineError(
            f"{table.name}: {witnesses.named((count, keys), remains.DISPLACED)}; nothing of it is undone"
        )


FORGET = (
    verbatim("DELETE FROM migrator.ledger WHERE run = %s"),
    verbatim("DELETE FROM migrator.quarantine WHERE run = %s"),
    verbatim("DELETE FROM migrator.released WHERE run = %s"),
    verbatim("DELETE FROM migrator.before_image WHERE run = %s"),
    verbatim("DELETE FROM migrator.difference WHERE run = %s"),
    verbatim("UPDATE migrator.run SET rolled_back_at = now() WHERE number = %s"),
)
"""Nothing claims any more that a run migrated something; that it was there and was rolled back is kept."""

FORGET_ASSIGNED = verbatim("DELETE FROM migrator.assigned_value WHERE run = %s")
"""Where the plan has such values: a target that older versions wrote to may lack the table."""


def forgetting(plan: Plan) -> tuple[Sql, ...]:
    """The statements by which a run is forgotten, each with its number as the parameter."""
    return (FORGET_ASSIGNED, *FORGET) if any(table.assigning for table in plan.tables) else FORGET


def forget(work: Work) -> None:
    """Takes what the ledger and the quarantine say of a run, once all its rows are gone. One transaction."""
    with work.target.transaction():
        if work.plan.overwrites:
            run_sql(work.target, superseded.release(work.plan, work.run))
        bad_rows.take_back(work)
        for statement in forgetting(work.plan):
            work.target.execute(encoded(statement), [work.run])


def is_last(work: Work) -> bool:
    """Whether no other run of the mapping is left in the target that did anything there."""
    row = work.target.execute(
        "SELECT 1 FROM migrator.run r WHERE r.mapping = %s AND r.number <> %s AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger l WHERE l.run = r.number) LIMIT 1",
        [work.plan.mapping, work.run],
    ).fetchone()
    return row is None


def needs_unlinking(table: TablePlan) -> bool:
    """Whether rows of a table point to each other or are pointed back to."""
    return bool(table.link.backref) or any(ref.deferred for ref in table.references)


def wrote(conn: psycopg.Connection, run: int) -> bool:
    """Whether any chunk of a run was committed. One that ended before may not even have its columns."""
    row = conn.execute("SELECT EXISTS (SELECT FROM migrator.ledger WHERE run = %s)", [run]).fetchone()
    return bool(row and row[0])


def is_mapped(work: Work) -> bool:
    """Whether the map lists any row of the run, of whatever table."""
    row = work.target.execute(
        "SELECT EXISTS (SELECT FROM migrator.migration_map WHERE mapping = %s AND run = %s)",
        [work.plan.mapping, work.run],
    ).fetchone()
    return bool(row and row[0])


def is_forgotten(conn: psycopg.Connection, run: int) -> bool:
    """Whether the rollback of a run came to its end before, and at most schema steps are left to be undone."""
    row = conn.execute("SELECT rolled_back_at FROM migrator.run WHERE number = %s", [run]).fetchone()
    return bool(row and row[0])


def is_known(conn: psycopg.Connection, run: int) -> bool:
    """Whether the target has heard of a run; one that failed before preparing has left nothing there."""
    row = conn.execute("SELECT to_regclass('migrator.run') IS NOT NULL").fetchone()
    if not row or not row[0]:
        return False
    return conn.execute("SELECT 1 FROM migrator.run WHERE number = %s", [run]).fetchone() is not None
