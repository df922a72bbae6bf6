"""What fits which column: how a value's size is measured, and which type holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mappings.catalog import tables
from mappings.catalog.types import DIGITS, INTEGERS, TIMES, Kind, numeric_size
from mappings.fitting.type_promises import CLOCKS, EXACT, FLOATS, MOST_PRECISE, holds, only_the_clock, unpads

VARCHAR_LADDER = (255, 500, 1000, 2000, 4000, 8000)
"""Lengths to which a column is widened where the source declares none: room for later rows as well."""

NUMBER = r"^\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?\s*$"

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one target column is measured. SQL parts are over {0}, the source value.

    sizes: the largest of each is measured; over: whether a value needs a wider column; loses: whether storing it
    would change it without an error; widen: the full type that holds the measured sizes, None if there is none;
    limit: what the column holds, in terms of the first size; blocks: no loss is acceptable; lost: what is said of it;
    refused: such a value is not changed, but a row error.
    """

    sizes: tuple[str, ...]
    over: str
    widen: Callable[[Sizes], str | None]
    limit: int
    loses: str = "false"
    blocks: bool = False
    lost: str = "would be changed by the column's type"
    refused: bool = False


def gauge_of(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """How to measure a target column; None where nothing can be too large or get lost.

    kind: of the source value; copied: a source column is copied as it stands, nobody means to round it.
    """
    if holds(target, kind):
        return None
    make = _array if target.category == "A" else MAKERS.get(target.base)
    gauge = make(target, kind, copied) if make else None
    return replace(gauge, widen=_never) if gauge and target.is_domain else gauge


def _never(_: Sizes) -> None:
    return None


def _text(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """varchar(n) gets room for later rows; char(n) only what it needs, since each row pays for it."""
    if target.modifier < 0:
        return replace(loss(PADDING), lost=UNPADDED) if unpads(target, kind) else None
    limit, declared = target.modifier - 4, kind.declared_length if copied else 0

    def widened(sizes: Sizes) -> str:
        if target.base == "bpchar":
            return f"character({max(sizes[0], declared)})"
        return f"character varying({_room(sizes[0], declared)})"

    size = "length(({0})::text)"
    gauge = Gauge(sizes=(size,), over=f"{size} > {limit}", widen=widened, limit=limit)
    return replace(gauge, loses=PADDING, lost=UNPADDED) if unpads(target, kind) else gauge


PADDING = "octet_length({0}) <> octet_length(({0})::text)"
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
        sizes=("length(({0})::bit varying)",),
        over=f"length(({{0}})::bit varying) > {target.modifier}",
        widen=lambda sizes: f"bit varying({sizes[0]})",
        limit=target.modifier,
    )


def as_number(kind: Kind) -> str:
    """The value as a finite number; NULL where it is none, which the copy reports by its row."""
    if kind.base in EXACT:
        return "({0})::numeric"
    if kind.base == "numeric":
        return "(CASE WHEN ({0}) NOT IN ('NaN', 'Infinity', '-Infinity') THEN ({0}) END)"
    looks_like_one = f"({{0}})::text ~ '{NUMBER}'"
    return f"(CASE WHEN {looks_like_one} THEN ({{0}})::text::numeric END)"


def _integer(target: tables.Column, kind: Kind, copied: bool) -> Gauge:
    limit, number = INTEGERS[target.base], as_number(kind)
    return Gauge(
        sizes=(f"trunc(abs({number}))",),
        over=f"abs({number}) > {limit}",
        widen=lambda sizes: next((name for name, largest in INTEGERS.items() if sizes[0] <= largest), None),
        limit=limit,
        loses=f"{number} <> trunc({number})",
    )


def _numeric(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Digits before the point always count. Decimals count for a copied column; an expression may mean to round."""
    if target.modifier < 0:
        # PostgreSQL turns floats into numbers of 6 or 15 digits.
        return loss("({0})::text::numeric <> ({0})::numeric") if kind.base in FLOATS else None
    precision, scale = numeric_size(target.modifier)
    number = as_number(kind)
    digits = f"(CASE WHEN abs({number}) < 1 THEN 0 ELSE length(trunc(abs({number}))::text) END)"
    rounds = f"round({number}, {scale}) <> {number}"
    decimals = f"(CASE WHEN {rounds} THEN scale(trim_scale({number})) ELSE {scale} END)"
    whole = precision - scale
    over = f"{digits} > {whole}" + (f" OR {rounds}" if copied else "")

    def widened(sizes: Sizes) -> str:
        new_scale = max(scale, sizes[1]) if copied else scale
        return f"numeric({max(whole, sizes[0]) + new_scale},{new_scale})"

    return Gauge(sizes=(digits, decimals), over=over, widen=widened, limit=whole, loses=rounds)


def _float(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Whole numbers beyond what a float holds exactly (2^53, 2^24) would change; digits of a longer float."""
    if (target.base, kind.base) == FLOATS:
        return loss("CASE WHEN abs({0}) BETWEEN 1e-37 AND 1e38 THEN ({0})::real::text <> ({0})::text END")
    if kind.base not in (*EXACT, "numeric") or (
        DIGITS.get(kind.base, 99) <= DIGITS["integer"] and target.base == "double precision"
    ):
        return None
    # By way of text: from a float to numeric PostgreSQL keeps 15 (6) digits only.
    number = as_number(kind)
    changed = f"({number})::{target.base}::text::numeric <> {number}"
    return Gauge(
        sizes=(f"trunc(abs({number}))",),
        over="false",
        widen=_never,
        limit=2**53 if target.base == "double precision" else 2**24,
        loses=changed if kind.base in EXACT else f"{number} = trunc({number}) AND {changed}",
        blocks=True,
    )


def _time(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Fractions of a second beyond the declared precision; an expression may mean to round. Days, zones."""
    if only_the_clock(target, kind):
        return loss("({0})::text <> ({0})::time::text")
    if not 0 <= target.modifier < MOST_PRECISE:
        return None
    loses = f"({{0}})::{target.full_type} <> ({{0}})::{target.base}"
    stem, _, zone = target.base.partition(" ")
    full = f"{stem}({MOST_PRECISE}) {zone}"
    return Gauge(
        sizes=(f"(CASE WHEN {loses} THEN {MOST_PRECISE} ELSE {target.modifier} END)",),
        over=loses if copied else "false",
        widen=lambda _: full,
        limit=target.modifier,
        loses=loses,
    )


def _interval(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Fractions of a second, and fields, that the declared type has not; an expression may mean to round."""
    if target.modifier < 0:
        return None
    loses = f"(({{0}})::{target.full_type})::text <> (({{0}})::interval)::text"
    precision = min(target.modifier & 0xFFFF, MOST_PRECISE)
    size = f"(CASE WHEN {loses} THEN {MOST_PRECISE} ELSE {precision} END)"
    over = loses if copied else "false"
    return Gauge(sizes=(size,), over=over, widen=lambda _: "interval", limit=precision, loses=loses)


def _jsonb(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """jsonb keeps one of several equal keys of an object."""
    if kind.base not in ("json", "text", "character varying"):
        return None
    return loss("({0})::text IS JSON AND NOT (({0})::text IS JSON WITH UNIQUE KEYS)")


def _date(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """A date keeps no time of the day."""
    return loss("({0})::date <> ({0})") if kind.base in TIMES and kind.base not in CLOCKS else None


def _cut(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """What is too long for these types PostgreSQL cuts without an error."""
    if kind.base == target.base:
        return None
    return replace(loss(f"({{0}})::text::{target.base}::text <> ({{0}})::text"), blocks=True)


def _cidr(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """A network keeps no address in it."""
    return loss("({0})::cidr <> ({0})") if kind.base == "inet" else None


def _money(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """Fractions of the smallest coin are rounded."""
    return loss("({0})::money::numeric <> ({0})") if kind.base == "numeric" else None


def _boolean(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """All numbers but 0 are true."""
    return loss("({0}) NOT IN (0, 1)") if kind.base == "integer" else None


def loss(condition: str) -> Gauge:
    """A gauge of what would be changed in silence, where no size tells."""
    return Gauge(sizes=(), over="false", widen=_never, limit=0, loses=condition)


def element_of(target: tables.Column, kind: Kind) -> tuple[tables.Column, Kind]:
    """The column and the kind of an array's elements."""
    base, full = target.base.removesuffix("[]"), target.full_type.removesuffix("[]")
    return replace(target, base=base, full_type=full, category=""), Kind(
        kind.base.removesuffix("[]"), kind.modifier
    )


def _as_array(target: tables.Column, kind: Kind) -> str:
    return f"({{0}})::{kind.base}" if kind.base.endswith("[]") else f"({{0}})::text::{target.base}"


def of_elements(gauge: Gauge, target: tables.Column, kind: Kind) -> Gauge:
    """A loss of single values, of an array's."""
    condition = gauge.loses.replace("{0}", "e.v")
    return replace(
        gauge, loses=f"EXISTS (SELECT FROM unnest({_as_array(target, kind)}) AS e(v) WHERE {condition})"
    )


def _array(target: tables.Column, kind: Kind, copied: bool) -> Gauge | None:
    """The gauge of the elements, over each of them."""
    inner = gauge_of(*element_of(target, kind), copied)
    if inner is None:
        return None
    value = f"unnest({_as_array(target, kind)}) AS e(v)"

    def widened(sizes: Sizes) -> str | None:
        wider = inner.widen(sizes)
        return f"{wider}[]" if wider else None

    def each(condition: str) -> str:
        return f"EXISTS (SELECT FROM {value} WHERE {condition.replace('{0}', 'e.v')})"

    if target.modifier < 0:  # nothing is too large that PostgreSQL would not refuse
        return replace(loss(each(inner.loses)), blocks=inner.blocks) if inner.loses != "false" else None
    sizes = tuple(f"(SELECT max({size.replace('{0}', 'e.v')}) FROM {value})" for size in inner.sizes)
    loses = each(inner.loses) if inner.loses != "false" else "false"
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
