"""One chunk back: what a run inserted is unlinked, deleted and unmapped; and what stands against it is listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from jobs.engine import backrefs, ledger, merging, poison, removals
from jobs.engine.chunks import FEWEST
from jobs.engine.feed import Work, run_sql
from jobs.engine.ledger import Done, Ticket
from jobs.engine.pieces import MAP, Range
from mappings.plan import TablePlan
from mappings.projection import literal

Key = tuple[str, ...]


def next_boundary(work: Work, low: Key | None, rows: int) -> Key | None:
    """Where a walk over the target's source ids has passed `rows` of them; None at the end. Without a map only."""
    if work.table.whole:
        return None
    row = run_sql(work.target, removals.next_source_id(work.table, low, rows)).fetchone()
    return tuple(row) if row else None


def middle(work: Work, low: Key | None, high: Key | None) -> Key | None:
    """The key that cuts a range of the run's own rows into halves; None where it cannot be cut or holds too few."""
    if work.table.whole:
        return None
    if work.table.keep_map:
        return _middle_page(low, high)
    keys = removals.source_keys(work.plan, work.table, work.run, work.fresh, Range(low=low, high=high))
    row = run_sql(work.target, f"SELECT count(*) FROM ({keys}) AS own").fetchone()
    half = row[0] // 2 if row else 0
    found = next_boundary(work, low, half) if half >= FEWEST else None
    return None if found == high else found


def stretches(work: Work) -> list[Range]:
    """All of a run's map rows: one range for each transaction that wrote some, as (writer, place, file of the map).

    Low bounds are exclusive. A table whose rows point to each other goes as a whole.
    """
    if work.table.whole:
        return [Range()]
    file = _map_file(work)
    found = run_sql(work.target, removals.stretches(work.plan, work.table, work.run)).fetchall()
    return [
        Range((writer, f"({_page(first)},0)", file), (writer, last, file)) for writer, first, last in found
    ]


def _page(place: str) -> int:
    """The page of a place such as `(12,34)`."""
    return int(place.strip("()").partition(",")[0])


def _middle_page(low: Key | None, high: Key | None) -> Key | None:
    if not (low and high):
        return None
    writer, place, file = low
    first, last = _page(place), _page(high[1])
    return (writer, f"({(first + last + 1) // 2},0)", file) if last > first else None


def _map_file(work: Work) -> str:
    """By what to tell that the map was rewritten (VACUUM FULL, pg_repack), so that places in it hold no longer."""
    row = run_sql(work.target, f"SELECT pg_relation_filenode({literal(MAP)}::regclass)::text").fetchone()
    assert row is not None
    return str(row[0])


def _standing(work: Work, stretch: Range) -> Range:
    """The stretch; all that is left of the run where the map was rewritten since it was cut. In a transaction."""
    if not removals.is_stretch(stretch):
        return stretch
    assert stretch.low
    run_sql(work.target, f"LOCK TABLE {MAP} IN ROW EXCLUSIVE MODE")
    return stretch if _map_file(work) == stretch.low[2] else Range()


def unlink_chunk(work: Work, ticket: Ticket) -> Done:
    """Empties the deferred references and the back-references of one chunk."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        stretch, updated = _standing(work, ticket.range), 0
        if any(ref.deferred for ref in work.table.references):
            statement = removals.unlink(work.plan, work.table, work.run, work.fresh, stretch)
            updated = run_sql(work.target, statement).rowcount
        if work.table.backref:
            backrefs.clear(work, stretch)
        done = Done(updated=updated)
        ledger.record(work.target, ticket, done)
    return done


def undo_chunk(work: Work, ticket: Ticket) -> Done:
    """Deletes one chunk's rows and their map rows."""
    with work.target.transaction():
        ledger.fence(work.target, ticket)
        stretch = _standing(work, ticket.range)
        done = _as_copied(work, stretch) or _by_the_map(work, stretch)
        ledger.record(work.target, ticket, done)
    return done


