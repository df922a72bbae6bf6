"""Composed SQL, as a type of its own, and all that makes it: the one place where text becomes part of a statement.

A text is no Sql, and neither is an f-string or a `+` of Sql: the type checker refuses both where Sql is wanted. What is
made here is of words that stand in our code (`verbatim`, the template of `compose`), of names and constants that are
quoted, and of what a server or our own printer wrote. tests/unit/test_composed_sql.py looks after the words: they are
literals wherever they are written, and nothing but `encoded` reaches a driver.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

from psycopg import sql

Sql = NewType("Sql", str)
"""A piece of a statement, or a whole one. When the program runs it is the text itself, so that it costs nothing."""


def verbatim(words: str) -> Sql:
    """Words of a statement as they stand, with nothing to be filled in."""
    return Sql(words)


NOTHING = Sql("")
"""What an optional part is where it is left out."""


def compose(template: str, /, *parts: Sql | int, **named: Sql | int) -> Sql:
    """Words of a statement with parts in the places of {} and {name}; a brace is written twice."""
    return Sql(template.format(*parts, **named))


def joined(between: str, parts: Iterable[Sql]) -> Sql:
    """The parts, with words between them."""
    return Sql(between.join(parts))


def placed(part: Sql, *values: Sql) -> Sql:
    """A piece with {0} and {1} in it, those places filled in one pass: a value may contain what looks like one."""
    return Sql(
        PLACE.sub(lambda place: values[int(place[1])] if int(place[1]) < len(values) else place[0], part)
    )


PLACE = re.compile(r"\{([01])\}")


def bound(statement: Sql, values: Iterable[Sql]) -> Sql:
    """A statement with SQL in the place of each of its parameters (%s)."""
    parts, given = statement.split("%s"), list(values)
    assert len(parts) == len(given) + 1, statement
    return Sql("".join(part + value for part, value in zip(parts, [*given, ""], strict=True)))


def printed(text: str) -> Sql:
    """What a server printed for us to be read by one again, or our printer from a syntax tree: types, definitions."""
    return Sql(text)


def encoded(statement: Sql) -> bytes:
    """A statement as it is handed to the driver. Nothing else may be executed."""
    return statement.encode()


FIXED_PATH = verbatim("pg_catalog, pg_temp")
"""The search_path under which all our statements are read (mappings.connections.state)."""


def ident(*names: str) -> Sql:
    """A quoted, dotted identifier."""
    return Sql(sql.Identifier(*names).as_string(None))


def literal(text: str) -> Sql:
    """A quoted string constant."""
    return Sql(sql.Literal(text).as_string(None))


def dollar_quoted(text: Sql) -> Sql:
    """The body of a block or function. Its quotes are chosen so that nothing in it ends them."""
    tag = "$migrator$"
    while tag in text:
        tag = f"$m{hashlib.sha256((tag + text).encode()).hexdigest()[:10]}$"
    return Sql(f"{tag}\n{text}\n{tag}")


def comment(text: str, mark: str = "--") -> Sql:
    """One line of comment, whatever is in the text: what would end the line is written as an escape."""
    kept = (one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return Sql(f"{mark} {''.join(kept)}")


def cast(expression: Sql, type_name: Sql) -> Sql:
    """An explicit conversion. type_name comes from format_type, never from the operator."""
    return Sql(f"({expression})::{type_name}")


def collated(expression: Sql, collation: Sql) -> Sql:
    """The expression in a collation, '' for its own: two different ones that nobody asked for are an error."""
    return Sql(f"{expression} COLLATE {collation}" if collation else expression)


def unused(name: str, taken: Iterable[str]) -> Sql:
    """The name, or one made from it, quoted, that none of those in `taken` is: columns may be called anything."""
    while name in set(taken):
        name += "_"
    return ident(name)


def shortened(name: str) -> str:
    """A name of ours within what a server keeps of one: where it is longer, its end is a digest of it all.

    A server cuts in silence, after which two tables of a mapping would share one staging table.
    """
    kept = name.encode()
    if len(kept) <= LONGEST_NAME:
        return name
    return f"{kept[: LONGEST_NAME - 11].decode(errors='ignore')}_{hashlib.sha256(kept).hexdigest()[:10]}"


LONGEST_NAME = 63
"""PostgreSQL: NAMEDATALEN - 1, in bytes."""


def operator(name: str, schema: str = "") -> Sql:
    """An operator of a type. schema: where the type's own ones are (mappings.catalog.equality), '' for PostgreSQL's."""
    if not set(name) <= OPERATOR_CHARACTERS:
        raise ValueError(f"{name!r} is no operator.")
    return Sql(f"OPERATOR({ident(schema)}.{name})" if schema else name)


OPERATOR_CHARACTERS = frozenset("+-*/<>=~!@#%^&|`?")


def setting(name: str) -> Sql:
    """The name of a setting, which needs no quotes."""
    if not set(name) <= SETTING_CHARACTERS:
        raise ValueError(f"{name!r} is no setting.")
    return Sql(name)


SETTING_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz_.")


def unlike(left: Sql, right: Sql, schema: str = "") -> Sql:
    """Whether two values of one type differ; two NULLs do not. schema: where the type's own operators are.

    IS DISTINCT FROM looks `=` up by the path, which has no operators but PostgreSQL's: citext would be compared as
    text. A comparison of rows takes each type's own.
    """
    if schema:
        return Sql(f"NOT record_eq(ROW({left}), ROW({right}))")
    return Sql(f"{left} IS DISTINCT FROM {right}")


def unlike_image(left: Sql, right: Sql, kind: Sql) -> Sql:
    """Whether two values of one type differ in any bit of their binary form: 1.10 and 1.1 do, and -0 and 0.

    What is stored alike is of one form; what is not may be nevertheless, as a tsquery that was sent and received.
    """
    if kind in WITHOUT_BINARY_FORM:
        return Sql(f"({left})::text IS DISTINCT FROM ({right})::text")
    rows = [f"ROW(({value})::{kind})" for value in (left, right)]
    return Sql(
        f"(record_image_ne({rows[0]}, {rows[1]}) AND record_send({rows[0]}) <> record_send({rows[1]}))"
    )


WITHOUT_BINARY_FORM = frozenset({"aclitem", "aclitem[]"})
"""Types that PostgreSQL cannot send in binary."""
