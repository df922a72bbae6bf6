"""References carry a value of the parent's row into the child's, whose column may be too narrow for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import psycopg

from mappings.compiling.columns import Compiler
from mappings.compiling.keys import source_key
from mappings.compiling.references import value_column
from mappings.fitting.gauges import gauge_of
from mappings.fitting.measure_columns import Finding, ask, rows_named
from mappings.fitting.what_to_measure import Measured, is_copied
from mappings.fitting.widths import wider
from mappings.language.spec import Column
from mappings.problems import Problem


def measure(child: Compiler, compilers: Mapping[str, Compiler], widen: bool) -> Finding:
    """What a table's references need, measured on the values that fill the parents' columns.

    Columns that the target fills (identity, sequences, defaults) have nothing to be measured on.
    """
    finding = Finding()
    for column, origin, measured in _measured(child, compilers):
        gauge = measured.gauge
        try:
            *largest, over, losing, _ = ask(origin, measured.aggregates())
        except psycopg.Error:
            continue  # the parent's own column says so
        new_type = gauge.widen(tuple(int(size or 0) for size in largest)) if over and widen else None
        if new_type:
            finding.widened[column.name] = wider(finding.widened.get(column.name, new_type), new_type)
        elif over:
            of = f"{over} values of {origin.table.target.display}.{measured.column}"
            text = f"{of} do not fit: the largest has size {int(largest[0])}, the column holds {gauge.limit}"
            if largest[0] <= gauge.limit and losing:
                text = f"{of} {gauge.lost}"
            key = source_key(replace(origin, problems=[]))
            which = rows_named(origin, key, measured.over(), over)
            finding.warnings.append(Problem(f"{child.table.path}.columns.{column.name}", f"{text}{which}"))
    return finding


def _measured(
    child: Compiler, compilers: Mapping[str, Compiler]
) -> Iterator[tuple[Column, Compiler, Measured]]:
    """Each reference that may not fit: its column, the mapping in which its value begins, how it is measured."""
    for column in _with_one_parent(child.table.spec.columns):
        target, begun = child.table.target.column(column.name), _origin(child, column, compilers)
        if not column.ref or target is None or begun is None:
            continue
        origin, number = begun
        filled = origin.table.spec.columns[number]
        gauge = gauge_of(target, origin.kinds[number], is_copied(filled))
        if gauge and gauge.over not in ("false", gauge.loses):
            yield column, origin, Measured(filled.name, origin.expressions[number], gauge)


def _with_one_parent(columns: Iterable[Column]) -> Iterator[Column]:
    """Each column for each table mapping that its reference may mean."""
    for column in columns:
        if column.ref and not column.is_inside:
            yield from (replace(column, ref=ref) for ref in column.ref.parents)
        else:
            yield replace(column, ref=None)


def _origin(
    child: Compiler, column: Column, compilers: Mapping[str, Compiler]
) -> tuple[Compiler, int] | None:
    """The table mapping and the number of its column that fill what a reference carries, over as many as there are."""
    seen = set()
    while column.ref and (child.table.spec.name, column.name) not in seen:
        seen.add((child.table.spec.name, column.name))
        parent = compilers.get(column.ref.table)
        name = value_column(child.table, column, parent.table) if parent else None
        result = (
            [n for n, other in enumerate(parent.table.spec.columns) if other.name == name] if parent else []
        )
        if parent is None or not result:
            return None
        child, column = parent, next(_with_one_parent([parent.table.spec.columns[result[0]]]))
        if result[0] in child.kinds:
            return child, result[0]
    return None
