"""Which of the ids inside a value differ: elements of an array, places of a document, parts of a text, marks in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobs.models import Run

MOST_SAID = 3
ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}]+)')
"""One element of a PostgreSQL array of one dimension, as text."""

Ways = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
"""By table and column where in its values ids are, as the plan's JSON says it (plan.references.Inside)."""

Ids = dict[str, str | None]
"""By their places."""


def ways_of(run: Run) -> Ways:
    """Of all columns of a run's plan that have ids inside their values."""
    ways: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for table in run.plan.get("tables", ()):
        for ref in table.get("references", ()):
            if ref.get("inside"):
                ways.setdefault((table["name"], ref["target"]), []).append(ref["inside"])
    return ways


def said(ways: Sequence[Mapping[str, Any]], expected: str | None, result: str | None) -> str:
    """`element 2 should be 104, is 4`; '' where it is not single ids that differ, or they cannot be told."""
    if not ways or expected is None or result is None:
        return ""
    try:
        wanted, there = _ids(ways, expected), _ids(ways, result)
    except (ValueError, re.error):
        return ""
    places = [place for place in {**wanted, **there} if wanted.get(place) != there.get(place)]
    lines = [_one(place, wanted, there) for place in places[:MOST_SAID]]
    more = [f"{len(places) - MOST_SAID} more"] if len(places) > MOST_SAID else []
    return "; ".join([*lines, *more])


def _one(place: str, wanted: Ids, there: Ids) -> str:
    if place not in there:
        return f"{place} should be {wanted[place] or 'NULL'}, is not there"
    if place not in wanted:
        return f"{place} should not be there, is {there[place] or 'NULL'}"
    return f"{place} should be {wanted[place] or 'NULL'}, is {there[place] or 'NULL'}"


def _ids(ways: Sequence[Mapping[str, Any]], value: str) -> Ids:
    return {place: id_ for way in ways for place, id_ in _ids_of_way(way, value)}


def _ids_of_way(way: Mapping[str, Any], value: str) -> Iterator[tuple[str, str | None]]:
    parts = way["parts"]
    if way["how"] == "each":
        for number, one in enumerate(ELEMENT.finditer(value.strip("{}")), start=1):
            quoted, plain = one.groups()
            yield f"element {number}", quoted if plain is None else None if plain == "NULL" else plain
    elif way["how"] == "split":
        ids = (part.strip() for part in value.split(parts[0]) if part.strip())
        yield from ((f"part {number}", part) for number, part in enumerate(ids, start=1))
    elif way["how"] == "pattern":
        marks = re.finditer("({}){}({})".format(*parts), value)
        yield from ((f"mark {number}", mark[2]) for number, mark in enumerate(marks, start=1))
    else:
        yield from _places(json.loads(value), [json.loads(step) for step in parts], "$")


def _places(document: Any, steps: Sequence[str | int | None], path: str) -> Iterator[tuple[str, str | None]]:
    if not steps:
        yield (
            path,
            None if document is None else document if isinstance(document, str) else json.dumps(document),
        )
    elif isinstance(steps[0], str) and isinstance(document, dict) and steps[0] in document:
        yield from _places(document[steps[0]], steps[1:], f"{path}.{steps[0]}")
    elif not isinstance(steps[0], str) and isinstance(document, list):
        for number, one in enumerate(document):
            if steps[0] in (None, number):
                yield from _places(one, steps[1:], f"{path}[{number}]")
