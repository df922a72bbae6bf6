"""What a type drops in silence of a text that it reads: the time of a date, the zone of a time, digits of a number.

A text that is none of its type fails by its row, so nothing is cast here that was not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.catalog import tables
from mappings.catalog.types import TIMES, Kind
from mappings.fitting.gauge import Gauge, as_number, loss
from mappings.fitting.type_promises import FLOATS
from mappings.sql import Sql, compose, verbatim

READ = ("text", "character varying", "bpchar")

CLOCK = verbatim(r"[0-9]:[0-9]{2}|[0-9]T(?!0000)[0-9]{4}")
MIDNIGHT = verbatim(r"(^|[ T])0?0:00(:00([.]0*)?)?(?![0-9:.])")
DAY = verbatim(r"[0-9][-/.][0-9]+[-/.][0-9]|[0-9]{8}[ T]")
OFFSET = verbatim(r"[0-9]:[0-9]{2}(:[0-9]{2}([.][0-9]*)?)?\s*([-+][0-9]|[Zz]\M|UTC|GMT)")

FINER = verbatim(r"[.][0-9]{6}[0-9]*[1-9]")
"""Digits behind those of a microsecond."""

FINITE = {"real": verbatim("1e-37 AND 1e38"), "double precision": verbatim("1e-307 AND 1e308")}
"""What each float holds with all its digits."""


def losses_of_texts(target: tables.Column, kind: Kind) -> Iterator[Gauge]:
    """The losses of texts that become dates, times, floats and money."""
    if kind.base not in READ:
        return
    name, _, zone = target.base.partition(" ")
    if target.base == "date":
        told = "would lose the time of the day"
        yield replace(loss(compose("{} AND NOT {}", _is(CLOCK), _is(MIDNIGHT))), lost=told)
    elif name == "time":
        yield replace(loss(_is(DAY)), lost="would lose the day")
    elif target.base in FLOATS:
        number = as_number(kind)
        same = compose("({number})::{base}::text::numeric = {number}", number=number, base=target.base)
        yield loss(compose("CASE WHEN abs({}) BETWEEN {} THEN NOT {} END", number, FINITE[target.base], same))
    elif target.base == "money":
        yield loss(compose("round({as_number}, 2) <> {as_number}", as_number=as_number(kind)))
    if target.base in (*TIMES, "interval"):
        yield replace(loss(_is(FINER)), lost="would lose digits behind the microseconds")
    if zone == "without time zone":
        told = "would lose their time zone: what is kept is the time as it is written"
        yield replace(loss(_is(OFFSET)), lost=told)


def _is(pattern: Sql) -> Sql:
    return compose("({{0}})::text ~ '{}'", pattern)
