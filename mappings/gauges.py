"""What fits which column: how a value's size is measured, and which type holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mappings import catalog

VARCHAR_LADDER = (255, 500, 1000, 2000, 4000, 8000)
"""Lengths to which a column is widened where the source declares none: room for later rows as well."""

INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
EXACT = ("smallint", "integer", "bigint", "numeric")
TEXTS = ("character varying", "bpchar", "text")
MOST_PRECISE = 6
NUMBER = r"^\s*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?\s*$"

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one target column is measured. SQL parts are over {0}, the source value.

    sizes: the largest of each is measured; over: whether a value needs a wider column; loses: whether storing it
    would change it without an error; widen: the full type that holds the measured sizes, None if there is none;
    limit: what the column holds, in terms of the first size; blocks: a loss is not acceptable.
    """

    sizes: tuple[str, ...]
    over: str
    widen: Callable[[Sizes], str | None]
    limit: int
    loses: str = "false"
    blocks: bool = False


def gauge_of(target: catalog.Column, source: catalog.Column | None) -> Gauge | None:
    """How to measure a target column; None where nothing can be too large or get lost.

    source: the source column that is copied as it stands; None for expressions and lookups.
    """
    if target.is_domain or (source and _holds(target, source)):
        return None
    make = MAKERS.get(target.base)
    return make(target, source) if make else None


def _holds(target: catalog.Column, source: catalog.Column) -> bool:
    """Whether the types alone say that every value fits."""
    if source.base in INTEGERS and target.base in INTEGERS:
        return INTEGERS[source.base] <= INTEGERS[target.base]
    return source.full_type == target.full_type or (
        source.base == target.base
        and target.base in ("character varying", "bit varying", "bpchar")
        and 0 <= source.modifier <= target.modifier
    )


def _text(target: catalog.Column, source: catalog.Column | None) -> Gauge | None:
    """varchar(n) gets room for later rows; char(n) only what it needs, since each row pays for it."""
    if target.modifier < 0:
        return None
    limit, declared = target.modifier - 4, _declared_length(source)

    def widened(sizes: Sizes) -> str:
        if target.base == "bpchar":
            return f"character({max(sizes[0], declared)})"
        return f"character varying({_room(sizes[0], declared)})"

    size = "length(({0})::text)"
    return Gauge(sizes=(size,), over=f"{size} > {limit}", widen=widened, limit=limit)


def _declared_length(source: catalog.Column | None) -> int:
    """varchar(n) and char(n) at the source: n; else 0."""
    return source.modifier - 4 if source and source.base in ("character varying", "bpchar") else 0


def _room(size: int, declared: int) -> int:
    """The source's own declared length, where it has one; else the next length of the ladder."""
    if declared >= size:
        return declared
    return next((step for step in VARCHAR_LADDER if step >= size), size)


def _varbit(target: catalog.Column, source: catalog.Column | None) -> Gauge | None:
    if target.modifier < 0:
        return None
    return Gauge(
        sizes=("length(({0})::bit varying)",),
        over=f"length(({{0}})::bit varying) > {target.modifier}",
        widen=lambda sizes: f"bit varying({sizes[0]})",
        limit=target.modifier,
    )


def _number(source: catalog.Column | None) -> str:
    """The value as a number; NULL where a text is none, which the copy reports by its row."""
    if source and source.base in EXACT:
        return "({0})::numeric"
    looks_like_one = f"({{0}})::text ~ '{NUMBER}'"
    return f"(CASE WHEN {looks_like_one} THEN ({{0}})::text::numeric END)"


def _integer(target: catalog.Column, source: catalog.Column | None) -> Gauge:
    limit, number = INTEGERS[target.base], _number(source)
    return Gauge(
        sizes=(f"trunc(abs({number}))",),
        over=f"abs({number}) > {limit}",
        widen=lambda sizes: next((name for name, largest in INTEGERS.items() if sizes[0] <= largest), None),
        limit=limit,
        loses=f"{number} <> trunc({number})",
    )


def _numeric(target: catalog.Column, source: catalog.Column | None) -> Gauge | None:
    """Digits before the point always count. Decimals count for a copied column; an expression may mean to round."""
    if target.modifier < 0:
        return None
    precision, scale = (int(part) for part in target.full_type.partition("(")[2].rstrip(")").split(","))
    number = _number(source)
    digits = f"(CASE WHEN abs({number}) < 1 THEN 0 ELSE length(trunc(abs({number}))::text) END)"
    rounds = f"round({number}, {scale}) <> {number}"
    decimals = f"(CASE WHEN {rounds} THEN scale(trim_scale({number})) ELSE {scale} END)"
    whole = precision - scale
    over = f"{digits} > {whole}" + (f" OR {rounds}" if source else "")

    def widened(sizes: Sizes) -> str:
        new_scale = max(scale, sizes[1]) if source else scale
        return f"numeric({max(whole, sizes[0]) + new_scale},{new_scale})"

    return Gauge(sizes=(digits, decimals), over=over, widen=widened, limit=whole, loses=rounds)


def _float(target: catalog.Column, source: catalog.Column | None) -> Gauge | None:
    """Whole numbers beyond what a float holds exactly (2^53, 2^24) would change."""
    if not source or source.base not in INTEGERS:
        return None
    # By way of text: from a float to numeric PostgreSQL keeps 15 (6) digits only.
    loses = f"({{0}})::{target.base}::text::numeric <> ({{0}})::numeric"
    return Gauge(
        sizes=("abs(({0})::numeric)",),
        over="false",
        widen=lambda _: None,
        limit=2**53,
        loses=loses,
        blocks=True,
    )


def _time(target: catalog.Column, source: catalog.Column | None) -> Gauge | None:
    """Fractions of a second beyond the declared precision."""
    if not 0 <= target.modifier < MOST_PRECISE:
        return None
    loses = f"({{0}})::{target.full_type} <> ({{0}})::{target.base}"
    stem, _, zone = target.base.partition(" ")
    full = f"{stem}({MOST_PRECISE}) {zone}"
    return Gauge(
        sizes=(f"(CASE WHEN {loses} THEN {MOST_PRECISE} ELSE {target.modifier} END)",),
        over=loses,
        widen=lambda _: full,
        limit=target.modifier,
        loses=loses,
    )


MAKERS: dict[str, Callable[[catalog.Column, catalog.Column | None], Gauge | None]] = {
    "character varying": _text,
    "bpchar": _text,
    "bit varying": _varbit,
    "smallint": _integer,
    "integer": _integer,
    "numeric": _numeric,
    "real": _float,
    "double precision": _float,
    "timestamp without time zone": _time,
    "timestamp with time zone": _time,
    "time without time zone": _time,
    "time with time zone": _time,
}
