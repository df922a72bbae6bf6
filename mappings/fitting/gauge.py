"""How one column is measured: the SQL that asks its source values, and the type that would hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mappings.catalog.types import Kind
from mappings.fitting.type_promises import EXACT
from mappings.sql import Sql, compose, verbatim

NUMBER = verbatim(r"^\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?\s*$")

Sizes = tuple[int, ...]

FALSE = verbatim("false")


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one target column is measured. SQL parts are over {0}, the source value.

    sizes: the largest of each is measured; over: whether a value needs a wider column; loses: whether storing it
    would change it without an error; widen: the full type that holds the measured sizes, None if there is none;
    limit: what the column holds, in terms of the first size; blocks: no loss is acceptable; lost: what is said of it;
    refused: such a value is not changed, but a row error.
    """

    sizes: tuple[Sql, ...]
    over: Sql
    widen: Callable[[Sizes], Sql | None]
    limit: int
    loses: Sql = FALSE
    blocks: bool = False
    lost: str = "would be changed by the column's type"
    refused: bool = False


def never(_: Sizes) -> None:
    return None


def loss(condition: Sql) -> Gauge:
    """A gauge of what would be changed in silence, where no size tells."""
    return Gauge(sizes=(), over=verbatim("false"), widen=never, limit=0, loses=condition)


def as_number(kind: Kind) -> Sql:
    """The value as a finite number; NULL where it is none, which the copy reports by its row."""
    if kind.base in (*EXACT, "money"):
        return verbatim("({0})::numeric")
    if kind.base == "numeric":
        return verbatim("(CASE WHEN ({0}) NOT IN ('NaN', 'Infinity', '-Infinity') THEN ({0}) END)")
    looks_like_one = compose("({{0}})::text ~ '{}'", NUMBER)
    return compose("(CASE WHEN {} THEN ({{0}})::text::numeric END)", looks_like_one)
