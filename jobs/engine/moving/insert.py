"""Puts one range's rows into the target, inside a transaction that someone else opens and closes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg

from jobs.engine import feed
from jobs.engine.errors import EngineError, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs
from jobs.engine.sql import digest, feed_stage, firing, insert_rows, program
from jobs.engine.sql.merging import merge
from jobs.engine.sql.trials import Statement
from jobs.engine.sql.walks.chunk_range import PageRange, Range
from jobs.engine.target.ledger import Done
from mappings.sql import Sql, compose

Placed = tuple[Done, list[str] | None]
"""Counts, and the keys that the ledger must list."""


def place(work: Work, chunk: Range, relation: Sql | None = None) -> Placed:
    """Inserts, updates or keeps a range's rows that are not mapped yet.

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
    steps = program.placed(work, relation, chunk, guarded=work.guarded, lists_keys=lists_keys)
    return _perform(work, steps)


def statements(work: Work, chunk: Range, relation: Sql) -> list[Statement]:
    """What `place` executes for the rows of a relation, for a trial of some of them. prepare_trial comes before.

    Where rows are only inserted the map is left out: nobody refuses anything there.
    """
    plan, table = work.plan, work.table
    if not table.into.existing:
        unmapped = replace(work, table=table.without_map())
        return list(_tried(program.placed(unmapped, relation, chunk, guarded=work.guarded)))
    emptied = compose("DELETE FROM {}", merge.stage_name(table))
    filled = merge.fill(plan, table, relation, chunk, work.guarded)
    return [Statement(emptied), Statement(filled), *_tried(program.merged(work, guarded=False))]


def _tried(steps: Iterable[program.Step]) -> Iterator[Statement]:
    """What can refuse a row: nothing that comes after the count does."""
    for step in steps:
        match step:
            case program.Do(sql) | program.InsertAll(sql):
                yield Statement(sql)
            case program.Count(sql) | program.Insert(sql):
                yield Statement(sql, answers=True)


def prepare_trial(work: Work) -> None:
    """Makes what the statements of a trial work with."""
    if work.table.into.existing:
        run_sql(work.target, merge.create_stage(work.table))


def _may_stream(work: Work, chunk: Range) -> bool:
    """Whether rows can go from the source straight into the target's table, without a look at what is there.

    Between two databases, where no reference, match or earlier row needs the target's help; the map is made from
    the range afterwards, so ranges must hold in the target, or there be no map.
    """
    table, by_pages = work.table, isinstance(chunk, PageRange)
    plain = not (work.plan.same_database or work.guarded or table.into.existing or table.link.remembered)
    linked = table.link.link_by == "source_id" and (
        not table.link.keep_map if by_pages else table.link.aligned
    )
    some = chunk.only is not None or chunk.span is not None
    return plain and not some and linked and all(ref.deferred for ref in table.references)


def _all_there(work: Work, chunk: Range) -> bool:
    """Whether both sides say of the keys of a range that they are the same: no row then has to travel to be looked for.

    Between two databases, where rows carry their source ids and are only inserted. False: look at the rows.
    """
    table = work.table
    looks = work.guarded and not (work.plan.same_database or table.into.existing or table.link.backref)
    linked = table.link.link_by == "source_id" and table.link.aligned
    some = isinstance(chunk, PageRange) or chunk.only is not None or chunk.without or chunk.part or chunk.span
    if some or not (looks and linked):
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


def _perform(work: Work, steps: Iterable[program.Step]) -> Placed:
    """Executes a program."""
    done, keys = Done(), None
    for step in steps:
        match step:
            case program.Insert():
                brought, keys = _insert(work, step)
                done += brought
            case program.InsertAll(sql):
                done += Done(inserted=run_sql(work.target, sql).rowcount)
            case program.Count(sql):
                done += Done(*_answer(work, sql))
            case program.ByLevel():
                done += _merge_by_level(work, step)
            case program.Stage():
                _stage(work, step)
            case _:
                _do(work, step)
    return done, keys


def _do(work: Work, step: program.Do | program.Settle | program.Advise | program.Refuse) -> None:
    """What nothing is counted of."""
    match step:
        case program.Refuse(when, why):
            if _says(work, when):
                raise EngineError(f"{work.table.name}: {why}")
        case program.Advise(sql, when):
            if when is None or _says(work, when):
                run_sql(work.target, sql)
        case program.Do(sql) | program.Settle(sql):
            run_sql(work.target, sql)


def _insert(work: Work, step: program.Insert) -> Placed:
    count, keys = _answer(work, step.sql)
    if count is None:
        raise EngineError(f"{work.table.name}: {step.why}")
    return Done(inserted=count), (keys or []) if step.lists_keys else None


def _merge_by_level(work: Work, step: program.ByLevel) -> Done:
    """Rows that are found by where their parents of the same table went, parents first."""
    for statement in step.hold:
        run_sql(work.target, statement)
    done = Done()
    while _stage(work, step.stage):
        more, _ = _perform(work, step.level)
        done += more
        run_sql(work.target, step.let_go)
    rows, keys = _answer(work, step.left)
    if rows:
        run_sql(work.target, step.rest)
        raise EngineError(f"{work.table.name}: {step.why}; for example {', '.join(keys)}")
    return done


def _stage(work: Work, step: program.Stage) -> int:
    """Fills the empty stage; returns how many rows are in it."""
    for statement in step.before:
        run_sql(work.target, statement)
    rows = run_sql(work.target, step.fill).rowcount
    for statement in step.after:
        run_sql(work.target, statement)
    return rows


def _answer(work: Work, statement: firing.Statement) -> tuple[Any, ...]:
    """The one row that it returns."""
    row = run_sql(work.target, statement).fetchone()
    assert row is not None
    return row


def _says(work: Work, query: Sql) -> bool:
    return _answer(work, query) == (True,)
