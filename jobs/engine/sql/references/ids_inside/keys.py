"""A text that stands for a key: which texts do, and the key of such a text."""

from __future__ import annotations

import re

from mappings.sql import Sql, compose, literal

WHOLE = {"smallint": (-(2**15), 2**15 - 1), "integer": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}
NUMBER = "^-?[0-9]{1,19}$"
SHAPES = {
    "uuid": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "numeric": "^-?[0-9]{1,100}([.][0-9]{1,100})?$",
}
"""Of keys that not every text is: what such a text looks like, read alike by Python and PostgreSQL."""


def as_key(text: Sql, kind: Sql) -> Sql:
    """A text as a key; NULL where it is none, so that it misses its parent instead of failing all rows at once."""
    if limits := WHOLE.get(kind):
        within = compose(
            "CASE WHEN {text}::numeric BETWEEN {limits} AND {limits2} THEN {text}::{kind} END",
            text=text, limits=limits[0], limits2=limits[1], kind=kind,
        )  # fmt: skip
        return compose("CASE WHEN {} ~ {} THEN {} END", text, literal(NUMBER), within)
    return (
        compose(
            "CASE WHEN {text} ~* {shapes} THEN {text}::{kind} END",
            text=text, shapes=literal(SHAPES[kind]), kind=kind,
        )
        if kind in SHAPES
        else compose("{}::{}", text, kind)
    )  # fmt: skip


def may_be_key(text: str, kind: str) -> bool:
    """The same for a text that is at hand."""
    if limits := WHOLE.get(kind):
        return bool(re.fullmatch(NUMBER[1:-1], text)) and limits[0] <= int(text) <= limits[1]
    return kind not in SHAPES or bool(re.fullmatch(SHAPES[kind][1:-1], text, re.IGNORECASE))
