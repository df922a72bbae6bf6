"""Which type becomes which, how well, and by which expression: nothing is proposed against the types in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from mappings.sql import literal
from mappings.suggesting.profiles import Profile, letters_of
from mappings.suggesting.sides import Column
from mappings.suggesting.spelling import name_sql
from mappings.suggesting.vocabulary import vocabulary, words_of

FAMILIES = {
    "smallint": "int", "integer": "int", "bigint": "int", "numeric": "num", "real": "num", "double precision": "num",
    "money": "num", "boolean": "bool", "date": "date", "timestamp without time zone": "stamp",
    "timestamp with time zone": "zoned", "time without time zone": "time", "time with time zone": "time",
    "interval": "interval", "uuid": "uuid", "json": "json", "jsonb": "json", "bytea": "bytes", "inet": "net",
    "cidr": "net", "xml": "xml", "tsvector": "search", "text": "text", "character varying": "text",
    "character": "text", "bpchar": "text", "name": "text", "citext": "text", "hstore": "hstore",
}  # fmt: skip
MOMENTS = ("date", "stamp", "zoned")


@dataclass(frozen=True, slots=True)
class Fit:
    """quality: 0 (cannot be) to 1 (the same); expr: how it is cast, None where the column's name says it all."""

    quality: float
    expr: str | None = None
    note: str = ""


def family(column: Column) -> str:
    """The kind of type, domains looked through."""
    if column.kind == "e":
        return "enum"
    return "array" if column.category == "A" else _family(column.base, column.category)


@cache
def _family(base: str, category: str) -> str:
    bare = re.sub(r"^.*\.", "", base.replace('"', ""))
    return FAMILIES.get(bare, "text" if category == "S" else base)


def fit(source: Column, target: Column, profile: Profile | None = None) -> Fit:
    """How a source column's values become the target column's. profile: of the source's values."""
    here, there = family(source), family(target)
    name = name_sql(source.name)
    if here == there == "enum":
        return Fit(0.9) if source.labels == target.labels else Fit(0.85, f"{name}::text::{target.cast}")
    if here == there:
        return Fit(1.0)
    for rule in (_arrays, _numbers, _intervals, _between_moments, _moments, _to_text, _to_json, _from_text):
        if result := rule(Cast(source, target, here, there, profile)):
            return result
    return Fit(0.0)


@dataclass(frozen=True, slots=True)
class Cast:
    """What is asked: a source column of one family into a target column of another."""

    source: Column
    target: Column
    here: str
    there: str
    profile: Profile | None

    @property
    def name(self) -> str:
        """The source column in SQL."""
        return name_sql(self.source.name)


def _numbers(cast: Cast) -> Fit | None:
    name, ways = cast.name, (cast.here, cast.there)
    if ways == ("num", "int") and _is_minor(cast.target) and not _is_minor(cast.source):
        return Fit(0.95, f"({name} * 100)::{cast.target.base}", "in cents")
    if ways == ("int", "num") and _is_minor(cast.source) and not _is_minor(cast.target):
        return Fit(0.95, f"{name} / 100.0", "from cents")
    plain = {
        ("int", "num"): Fit(0.95),
        ("num", "int"): Fit(0.75, f"{name}::{cast.target.base}"),
        ("int", "bool"): Fit(0.75, f"{name} <> 0"),
        ("bool", "int"): Fit(0.7, f"{name}::integer"),
    }
    return plain.get(ways)


def _is_minor(column: Column) -> bool:
    """Whether a column counts cents."""
    return unit(column.name) == (0.01, "")


def _intervals(cast: Cast) -> Fit | None:
    if cast.there == "interval" and cast.here in ("int", "num"):
        factor, of = unit(cast.source.name) or (0.0, "")
        if of != "second":
            return Fit(0.45, f"{cast.name} * interval '1 second'", "if they are seconds")
        return Fit(0.95, f"{cast.name} * interval '{UNIT_NAMES[factor]}'", "from a number of them")
    if cast.here == "interval" and cast.there in ("int", "num"):
        factor, of = unit(cast.target.name) or (1.0, "second")
        divided = f" / {factor:g}" if factor != 1 else ""
        expr = f"(extract(epoch FROM {cast.name}){divided})::{cast.target.base}"
        return Fit(0.8, expr, "a number of them") if of == "second" else None
    return None


UNIT_NAMES = {0.001: "1 millisecond", 1.0: "1 second", 60.0: "1 minute", 3600.0: "1 hour", 86400.0: "1 day"}


def unit(name: str) -> tuple[float, str] | None:
    """What a name says that its numbers count, and in what: (60.0, 'second') for minutes."""
    known = vocabulary().units
    return next((known[word] for word in reversed(words_of(name)) if word in known), None)


def _between_moments(cast: Cast) -> Fit | None:
    name, here, there = cast.name, cast.here, cast.there
    if here not in MOMENTS or there not in MOMENTS:
        return None
    if there == "date":
        return Fit(0.95, f"{name}::date" if here == "stamp" else f"({name} AT TIME ZONE 'UTC')::date")
    if here == "date" and there == "stamp":
        return Fit(0.9, f"{name}::timestamp")
    stamp = f"{name}::timestamp" if here == "date" else name
    return Fit(0.95, f"{stamp} AT TIME ZONE 'UTC'", "taken as UTC")


def _moments(cast: Cast) -> Fit | None:
    name, here, there = cast.name, cast.here, cast.there
    if there == "time" and here in ("stamp", "zoned"):
        return Fit(0.5, f"{name}::time" if here == "stamp" else f"({name} AT TIME ZONE 'UTC')::time")
    if here in MOMENTS and there in ("int", "num"):
        return Fit(0.3, f"extract(year FROM {name})::integer", "its year")
    if here in ("int", "num") and there in MOMENTS:
        return _from_number(name, there, cast.profile)
    return None


