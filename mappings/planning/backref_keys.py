"""The step that adds a back-reference, and what stands against it: as a foreign key, or as one of two in a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import psycopg

from mappings.catalog import tables
from mappings.compiling import projection
from mappings.compiling.names.resolve import Databases
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.schema.kinds.add_column import add_backref, as_foreign_key
from mappings.sql import compose, encoded, joined, literal

THERE = (
    "SELECT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = {0}::regclass AND k.contype = 'f'"
    " AND k.conname = {1})"
)


def steps_of(plan: TablePlan, source: tables.Table, target: tables.Table) -> Iterator[Step]:
    """Nothing where the column is there."""
    if plan.link.backref and plan.into.target_key and source.column(plan.link.backref) is None:
        key = plan.into.target_key[0]
        step = add_backref(plan.name, source, plan.link.backref, key.type)
        name = plan.link.backref_key
        yield as_foreign_key(step, source, target, key.column, name) if name else step


def blockers(
    path: str, databases: Databases, source: tables.Table, target: tables.Table, plan: TablePlan
) -> Iterator[Problem]:
    """Two databases, a column that is there without it, a key or a right that lacks."""
    where = f"{path}.link.backref.foreign_key"
    if not plan.link.backref_key:
        return
    if not databases.same:
        text = "a foreign key cannot lead from one database to another; without it the column gets the ids all the same"
        yield Problem(where, text)
        return
    key = {column.column for column in plan.into.target_key}
    if not any({*one.columns} == key for one in target.keys):
        yield Problem(where, f"{target.display} has no primary or unique key of one column to refer to")
    asked = compose("SELECT has_table_privilege({}::regclass, 'REFERENCES')", literal(target.sql))
    row = databases.target.execute(encoded(asked)).fetchone()
    if not (row and row[0]):
        yield Problem(
            where, f"this role may not refer to {target.display}: GRANT REFERENCES ON {target.sql} to it"
        )
    if source.column(plan.link.backref or "") and not _is_there(databases, source, plan.link.backref_key):
        text = (
            f"{source.display}.{plan.link.backref} is there without the foreign key {plan.link.backref_key}"
        )
        yield Problem(where, f"{text}; add it, or name another column")


def shared(databases: Databases, plans: Sequence[TablePlan], paths: Sequence[str]) -> Iterator[Problem]:
    """Rows of two table mappings that would each write another id into the same column. paths: of the plans."""
    writing = [(path, plan) for path, plan in zip(paths, plans, strict=True) if plan.link.backref]
    for (_, one), (path, other) in combinations(writing, 2):
        if (one.feed.source_sql, one.link.backref) != (other.feed.source_sql, other.link.backref):
            continue
        rows, keys = _of_both(databases, one, other)
        if rows:
            text = f"{one.name} writes its ids into {one.source}.{one.link.backref} as well"
            example = ", ".join(keys)
            yield Problem(
                f"{path}.link.backref",
                f"{text}, and {rows:,} source rows are of both, for example {example}; name another column",
            )


def _of_both(databases: Databases, *plans: TablePlan) -> tuple[int, list[str]]:
    """How many source rows two table mappings have in common, and three of their keys; none where that fails."""
    keys = (
        projection.select(
            [projection.key_text([(part.sql, part.native) for part in plan.feed.key])],
            plan.feed.from_sql,
            plan.feed.where_sql,
        )
        for plan in plans
    )
    asked = compose("SELECT count(*), (array_agg(key ORDER BY key))[1:3] FROM ({}) AS x(key)",
                    joined("\nINTERSECT\n", keys))  # fmt: skip
    try:
        row = databases.source.execute(encoded(asked)).fetchone()
    except psycopg.Error:  # an expression that fails on some row, which the copy reports
        return 0, []
    return (row[0], row[1] or []) if row else (0, [])


def _is_there(databases: Databases, source: tables.Table, name: str) -> bool:
    row = databases.source.execute(encoded(compose(THERE, literal(source.sql), literal(name)))).fetchone()
    return bool(row and row[0])
