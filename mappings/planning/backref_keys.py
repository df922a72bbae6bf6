"""The step that adds a back-reference, and what stands against one that is a foreign key."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.catalog import tables
from mappings.compiling.resolve import Databases
from mappings.plan.model import TablePlan
from mappings.plan.schema_steps import Step
from mappings.problems import Problem
from mappings.schema.kinds.add_column import add_backref, as_foreign_key
from mappings.sql import compose, encoded, literal

THERE = (
    "SELECT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = {0}::regclass AND k.contype = 'f'"
    " AND k.conname = {1})"
)


def steps_of(plan: TablePlan, source: tables.Table, target: tables.Table) -> Iterator[Step]:
    """Nothing where the column is there."""
    if plan.backref and plan.target_key and source.column(plan.backref) is None:
        key = plan.target_key[0]
        step = add_backref(plan.name, source, plan.backref, key.type)
        name = plan.backref_key
        yield as_foreign_key(step, source, target, key.column, name) if name else step


def blockers(
    path: str, databases: Databases, source: tables.Table, target: tables.Table, plan: TablePlan
) -> Iterator[Problem]:
    """Two databases, a column that is there without it, a key or a right that lacks."""
    where = f"{path}.link.backref.foreign_key"
    if not plan.backref_key:
        return
    if not databases.same:
        text = "a foreign key cannot lead from one database to another; without it the column gets the ids all the same"
        yield Problem(where, text)
        return
    key = {column.column for column in plan.target_key}
    if not any({*one.columns} == key for one in target.keys):
        yield Problem(where, f"{target.display} has no primary or unique key of one column to refer to")
    asked = compose("SELECT has_table_privilege({}::regclass, 'REFERENCES')", literal(target.sql))
    row = databases.target.execute(encoded(asked)).fetchone()
    if not (row and row[0]):
        yield Problem(
            where, f"this role may not refer to {target.display}: GRANT REFERENCES ON {target.sql} to it"
        )
    if source.column(plan.backref or "") and not _is_there(databases, source, plan.backref_key):
        text = f"{source.display}.{plan.backref} is there without the foreign key {plan.backref_key}"
        yield Problem(where, f"{text}; add it, or name another column")


def _is_there(databases: Databases, source: tables.Table, name: str) -> bool:
    row = databases.source.execute(encoded(compose(THERE, literal(source.sql), literal(name)))).fetchone()
    return bool(row and row[0])