def _as_copied(work: Work, stretch: Range) -> Done | None:
    """Deletes what one chunk of the copy wrote, target and map each in its own order.

    Both are told by the writer alone, so it must be certain that they are the very rows that the chunk wrote in
    pairs: all of them, on both sides. None, and nothing is deleted, where that is not so, or cannot be.
    """
    table = work.table
    paired = table.keep_map and table.link_by == "source_id" and table.aligned
    if not paired or not removals.is_stretch(stretch) or any(ref.deferred for ref in table.references):
        return None
    assert stretch.low
    writer = stretch.low[0]
    copied = run_sql(work.target, removals.copied_as(table, work.run, writer)).fetchall()
    if len(copied) != 1:
        return None
    low, high, rows = copied[0]
    with work.target.transaction() as attempt:
        freed = run_sql(work.target, removals.unmap(work.plan, table, work.run, stretch)).rowcount
        if freed == rows:
            # Without statistics the planner would read the whole table for a first or last range.
            run_sql(work.target, "SET LOCAL enable_seqscan = off")
            removed = removals.remove_written(table, Range(_key(low), _key(high)), writer)
            if run_sql(work.target, removed).rowcount == rows:
                return Done(inserted=rows, updated=rows)
        raise psycopg.Rollback(attempt)
    return None


def _key(bound: list[str] | None) -> Key | None:
    return tuple(bound) if bound else None


def _by_the_map(work: Work, chunk: Range) -> Done:
    """Deletes the rows that the map says the run brought, one by one, and restores what it overwrote."""
    if work.table.keep_map:
        # Every row is found by an index; the planner does not know how few the chunk's map rows are.
        run_sql(work.target, "SET LOCAL enable_hashjoin = off")
        run_sql(work.target, "SET LOCAL enable_mergejoin = off")
    row = run_sql(work.target, removals.remove(work.plan, work.table, work.run, work.fresh, chunk)).fetchone()
    assert row is not None
    return Done(inserted=row[0], updated=row[1])


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
    """Every obstacle of a run; may have to read all its rows, so joins are kept to one pass."""
    conn = works[0].target
    by_target: dict[str, list[Work]] = {}
    for work in works:
        by_target.setdefault(work.table.target_sql, []).append(work)
    with conn.transaction():
        run_sql(conn, f"SET LOCAL statement_timeout = '{OBSTACLES_TIMEOUT}'")
        run_sql(conn, "SET LOCAL enable_nestloop = off")
        return [obstacle for work in works for obstacle in obstacles(work, by_target)]


def obstacles(work: Work, others: dict[str, list[Work]]) -> Iterator[Obstacle]:
    """Rows changed since, and rows of others that depend on the run's. others: works by target table's SQL name."""
    row = _changed(work)
    if row and row[0]:
        keys = ", ".join(row[1])
        yield Obstacle(
            work.table.name, f"{row[0]} rows were changed since the run, for example source rows {keys}"
        )
    for child, pairs in foreign_keys(work):
        brought_by = others.get(child, ())
        statement = removals.dependants(
            work.plan, work.table, work.run, work.fresh, child=child, pairs=pairs,
            brings=[other.table.name for other in brought_by],
            own=[removals.is_own(other.plan, other.table, other.run, other.fresh) for other in brought_by],
        )  # fmt: skip
        count = run_sql(work.target, statement).fetchone()
        if count and count[0]:
            yield Obstacle(
                work.table.name, f"{count[0]} rows of {child} that the run did not bring point to its rows"
            )


def _changed(work: Work) -> tuple[int, list[str]] | None:
    """(how many rows someone changed since, some of their source keys); None without reading the map if none did."""
    if work.table.link_by == "source_id":
        strange = removals.has_strange_writer(work.plan, work.table)
        if run_sql(work.target, strange).fetchone() is None:
            return None
    statement = removals.changed(work.plan, work.table, work.run, work.fresh, 5)
    return run_sql(work.target, statement).fetchone()


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
