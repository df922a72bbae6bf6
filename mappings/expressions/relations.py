"""The names of tables as an operator writes them."""

from __future__ import annotations

from functools import lru_cache

from mappings.expressions import allowlist
from mappings.expressions.cursor import Cursor
from mappings.expressions.names import RelationName


@lru_cache(maxsize=2048)  # a page of 300 tables asks for the same names many thousand times
def parse_relation(text: str) -> RelationName:
    """Read `[schema.]table`, quoted as in SQL where needed."""
    cursor = Cursor(text)
    if cursor.token.kind == "end":
        cursor.fail("the name of a table is missing")
    parts = [_relation_part(cursor, first=True)]
    while cursor.mark("."):
        if len(parts) == 2:
            cursor.fail("a table's name has at most two parts, schema.table")
        parts.append(_relation_part(cursor, first=False))
    if cursor.at < len(cursor.tokens) - 1:
        cursor.unexpected('only [schema.]table is expected (quote other names as in SQL: "Weird Name")')
    return RelationName(parts[0] if len(parts) == 2 else None, parts[-1])


def _relation_part(cursor: Cursor, first: bool) -> str:
    token = cursor.token
    if token.kind not in ("name", "quoted"):
        cursor.unexpected("a name is expected")
    if first and token.kind == "name" and token.value in allowlist.RESERVED | allowlist.NOT_COLUMNS:
        cursor.fail(f'{token.value} is a key word of SQL; quote it: "{token.value}"')
    return cursor.step().value
