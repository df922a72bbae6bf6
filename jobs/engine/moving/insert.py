"""Puts one range's rows into the target, inside a transaction that someone else opens and closes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg

from jobs.engine import feed
from jobs.engine.errors import EngineError, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs
from jobs.engine.sql import digest, feed_stage, firing, insert_rows
from jobs.engine.sql.key_sql import PageRange, Range
from jobs.engine.sql.merging import merge, merge_by_level, program
from jobs.engine.sql.rollback import remember
from jobs.engine.sql.trials import Statement
from jobs.engine.target.ledger import Done
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose


def place(work: Work, chunk: Range, relation: Sql | None = None) -> tuple[Done, list[str] | None]:
    """Inserts, updates or keeps a range's rows that are not mapped yet: (counts, keys that the ledger must list).

    relation: where the range's feed is read from, if somebody has staged it already.
    """
    if relation is None and _may_stream(work, chunk):
        return Done(inserted=_stream(work, chunk)), None
    # Where no map says which run brought a row, the ledger lists the rows of every run but the first.
    lists_keys = not work.fresh and not work.table.link.keep_map
    if relation is None and _all_there(work, chunk):
        return Done(), [] if lists_keys else None
    relation = relation or feed.relation(work, chunk, "copy")
    backrefs.forget_gone(work, relation)
    if work.table.link.remembered:
        run_sql(work.target, remember.BY_INDEX)
    if work.table.into.existing:
        return _merge(work, relation, chunk), None
    if _may_insert_all(work):
        all_of_them = insert_rows.insert_all(work, relation, chunk)
        return Done(inserted=run_sql(work.target, all_of_them).rowcount), None
    statement = insert_rows.insert(work, relation, chunk, lists_keys=lists_keys, guarded=work.guarded)
    row = run_sql(work.target, statement).fetchone()
    assert row is not None
    if row[0] is None:
        raise _left_out(work.table)
    return Done(inserted=row[0]), (row[1] or []) if lists_keys else None


def statements(work: Work, chunk: Range, relation: Sql) -> list[Statement]:
    """What `place` executes for the rows of a relation, for a trial of some of them. prepare_trial comes before.

    Where rows are only inserted the map is left out: nobody refuses anything there.
    """
    plan, table = work.plan, work.table
    unmapped = replace(work, table=work.table.without_map())
    if not table.into.existing and _may_insert_all(work):
        return [Statement(insert_rows.insert_all(unmapped, relation, chunk))]
    if not table.into.existing:
        insert = insert_rows.insert(unmapped, relation, chunk, lists_keys=False, guarded=work.guarded)
        return [Statement(insert, answers=True)]
    emptied = compose("DELETE FROM {}", merge.stage_name(table))
    filled = merge.fill(plan, table, relation, chunk, work.guarded)
    return [Statement(emptied), Statement(filled), *_tried(work)]


def _tried(work: Work) -> Iterator[Statement]:
    """What can refuse a row: nothing that comes after the count does."""
    for step in program.merged(work, guarded=False):
        if isinstance(step, program.Do | program.Count):
            yield Statement(step.sql, answers=isinstance(step, program.Count))


def prepare_trial(work: Work) -> None:
    """Makes what the statements of a trial work with."""
    if work.table.into.existing:
        run_sql(work.target, merge.create_stage(work.table))


def _left_out(table: TablePlan) -> EngineError:
    return EngineError(f"{table.name}: {merge.left_out(table)}")


def _may_insert_all(work: Work) -> bool:
    """Whether nothing has to be looked up or listed: no row is there yet, and each carries its source id."""
    return (
        bool(work.table.link.source_id)
        and work.fresh
        and not (work.guarded or work.table.whole or work.table.firing.fires)
    )


def _may_stream(work: Work, chunk: Range) -> bool:
    """Whether rows can go from the source straight into the target's table, without a look at what is there.

    Between two databases, where no reference, match or earlier row needs the target's help; the map is made from
    the range afterwards, so ranges must hold in the target, or there be no map.
    """
    table, by_pages = work.table, isinstance(chunk, PageRange)
    plain = not (work.plan.same_database or work.guarded or table.into.existing or table.link.remembered)
    carried = table.link.link_by == "source_id" and (
        not table.link.keep_map if by_pages else table.link.aligned
    )
    return plain and chunk.only is None and carried and all(ref.deferred for ref in table.references)


def _all_there(work: Work, chunk: Range) -> bool:
    """Whether both sides say of the keys of a range that they are the same: no row then has to travel to be looked for.

    Between two databases, where rows carry their source ids and are only inserted. False: look at the rows.
    """
    table = work.table
    looks = work.guarded and not (work.plan.same_database or table.into.existing or table.link.backref)
    carried = table.link.link_by == "source_id" and table.link.aligned
    some = isinstance(chunk, PageRange) or chunk.only is not None or chunk.without or chunk.part
    if some or not (looks and carried):
        return False
    source = digest.keys_at_source(table, chunk, work.source.info.server_version)
    target = digest.keys_at_target(table, chunk, work.target.info.server_version)
    try:
        with ThreadPoolExecutor(max_workers=1) as other, work.target.transaction():
            at_source = other.submit(_figures, work.source, source)
            at_target = run_sql(work.target, target).fetchone()
        return at_source.result() == at_target
    except psycopg.Error as error:
        if not blames_row(error) and not (error.sqlstate or "").startswith(NOT_DIGESTIBLE):
            raise
    return False


NOT_DIGESTIBLE = ("42", "0A", "XX000")
"""SQLSTATEs of keys without a binary form."""


def _figures(conn: psycopg.Connection, statement: Sql) -> object:
    with conn.transaction():
        return run_sql(conn, statement).fetchone()


def _stream(work: Work, chunk: Range) -> int:
    out, into = feed_stage.stream_out(work.table, chunk), feed_stage.stream_in(work.table)
    if work.table.firing.fires:  # a COPY has no operator and no function whose name is looked up
        run_sql(work.target, firing.THEIRS)
    binary = feed_stage.streams_as(work.table) == "binary"
    inserted = feed.stream(work.source, out, work.target, into, binary=binary)
    if work.table.firing.fires:
        run_sql(work.target, firing.OURS)
    if work.table.link.keep_map:
        run_sql(work.target, insert_rows.map_range(work, chunk))
    return inserted


def _merge(work: Work, relation: Sql, chunk: Range) -> Done:
    """Rows that may be there already: match, make keys, insert, update with before-images, map."""
    if work.table.whole:
        return _merge_by_level(work, relation, chunk)
    _stage(work, merge.fill(work.plan, work.table, relation, chunk, work.guarded))
    return _merge_staged(work)


def _merge_by_level(work: Work, relation: Sql, chunk: Range) -> Done:
    """The same for rows that are found by where their parents of the same table went, parents first."""
    for statement in merge_by_level.hold(work.plan, work.table, relation, chunk, work.guarded):
        run_sql(work.target, statement)
    done = Done()
    while _stage(work, merge_by_level.fill_level(work.plan, work.table)):
        done += _merge_staged(work)
        run_sql(work.target, merge_by_level.let_go(work.table))
    rows, keys = run_sql(work.target, merge_by_level.left(work.table)).fetchone() or (0, [])
    if rows:
        run_sql(work.target, merge_by_level.fill_rest(work.plan, work.table))
        text = f"{work.table.name}: {merge_by_level.in_a_circle(work.table)}; for example {', '.join(keys)}"
        raise EngineError(text)
    return done


def _stage(work: Work, fill: Sql) -> int:
    """Fills the empty stage; returns how many rows are in it."""
    rows = [run_sql(work.target, statement).rowcount for statement in program.staged(work.table, fill)]
    return rows[program.FILL]


def _merge_staged(work: Work) -> Done:
    done = Done()
    for step in program.merged(work, work.guarded):
        match step:
            case program.Refuse(when, why) if _says(work, when):
                raise EngineError(f"{work.table.name}: {why}")
            case program.Analyze(sql, when) if when is None or _says(work, when):
                run_sql(work.target, sql)
            case program.Count(sql):
                row = run_sql(work.target, sql).fetchone()
                assert row is not None
                done = Done(*row)
            case program.Do(sql) | program.Settle(sql):
                run_sql(work.target, sql)
    return done


def _says(work: Work, query: Sql) -> bool:
    return run_sql(work.target, query).fetchone() == (True,)
