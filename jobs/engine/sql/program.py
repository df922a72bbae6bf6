"""What is done with a chunk's rows in the target, in order: inserted, or matched and then updated or kept.

A worker executes it, a rehearsal tries it on single rows, and an exported script prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jobs.engine.scope import Scope
from jobs.engine.sql import firing, insert_rows, remember
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.merging import merge, merge_by_level, superseded
from jobs.engine.sql.walks.chunk_range import Range
from mappings.sql import Sql, compose


class Insert(NamedTuple):
    """Brings rows that are not there yet. Returns (how many, their source keys or NULL).

    lists_keys: whether the ledger is to have the keys; why: what ends the chunk where it is NULL how many.
    """

    sql: firing.Statement
    lists_keys: bool
    why: str | None


class InsertAll(NamedTuple):
    """Brings rows none of which can be there. Its row count says how many."""

    sql: Sql


class Stage(NamedTuple):
    """Makes the table of staged rows anew, and brings its rows."""

    name: Sql
    before: list[Sql]
    fill: Sql
    after: list[Sql]

    @property
    def statements(self) -> list[Sql]:
        """All of it."""
        return [*self.before, self.fill, *self.after]


class Do(NamedTuple):
    """A statement that changes rows."""

    sql: firing.Statement


class Refuse(NamedTuple):
    """Ends the chunk where a query says so. when: of one boolean."""

    when: Sql
    why: str


class Advise(NamedTuple):
    """Tells the planner of rows that have just come, or which way to go. when: a query of one boolean, where it is not
    always worth it."""

    sql: Sql
    when: Sql | None = None


class Count(NamedTuple):
    """A statement that returns how many rows were (inserted, updated, kept)."""

    sql: Sql


class Settle(NamedTuple):
    """A statement that tells rows of other runs what has become of them, once it is counted what this one did."""

    sql: Sql


class ByLevel(NamedTuple):
    """Rows that are found by where their parents of the same table went, parents first.

    hold: takes all of them; then, until a stage is empty: stage, level, let_go. left: (how many still wait, the first
    keys); rest: raises for a row whose parent must be there; why: what ends the chunk where some wait and it did not.
    """

    hold: list[Sql]
    stage: Stage
    level: list[Step]
    let_go: Sql
    left: Sql
    rest: Sql
    why: str


Step = Insert | InsertAll | Stage | Do | Refuse | Advise | Count | Settle | ByLevel


def placed(
    scope: Scope, relation: Sql, chunk: Range, *, guarded: bool, lists_keys: bool = False
) -> Iterator[Step]:
    """Inserts, updates or keeps rows of a feed that are not mapped yet. guarded: rows may be there already."""
    plan, table = scope.plan, scope.table
    if table.link.remembered:
        yield Advise(remember.BY_INDEX)
    if table.into.existing is None:
        yield _inserted(scope, relation, chunk, guarded, lists_keys)
    elif table.whole:
        yield _by_level(scope, relation, chunk, guarded)
    else:
        yield _staged(scope, merge.fill(plan, table, relation, chunk, guarded))
        yield from merged(scope, guarded)


def _inserted(
    scope: Scope, relation: Sql, chunk: Range, guarded: bool, lists_keys: bool
) -> Insert | InsertAll:
    table = scope.table
    is_first = scope.fresh and not guarded
    if is_first and table.link.source_id and not (table.whole or table.firing.fires):
        return InsertAll(insert_rows.insert_all(scope, relation, chunk))
    sql = insert_rows.insert(scope, relation, chunk, lists_keys=lists_keys, guarded=guarded)
    return Insert(sql, lists_keys, merge.left_out(table) if insert_rows.pairs_by_order(table) else None)


def _staged(scope: Scope, fill: Sql) -> Stage:
    stage = merge.stage_name(scope.table)
    emptied = [compose("DROP TABLE IF EXISTS pg_temp.{}", stage), merge.create_stage(scope.table)]
    return Stage(stage, emptied, fill, [compose("ANALYZE {}", stage)])


def _by_level(scope: Scope, relation: Sql, chunk: Range, guarded: bool) -> ByLevel:
    plan, table = scope.plan, scope.table
    return ByLevel(
        hold=merge_by_level.hold(plan, table, relation, chunk, guarded),
        stage=_staged(scope, merge_by_level.fill_level(plan, table)),
        level=list(merged(scope, guarded)),
        let_go=merge_by_level.let_go(table),
        left=merge_by_level.left(table),
        rest=merge_by_level.fill_rest(plan, table),
        why=merge_by_level.in_a_circle(table),
    )


def merged(scope: Scope, guarded: bool) -> Iterator[Step]:
    """Of staged rows: match, make keys, insert, update with before-images, map."""
    table, existing = scope.table, scope.table.into.existing
    updates = existing is not None and existing.then == "update"
    yield Do(merge.match(table))
    yield from (Do(statement) for statement in merge.place_new(scope.plan, table))
    if table.keyed_late:
        yield Refuse(merge.unpaired(table), merge.left_out(table))
    if updates:
        mine, stage = merge.own_columns(table), merge.stage_name(table)
        yield Advise(compose("ANALYZE {} ({}, {}, {})", stage, mine.n, mine.target, mine.action))
        yield Do(merge.keep_images(scope))
        yield Do(merge.update(table))
    yield Count(merge.map_rows(scope, guarded))
    if updates:
        analyze = compose("ANALYZE {} (mapping, table_name, source_key, target_key)", MAP)
        yield Advise(analyze, when=merge.map_has_outgrown(table))
        yield Settle(superseded.supersede(scope))
