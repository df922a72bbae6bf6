"""Types by how wide they are: the size of one, the wider of two, and tables as they will be once widened."""

from __future__ import annotations

from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import INTEGERS, of_array
from mappings.fitting.type_promises import MOST_PRECISE
from mappings.sql import Sql, compose, joined, verbatim


def size_of(new_type: str | None) -> int | None:
    """The new limit in the terms of the measure: a length, digits before the point, the largest integer."""
    if new_type is None:
        return None
    new_type = new_type.removesuffix("[]")
    if new_type in INTEGERS:
        return INTEGERS[new_type]
    if "(" not in new_type:
        return MOST_PRECISE  # interval
    precision, _, scale = new_type.partition("(")[2].partition(")")[0].partition(",")
    return int(precision) - int(scale or 0)


def wider(one: Sql, other: Sql) -> Sql:
    """The type of one family that holds what both hold, where two tables fill one column."""
    array = verbatim("[]" if one.endswith("[]") else "")
    one, other = of_array(one), of_array(other)
    if not one.startswith("numeric("):
        return joined("", [max(one, other, key=lambda kind: size_of(kind) or 0), array])
    (precision, scale), (other_precision, other_scale) = (
        (int(part) for part in kind.partition("(")[2].rstrip(")").split(",")) for kind in (one, other)
    )
    decimals = max(scale, other_scale)
    digits = max(precision - scale, other_precision - other_scale) + decimals
    return compose("numeric({},{}){}", digits, decimals, array)


def widened_table(table: tables.Table, widened: dict[str, Sql]) -> tables.Table:
    """The target as it will be once its columns are widened, for compiling against."""
    return replace(table, columns=tuple(_widened(column, widened) for column in table.columns))


def _widened(column: tables.Column, widened: dict[str, Sql]) -> tables.Column:
    new_type = widened.get(column.name)
    if new_type is None:
        return column
    base = new_type if new_type in INTEGERS else column.base
    return replace(column, type=new_type, full_type=new_type, base=base)
