"""Names, constants and bodies as PostgreSQL reads them: the one place where text becomes part of a statement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from psycopg import sql

FIXED_PATH = "pg_catalog, pg_temp"
"""The search_path under which all our statements are read (mappings.connections.state)."""


def ident(*names: str) -> str:
    """A quoted, dotted identifier."""
    return sql.Identifier(*names).as_string(None)


def literal(text: str) -> str:
    """A quoted string constant."""
    return sql.Literal(text).as_string(None)


def dollar_quoted(text: str) -> str:
    """The body of a block or function. Its quotes are chosen so that nothing in it ends them."""
    tag = "$migrator$"
    while tag in text:
        tag = f"$m{hashlib.sha256((tag + text).encode()).hexdigest()[:10]}$"
    return f"{tag}\n{text}\n{tag}"


def comment(text: str, mark: str = "--") -> str:
    """One line of comment, whatever is in the text: what would end the line is written as an escape."""
    kept = (one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return f"{mark} {''.join(kept)}"


def cast(expression: str, type_name: str) -> str:
    """An explicit conversion. type_name comes from format_type, never from the operator."""
    return f"({expression})::{type_name}"


def collated(expression: str, collation: str) -> str:
    """The expression in a collation, '' for its own: two different ones that nobody asked for are an error."""
    return f"{expression} COLLATE {collation}" if collation else expression


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, or one made from it, quoted, that none of those in `taken` is: columns may be called anything."""
    while name in set(taken):
        name += "_"
    return ident(name)


def operator(name: str, schema: str = "") -> str:
    """An operator of a type. schema: where the type's own ones are (mappings.catalog.equality), '' for PostgreSQL's."""
    return f"OPERATOR({ident(schema)}.{name})" if schema else name


def unlike(left: str, right: str, schema: str = "") -> str:
    """Whether two values of one type differ; two NULLs do not. schema: where the type's own operators are.

    IS DISTINCT FROM looks `=` up by the path, which has no operators but PostgreSQL's: citext would be compared as
    text. A comparison of rows takes each type's own.
    """
    if schema:
        return f"NOT record_eq(ROW({left}), ROW({right}))"
    return f"{left} IS DISTINCT FROM {right}"


def unlike_image(left: str, right: str, kind: str) -> str:
    """Whether two values of one type differ in any bit of their binary form: 1.10 and 1.1 do, and -0 and 0.

    What is stored alike is of one form; what is not may be nevertheless, as a tsquery that was sent and received.
    """
    if kind in WITHOUT_BINARY_FORM:
        return f"({left})::text IS DISTINCT FROM ({right})::text"
    rows = [f"ROW(({value})::{kind})" for value in (left, right)]
    return f"(record_image_ne({rows[0]}, {rows[1]}) AND record_send({rows[0]}) <> record_send({rows[1]}))"


WITHOUT_BINARY_FORM = frozenset({"aclitem", "aclitem[]"})
"""Types that PostgreSQL cannot send in binary."""
