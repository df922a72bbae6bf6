"""Composes the safe way to widen a column of a table in use: a shadow column beside it, filled in chunks, swapped in.

Nobody waits but for moments: rows are filled in short transactions, indexes are built concurrently, constraints are
made NOT VALID and validated afterwards, and the swap changes the catalog only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.plan.schema_steps import Affected, Step
from mappings.schema import shadow_swap
from mappings.schema.kinds.shadow_column import add_shadow
from mappings.schema.kinds.shadow_constraints import constrain_shadow
from mappings.schema.kinds.shadow_fill import fill_shadow
from mappings.schema.kinds.shadow_index import build_over_shadow
from mappings.schema.kinds.shadow_validation import validate_shadow
from mappings.schema.lock_cost import EVERYBODY
from mappings.schema.safe_change import Change, costs


def steps(change: Change) -> Iterator[Step]:
    """The steps in order; the last is the swap, which is undone as the plain way is."""
    yield add_shadow(change)
    yield fill_shadow(change)
    yield from (build_over_shadow(change, one) for one in change.dependents.of("index"))
    if constraints := constrain_shadow(change):
        yield constraints
    yield validate_shadow(change)
    yield _swap(change)


def _swap(change: Change) -> Step:
    plain = change.plain
    cost = replace(plain.heaviness, waits=EVERYBODY, seconds=0.0, size=0, rebuilds=())
    title = f"{plain.title}, the safe way: swap the new column in"
    return replace(
        plain,
        title=title,
        sql=change.over.without_views(shadow_swap.statements(change)),
        weight="catalog only",
        heaviness=cost,
        affected=tuple(_affected(one) for one in plain.affected),
        way_around=f"taken: {costs(change)}",
    )


FATES = {
    "index": "is built anew beside it, concurrently, and takes its name over",
    "check": "is made anew beside it, validated while others write, and takes its name over",
    "foreign key": "is made anew beside it, validated while others write; both tables are locked for the swap",
    "statistics": "is made again; filled by ANALYZE",
    "sequence": "goes over to the new column",
}


def _affected(one: Affected) -> Affected:
    return replace(one, fate=FATES.get(one.kind, one.fate))
