"""What a type changes in silence although nothing is too large for it: told alike for every pair of types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import Kind, numeric_size
from mappings.fitting.gauges import Gauge, as_number, element_of, gauge_of, loss, of_elements
from mappings.fitting.text_losses import losses_of_texts
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
    elif (target.base, kind.base) in SHAPES:
        yield loss("({0}) IS NOT NULL")
    elif target.base in RANGES and kind.base in RANGES and target.base != kind.base:
        yield from _of_bounds(target, kind)
    elif (target.base, kind.base) == (UNZONED, ZONED):
        yield replace(loss("isfinite({0})"), lost=NO_ZONE)
    elif target.base == "bpchar" and kind.base in ("text", "character varying"):
        yield replace(loss("right({0}, 1) = ' '"), lost=BLANKS)
    elif target.base == "money" and kind.base in FLOATS:
        yield loss(f"({{0}})::numeric::money::numeric <> {as_number(kind)}")
    yield from losses_of_texts(target, kind)


SHAPES = {
    ("point", "lseg"), ("point", "box"), ("point", "polygon"), ("point", "circle"), ("point", "path"),
    ("box", "polygon"), ("box", "circle"), ("circle", "box"), ("circle", "polygon"), ("polygon", "circle"),
}  # fmt: skip
"""(target, source): the one keeps a centre, a frame or corners of the other."""

RANGES = {
    "int4range": "integer", "int8range": "bigint", "numrange": "numeric", "daterange": "date", "tsrange": UNZONED,
    "tstzrange": ZONED,
}  # fmt: skip
"""What each range is of."""


def _of_bounds(target: tables.Column, kind: Kind) -> Iterator[Gauge]:
    """A loss of single values, of a range's ends."""
    of = replace(target, base=RANGES[target.base], full_type=RANGES[target.base])
    bound = Kind(RANGES[kind.base])
    for gauge in (*losses_of(of, bound), *([found] if (found := gauge_of(of, bound, False)) else ())):
        ends = (gauge.loses.replace("{0}", f"{end}({{0}})") for end in ("lower", "upper"))
        yield replace(loss(" OR ".join(f"({one})" for one in ends)), lost=gauge.lost)
