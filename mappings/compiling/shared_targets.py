"""Table mappings that update rows of one target: who overwrites whom, and what the plan says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mappings.compiling.names.resolve import Resolved
from mappings.language.spec import MappingSpec, Table
from mappings.plan.table_plan import Overwriter, TablePlan
from mappings.problems import Problem


def overwriters(name: str, spec: MappingSpec, tables: Mapping[str, Resolved]) -> Iterator[Overwriter]:
    """The other table mappings that may overwrite what `name` wrote into a row of the target that they share.

    The target's key is never overwritten. Those that may find each other's rows are copied in the file's order.
    """
    table, order = tables[name], [other.name for other in spec.tables]
    for other in tables.values():
        if other is table or other.target.oid != table.target.oid or not _updates(other.spec):
            continue
        shared = _filled(table.spec) & (_filled(other.spec) - set(other.target.primary_key))
        if shared:
            later = order.index(other.spec.name) > order.index(name)
            yield Overwriter(other.spec.name, tuple(sorted(shared)), later)


def _updates(table: Table) -> bool:
    return table.existing is not None and table.existing.then == "update"


def _filled(table: Table) -> set[str]:
    return {column.name for column in table.columns}


def warnings(spec: MappingSpec, tables: Mapping[str, Resolved]) -> Iterator[Problem]:
    """For each table mapping whose values a later one may overwrite."""
    for name, table in tables.items():
        for other in overwriters(name, spec, tables):
            if other.later:
                columns = ", ".join(other.columns)
                text = (
                    f"{name} and {other.table} may fill the same row of {table.target.display}: it then says what"
                    f" {other.table} says in {columns}, and is compared with that"
                )
                yield Problem(f"{tables[other.table].path}.existing", text)


def blockers(tables: Mapping[str, Resolved], plans: Sequence[TablePlan]) -> Iterator[Problem]:
    """Who wrote a row last is told by the row's key in the map, which must be the same columns for all."""
    keys = {plan.name: [key.column for key in plan.into.target_key] for plan in plans}
    for plan in plans:
        for other in plan.into.overwriters:
            if keys.get(other.table, keys[plan.name]) != keys[plan.name]:
                text = (
                    f"{plan.name} and {other.table} may fill the same row, but tell rows of {plan.target} apart by"
                    f" ({', '.join(keys[plan.name])}) and ({', '.join(keys[other.table])}); give it a primary key"
                )
                yield Problem(f"{tables[plan.name].path}.target", text)
