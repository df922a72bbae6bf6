"""The index by which a source row's target row is found."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from mappings.catalog import tables
from mappings.plan.schema_steps import Index, Step
from mappings.schema.kinds import indexes
from mappings.schema.kinds.kind import Execution, Kind, Look, T
from mappings.schema.lock_cost import of_index
from mappings.sql import NOTHING, Sql, compose, ident, joined


class AddIndex(Kind):
    """CREATE INDEX, concurrently where somebody may write meanwhile."""

    name = "add_index"
    gives = "index"

    def shows(self, step: Step) -> Sql:
        return indexes.shows(step)

    def begun(self, step: Step) -> Sql:
        return indexes.is_named(step)

    def in_force(self, conn: psycopg.Connection, step: Step) -> Look:
        result = indexes.find(conn, step)
        if result and result.valid and not result.meant:
            return Look(against=f"there is another index of that name; drop or rename {result.sql}")
        return Look(done=bool(result and result.valid))

    def carry_out(self, step: Step, by: Execution[T]) -> T:
        return by.concurrently(step) if step.alone else by.together(step)

    def leftover(self, conn: psycopg.Connection, step: Step) -> Sql:
        """A killed CREATE INDEX CONCURRENTLY leaves an index that guards nothing."""
        result = indexes.find(conn, step)
        return result.sql if result and not result.valid else NOTHING


def add_index(table: str, target: tables.Table, columns: tuple[str, ...]) -> Step:
    """The step that builds it; unique, except on a partitioned table."""
    name = indexes.index_name(target.name, columns)
    partitioned = target.kind == "p"
    busy = target.has_rows and not partitioned  # one that is empty is done before anyone could notice
    listed = joined(", ", (ident(column) for column in columns))
    index = Index(ident(name), compose("{} ({})", target.sql, listed), unique=not partitioned)
    unique = "unique " if index.unique else ""
    return Step(
        kind=AddIndex.name,
        table=table,
        relation=target.sql,
        side="target",
        name=name,
        title=f"Build the {unique}index on {target.display} ({', '.join(columns)})",
        sql=(index.build(concurrently=busy),),
        undo=(compose("DROP INDEX IF EXISTS {}", ident(target.schema, name)),),
        weight="index build",
        lock="SHARE UPDATE EXCLUSIVE" if busy else "SHARE",
        alone=busy,
        before=NOTHING,
        after=listed,
        fits=NOTHING,
        heaviness=of_index(target, concurrently=busy),
        index=index,
    )


def plainly(step: Step) -> Step:
    """The same step, but an index is built inside a transaction: for what is rolled back anyway."""
    return replace(step, sql=(step.index.build(),) if step.index else step.sql, alone=False)


def concurrently(step: Step) -> Step:
    """The same step, but the index is built while others write."""
    assert step.index
    return replace(step, sql=(step.index.build(concurrently=True),), alone=True)
