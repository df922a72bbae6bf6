"""New rows that point to other new rows of their own table."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.sql import key_sql
from jobs.engine.sql.references import parents
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, verbatim


def _own(table: TablePlan) -> list[tuple[int, Reference]]:
    """References of rows to rows of the same table that cannot wait until all are in."""
    numbered = enumerate(table.references, start=1)
    return [(number, ref) for number, ref in numbered if ref.parent == table.name and not ref.deferred]


def own_parts(table: TablePlan) -> list[Sql]:
    return [
        compose("f.r{}_{}", number, place)
        for number, ref in _own(table)
        for place in range(1, len(ref.by) + 1)
    ]


def point_to_each_other(plan: Plan, table: TablePlan, names: list[str]) -> tuple[list[Sql], list[Sql]]:
    """(values, joins): a reference to the same table finds its parent among the new rows, else among the old."""
    values = [compose("a.v{}", number) for number in range(1, len(names) + 1)]
    joins = []
    for number, ref in _own(table):
        result = parents.resolve(plan, number, ref, verbatim("a"))
        alias = compose("b{}", number)
        parts = [compose("a.r{}_{}", number, place) for place in range(1, len(ref.by) + 1)]
        keys = [compose("{}.k{}", alias, place) for place in range(1, len(table.feed.key) + 1)]
        same = key_sql.equal(keys, parts, key_sql.kept_operators(table))
        joins.append(compose("LEFT JOIN made AS {} ON {}\n  {}", alias, same, result.joins))
        new = compose("{}.v{}", alias, names.index(ref.value_column) + 1)
        missing = compose("{} IS NULL AND {}", keys[0], result.missing)
        both = replace(result, value=compose("coalesce({}, {})", new, result.value), missing=missing)
        place, others = names.index(ref.target), len(table.referring[ref.target]) - 1
        value = parents.reference_value(number, ref, both, strict=True, row=verbatim("a"))
        values[place] = parents.together(
            table.referring[ref.target], [values[place], value] if others else [value]
        )
    return values, joins
