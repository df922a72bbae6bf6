"""Operands of expressions: constants, columns, groups, and their subscripts and fields."""

from __future__ import annotations

from mappings.expressions import allowlist
from mappings.expressions.calls import OPENERS, read_call
from mappings.expressions.cursor import Reader
from mappings.expressions.tokens import Token
from mappings.expressions.tree import (
    Bits,
    Column,
    Field,
    Index,
    Node,
    Number,
    Parameter,
    Row,
    String,
    Subscript,
    TypedConstant,
    TypeName,
    Word,
)
from mappings.expressions.types import FIELDS, SIZED, TYPE_WORDS, VARYING, read_interval_fields, read_type

_CONSTANTS = {"null", "true", "false"}
_CLOCK_AND_USER = allowlist.VOLATILE & (allowlist.RESERVED | allowlist.NOT_COLUMNS)
_SIZED_TYPES = SIZED | allowlist.TYPES


def read_operand(reader: Reader) -> Node:
    """c_expr: what stands between operators."""
    token = reader.token
    if token.kind == "number":
        return Number(reader.step().value)
    if token.kind == "string":
        return String(reader.step().value, token.start)
    if token.kind == "bits":
        return Bits(reader.step().value)
    if reader.is_mark("("):
        return _group(reader)
    if reader.is_mark(":") and reader.ahead().kind == "name" and reader.ahead().start == token.end:
        reader.step()
        return Parameter(reader.step().value, token.start)
    if token.kind not in ("name", "quoted"):
        reader.unexpected("a value is expected")
    special = _special(reader) if token.kind == "name" else None
    return special or _typed_constant(reader) or _named(reader)


def _special(reader: Reader) -> Node | None:
    """Operands that begin with a key word."""
    name, following = reader.token.value, reader.ahead()
    called = following.kind == "mark" and following.value == "("
    if name in _CONSTANTS:
        return Word(reader.step().value.upper())
    if name in OPENERS and (called or name in ("case", "array")):
        return OPENERS[name](reader)
    if name in _CLOCK_AND_USER:
        reader.fail(allowlist.why_function_refused(name))
    if name in allowlist.EXPLAINED and (called or name in allowlist.RESERVED):
        reader.fail(allowlist.EXPLAINED[name])
    return None


def _typed_constant(reader: Reader) -> Node | None:
    """`date '2020-01-01'`, `interval '1' day`, `timestamp(3) with time zone '…'`."""
    token = reader.token
    if not _at_typed_constant(reader):
        return None
    if token.value == "interval" and reader.ahead().kind == "string":
        reader.step()
        value = _string(reader)
        after = "".join(read_interval_fields(reader)) if reader.is_word(*FIELDS) else ""
        return TypedConstant(TypeName("interval", "interval", after=after, unlimited="interval"), value)
    result = read_type(reader)
    if reader.token.kind != "string":
        reader.unexpected("the constant of the type is expected")
    if result.user or result.base not in allowlist.TYPES | TYPE_WORDS:
        reader.fail(f"only built-in types can stand before a constant; write '…'::{result.base}", token)
    return TypedConstant(result, _string(reader))


def _string(reader: Reader) -> String:
    token = reader.step()
    return String(token.value, token.start)


def _at_typed_constant(reader: Reader) -> bool:
    token = reader.token
    skip = 2 if token.value == "pg_catalog" and reader.ahead().value == "." else 0
    name, following, third = reader.ahead(skip).value, reader.ahead(skip + 1), reader.ahead(skip + 2)
    if following.kind == "string":
        return token.kind == "quoted" or token.value not in allowlist.RESERVED
    if following.kind == "mark" and following.value == "(" and name in _SIZED_TYPES:
        return third.kind == "number" and _after_parenthesis(reader, skip).kind in ("string", "name")
    if following.kind != "name" or token.kind != "name" or skip:
        return False
    if name in ("time", "timestamp"):
        return following.value in ("with", "without") and third.value == "time"
    second = "precision" if name == "double" else "varying" if name in VARYING else None
    return following.value == second or (name == "national" and following.value.startswith("char"))


def _after_parenthesis(reader: Reader, skip: int) -> Token:
    """The token after `name(1)` or `name(1, 2)`, or the one that does not fit."""
    count = skip + 3
    while reader.ahead(count).value == "," and reader.ahead(count + 1).kind == "number":
        count += 2
    return reader.ahead(count + 1) if reader.ahead(count).value == ")" else reader.ahead(count)


def _group(reader: Reader) -> Node:
    """`(a)`, perhaps with a subscript or field; `(a, b)` is a row."""
    reader.need_mark("(")
    if reader.is_mark(")"):
        reader.fail("() is empty; a value is expected")
    items = reader.expressions(")")
    return _indirection(reader, items[0]) if len(items) == 1 else Row(items)


def _indirection(reader: Reader, node: Node) -> Node:
    """Subscripts and fields of an operand that was read."""
    while reader.is_mark("[", "."):
        node = _subscript(reader, node) if reader.is_mark("[") else _field(reader, node)
    return node


def _subscript(reader: Reader, node: Node) -> Node:
    indexes = []
    while reader.mark("["):
        indexes.append(_index(reader))
    return Subscript(node, tuple(indexes))


def _index(reader: Reader) -> Index:
    low = high = None
    if not reader.is_mark(":"):
        if reader.is_mark("]"):
            reader.fail("[] is empty; a subscript is expected")
        low = reader.expression()
    is_slice = reader.mark(":")
    if is_slice and not reader.is_mark("]"):
        high = reader.expression()
    reader.need_mark("]")
    return Index(low, high, is_slice)


def _field(reader: Reader, node: Node) -> Node:
    reader.step()
    token = reader.token
    if token.kind == "operator" and token.value == "*":
        reader.fail(".* (all columns) is not one value")
    if token.kind not in ("name", "quoted"):
        reader.unexpected("the name of a field is expected after .")
    return Field(node, reader.step().value)


def _named(reader: Reader) -> Node:
    """A column or a call."""
    token = reader.token
    names = [token.value]
    _check_first_name(reader, token)
    reader.step()
    while reader.is_mark("."):
        reader.step()
        if reader.token.kind == "operator" and reader.token.value == "*":
            reader.fail(".* (all columns) is not one value")
        if reader.token.kind not in ("name", "quoted"):
            reader.unexpected("a name is expected after .")
        if len(names) == 2:
            reader.fail("a column has at most two parts, alias.column")
        names.append(reader.step().value)
    if reader.is_mark("("):
        return read_call(reader, names, token)
    column = Column(names[0] if len(names) == 2 else None, names[-1], token.start)
    return _indirection(reader, column) if reader.is_mark("[") else column


def _check_first_name(reader: Reader, token: Token) -> None:
    called = reader.ahead().kind == "mark" and reader.ahead().value == "("
    if token.kind != "name":
        return
    if called and token.value in allowlist.NOT_FUNCTIONS and token.value != "json_object":
        reader.fail(f"{token.value}(…) is not on the list of functions")
    elif token.value in allowlist.RESERVED or (token.value in allowlist.NOT_COLUMNS and not called):
        reader.fail(f'{token.value} is a key word of SQL; a column of this name is written "{token.value}"')
