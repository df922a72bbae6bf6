"""What the values of a sampled column look like, and how alike two columns' values are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from mappings.suggesting.sides import Column

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("email", r"[^@\s]+@[^@\s]+\.[^@\s]+"),
        ("url", r"(https?|ftp)://\S+|www\.\S+"),
        ("uuid", r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"),
        ("ip", r"\d{1,3}(\.\d{1,3}){3}(/\d+)?"),
        ("moment", r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d.*"),
        ("day", r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./](\d\d){1,2}|\d{4}/\d\d/\d\d"),
        ("clock", r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?"),
        ("iban", r"[A-Z]{2}\d\d[A-Z0-9 ]{11,30}"),
        ("truth", r"(?i)t|f|true|false|y|n|yes|no|ja|nein|oui|non"),
        (
            "phone",
            r"\+\d[\d ()./-]{6,}|\(\d{2,5}\)[\d ()./-]{5,}|0\d[\d ()./-]{6,}"
            r"|\d{2,4}[ ./-]\d{2,4}[ ./-][\d ./-]{3,}",
        ),
        ("whole", r"-?\d+"),
        ("fraction", r"-?\d*\.\d+"),
        ("json", r"[{\[].*[}\]]"),
        ("code", r"[A-Z0-9]{1,4}|[A-Z0-9]+([-_/.][A-Z0-9]+)+|[A-Z]+\d+"),
        ("word", r"[^\W\d]+[.']?"),
        ("words", r"\S+( \S+){1,4}"),
        ("prose", r"(?s)\S.*"),
    )
)  # fmt: skip
TELLING = frozenset({"email", "url", "uuid", "ip", "iban", "phone", "clock", "json", "moment", "day"})
"""Shapes that few columns of a table have."""

FEW = 40  # at most so many different values are a set of codes
TEXTUAL = frozenset({"word", "words", "prose", "code"})


@dataclass(frozen=True, slots=True)
class Profile:
    """count: values that are not NULL; nulls: the part that is; unique: the part of values that are different;

    shapes: the part of values of each shape; values: the different ones, lower case, where they are few, else some;
    low, high, mean: of numbers; length: mean characters.
    """

    count: int
    nulls: float
    unique: float
    shapes: dict[str, float]
    values: frozenset[str]
    raw: tuple[str, ...]
    numbers: tuple[float, float, float] | None
    length: float

    @property
    def shape(self) -> str:
        """The shape of most values, '' where no shape has most."""
        name, part = max(self.shapes.items(), key=lambda item: item[1], default=("", 0.0))
        return name if part >= 0.6 else ""

    @property
    def is_codes(self) -> bool:
        """Whether the values look like a small set."""
        return self.count >= 10 and len(self.values) <= FEW and self.unique < 0.5


def profile(column: Column, values: list[str | None]) -> Profile | None:
    """What a sample says of a column; None where it has no value."""
    result = [value.strip() for value in values if value is not None and value.strip()]
    if not result:
        return None
    different = Counter(result)
    shapes = Counter(_shape(value) for value in result)
    numbers = _numbers(result) if column.category == "N" else None
    return Profile(
        len(result),
        1 - len(result) / len(values),
        len(different) / len(result),
        {name: times / len(result) for name, times in shapes.items()},
        frozenset(value.casefold() for value in different),
        tuple(different),
        numbers,
        sum(map(len, result)) / len(result),
    )


def _shape(value: str) -> str:
    return next((name for name, pattern in SHAPES if pattern.fullmatch(value)), "prose")


def _numbers(result: list[str]) -> tuple[float, float, float] | None:
    try:
        numbers = sorted(float(value) for value in result)
    except ValueError:
        return None
    return numbers[0], numbers[-1], sum(numbers) / len(numbers)


def affinity(one: Profile | None, other: Profile | None, allowed: tuple[str, ...]) -> tuple[float, str]:
    """-1 (they cannot be the same) to 1 (they must be), with the reason. allowed: by the target, () for all."""
    if one is None:
        return 0.0, ""
    if allowed and one.is_codes:
        return _in_list(one, allowed)
    if allowed and len(one.values) <= FEW and (result := _in_list(one, allowed))[0] > 0.5:
        return result  # a table of few rows, each with a code of its own
    if other is None:
        return 0.0, ""
    return _alike(one, other)


def _in_list(one: Profile, allowed: tuple[str, ...]) -> tuple[float, str]:
    permitted = {letters_of(value) for value in allowed}
    inside = sum(letters_of(value) in permitted for value in one.values) / len(one.values)
    if inside >= 0.5:
        return 0.4 + 0.6 * inside, "its values are those that the target allows"
    initials = {value[:1] for value in permitted}
    if len(one.values) <= len(permitted) and all(len(v) == 1 and v in initials for v in one.values):
        return 0.5, "its codes are the first letters of what the target allows"
    return (-0.4, "") if len(one.values) > 2 * len(permitted) else (0.0, "")


def letters_of(value: str) -> str:
    """A value without case and punctuation."""
    return re.sub(r"[\W_]+", "", value.casefold())


def _alike(one: Profile, other: Profile) -> tuple[float, str]:
    common = one.values & other.values
    if one.shape in TELLING or other.shape in TELLING:
        return _by_shape(one, other)
    if one.is_codes and common and not _only_numbers(common):
        part = len(common) / min(len(one.values), len(other.values))
        return 0.3 + 0.6 * part, "both hold " + ", ".join(sorted(common)[:2])
    if common and not _only_numbers(common) and len(common) >= 0.2 * len(other.values):
        return 0.35, "they share values"
    if one.numbers and other.numbers:
        return _by_range(one.numbers, other.numbers), ""
    if one.shape and other.shape:
        return _by_kind(one, other), ""
    return 0.0, ""


def _only_numbers(values: frozenset[str]) -> bool:
    return all(value.replace(".", "").isdigit() or len(value) < 2 for value in values)


def _by_shape(one: Profile, other: Profile) -> tuple[float, str]:
    here, there = one.shape, other.shape
    if here == there:
        strong = here in ("email", "url", "uuid", "ip", "iban", "phone")
        return (0.7, f"both look like {SHAPE_NAMES[here]}") if strong else (0.15, "")
    if {here, there} <= {"moment", "day"} or {here, there} == {"phone", "whole"}:
        return 0.1, ""
    return (-0.5, "") if here and there else (0.0, "")


SHAPE_NAMES = {
    "email": "e-mail addresses",
    "url": "web addresses",
    "uuid": "UUIDs",
    "ip": "IP addresses",
    "iban": "IBANs",
    "phone": "phone numbers",
}


def _by_range(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """A little for and a little against, by the size of the numbers: the target's rows are mostly few."""
    ours, theirs = abs(one[2]), abs(other[2])
    if one[0] <= other[2] <= one[1]:
        return 0.15
    ratio = (max(ours, theirs) + 1) / (min(ours, theirs) + 1)
    return 0.1 if ratio < 5 else -0.15 if ratio > 100 else 0.0


def _by_kind(one: Profile, other: Profile) -> float:
    """Texts by their kind: words, codes, prose; and by how long they are."""
    ratio = (max(one.length, other.length) + 2) / (min(one.length, other.length) + 2)
    if one.shape == other.shape:
        return 0.2 if ratio < 2.5 else 0.05
    if {one.shape, other.shape} <= {"word", "words"}:
        return 0.05
    return -0.2 if ratio > 3 else -0.1
