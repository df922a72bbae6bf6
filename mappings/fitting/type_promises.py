"""What the types alone promise: that every value of a source fits a target column, and stays what it is."""

from __future__ import annotations

from mappings.catalog import tables
from mappings.catalog.types import DIGITS, INTEGERS, TEXTS, TIMES, Kind, numeric_size

EXACT = ("smallint", "integer", "bigint")


FLOATS = ("real", "double precision")


CLOCKS = ("time without time zone", "time with time zone")


MOST_PRECISE = 6


def holds(target: tables.Column, kind: Kind) -> bool:
    """Whether the types alone say that every value fits and stays what it is."""
    if kind.base in INTEGERS and target.base in INTEGERS:
        return INTEGERS[kind.base] <= INTEGERS[target.base]
    if target.base in TEXTS and target.modifier >= 0 and not unpads(target, kind):
        return 0 <= kind.longest <= target.modifier - 4
    if target.base == "bit varying" and target.modifier >= 0:
        return kind.base in ("bit varying", "bit") and 0 <= kind.modifier <= target.modifier
    if target.base == "numeric":
        return _numeric_holds(target, kind)
    if target.base in TIMES and not only_the_clock(target, kind):
        precision = target.modifier if target.modifier >= 0 else MOST_PRECISE
        return kind.base == "date" or (kind.base in TIMES and 0 <= kind.modifier <= precision)
    return kind == Kind(target.base, target.modifier) and target.modifier >= 0


def only_the_clock(target: tables.Column, kind: Kind) -> bool:
    """Whether a column for times of the day is to take what has a day, or a zone that it has not."""
    of_day = target.base in CLOCKS and kind.base in (*TIMES, "interval") and kind.base not in CLOCKS
    return of_day or (target.base, kind.base) == CLOCKS


def _numeric_holds(target: tables.Column, kind: Kind) -> bool:
    if target.modifier < 0:
        return kind.base not in FLOATS
    precision, scale = numeric_size(target.modifier)
    if kind.base in DIGITS:
        return scale >= 0 and DIGITS[kind.base] <= precision - scale
    if kind.base != "numeric" or kind.modifier < 0:
        return False
    digits, decimals = numeric_size(kind.modifier)
    return decimals <= scale and digits - decimals <= precision - scale


def unpads(target: tables.Column, kind: Kind) -> bool:
    return kind.base == "bpchar" and target.base in ("text", "character varying")
