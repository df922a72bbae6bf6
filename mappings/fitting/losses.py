"""What a type changes in silence although nothing is too large for it: told alike for every pair of types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import Kind, numeric_size
from mappings.fitting.gauges import Gauge, as_number, element_of, loss, of_elements
from mappings.fitting.type_promises import FLOATS

ZONED, UNZONED = "timestamp with time zone", "timestamp without time zone"
BLANKS = "would lose the blanks at their end"
NO_ZONE = "would lose their time zone: what is kept is the time in UTC"


def losses_of(target: tables.Column, kind: Kind) -> Iterator[Gauge]:
    """The losses of a pair of types that are not measured together with a size (gauges.gauge_of)."""
    if target.category == "A" and kind.base.endswith("[]"):
        yield from (of_elements(gauge, target, kind) for gauge in losses_of(*element_of(target, kind)))
    elif target.base in FLOATS and kind.base == "numeric":
        number = as_number(kind)
        yield loss(f"{number} <> trunc({number}) AND ({number})::{target.base}::text::numeric <> {number}")
    elif target.base == "numeric" and target.modifier >= 0 and kind.base in FLOATS:
        number, scale = as_number(kind), numeric_size(target.modifier)[1]
        yield loss(f"round(({{0}})::numeric, {scale}) <> round({number}, {scale}) AND {number} IS NOT NULL")
    elif (target.base, kind.base) == (UNZONED, ZONED):
        yield replace(loss("isfinite({0})"), lost=NO_ZONE)
    elif target.base == "bpchar" and kind.base in ("text", "character varying"):
        yield replace(loss("right({0}, 1) = ' '"), lost=BLANKS)
    elif target.base == "money" and kind.base in FLOATS:
        yield loss(f"({{0}})::numeric::money::numeric <> {as_number(kind)}")
