"""Names, constants and bodies as PostgreSQL reads them: the one place where text becomes part of a statement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from psycopg import sql


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


def cast(expression: str, type_name: str) -> str:
    """An explicit conversion. type_name comes from format_type, never from the operator."""
    return f"({expression})::{type_name}"


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, or one made from it, quoted, that none of those in `taken` is: columns may be called anything."""
    while name in set(taken):
        name += "_"
    return ident(name)
