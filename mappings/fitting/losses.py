"""What a type changes in silence although nothing is too large for it: told alike for every pair of types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import INTEGERS, Kind, numeric_size
from mappings.fitting.gauge import Gauge, as_number, loss
from mappings.fitting.gauges import element_of, gauge_of, of_elements
from mappings.fitting.text_losses import losses_of_texts
from mappings.fitting.type_promises import FLOATS
from mappings.sql import compose, joined, placed, verbatim

ZONED, UNZONED = verbatim("timestamp with time zone"), verbatim("timestamp without time zone")
BLANKS = "would lose the blanks at their end"
NO_ZONE = "would lose their time zone: what is kept is the time in UTC"


def losses_of(target: tables.Column, kind: Kind) -> Iterator[Gauge]:
    """The losses of a pair of types that are not measured together with a size (gauges.gauge_of)."""
    if target.category == "A" and kind.base.endswith("[]"):
        yield from (of_elements(gauge, target, kind) for gauge in losses_of(*element_of(target, kind)))
    elif target.base in FLOATS and kind.base == "numeric":
        number = as_number(kind)
        yield loss(
            compose(
                "{number} <> trunc({number}) AND ({number})::{base}::text::numeric <> {number}",
                number=number,
                base=target.base,
            )
        )
    elif target.base == "numeric" and target.modifier >= 0 and kind.base in FLOATS:
        number, scale = as_number(kind), numeric_size(target.modifier)[1]
        yield loss(
            compose(
                "round(({{0}})::numeric, {scale}) <> round({number}, {scale}) AND {number} IS NOT NULL",
                scale=scale,
                number=number,
            )
        )
    elif (target.base, kind.base) in SHAPES:
        yield loss(verbatim("({0}) IS NOT NULL"))
    elif target.base in RANGES and kind.base in RANGES and target.base != kind.base:
        yield from _of_bounds(target, kind)
    elif (target.base, kind.base) == (UNZONED, ZONED):
        yield replace(loss(verbatim("isfinite({0})")), lost=NO_ZONE)
    elif target.base == "bpchar" and kind.base in ("text", "character varying"):
        yield replace(loss(verbatim("right({0}, 1) = ' '")), lost=BLANKS)
    elif target.base == "money" and kind.base in FLOATS:
        yield loss(compose("({{0}})::numeric::money::numeric <> {}", as_number(kind)))
    yield from _of_no_end(target, kind)
    yield from losses_of_texts(target, kind)


def _of_no_end(target: tables.Column, kind: Kind) -> Iterator[Gauge]:
    """What is no finite number: a numeric column with a precision does not hold it, nor do whole numbers."""
    if kind.base not in (*FLOATS, "numeric") or (kind.base == "numeric" and kind.modifier >= 0):
        return
    if target.base in INTEGERS:
        names = verbatim("'Infinity', '-Infinity', 'NaN'")
    elif target.base == "numeric" and target.modifier >= 0:
        names = verbatim("'Infinity', '-Infinity'")
    else:
        return
    condition = compose("({{0}})::text IN ({})", names)
    yield replace(loss(condition), lost=f"are no number that {target.full_type} holds", refused=True)


SHAPES = {
    ("point", "lseg"), ("point", "box"), ("point", "polygon"), ("point", "circle"), ("point", "path"),
    ("box", "polygon"), ("box", "circle"), ("circle", "box"), ("circle", "polygon"), ("polygon", "circle"),
}  # fmt: skip
"""(target, source): the one keeps a centre, a frame or corners of the other."""

RANGES = {
    "int4range": verbatim("integer"),
    "int8range": verbatim("bigint"),
    "numrange": verbatim("numeric"),
    "daterange": verbatim("date"),
    "tsrange": UNZONED,
    "tstzrange": ZONED,
}
"""What each range is of."""

LOWER, UPPER = verbatim("lower({0})"), verbatim("upper({0})")


def _of_bounds(target: tables.Column, kind: Kind) -> Iterator[Gauge]:
    """A loss of single values, of a range's ends."""
    of = replace(target, base=RANGES[target.base], full_type=RANGES[target.base])
    bound = Kind(RANGES[kind.base])
    for gauge in (*losses_of(of, bound), *([result] if (result := gauge_of(of, bound, False)) else ())):
        ends = (placed(gauge.loses, end) for end in (LOWER, UPPER))
        yield replace(loss(joined(" OR ", (compose("({})", one) for one in ends))), lost=gauge.lost)
