"""Definitions as PostgreSQL prints them, over another column in the place of one.

They are over one table, so a column stands in them by its bare name. Types, collations, operator classes, functions,
fields, options and names within XML and JSON may be called the same, and stay. Each kind of expression is compared in
tests/planning/test_renaming.py with what the server prints after a RENAME COLUMN; to ask it here would take a lock that
keeps everybody out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mappings.sql import Sql, printed

NAME = r"""(?:"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_$]*)"""
TYPE = (
    r"(?:character\ varying|bit\ varying|double\ precision|time(?:stamp)?(?:\(\d+\))?\ with(?:out)?\ time\ zone"
    rf"|interval(?:\ (?:year|month|day|hour|minute|second|to))*|(?:{NAME}\.)?{NAME})"
)
TOKEN = re.compile(
    rf"""'(?:[^']|'')*'|(?:::|RETURNING\ |AS\ ){TYPE}|NAME\ {NAME}"""
    rf"""|COLLATE\ (?:{NAME}\.)?{NAME}|(?<=EXTRACT\()[a-z]+(?=\ FROM)"""
    rf"""|(?P<name>{NAME})|\s+|.""",
    re.DOTALL | re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of a definition. is_name: it could be a column."""

    text: str
    is_name: bool


def renamed(definition: str, old: str, new: Sql) -> Sql:
    """A check, a predicate, an expression or a list of columns. old, new: as PostgreSQL prints the names."""
    return printed("".join(_renamed(_tokens(definition), old, new)))


def renamed_index(definition: str, old: str, new: Sql) -> Sql:
    """What follows USING in an index's definition: its method, its keys with their options, INCLUDE, WITH, WHERE."""
    tokens = _tokens(definition)
    opening = _place(tokens, "(")
    closing = _closing(tokens, opening)
    keys = (_key(key, old, new) for key in _split(tokens[opening + 1 : closing]))
    before = "".join(token.text for token in tokens[: opening + 1])
    return printed(f"{before}{','.join(keys)}{''.join(_after_keys(tokens[closing:], old, new))}")


def _tokens(definition: str) -> list[Token]:
    return [Token(result[0], result["name"] is not None) for result in TOKEN.finditer(definition)]


def _renamed(tokens: Sequence[Token], old: str, new: str) -> Iterator[str]:
    solid = [token.text for token in tokens if not token.text.isspace()]
    number = 0
    for token in tokens:
        if token.text.isspace():
            yield token.text
            continue
        before = solid[number - 1] if number else ""
        after = [*solid[number + 1 : number + 3], "", ""]
        number += 1
        is_column = before != "." and after[0] not in ("(", ".") and after[:2] != ["=", ">"]
        yield new if token == (old, True) and is_column else token.text


def _place(tokens: Sequence[Token], text: str) -> int:
    return next(place for place, token in enumerate(tokens) if token.text == text)


def _closing(tokens: Sequence[Token], opening: int) -> int:
    """The place of the bracket that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(tokens)):
        depth += (tokens[place].text == "(") - (tokens[place].text == ")")
        if depth == 0:
            return place
    raise AssertionError("PostgreSQL prints no open brackets")


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """At the commas that are in no brackets."""
    depth, began = 0, 0
    for place, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and depth == 0:
            yield tokens[began:place]
            began = place + 1
    yield tokens[began:]


def _key(tokens: Sequence[Token], old: str, new: str) -> str:
    """A column, a call or an expression in brackets; what follows it are its collation, operator class and order."""
    last = next(place for place, token in enumerate(tokens) if not token.text.isspace())
    while tokens[last + 1 : last + 2] == [Token(".", False)]:  # a function with its schema
        last += 2
    if tokens[last + 1 : last + 2] == [Token("(", False)]:
        last += 1
    if tokens[last].text == "(":
        last = _closing(tokens, last)
    rest = "".join(token.text for token in tokens[last + 1 :])
    return f"{''.join(_renamed(tokens[: last + 1], old, new))}{rest}"


def _after_keys(tokens: Sequence[Token], old: str, new: str) -> Iterator[str]:
    """The options that follow WITH have names of their own."""
    options = [place for place, token in enumerate(tokens) if token == ("WITH", True)]
    if not options:
        yield from _renamed(tokens, old, new)
        return
    end = _closing(tokens, options[0] + _place(tokens[options[0] :], "("))
    yield from _renamed(tokens[: options[0]], old, new)
    yield from (token.text for token in tokens[options[0] : end + 1])
    yield from _renamed(tokens[end + 1 :], old, new)
