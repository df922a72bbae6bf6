"""What prepares the swap of a column that is widened the safe way; nothing of it is left to do once it is swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import psycopg

from mappings.plan.schema_steps import Heaviness, Shadow, Step, Weight
from mappings.schema.applied import Applied
from mappings.schema.kinds.kind import Kind, Look, column_type, not_as_planned
from mappings.schema.safe_change import Change
from mappings.sql import NOTHING, Sql, verbatim


class Preparing(Kind):
    """Done when its line is in the register and the shadow column is there, or when the column is swapped."""

    stands_by_itself = False
    lock: ClassVar[str] = "ACCESS EXCLUSIVE"
    alone: ClassVar[bool] = False
    """Outside a transaction, under a lock that lets others read and write."""

    def shows(self, step: Step) -> Sql:
        return verbatim("true")  # what it made is gone with the swap

    def look(self, conn: psycopg.Connection, step: Step, known: Sequence[Applied]) -> Look:
        """Also where somebody took the shadow away: then it is begun anew."""
        kind, beside = (column_type(conn, step.relation, name) for name in _names(step))
        if kind == step.after and beside is None:
            return Look(done=True)  # swapped
        if kind != step.before:
            return not_as_planned(step, kind)
        if beside is None:
            return Look()
        if known and step.is_script(known[0].sql):
            return self.in_force(conn, step)
        return self.unregistered()

    def in_force(self, conn: psycopg.Connection, step: Step) -> Look:
        """Of one that is in the register, with the shadow column there."""
        return Look(done=True)

    def unregistered(self) -> Look:
        """Where the shadow column is there, and the register does not know the step."""
        return Look()

    def step(
        self,
        change: Change,
        does: str,
        sql: tuple[Sql, ...],
        undo: tuple[Sql, ...] = (),
        *,
        weight: Weight,
        heaviness: Heaviness,
        name: str = "",
    ) -> Step:
        """One of its steps. does: what, as the end of a sentence; name: '' for the shadow column's."""
        return replace(
            change.plain,
            kind=self.name,
            name=name or change.shadow.name,
            title=f"Widen {change.target.display}.{change.column.name} the safe way: {does}",
            sql=sql,
            undo=undo,
            weight=weight,
            lock=self.lock,
            alone=self.alone,
            fits=NOTHING,
            heaviness=heaviness,
            affected=(),
            shadow=change.shadow,
        )


def _names(step: Step) -> tuple[str, str]:
    shadow = step.shadow or Shadow(step.name, step.name)
    return shadow.column, shadow.name
