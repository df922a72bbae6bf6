"""An index of the column, built over its shadow before the swap."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from mappings.catalog.column_dependents import Bound
from mappings.plan.schema_steps import Index, Step
from mappings.schema.kinds import indexes
from mappings.schema.kinds.kind import Execution, Look, T
from mappings.schema.kinds.preparing import Preparing
from mappings.schema.lock_cost import of_index
from mappings.schema.rename import renamed_index
from mappings.schema.safe_change import Change
from mappings.sql import NOTHING, Sql, compose, ident


class ShadowIndex(Preparing):
    """CREATE INDEX CONCURRENTLY; it takes the name of the old one at the swap."""

    name = "shadow_index"
    lock = "SHARE UPDATE EXCLUSIVE"
    alone = True
    only_beside = True

    def in_force(self, conn: psycopg.Connection, step: Step) -> Look:
        result = indexes.find(conn, step)
        return Look(done=bool(result and result.valid))

    def carry_out(self, step: Step, by: Execution[T]) -> T:
        return by.concurrently(step) if step.alone else by.together(step)

    def leftover(self, conn: psycopg.Connection, step: Step) -> Sql:
        """Also a valid one whose worker died before it could register it: its name says nothing of its keys."""
        result = indexes.find(conn, step)
        return result.sql if result else NOTHING


def build_over_shadow(change: Change, one: Bound) -> Step:
    name = change.name(one)
    over = renamed_index(one.definition, change.dependents.printed, ident(change.shadow.name))
    index = Index(ident(name), compose("{} USING {}", change.target.sql, over), one.is_unique)
    undo = (compose("DROP INDEX IF EXISTS {}", ident(change.target.schema, name)),)
    cost = of_index(change.target, concurrently=True)
    step = ShadowIndex().step(
        change,
        f"build {one.name} over it",
        (index.build(concurrently=True),),
        undo,
        weight="index build",
        heaviness=cost,
        name=name,
    )
    return replace(step, index=index)
