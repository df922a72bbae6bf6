"""Target columns made of several source columns, and source columns of which a target column is a part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mappings.sql import literal
from mappings.suggesting.casts import family
from mappings.suggesting.context import Pair
from mappings.suggesting.names import units
from mappings.suggesting.sides import Column
from mappings.suggesting.spelling import name_sql

PERSON_NAME = ("given name", "middle name", "surname")
ADDRESS = ("street", "house number", "street more", "city", "region", "postcode", "country")
REACHED_BY = ("email", "phone", "mobile", "fax", "website")
WHOLE_NAMES = {"full name": 0.93, "name": 0.85, "label": 0.75, "title": 0.4, "contact": 0.5, "person": 0.6}
WHOLE_ADDRESS = {"address": 0.85, "location": 0.6, "delivery address": 0.7, "invoice address": 0.7}


@dataclass(frozen=True, slots=True)
class Made:
    """An expression over source columns, the main one first."""

    sources: tuple[str, ...]
    expr: str
    score: float
    reason: str


def candidates(pair: Pair, target: Column) -> Iterator[Made]:
    """What could be made of several source columns, or of a part of one, for this target column."""
    wanted = {meaning for unit in pair.target_names[target.name] for meaning in unit.meanings}
    if family(target) == "text":
        yield from _whole_name(pair, wanted)
        yield from _whole_address(pair, wanted)
        yield from _part_of_name(pair, wanted)
    elif family(target) == "json":
        yield from _object(pair, target, wanted)
    elif family(target) in ("stamp", "zoned"):
        yield from _day_and_time(pair, target, wanted)


def columns_meaning(pair: Pair, meaning: str, side: str = "source") -> list[Column]:
    """The columns of a side whose name means this; of the source those that are texts."""
    result = pair.source_meanings if side == "source" else pair.target_meanings
    return [column for column in result.get(meaning, ()) if side == "target" or family(column) == "text"]


def _first(pair: Pair, meanings: tuple[str, ...]) -> list[Column]:
    """One column for each of these meanings that the source has, none twice."""
    result = [columns[0] for meaning in meanings if (columns := columns_meaning(pair, meaning))]
    return list(dict.fromkeys(result))


def _whole_name(pair: Pair, wanted: set[str]) -> Iterator[Made]:
    parts = _first(pair, PERSON_NAME)
    quality = max((WHOLE_NAMES.get(meaning, 0.0) for meaning in wanted), default=0.0)
    has_own = any(columns_meaning(pair, meaning, "target") for meaning in ("given name", "surname"))
    if len(parts) < 2 or not quality or has_own:
        return
    yield Made(
        tuple(part.name for part in parts),
        joined(" ", parts),
        quality,
        "the whole name of its parts",
    )


def _whole_address(pair: Pair, wanted: set[str]) -> Iterator[Made]:
    quality = max((WHOLE_ADDRESS.get(meaning, 0.0) for meaning in wanted), default=0.0)
    lines = _first(pair, ("address", *ADDRESS))
    own = [meaning for meaning in ADDRESS[3:] if columns_meaning(pair, meaning, "target")]
    if len(lines) < 3 or not quality or own:
        return
    yield Made(
        tuple(line.name for line in lines),
        joined(", ", lines),
        quality,
        "the target has no columns for the parts of an address",
    )


def joined(mark: str, columns: list[Column]) -> str:
    """The columns as one text; those that are NULL are left out, without their mark."""
    return f"concat_ws({literal(mark)}, {', '.join(name_sql(column.name) for column in columns)})"


def _part_of_name(pair: Pair, wanted: set[str]) -> Iterator[Made]:
    """The first word of a whole name, or what follows it."""
    if not wanted & {"given name", "surname"} or _first(pair, ("given name", "surname")):
        return
    wholes = [c for meaning in ("full name", "name") for c in columns_meaning(pair, meaning)]
    for column in wholes[:1]:
        name = name_sql(column.name)
        first = f"split_part({name}, ' ', 1)"
        rest = f"regexp_replace({name}, '^[^ ]* *', '')"
        expr = first if "given name" in wanted else rest
        yield Made((column.name,), expr, 0.72, "a part of the whole name")


def _object(pair: Pair, target: Column, wanted: set[str]) -> Iterator[Made]:
    """A JSON object of the columns that belong to what it is called."""
    parts: list[Column] = []
    if "contact" in wanted or wanted & set(REACHED_BY):
        parts = _first(pair, REACHED_BY)
    elif "address" in wanted:
        parts = _first(pair, ("address", *ADDRESS))
    if len(parts) < 2:
        return
    pairs = ", ".join(f"{literal(part.name)}, {name_sql(part.name)}" for part in parts)
    built = f"jsonb_strip_nulls(jsonb_build_object({pairs}))"
    yield Made(
        tuple(part.name for part in parts),
        built if target.base == "jsonb" else f"{built}::{target.base}",
        0.72,
        "the columns that belong to it",
    )


def _day_and_time(pair: Pair, target: Column, wanted: set[str]) -> Iterator[Made]:
    """A date and a time of day that mean the same as the target's moment."""
    days = [column for column in pair.source.columns if family(column) == "date"]
    clocks = [column for column in pair.source.columns if column.base == "time without time zone"]
    for day in days:
        for clock in clocks:
            told = {meaning for unit in (*units(day.name), *units(clock.name)) for meaning in unit.meanings}
            if not told & wanted and (len(days) > 1 or len(clocks) > 1):
                continue
            whole = f"{name_sql(day.name)} + {name_sql(clock.name)}"
            expr = whole if family(target) == "stamp" else f"({whole}) AT TIME ZONE 'UTC'"
            yield Made((day.name, clock.name), expr, 0.7, "a date and a time of day")
