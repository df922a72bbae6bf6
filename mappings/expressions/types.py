"""Types in expressions: PostgreSQL's Typename."""

from __future__ import annotations

from dataclasses import replace

from mappings.expressions import allowlist
from mappings.expressions.constants import quote_identifier, quote_literal
from mappings.expressions.cursor import Cursor
from mappings.expressions.names import RelationName
from mappings.expressions.tree import TypeName

_WHOLE_NUMBERS = {"int", "integer", "smallint", "bigint"}
_WHOLE = {"int", "integer", "smallint", "bigint", "real", "boolean"}
VARYING = {"bit", "char", "character", "nchar"}
SIZED = {"float", "decimal", "dec", "numeric", "varchar"} | VARYING
TYPE_WORDS = _WHOLE | SIZED | {"double", "national", "time", "timestamp", "interval"}
_ONE_LONG = {"char", "name", "bit"}  # without a length they cut: to one character, one bit, 63 bytes
TABLE_NAMES = (RelationName(None, "regclass"), RelationName("pg_catalog", "regclass"))
FIELDS = {
    "year": ("month",),
    "month": (),
    "day": ("hour", "minute", "second"),
    "hour": ("minute", "second"),
    "minute": ("second",),
    "second": (),
}


def read_type(cursor: Cursor, of_table: bool = False) -> TypeName:
    """of_table: what is cast is tableoid, the one thing that may become a regclass."""
    first = cursor.token
    keyword = first.kind == "name" and first.value in TYPE_WORDS
    result = _keyword_type(cursor) if keyword else _general_type(cursor, of_table)
    written = cursor.text[first.start : cursor.last.end]
    result = replace(result, as_written=written, cuts=result.cuts or bool(result.length))
    return replace(result, bounds=_bounds(cursor))


def _keyword_type(cursor: Cursor) -> TypeName:
    name = cursor.token.value
    if name == "double":
        cursor.step()
        cursor.need_word("precision")
        return _built_in("double precision", name)
    if name in ("time", "timestamp"):
        cursor.step()
        return replace(_built_in(name, name), length=_length(cursor), after=_zone(cursor))
    if name == "interval":
        cursor.step()
        words, length = read_interval_fields(cursor)
        return replace(_built_in(f"{name}{words}", name), length=length, cuts=bool(words))
    return _sized_type(cursor)


def _built_in(words: str, base: str) -> TypeName:
    return TypeName(words, base, unlimited=words)


def _zone(cursor: Cursor) -> str:
    if not (cursor.is_word("with", "without") and cursor.ahead().value == "time"):
        return ""
    return f" {cursor.step().value} {cursor.need_word('time')} {cursor.need_word('zone')}"


def _sized_type(cursor: Cursor) -> TypeName:
    base, national = cursor.token.value, cursor.word("national")
    if national and not cursor.is_word("char", "character"):
        cursor.unexpected("CHARACTER is expected")
    name = cursor.step().value
    words = f"national {name}" if national else name
    if name not in VARYING:
        length = _length(cursor) if name in SIZED else ""
        return TypeName(words, base, length, unlimited=words, whole=name in _WHOLE_NUMBERS)
    varying = f"{words} varying"
    if cursor.word("varying"):
        return TypeName(varying, base, _length(cursor), unlimited=varying)
    return TypeName(words, base, _length(cursor), cuts=True, unlimited=varying)


def read_interval_fields(cursor: Cursor) -> tuple[str, str]:
    """(` day to second`, `(3)`), of which either may be empty."""
    if not cursor.is_word(*FIELDS):
        return "", _length(cursor)
    smallest = cursor.step().value
    words = f" {smallest}"
    if cursor.word("to"):
        if not cursor.is_word(*FIELDS[smallest]):
            cursor.unexpected(f"a field of an interval that is smaller than {smallest} is expected")
        smallest = cursor.step().value
        words += f" to {smallest}"
    return words, _length(cursor) if smallest == "second" else ""


def _length(cursor: Cursor, general: bool = False) -> str:
    """`(10, 2)` or ''; a type that is not built in may take names and strings too: geometry(Point, 4326)."""
    if not cursor.mark("("):
        return ""
    parts = [_modifier(cursor, general)]
    while cursor.mark(","):
        parts.append(_modifier(cursor, general))
    cursor.need_mark(")")
    return f"({', '.join(parts)})"


def _modifier(cursor: Cursor, general: bool) -> str:
    token = cursor.token
    if general and token.kind == "name" and token.value not in allowlist.RESERVED:
        return quote_identifier(cursor.step().value)
    if general and token.kind == "string":
        return quote_literal(cursor.step().value)
    sign = cursor.step().value if token.kind == "operator" and token.value == "-" else ""
    if cursor.token.kind != "number" or not cursor.token.value.isdecimal():
        cursor.unexpected("a whole number is expected in the length or precision of a type")
    return f"{sign}{cursor.step().value}"


def _bounds(cursor: Cursor) -> str:
    if cursor.word("array"):
        if cursor.is_mark("[") and cursor.ahead().kind != "number":
            cursor.fail("a number is expected in ARRAY[…]", cursor.ahead())
        return _bound(cursor) or "[]"
    bounds = ""
    while cursor.is_mark("["):
        bounds += _bound(cursor)
    return bounds


def _bound(cursor: Cursor) -> str:
    if not cursor.mark("["):
        return ""
    number = ""
    if cursor.token.kind == "number" and cursor.token.value.isdecimal():
        number = cursor.step().value
    cursor.need_mark("]")
    return f"[{number}]"


def _general_type(cursor: Cursor, of_table: bool) -> TypeName:
    first = cursor.token
    name = read_type_name(cursor)
    if name.schema in (None, "pg_catalog") and name.name in allowlist.TYPES:
        words = 'pg_catalog."char"' if name.name == "char" else f"pg_catalog.{name.name}"
        length = _length(cursor)
        return TypeName(words, name.name, length, cuts=name.name in _ONE_LONG, unlimited=words)
    if of_table and name in TABLE_NAMES:
        return TypeName("pg_catalog.regclass", "regclass", unlimited="pg_catalog.regclass")
    if (name.schema is None and allowlist.is_refused_type(name.name)) or (name.schema or "").startswith(
        "pg_"
    ):
        cursor.fail(f"{name.name} is not on the list of types", first)
    return TypeName("", name.name, _length(cursor, general=True), user=name)


def read_type_name(cursor: Cursor) -> RelationName:
    token = cursor.token
    if token.kind not in ("name", "quoted"):
        cursor.unexpected("the name of a type is expected")
    if token.kind == "name" and token.value in allowlist.RESERVED | allowlist.NOT_FUNCTIONS - {"json"}:
        cursor.fail(f"{token.value} is a key word of SQL, not a type")
    parts = [cursor.step().value]
    while cursor.is_mark("."):
        cursor.step()
        if len(parts) == 2 or cursor.token.kind not in ("name", "quoted"):
            cursor.unexpected("a type's name is [schema.]name")
        parts.append(cursor.step().value)
    return RelationName(parts[0] if len(parts) == 2 else None, parts[-1])
