"""What is done with staged rows that may be in the target already, in order.

A worker executes it, a rehearsal tries it on single rows, and an exported script prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jobs.engine.scope import Scope
from jobs.engine.sql import before_images, firing
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.merging import merge, superseded
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose


class Do(NamedTuple):
    """A statement that changes rows."""

    sql: firing.Statement


class Refuse(NamedTuple):
    """Ends the chunk where a query says so. when: of one boolean."""

    when: Sql
    why: str


class Analyze(NamedTuple):
    """Tells the planner of rows that have just come. when: a query of one boolean, where it is not always worth it."""

    sql: Sql
    when: Sql | None = None


class Count(NamedTuple):
    """A statement that returns how many rows were (inserted, updated, kept)."""

    sql: Sql


class Settle(NamedTuple):
    """A statement that tells rows of other runs what has become of them, once it is counted what this one did."""

    sql: Sql


Step = Do | Refuse | Analyze | Count | Settle


FILL = 2
"""Which of the statements that make the stage brings its rows."""


def staged(table: TablePlan, fill: Sql) -> list[Sql]:
    """Makes the stage anew. fill: what brings its rows, and its row count says how many."""
    stage = merge.stage_name(table)
    emptied = [compose("DROP TABLE IF EXISTS pg_temp.{}", stage), merge.create_stage(table)]
    return [*emptied, fill, compose("ANALYZE {}", stage)]


def merged(scope: Scope, guarded: bool) -> Iterator[Step]:
    """Match, make keys, insert, update with before-images, map. guarded: map rows may be there already."""
    table, existing = scope.table, scope.table.into.existing
    updates = existing is not None and existing.then == "update"
    yield Do(merge.match(table))
    yield from (Do(statement) for statement in merge.place_new(scope.plan, table))
    if table.keyed_late:
        yield Refuse(merge.unpaired(table), merge.left_out(table))
    if updates:
        mine, stage = merge.own_columns(table), merge.stage_name(table)
        yield Analyze(compose("ANALYZE {} ({}, {}, {})", stage, mine.n, mine.target, mine.action))
        yield Do(before_images.before_images(scope))
        yield Do(merge.update(table))
    yield Count(merge.map_rows(scope, guarded))
    if updates:
        analyze = compose("ANALYZE {} (mapping, table_name, source_key, target_key)", MAP)
        yield Analyze(analyze, when=merge.map_has_outgrown(table))
        yield Settle(superseded.supersede(scope))
