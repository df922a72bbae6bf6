"""Frozen dataclasses to and from plain JSON values, by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

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
    return typing.cast(T, _reader(typing.cast(Any, cls))(data))


Read: TypeAlias = Callable[[Any], Any]


@functools.cache
def _reader(hint: Any) -> Read:
    """What reads values of a type: made once, as a plan has thousands of them."""
    if dataclasses.is_dataclass(hint):
        return _of_dataclass(typing.cast(type, hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = _reader(next(arg for arg in args if arg is not type(None)))
        return lambda data: None if data is None else inner(data)
    if origin is tuple:
        item = _reader(args[0])
        return tuple if item is _as_it_is else lambda data: tuple(item(each) for each in data)
    return _as_it_is


def _as_it_is(data: Any) -> Any:
    return data


def _of_dataclass(cls: type) -> Read:
    hints = typing.get_type_hints(cls)
    readers: list[tuple[str, bool, bool, Read]] = []

    def read(data: Any) -> Any:
        if not readers:  # not before: a type may hold itself
            readers.extend(_of_field(field, hints[field.name]) for field in dataclasses.fields(cls))
        return cls(**{
            name: inner(data if inline else data[name])
            for name, inline, needed, inner in readers
            if inline or needed or name in data
        })  # fmt: skip

    return read


def _of_field(field: dataclasses.Field[Any], hint: Any) -> tuple[str, bool, bool, Read]:
    """(name, whether its fields stand beside the others, whether it must be there, what reads it)."""
    return field.name, field.metadata == INLINE, field.default is dataclasses.MISSING, _reader(hint)
