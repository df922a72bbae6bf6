"""What fits which column: how a value's size is measured, and which type holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import DIGITS, INTEGERS, TIMES, Kind, numeric_size, of_array
from mappings.fitting.gauge import Gauge, Sizes, as_number, loss, never
from mappings.fitting.type_promises import CLOCKS, EXACT, FLOATS, MOST_PRECISE, holds, only_the_clock, unpads
from mappings.sql import NOTHING, Sql, compose, joined, placed, verbatim

VARCHAR_LADDER = (255, 500, 1000, 2000, 4000, 8000)
"""Lengths to which a column is widened where the source declares none: room for later rows as well."""


def gauge_of(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """How to measure a target column; None where nothing can be too large or get lost.

    kind: of the source value; copied: a source column is copied as it stands, nobody means to round it.
    """
    if holds(target, kind):
        return None
    make = _array if target.category == "A" else MAKERS.get(target.base)
    gauge = make(target, kind, copied) if make else None
    return replace(gauge, widen=never) if gauge and target.is_domain else gauge


def _text(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """varchar(n) gets room for later rows; char(n) only what it needs, since each row pays for it."""
    if target.modifier < 0:
        return replace(loss(PADDING), lost=UNPADDED) if unpads(target, kind) else None
    limit, declared = target.modifier - 4, kind.declared_length if copied else 0

    def widened(sizes: Sizes) -> Sql:
        if target.base == "bpchar":
            return compose("character({})", max(sizes[0], declared))
        return compose("character varying({})", _room(sizes[0], declared))

    size = verbatim("length(({0})::text)")
    gauge = Gauge(sizes=(size,), over=compose("{} > {}", size, limit), widen=widened, limit=limit)
    return replace(gauge, loses=PADDING, lost=UNPADDED) if unpads(target, kind) else gauge


PADDING = verbatim("octet_length({0}) <> octet_length(({0})::text)")
"""The blanks with which char(n) fills a value up: its octet_length counts them, a cast to text takes them away."""

UNPADDED = "would be changed by the loss of their padding"


def _room(size: int, declared: int) -> int:
    """The source's own declared length, where it has one; else the next length of the ladder."""
    if declared >= size:
        return declared
    return next((step for step in VARCHAR_LADDER if step >= size), size)