def _from_number(name: str, there: str, profile: Profile | None) -> Fit:
    """A number as a moment: 20240131, seconds or milliseconds since 1970, by the size of the values."""
    low, high = (profile.numbers[0], profile.numbers[1]) if profile and profile.numbers else (0.0, 0.0)
    if low >= 18_000_101 and high <= 99_991_231:
        day = f"to_date({name}::text, 'YYYYMMDD')"
        return Fit(0.85, day if there == "date" else f"{day}::timestamp AT TIME ZONE 'UTC'", "from YYYYMMDD")
    divided = f"{name} / 1000.0" if high > 1e11 else name
    if 1e8 < high < 1e13:
        moment = f"to_timestamp({divided})"
        expr = {"date": f"({moment} AT TIME ZONE 'UTC')::date", "stamp": f"{moment} AT TIME ZONE 'UTC'"}
        return Fit(0.85, expr.get(there, moment), "from seconds since 1970")
    return Fit(0.15, f"to_timestamp({name})")


def _to_text(cast: Cast) -> Fit | None:
    quality = {"enum": 0.95, "uuid": 0.9, "int": 0.75, "bool": 0.6, "num": 0.55, "bytes": 0.1}
    return Fit(quality.get(cast.here, 0.45), f"{cast.name}::text") if cast.there == "text" else None


def _to_json(cast: Cast) -> Fit | None:
    if cast.there != "json":
        return None
    is_json = _looks(cast.profile, "json") and cast.here == "text"
    return Fit(0.6, f"{cast.name}::{cast.target.base}" if is_json else f"to_jsonb({cast.name})")


def _from_text(cast: Cast) -> Fit | None:
    """A text, or what is written as one, by whether its values look like the type."""
    if cast.here in ("json", "enum"):
        return Fit(0.2, f"{cast.name}::text::{cast.target.cast or cast.target.base}")
    if cast.here != "text":
        return None
    if cast.there == "enum":
        return Fit(0.9, f"{cast.name}::{cast.target.cast}")
    wanted, profile = LOOKS_OF.get(cast.there, ()), cast.profile
    quality = 0.5 if profile is None else 0.85 if _looks(profile, *wanted) else 0.12
    if cast.there in ("int", "num") and profile and sum(profile.shapes.get(s, 0) for s in wanted) > 0.3:
        quality = max(quality, 0.5)
    return Fit(quality, f"{cast.name}::{cast.target.cast or cast.target.base}", "where the text is one")


LOOKS_OF = {
    "int": ("whole",), "num": ("whole", "fraction"), "bool": ("truth",), "date": ("day", "moment"),
    "stamp": ("day", "moment"), "zoned": ("day", "moment"), "time": ("clock",), "uuid": ("uuid",), "net": ("ip",),
    "interval": ("clock",),
}  # fmt: skip


def _looks(profile: Profile | None, *shapes: str) -> bool:
    return profile is not None and sum(profile.shapes.get(shape, 0) for shape in shapes) >= 0.95


def _arrays(cast: Cast) -> Fit | None:
    name, profile = cast.name, cast.profile
    if cast.here == "array" and cast.there == "json":
        return Fit(0.85, f"to_jsonb({name})")
    if cast.here == "array" and cast.there == "text":
        return Fit(0.7, f"array_to_string({name}, ', ')")
    if cast.here == "text" and cast.target.base == "text[]":
        marks = (mark for mark in (",", ";", "|") if profile and any(mark in v for v in profile.raw))
        return Fit(0.7, f"string_to_array({name}, {literal(next(marks, ','))})", "taken apart")
    is_one = "array" in (cast.here, cast.there)
    return Fit(0.1, f"{name}::{cast.target.base}") if is_one and cast.there != "json" else None


SPELLINGS = (
    "{0}", "lower({0})", "upper({0})", "initcap({0})", "lower(regexp_replace({0}, '[^[:alnum:]]+', '', 'g'))",
    "lower(regexp_replace({0}, '[^[:alnum:]]+', '_', 'g'))", "upper(regexp_replace({0}, '[^[:alnum:]]+', '_', 'g'))",
)  # fmt: skip


def respelled(source: Column, values: tuple[str, ...], allowed: tuple[str, ...]) -> str | None:
    """The expression that turns the source's values into allowed ones; None where they are, or cannot be."""
    if set(values) <= set(allowed):
        return None
    name = name_sql(source.name) if family(source) == "text" else f"{name_sql(source.name)}::text"
    spoken = (_plain, str.lower, str.upper, str.title, _bare, _underscored, _shouted)
    for spelling, speak in zip(SPELLINGS, spoken, strict=True):
        if {speak(value) for value in values} <= set(allowed):
            return spelling.format(name)
    return _cases(name, values, allowed)


def _cases(name: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> str | None:
    """CASE … for codes that each are the beginning of exactly one allowed value."""
    pairs = []
    for value in values:
        fitting = [word for word in allowed if letters_of(word).startswith(letters_of(value))]
        if len(fitting) != 1 or not letters_of(value):
            return None
        pairs.append((value, fitting[0]))
    whens = " ".join(f"when {literal(value)} then {literal(word)}" for value, word in sorted(pairs))
    return f"case {name} {whens} end"


def _plain(value: str) -> str:
    return value


def _bare(value: str) -> str:
    return re.sub(r"[\W_]+", "", value).lower()


def _underscored(value: str) -> str:
    return re.sub(r"[\W_]+", "_", value).lower()


def _shouted(value: str) -> str:
    return _underscored(value).upper()
