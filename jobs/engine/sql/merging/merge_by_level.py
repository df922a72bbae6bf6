"""Statements that merge a tree level by level: a row is matched once it is known where its parent went.

A table's own rows wait in a temporary table with their feed's columns; those whose parents are in go through
the statements of `merge` and leave it, until none is ready any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.engine.sql import key_sql
from jobs.engine.sql.merging import merge
from jobs.engine.sql.new_rows import there
from jobs.engine.sql.references import parents
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, shortened, verbatim

MOST_NAMED = 3


def _waiting(table: TablePlan) -> Sql:
    """The temporary table of feed rows that are not in yet."""
    return ident(shortened(f"waiting_{table.name}"))


def hold(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, guarded: bool) -> list[Sql]:
    """Takes the feed's rows that are not mapped yet."""
    guard = there.guard(plan, table, chunk, guarded)
    return [
        compose("DROP TABLE IF EXISTS pg_temp.{}", _waiting(table)),
        compose(
            "CREATE TEMPORARY TABLE {waiting} ON COMMIT DROP AS\nSELECT f.* FROM {relation} AS f{guard}",
            waiting=_waiting(table), relation=relation, guard=guard,
        ),
        compose("ANALYZE {}", _waiting(table)),
    ]  # fmt: skip


def fill_level(plan: Plan, table: TablePlan) -> Sql:
    """The rows that are ready go on, with their parents' keys. Its row count says how many."""
    ready = joined(" AND ", (compose("({})", condition) for condition in _ready(plan, table)))
    return merge.fill_from(plan, table, _waiting(table), compose("\n WHERE {}", ready), own=True)


def _ready(plan: Plan, table: TablePlan) -> Iterator[Sql]:
    """For each reference to the table itself: it is NULL, or its parent is in, or it may stay without the one that
    is neither in nor on its way."""
    for number, ref in _own(table):
        missing = parents.resolve(plan, number, ref).missing
        if ref.missing != "null":
            yield compose("NOT ({})", missing)
            continue
        parts = [compose("f.r{}_{}", number, place) for place in range(1, len(ref.by) + 1)]
        same = key_sql.equal(key_sql.key_of(table, verbatim("x")), parts, key_sql.kept_operators(table))
        on_its_way = compose("SELECT FROM {} AS x WHERE {}", _waiting(table), same)
        yield compose("NOT ({}) OR NOT EXISTS ({})", missing, on_its_way)


def _own(table: TablePlan) -> Iterator[tuple[int, Reference]]:
    for number, ref in enumerate(table.references, start=1):
        if ref.parent == table.name and not ref.deferred:
            yield number, ref


def let_go(table: TablePlan) -> Sql:
    """Rows that went on wait no longer."""
    key = key_sql.feed_key_text(table, verbatim("f"))
    gone = compose("SELECT w.{} FROM {} AS w", merge.own_columns(table).key, merge.stage_name(table))
    return compose("DELETE FROM {} AS f WHERE {} IN ({})", _waiting(table), key, gone)


def fill_rest(plan: Plan, table: TablePlan) -> Sql:
    """What is left goes on, which raises MG001 for a row whose parent must be there."""
    return merge.fill_from(plan, table, _waiting(table), NOTHING, own=True)


def left(table: TablePlan) -> Sql:
    """(how many rows still wait, keys of the first)."""
    key = key_sql.feed_key_text(table, verbatim("f"))
    return compose(
        "SELECT count(*), (array_agg({key} ORDER BY {key}))[1:{most_named}] FROM {waiting} AS f",
        key=key, most_named=MOST_NAMED, waiting=_waiting(table),
    )  # fmt: skip


def in_a_circle(table: TablePlan) -> str:
    """Why rows that still wait cannot go on."""
    return (
        f"rows of {table.source} are each other's parents in a circle, so they cannot be found in {table.target}"
        " level by level; break the circle, or leave those rows out by where"
    )
