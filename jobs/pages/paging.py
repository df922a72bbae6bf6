"""Lists in parts, by key and not by number: a part costs the same however far on, no row is missed or seen twice.

The key of a row is what the list is ordered by, the last of it unique. It stands in the address of a part, as do the
filters, so that a link to a part keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

AnyModel = TypeVar("AnyModel", bound=Model)
BETWEEN = "~"
"""Stands between the parts of a key in an address; in no slug and no number."""


@dataclass(frozen=True, slots=True)
class Part(Generic[AnyModel]):
    """Rows of a list in their order. earlier, later: the queries of the parts beside it, '' where there is none."""

    rows: tuple[AnyModel, ...]
    total: int
    earlier: str = ""
    later: str = ""


def part(
    result: QuerySet[AnyModel],
    order: Sequence[str],
    size: int,
    filters: Mapping[str, str],
    at: Mapping[str, str],
) -> Part[AnyModel]:
    """The part of `found` that stands after the key at["after"], or before at["before"]; the first one without.

    order: names of fields, `-` before those that fall; filters: what the links to other parts keep.
    """
    back = bool(at.get("before"))
    key = _read(at.get("before") or at.get("after") or "", order, result)
    way = [_turned(name) for name in order] if back else list(order)
    ordered = (result.filter(_beyond(way, key)) if key else result).order_by(*way)
    rows = list(ordered[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    if back:
        rows.reverse()
    before, after = (more, True) if back else (bool(key), more)
    return Part(
        rows=tuple(rows),
        total=result.count(),
        earlier=_query(filters, "before", order, rows[0]) if rows and before else "",
        later=_query(filters, "after", order, rows[-1]) if rows and after else "",
    )


def _read(text: str, order: Sequence[str], result: QuerySet[Any]) -> list[Any]:
    """A key as it stands in an address; [] for what is none: somebody typed it, and sees the first part."""
    parts = text.split(BETWEEN)
    if not text or len(parts) != len(order):
        return []
    try:
        return [_field(result, name).to_python(value) for name, value in zip(order, parts, strict=True)]
    except ValidationError:
        return []


def _field(result: QuerySet[Any], name: str) -> Any:
    model: Any = result.model
    *path, last = name.removeprefix("-").split("__")
    for step in path:
        model = model._meta.get_field(step).related_model
    return model._meta.pk if last == "pk" else model._meta.get_field(last)


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _beyond(order: Sequence[str], key: Sequence[Any]) -> Q:
    """What stands after the key: the first that differs decides."""
    ways = []
    for index, name in enumerate(order):
        field = name.removeprefix("-")
        same = {before.removeprefix("-"): value for before, value in zip(order[:index], key, strict=False)}
        ways.append(Q(**same, **{f"{field}__{'lt' if name.startswith('-') else 'gt'}": key[index]}))
    return reduce(Q.__or__, ways)


def _query(filters: Mapping[str, str], side: str, order: Sequence[str], row: Model) -> str:
    values = []
    for name in order:
        value: Any = row
        for step in name.removeprefix("-").split("__"):
            value = getattr(value, step)
        values.append(str(value))
    return urlencode({**{name: text for name, text in filters.items() if text}, side: BETWEEN.join(values)})
