"""The ids that stand in a source value, and which of them a table mapping brings."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

import psycopg

from mappings.catalog.types import INTEGERS
from mappings.compiling.columns import Compiler
from mappings.compiling.referring.several_parents import Parent
from mappings.plan.references import Inside, Reference
from mappings.sql import Sql, compose, encoded, ident, joined, operator, unused

Key: TypeAlias = tuple[str, ...]
"""An id as texts, one for each column of the parent's key."""

MOST = 200
"""Ids of one value that are told of."""


def keys_in(ref: Reference, by: list[Any], compiler: Compiler) -> list[Key]:
    """The ids of one row's value. by: what the source says, as JSON has it, numbers as they are written."""
    if ref.inside is None:
        return [tuple(_text(part) for part in by)] if all(part is not None for part in by) else []
    return [(text,) for text in list(_inside(ref.inside, by[0], compiler))[:MOST]]


def _text(part: Any) -> str:
    if isinstance(part, bool):
        return str(part).lower()
    return part if isinstance(part, str) else json.dumps(part)


def _inside(inside: Inside, value: Any, compiler: Compiler) -> Iterator[str]:
    if inside.how == "each":
        yield from (_text(item) for item in value if item is not None)
    elif inside.how == "split":
        yield from (piece.strip() for piece in str(value).split(inside.parts[0]) if piece.strip())
    elif inside.how == "pattern":
        yield from _matches(inside, str(value), compiler)
    else:
        yield from _at(value, [json.loads(step) for step in inside.parts])


def _matches(inside: Inside, value: str, compiler: Compiler) -> Iterator[str]:
    """Read by the server, whose patterns are not Python's."""
    given = [value, "".join(inside.parts)]
    try:
        rows = compiler.databases.source.execute(
            "SELECT found[1] FROM regexp_matches(%s, %s, 'g') AS found", given
        ).fetchall()
    except psycopg.Error:
        return
    yield from (str(text) for (text,) in rows if text is not None)


def _at(value: Any, steps: list[str | int | None]) -> Iterator[str]:
    """The texts and numbers at the end of a path; a place that is not there has none."""
    if not steps:
        if isinstance(value, str):
            yield value
        return
    step, *rest = steps
    if step is None:
        inner = value if isinstance(value, list) else []
    elif isinstance(step, str):
        inner = [value[step]] if isinstance(value, dict) and step in value else []
    else:
        inner = value[step : step + 1] if isinstance(value, list) else []
    for item in inner:
        yield from _at(item, rest)


def brought(parent: Parent, keys: AbstractSet[Key], compiler: Compiler) -> AbstractSet[Key] | None:
    """Those of the keys that the parent's mapping brings; None where it cannot be asked in the time there is."""
    fitting = sorted(
        key
        for key in keys
        if len(key) == len(parent.key)
        and all(_may_be(text, part.native) for text, part in zip(key, parent.key, strict=True))
    )
    if not fitting:
        return set()
    try:
        places = compiler.databases.source.execute(
            encoded(_question(parent)), [[key[n] for key in fitting] for n in range(len(parent.key))]
        ).fetchall()
    except psycopg.Error:
        return None
    return {fitting[place - 1] for (place,) in places}


def _question(parent: Parent) -> Sql:
    """The places of those keys, given as one array for each column, that the parent's mapping has a row for."""
    asked, mapped = unused("__asked", parent.compiler.table.aliases), parent.compiler
    names = [f"k{n}" for n in range(len(parent.key))]
    same = [
        compose(
            "({}) {} {}.{}::{}",
            part.sql,
            operator("=", part.operators),
            ident(asked),
            ident(name),
            part.native,
        )
        for name, part in zip(names, parent.key, strict=True)
    ]
    where = joined(" AND ", [*([mapped.where_sql] if mapped.where_sql else []), *same])
    return compose(
        "SELECT {asked}.place FROM unnest({arrays}) WITH ORDINALITY AS {asked}({names}, place)"
        " WHERE EXISTS (SELECT FROM {tables} WHERE {where})",
        asked=ident(asked),
        arrays=joined(", ", (compose("%s::text[]") for _ in names)),
        names=joined(", ", (ident(name) for name in names)),
        tables=mapped.from_sql,
        where=where,
    )


def _may_be(text: str, kind: str) -> bool:
    """Whether a text may be a key of that type, so that one which is none does not fail the question for all."""
    if kind in INTEGERS:
        return re.fullmatch(r"\s*[+-]?[0-9]+\s*", text) is not None and abs(int(text)) <= INTEGERS[kind]
    if kind == "uuid":
        try:
            uuid.UUID(text)
        except ValueError:
            return False
    return True
