"""Frozen dataclasses to and from plain JSON values, by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")

INLINE = {"inline": True}
"""Metadata of a field whose own fields stand beside the others of the object that has it."""


def to_plain(value: Any) -> Any:
    """Dataclasses become objects, tuples become lists; everything else is JSON already."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            own = to_plain(getattr(value, field.name))
            plain |= own if field.metadata == INLINE else {field.name: own}
        return plain
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(cls: type[T], data: Any) -> T:
    """The `cls` that `to_plain` turned into `data`. TypeError or KeyError where the shape is another.

    A field that is not in `data`, because it was written by an older version, takes its default.
    """
    return typing.cast(T, _read(cls, data))


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """The resolved type hints of a dataclass; resolving them anew for each value is slow."""
    return typing.get_type_hints(cls)


def _read(hint: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        cls = typing.cast(type, hint)
        hints = _hints(cls)
        given = {
            field.name: data if field.metadata == INLINE else data[field.name]
            for field in dataclasses.fields(cls)
            if field.name in data or field.default is dataclasses.MISSING or field.metadata == INLINE
        }
        return cls(**{name: _read(hints[name], value) for name, value in given.items()})
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else _read(next(arg for arg in args if arg is not type(None)), data)
    if origin is tuple:
        return tuple(_read(args[0], item) for item in data)
    return data
