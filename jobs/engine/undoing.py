"""One chunk back: what a run inserted is unlinked, deleted and unmapped; and what stands against it is listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from jobs.engine import backrefs, ledger, merging, poison, removals, statistics
from jobs.engine.chunks import FEWEST
from jobs.engine.feed import Work, run_sql
from jobs.engine.ledger import Done, Ticket
from jobs.engine.pieces import Range
from mappings.plan import TablePlan
from mappings.projection import literal

Key = tuple[str, ...]


def next_boundary(work: Work, low: Key | None, rows: int) -> Key | None:
    """Where a walk over the run's own rows has passed `rows` of them; None at the end."""
    if work.table.whole:
        return None
    row = run_sql(
        work.target, removals.boundary(work.plan, work.table, work.run, work.fresh, low, rows)
    ).fetchone()
    return tuple(row) if row else None


def middle(work: Work, low: Key | None, high: Key | None) -> Key | None:
    """The key that cuts a range of the run's own rows into halves; None where it cannot be cut or holds too few."""
    if work.table.whole:
        return None
    keys = removals.source_keys(work.plan, work.table, work.run, work.fresh, Range(low=low, high=high))
    row = run_sql(work.target, f"SELECT count(*) FROM ({keys}) AS own").fetchone()
    half = row[0] // 2 if row else 0
    found = next_boundary(work, low, half) if half >= FEWEST else None
    return None if found == high else found


def unlink_chunk(work: Work, ticket: Ticket) -> Done:
    """Empties the deferred references and the back-references of one chunk."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        updated = 0
        if any(ref.deferred for ref in work.table.references):
            statement = removals.unlink(work.plan, work.table, work.run, work.fresh, ticket.range)
            updated = run_sql(work.target, statement).rowcount
        if work.table.backref:
            backrefs.clear(work, ticket.range)
        done = Done(updated=updated)
        ledger.record(work.target, ticket, done)
    return done


def undo_chunk(work: Work, ticket: Ticket) -> Done:
    """Deletes one chunk's rows and their map rows."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        statement = removals.remove(work.plan, work.table, work.run, work.fresh, ticket.range)
        row = run_sql(work.target, statement).fetchone()
        assert row is not None
        done = Done(inserted=row[0], updated=row[1])
        ledger.record(work.target, ticket, done)
    return done


FORGET = (
    "DELETE FROM migrator.ledger WHERE run = %s",
    "DELETE FROM migrator.quarantine WHERE run = %s",
    "DELETE FROM migrator.released WHERE run = %s",
    "DELETE FROM migrator.before_image WHERE run = %s",
    "UPDATE migrator.run SET rolled_back_at = now() WHERE number = %s",
)
"""Nothing claims any more that a run migrated something; that it was there and was rolled back is kept."""


def forget(work: Work) -> None:
    """Takes what the ledger and the quarantine say of a run, once all its rows are gone. One transaction."""
    with work.target.transaction():
        run_sql(work.target, merging.release(work.plan, work.run))
        poison.take_back(work)
        for statement in FORGET:
            work.target.execute(statement.encode(), [work.run])


def is_last(work: Work) -> bool:
    """Whether no other run of the mapping is left in the target that did anything there."""
    row = work.target.execute(
        "SELECT 1 FROM migrator.run r WHERE r.mapping = %s AND r.number <> %s AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger l WHERE l.run = r.number) LIMIT 1",
        [work.plan.mapping, work.run],
    ).fetchone()
    return row is None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a rollback would take something that is not the run's own."""

    table: str
    text: str


OBSTACLES_TIMEOUT = "5min"


def all_obstacles(works: list[Work]) -> list[Obstacle]:
    """Every obstacle of a run; reads all its rows, so statistics are made fresh and joins kept to one pass."""
    conn = works[0].target
    for work in works:
        statistics.analyse(work)
    by_target: dict[str, list[Work]] = {}
    for work in works:
        by_target.setdefault(work.table.target_sql, []).append(work)
    with conn.transaction():
        run_sql(conn, f"SET LOCAL statement_timeout = '{OBSTACLES_TIMEOUT}'")
        run_sql(conn, "SET LOCAL enable_nestloop = off")
        return [obstacle for work in works for obstacle in obstacles(work, by_target)]


def obstacles(work: Work, others: dict[str, list[Work]]) -> Iterator[Obstacle]:
    """Rows changed since, and rows of others that depend on the run's. others: works by target table's SQL name."""
    statement = removals.changed(work.plan, work.table, work.run, work.fresh, 5)
    row = run_sql(work.target, statement).fetchone()
    if row and row[0]:
        keys = ", ".join(row[1])
        yield Obstacle(
            work.table.name, f"{row[0]} rows were changed since the run, for example source rows {keys}"
        )
    for child, pairs in foreign_keys(work):
        own = [
            removals.is_own(other.plan, other.table, other.run, other.fresh)
            for other in others.get(child, ())
        ]
        statement = removals.dependants(
            work.plan, work.table, work.run, work.fresh, child=child, pairs=pairs, own=own
        )
        count = run_sql(work.target, statement).fetchone()
        if count and count[0]:
            yield Obstacle(
                work.table.name, f"{count[0]} rows of {child} that the run did not bring point to its rows"
            )


def foreign_keys(work: Work) -> list[tuple[str, list[tuple[str, str]]]]:
    """(child table, [(child column, parent column)]) of every foreign key onto the target."""
    rows = run_sql(
        work.target,
        "SELECT k.conrelid::regclass::oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
        " (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(k.conkey) WITH ORDINALITY u(x, o)"
        "   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x),"
        " (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(k.confkey) WITH ORDINALITY u(x, o)"
        "   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.x)"
        " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = {literal(work.table.target_sql)}::regclass",
    ).fetchall()
    return [(child, list(zip(columns, parents, strict=True))) for _, child, columns, parents in rows]


def needs_unlinking(table: TablePlan) -> bool:
    """Whether rows of a table point to each other or are pointed back to."""
    return bool(table.backref) or any(ref.deferred for ref in table.references)


def is_known(conn: psycopg.Connection, run: int) -> bool:
    """Whether the target has heard of a run; one that failed before preparing has left nothing there."""
    found = conn.execute("SELECT to_regclass('migrator.run') IS NOT NULL").fetchone()
    if not found or not found[0]:
        return False
    return conn.execute("SELECT 1 FROM migrator.run WHERE number = %s", [run]).fetchone() is not None