def _varbit(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    if target.modifier < 0:
        return None
    return Gauge(
        sizes=(verbatim("length(({0})::bit varying)"),),
        over=compose("length(({{0}})::bit varying) > {}", target.modifier),
        widen=lambda sizes: compose("bit varying({})", sizes[0]),
        limit=target.modifier,
    )


WHOLE = (verbatim("smallint"), verbatim("integer"), verbatim("bigint"))


def _integer(target: tables.Column, kind: Kind, copied: bool) -> Gauge:
    limit, number = INTEGERS[target.base], as_number(kind)
    return Gauge(
        sizes=(compose("trunc(abs({}))", number),),
        over=compose("abs({}) > {}", number, limit),
        widen=lambda sizes: next((name for name in WHOLE if sizes[0] <= INTEGERS[name]), None),
        limit=limit,
        loses=compose("{number} <> trunc({number})", number=number),
    )


def _numeric(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Digits before the point always count. Decimals count for a copied column; an expression may mean to round."""
    if target.modifier < 0:
        # PostgreSQL turns floats into numbers of 6 or 15 digits.
        return loss(verbatim("({0})::text::numeric <> ({0})::numeric")) if kind.base in FLOATS else None
    precision, scale = numeric_size(target.modifier)
    number = as_number(kind)
    digits = compose(
        "(CASE WHEN abs({number}) < 1 THEN 0 ELSE length(trunc(abs({number}))::text) END)", number=number
    )
    rounds = compose("round({number}, {scale}) <> {number}", number=number, scale=scale)
    decimals = compose(
        "(CASE WHEN {rounds} THEN scale(trim_scale({number})) ELSE {scale} END)",
        rounds=rounds,
        number=number,
        scale=scale,
    )
    whole = precision - scale
    over = joined("", [compose("{} > {}", digits, whole), compose(" OR {}", rounds) if copied else NOTHING])

    def widened(sizes: Sizes) -> Sql:
        new_scale = max(scale, sizes[1]) if copied else scale
        return compose("numeric({},{})", max(whole, sizes[0]) + new_scale, new_scale)

    return Gauge(sizes=(digits, decimals), over=over, widen=widened, limit=whole, loses=rounds)


def _float(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Whole numbers beyond what a float holds exactly (2^53, 2^24) would change; digits of a longer float."""
    if (target.base, kind.base) == FLOATS:
        return loss(
            verbatim("CASE WHEN abs({0}) BETWEEN 1e-37 AND 1e38 THEN ({0})::real::text <> ({0})::text END")
        )
    if kind.base not in (*EXACT, "numeric") or (
        DIGITS.get(kind.base, 99) <= DIGITS["integer"] and target.base == "double precision"
    ):
        return None
    # By way of text: from a float to numeric PostgreSQL keeps 15 (6) digits only.
    number = as_number(kind)
    changed = compose("({number})::{base}::text::numeric <> {number}", number=number, base=target.base)
    return Gauge(
        sizes=(compose("trunc(abs({}))", number),),
        over=verbatim("false"),
        widen=never,
        limit=2**53 if target.base == "double precision" else 2**24,
        loses=changed
        if kind.base in EXACT
        else compose("{number} = trunc({number}) AND {changed}", number=number, changed=changed),
        blocks=True,
    )


def _time(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Fractions of a second beyond the declared precision; an expression may mean to round. Days, zones."""
    if only_the_clock(target, kind):
        return loss(verbatim("({0})::text <> ({0})::time::text"))
    if not 0 <= target.modifier < MOST_PRECISE:
        return None
    loses = compose("({{0}})::{} <> ({{0}})::{}", target.full_type, target.base)
    stem = verbatim("timestamp" if target.base.startswith("timestamp") else "time")
    zone = verbatim("with time zone" if target.base.endswith(" with time zone") else "without time zone")
    full = compose("{}({}) {}", stem, MOST_PRECISE, zone)
    return Gauge(
        sizes=(compose("(CASE WHEN {} THEN {} ELSE {} END)", loses, MOST_PRECISE, target.modifier),),
        over=loses if copied else verbatim("false"),
        widen=lambda _: full,
        limit=target.modifier,
        loses=loses,
    )


def _interval(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Fractions of a second, and fields, that the declared type has not; an expression may mean to round."""
    if target.modifier < 0:
        return None
    loses = compose("(({{0}})::{})::text <> (({{0}})::interval)::text", target.full_type)
    precision = min(target.modifier & 0xFFFF, MOST_PRECISE)
    size = compose("(CASE WHEN {} THEN {} ELSE {} END)", loses, MOST_PRECISE, precision)
    over = loses if copied else verbatim("false")
    return Gauge(sizes=(size,), over=over, widen=lambda _: verbatim("interval"), limit=precision, loses=loses)


def _jsonb(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """jsonb keeps one of several equal keys of an object."""
    if kind.base not in ("json", "text", "character varying"):
        return None
    return loss(verbatim("({0})::text IS JSON AND NOT (({0})::text IS JSON WITH UNIQUE KEYS)"))


def _date(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """A date keeps no time of the day."""
    return loss(verbatim("({0})::date <> ({0})")) if kind.base in TIMES and kind.base not in CLOCKS else None


def _cut(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """What is too long for these types PostgreSQL cuts without an error."""
    if kind.base == target.base:
        return None
    return replace(loss(compose("({{0}})::text::{}::text <> ({{0}})::text", target.base)), blocks=True)


def _cidr(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """A network keeps no address in it."""
    return loss(verbatim("({0})::cidr <> ({0})")) if kind.base == "inet" else None


def _money(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Fractions of the smallest coin are rounded."""
    return loss(verbatim("({0})::money::numeric <> ({0})")) if kind.base == "numeric" else None


def _boolean(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """All numbers but 0 are true."""
    return loss(verbatim("({0}) NOT IN (0, 1)")) if kind.base == "integer" else None


def element_of(target: tables.Column, kind: Kind) -> tuple[tables.Column, Kind]:
    """The column and the kind of an array's elements."""
    base, full = of_array(target.base), of_array(target.full_type)
    return replace(target, base=base, full_type=full, category=""), Kind(of_array(kind.base), kind.modifier)


def _as_array(target: tables.Column, kind: Kind) -> Sql:
    return (
        compose("({{0}})::{}", kind.base)
        if kind.base.endswith("[]")
        else compose("({{0}})::text::{}", target.base)
    )


ELEMENT = verbatim("e.v")


def of_elements(gauge: Gauge, target: tables.Column, kind: Kind) -> Gauge:
    """A loss of single values, of an array's."""
    condition = placed(gauge.loses, ELEMENT)
    return replace(
        gauge,
        loses=compose("EXISTS (SELECT FROM unnest({}) AS e(v) WHERE {})", _as_array(target, kind), condition),
    )


def _array(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """The gauge of the elements, over each of them."""
    inner = gauge_of(*element_of(target, kind), copied)
    if inner is None:
        return None
    value = compose("unnest({}) AS e(v)", _as_array(target, kind))

    def widened(sizes: Sizes) -> Sql | None:
        wider = inner.widen(sizes)
        return compose("{}[]", wider) if wider else None

    def each(condition: Sql) -> Sql:
        return compose("EXISTS (SELECT FROM {} WHERE {})", value, placed(condition, ELEMENT))

    if target.modifier < 0:  # nothing is too large that PostgreSQL would not refuse
        return replace(loss(each(inner.loses)), blocks=inner.blocks) if inner.loses != "false" else None
    sizes = tuple(compose("(SELECT max({}) FROM {})", placed(size, ELEMENT), value) for size in inner.sizes)
    loses = each(inner.loses) if inner.loses != "false" else verbatim("false")
    return replace(inner, sizes=sizes, over=each(inner.over), loses=loses, widen=widened)


Maker = Callable[[tables.Column, Kind, bool], Gauge | None]

MAKERS: dict[str, Maker] = {
    "character varying": _text,
    "bpchar": _text,
    "text": _text,
    "bit varying": _varbit,
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "numeric": _numeric,
    "real": _float,
    "double precision": _float,
    "timestamp without time zone": _time,
    "timestamp with time zone": _time,
    "time without time zone": _time,
    "time with time zone": _time,
    "date": _date,
    "interval": _interval,
    '"char"': _cut,
    "name": _cut,
    "cidr": _cidr,
    "money": _money,
    "boolean": _boolean,
    "jsonb": _jsonb,
}
