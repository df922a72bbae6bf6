"""Expressions: decides which SQL an operator may write, and re-prints it.

What comes out has the same tokens in the same order as what went in, so PostgreSQL gives it the same
precedence and meaning. Names are quoted, functions and types are bound to pg_catalog, and nothing can leave
the parentheses it is put into. Source of the grammar: PostgreSQL 18, src/backend/parser/gram.y (a_expr,
b_expr, c_expr, Typename).

The printed SQL may contain %, { and }: double % where it is executed with parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from mappings import allowed
from mappings.expression_tokens import Cursor, ExpressionError, Token, quote_identifier, quote_literal

__all__ = [
    "ColumnName",
    "Expression",
    "ExpressionError",
    "Ordering",
    "RelationName",
    "parse_expression",
    "parse_ordering",
    "parse_relation",
    "quote_identifier",
]

MAX_DEPTH = 100
MAX_FIELDS = 100


@dataclass(frozen=True, slots=True)
class ColumnName:
    """position: 1-based offset in the text."""

    qualifier: str | None
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Expression:
    """text: as given. sql: as re-printed, safe inside parentheses. types: user-defined ones, (schema, name).

    casts: casts to types of limited length or precision, as written.
    """

    text: str
    sql: str
    columns: tuple[ColumnName, ...]
    types: tuple[tuple[str | None, str], ...]
    casts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ordering:
    sql: str
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class RelationName:
    schema: str | None
    name: str

    @property
    def sql(self) -> str:
        return ".".join(quote_identifier(part) for part in (self.schema, self.name) if part is not None)


def parse_expression(text: str, qualifier: str | None = None) -> Expression:
    """Read one scalar expression; raise ExpressionError at the first character that is not allowed.

    With a qualifier, bare column names are printed under that alias.
    """
    parser = _ExpressionParser(text)
    parser.qualifier = qualifier
    found = parser.item()
    parser.end()
    return replace(found, text=text)


def parse_ordering(text: str) -> Ordering:
    """Read `expression [ASC|DESC] [NULLS FIRST|LAST], …`."""
    parser = _ExpressionParser(text)
    items = [parser.sort_key()]
    while parser.mark(","):
        items.append(parser.sort_key())
    parser.end()
    return Ordering("".join(parser.out), tuple(items))


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
    if first and token.kind == "name" and token.value in allowed.RESERVED | allowed.NOT_COLUMNS:
        cursor.fail(f'{token.value} is a key word of SQL; quote it: "{token.value}"')
    return cursor.step().value


# --- types ---

_WHOLE = {"int", "integer", "smallint", "bigint", "real", "boolean"}
_VARYING = {"bit", "char", "character", "nchar"}
_SIZED = {"float", "decimal", "dec", "numeric", "varchar"} | _VARYING
_TYPE_WORDS = _WHOLE | _SIZED | {"double", "national", "time", "timestamp", "interval"}
_ONE_LONG = _VARYING | {"national"}  # without a length they hold one character or bit
_FIELDS = {
    "year": ("month",),
    "month": (),
    "day": ("hour", "minute", "second"),
    "hour": ("minute", "second"),
    "minute": ("second",),
    "second": (),
}


class _TypeParser(Cursor):
    """Typename, with what a cast to it may lose."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.types: list[tuple[str | None, str]] = []
        self.casts: list[str] = []

    def type_name(self, tight: bool = False) -> str:
        """Read a type; give the name that tells what its constants may hold."""
        first, words = self.token, self.at
        self.glued = self.glued or tight
        keyword = first.kind == "name" and first.value in _TYPE_WORDS
        name = self._keyword_type() if keyword else self._general_type()
        limited = any(token.value == "(" for token in self.tokens[words : self.at])
        varying = any(token.value == "varying" for token in self.tokens[words : self.at])
        bare = first.value in _ONE_LONG and not varying if keyword else name in ("char", "name", "bit")
        if limited or bare or (first.value == "interval" and self.at - words > 1):
            self.casts.append(self.text[first.start : self.tokens[self.at - 1].end])
        self._bounds()
        return name

    def _keyword_type(self) -> str:
        name = self.token.value
        if name == "double":
            self._type_word("double")
            self._need_type_word("precision")
        elif name in ("time", "timestamp"):
            self._type_word(name)
            self._modifiers()
            if self.is_word("with", "without") and self.ahead().value == "time":
                self._type_word("with", "without")
                self._need_type_word("time")
                self._need_type_word("zone")
        elif name == "interval":
            self._type_word(name)
            self.interval_fields()
        else:
            self._sized_type()
        return name

    def _sized_type(self) -> None:
        if self._type_word("national") and not self.is_word("char", "character"):
            self.unexpected("CHARACTER is expected")
        name = self.token.value
        self._type_word(name)
        if name in _VARYING:
            self._type_word("varying")
        if name in _SIZED:
            self._modifiers()

    def interval_fields(self) -> None:
        if not self.is_word(*_FIELDS):
            self._modifiers()
            return
        smallest = self.token.value
        self._type_word(smallest)
        if self._type_word("to"):
            if not self.is_word(*_FIELDS[smallest]):
                self.unexpected(f"a field of an interval that is smaller than {smallest} is expected")
            smallest = self.token.value
            self._type_word(smallest)
        if smallest == "second":
            self._modifiers()

    def _type_word(self, *words: str) -> bool:
        """Like word(), in lower case as types are written."""
        if not self.is_word(*words):
            return False
        self.emit(self.step().value)
        return True

    def _need_type_word(self, word: str) -> None:
        if not self._type_word(word):
            self.unexpected(f"{word.upper()} is expected")

    def _modifiers(self, general: bool = False) -> None:
        """`(10, 2)`; a user-defined type may take names and strings too: geometry(Point, 4326)."""
        if not self.mark("("):
            return
        while True:
            if general and self.token.kind == "name" and self.token.value not in allowed.RESERVED:
                self.emit(quote_identifier(self.step().value))
            elif general and self.token.kind == "string":
                self.emit(self.step().value)
            else:
                if self.token.kind == "operator" and self.token.value == "-":
                    self.emit(self.step().value)
                if self.token.kind != "number" or not self.token.value.isdecimal():
                    self.unexpected("a whole number is expected in the length or precision of a type")
                self.emit(self.step().value)
            if not self.mark(","):
                break
        self.need_mark(")")

    def _bounds(self) -> None:
        if self._type_word("array"):
            if self.is_mark("[") and self.ahead().kind != "number":
                self.fail("a number is expected in ARRAY[…]", self.ahead())
            if self.mark("["):
                self._bound()
            return
        while self.mark("["):
            self._bound()

    def _bound(self) -> None:
        if self.token.kind == "number" and self.token.value.isdecimal():
            self.emit(self.step().value)
        self.need_mark("]")

    def _general_type(self) -> str:
        first = self.token
        schema, name = self._type_parts()
        if schema in (None, "pg_catalog") and name in allowed.TYPES:
            self.emit('pg_catalog."char"' if name == "char" else f"pg_catalog.{name}")
            self._modifiers()
            return name
        if (schema is None and allowed.is_refused_type(name)) or (schema or "").startswith("pg_"):
            self.fail(f"{name} is not on the list of types", first)
        self.types.append((schema, name))
        self.emit(RelationName(schema, name).sql)
        self._modifiers(general=True)
        return name

    def _type_parts(self) -> tuple[str | None, str]:
        token = self.token
        if token.kind not in ("name", "quoted"):
            self.unexpected("the name of a type is expected")
        if token.kind == "name" and token.value in allowed.RESERVED | allowed.NOT_FUNCTIONS - {"json"}:
            self.fail(f"{token.value} is a key word of SQL, not a type")
        parts = [self.step().value]
        while self.is_mark("."):
            self.step()
            if len(parts) == 2 or self.token.kind not in ("name", "quoted"):
                self.unexpected("a type's name is [schema.]name")
            parts.append(self.step().value)
        return (parts[0] if len(parts) == 2 else None), parts[-1]


# --- expressions ---

# Precedence, from the loosest to the tightest. `a = b = c` and its like are errors.
_OR, _AND, _NOT, _IS, _COMPARE, _LIKE, _ESCAPE = range(7)
_OTHER, _ADD, _MULTIPLY, _POWER, _AT, _COLLATE, _SIGN = range(7, 14)
_NEVER_TWICE = (_IS, _COMPARE, _LIKE, _ESCAPE)
_OPERATOR_LEVELS = (
    dict.fromkeys(("<", ">", "=", "<=", ">=", "<>"), _COMPARE)
    | dict.fromkeys("+-", _ADD)
    | dict.fromkeys("*/%", _MULTIPLY)
    | {"^": _POWER}
)
_CLOCK_WORDS = re.compile(r"E?'\s*(now|today|tomorrow|yesterday)\b", re.IGNORECASE)

_Pending = list[tuple[int, str]]  # operators that still wait for all of their right side: level, as written


class _ExpressionParser(_TypeParser):
    """Operators are kept on an explicit stack, so only brackets, calls and CASE recurse."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.columns: list[ColumnName] = []
        self.depth = 0
        self.field_count = 0
        self.pair_end = -1  # the token after the last row of two values
        self.qualifier: str | None = None

    def item(self) -> Expression:
        """One expression of a list, with what it alone refers to."""
        if self.token.kind == "end":
            self.fail(
                "an expression is expected, but the text ends" if self.at else "the expression is empty"
            )
        start, written = self.token.start, len(self.out)
        marks = len(self.columns), len(self.types), len(self.casts)
        self.expression()
        return Expression(
            self.text[start : self._last().end],
            "".join(self.out[written:]).strip(),
            tuple(self.columns[marks[0] :]),
            tuple(self.types[marks[1] :]),
            tuple(self.casts[marks[2] :]),
        )

    def sort_key(self) -> Expression:
        constant = self.token.kind in ("number", "string") and self.ahead()
        found = self.item()
        if constant and constant is self.token:
            self.fail("a constant orders nothing", self._last())
        if self.is_word("using"):
            self.fail("USING is not allowed; write ASC or DESC")
        self.word("asc", "desc")
        if self.word("nulls"):
            self.need_word("first", "last")
        return found

    def end(self) -> None:
        if self.is_mark(","):
            self.fail("one expression only: , is not allowed here")
        if self.is_word("asc", "desc", "nulls"):
            self.fail(f"{self.token.value.upper()} belongs to order_by")
        if self.token.kind != "end":
            self.unexpected("nothing more is expected")

    def _last(self) -> Token:
        return self.tokens[self.at - 1]

    def expression(self, narrow: bool = False) -> None:
        """a_expr, or b_expr where narrow: without key words for operators."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"the expression is nested deeper than {MAX_DEPTH}")
        pending: _Pending = []
        while True:
            self._prefixes(pending)
            self._operand()
            if not self._goes_on(pending, narrow):
                break
        self.depth -= 1

    # --- before an operand

    def _prefixes(self, pending: _Pending) -> None:
        while True:
            token = self.token
            if self.word("not"):
                pending.append((_NOT, "NOT"))
            elif token.kind == "operator":
                level = _OPERATOR_LEVELS.get(token.value, _OTHER)
                if token.value == "*":
                    self.fail("* (all columns) is not one value")
                if level not in (_ADD, _OTHER) or token.value == "=>":
                    self.fail(f"a value is expected before {token.value}")
                self._write_operator()
                pending.append((_SIGN if level == _ADD else _OTHER, token.value))
            else:
                return
            if len(pending) > MAX_DEPTH:
                self.fail(f"the expression is nested deeper than {MAX_DEPTH}")

    def _write_operator(self) -> None:
        if self.token.value not in allowed.OPERATORS:
            self.fail(f"{self.token.value} is not on the list of operators")
        self.emit(self.step().value)

    # --- after an operand: each gives whether another operand must follow

    def _goes_on(self, pending: _Pending, narrow: bool) -> bool:
        """Read up to the next operand (True) or to the end of the expression (False)."""
        while True:
            if self.token.kind == "operator":
                more: bool | None = self._operator(pending)
            elif self.is_mark("::"):
                more = self._cast()
            elif self.token.kind == "name" and not narrow and self.token.value in _AFTER:
                more = _AFTER[self.token.value](self, pending)
            else:
                return False
            if more is None:
                return False
            if more:
                return True

    def _settle(self, pending: _Pending, level: int) -> None:
        """Complete the pending operators that bind tighter than the next one."""
        while pending and pending[-1][0] > level:
            pending.pop()
        if pending and pending[-1][0] == level:
            _, first = pending.pop()
            if level in _NEVER_TWICE:
                self.fail(f"{self.token.value.upper()} after {first} needs parentheses")

    def _operator(self, pending: _Pending) -> bool:
        token = self.token
        if token.value == "=>":
            self.fail("named arguments (=>) are not allowed; list the arguments")
        level = _OPERATOR_LEVELS.get(token.value, _OTHER)
        self._settle(pending, level)
        self._write_operator()
        if self._any_array():
            return False
        pending.append((level, token.value))
        return True

    def _any_array(self) -> bool:
        if not self.is_word("any", "all", "some"):
            return False
        self.word("any", "all", "some")
        self._parenthesised()
        return True

    def _parenthesised(self) -> None:
        self.need_mark("(", tight=False)
        self.expression()
        self.need_mark(")")

    def _cast(self) -> bool:
        literal = self._last() if self._last().kind == "string" else None
        self.mark("::")
        self._check_clock(self.type_name(), literal)
        return False

    def _check_clock(self, type_name: str, literal: Token | None) -> None:
        if literal and type_name in allowed.CLOCK_TYPES and _CLOCK_WORDS.match(literal.value):
            self.fail(f"{literal.value} depends on the clock: {allowed.UNCLOCKED}", literal)

    def _junction(self, pending: _Pending) -> bool:
        name = self.token.value
        self._settle(pending, _AND if name == "and" else _OR)
        self.word(name)
        pending.append((_AND if name == "and" else _OR, name.upper()))
        return True

    def _is(self, pending: _Pending) -> bool:
        self._settle(pending, _IS)
        self.word("is")
        self.word("not")
        if self.word("distinct"):
            self.need_word("from")
            pending.append((_IS, "IS DISTINCT FROM"))
            return True
        if self.word("json"):
            self.word("value", "array", "object", "scalar")
        elif self.word("nfc", "nfd", "nfkc", "nfkd"):
            self.need_word("normalized")
        else:
            self.need_word("null", "true", "false", "unknown", "normalized", "document")
        return False

    def _null_test(self, pending: _Pending) -> bool:
        self._settle(pending, _IS)
        self.word("isnull", "notnull")
        return False

    def _not(self, pending: _Pending) -> bool | None:
        following = self.ahead()
        if following.kind != "name" or following.value not in ("between", "in", "like", "ilike", "similar"):
            return None
        self._settle(pending, _LIKE)
        self.word("not")
        return _AFTER[following.value](self, pending)

    def _between(self, pending: _Pending) -> bool:
        self._settle(pending, _LIKE)
        self.word("between")
        self.word("symmetric", "asymmetric")
        self.expression(narrow=True)
        self.need_word("and")
        pending.append((_LIKE, "BETWEEN"))
        return True

    def _in(self, pending: _Pending) -> bool:
        self._settle(pending, _LIKE)
        self.word("in")
        self.need_mark("(", tight=False)
        self._list(")")
        return False

    def _like(self, pending: _Pending) -> bool:
        self._settle(pending, _LIKE)
        name = self.token.value
        self.word("like", "ilike")
        if self._any_array():
            return False
        pending.append((_LIKE, name.upper()))
        return True

    def _similar(self, pending: _Pending) -> bool | None:
        if self.ahead().value != "to":
            return None
        self._settle(pending, _LIKE)
        self.word("similar")
        self.word("to")
        pending.append((_LIKE, "SIMILAR TO"))
        return True

    def _escape(self, pending: _Pending) -> bool | None:
        while pending and pending[-1][0] > _ESCAPE:
            pending.pop()
        if not pending or pending[-1][1] not in ("LIKE", "ILIKE", "SIMILAR TO"):
            return None
        self.word("escape")
        pending[-1] = (_LIKE, "ESCAPE")
        return True

    def _collate(self, pending: _Pending) -> bool:
        self._settle(pending, _COLLATE)
        self.word("collate")
        schema, name = self._type_parts()
        self.emit(RelationName(schema, name).sql)
        return False

    def _at_time_zone(self, pending: _Pending) -> bool | None:
        if self.ahead().value != "time":
            return None
        self._settle(pending, _AT)
        for word in ("at", "time", "zone"):
            self.need_word(word)
        pending.append((_AT, "AT TIME ZONE"))
        return True

    def _overlaps(self, pending: _Pending) -> bool:
        self._settle(pending, _OTHER)
        if self.pair_end != self.at:
            self.fail("OVERLAPS compares two periods, (start, end)")
        self.word("overlaps")
        self._operand()
        if self.pair_end != self.at:
            self.fail("OVERLAPS compares two periods, (start, end)", self._last())
        return False

    def _operator_syntax(self, pending: _Pending) -> bool:
        self.fail("OPERATOR(…) is not allowed; write the operator itself")

    # --- operands

    def _operand(self) -> None:
        token = self.token
        if token.kind in ("number", "string", "bits"):
            self.emit(self.step().value)
        elif self.is_mark("("):
            self._group()
        elif token.kind in ("name", "quoted"):
            if not (token.kind == "name" and self._special()) and not self._typed_literal():
                self._named()
        else:
            self.unexpected("a value is expected")

    def _special(self) -> bool:
        """Operands that begin with a key word."""
        name, following = self.token.value, self.ahead()
        called = following.kind == "mark" and following.value == "("
        if name in _CONSTANTS:
            return self.word(name)
        if name in _OPENERS and (called or name in ("case", "array")):
            _OPENERS[name](self)
            return True
        if name in _CLOCK_AND_USER:
            self.fail(allowed.why_function_refused(name))
        if name in allowed.EXPLAINED and (called or name in allowed.RESERVED):
            self.fail(allowed.EXPLAINED[name])
        return False

    def _typed_literal(self) -> bool:
        """`date '2020-01-01'`, `interval '1' day`, `timestamp(3) with time zone '…'`."""
        token = self.token
        if not self._at_typed_literal():
            return False
        if token.value == "interval" and self.ahead().kind == "string":
            self.emit(self.step().value)
            self.emit(self.step().value)
            if self.is_word(*_FIELDS):
                self.interval_fields()
            return True
        name, users = self.type_name(), len(self.types)
        if self.token.kind != "string":
            self.unexpected("the constant of the type is expected")
        if len(self.types) > users or name not in allowed.TYPES | _TYPE_WORDS:
            self.fail(f"only built-in types can stand before a constant; write '…'::{name}", token)
        self._check_clock(name, self.token)
        self.emit(self.step().value)
        return True

    def _at_typed_literal(self) -> bool:
        token, skip = self.token, 2 if self.token.value == "pg_catalog" and self.ahead().value == "." else 0
        name, following, third = self.ahead(skip).value, self.ahead(skip + 1), self.ahead(skip + 2)
        if following.kind == "string":
            return token.kind == "quoted" or token.value not in allowed.RESERVED
        if following.kind == "mark" and following.value == "(" and name in _SIZED_TYPES:
            return third.kind == "number" and self._after_parenthesis(skip).kind in ("string", "name")
        if following.kind != "name" or token.kind != "name" or skip:
            return False
        if name in ("time", "timestamp"):
            return following.value in ("with", "without") and third.value == "time"
        second = "precision" if name == "double" else "varying" if name in _VARYING else None
        return following.value == second or (name == "national" and following.value.startswith("char"))

    def _after_parenthesis(self, skip: int) -> Token:
        """The token after `name(1)` or `name(1, 2)`, or the one that does not fit."""
        count = skip + 3
        while self.ahead(count).value == "," and self.ahead(count + 1).kind == "number":
            count += 2
        return self.ahead(count + 1) if self.ahead(count).value == ")" else self.ahead(count)

    def _group(self) -> None:
        """`(a)`, perhaps with a subscript or field; `(a, b)` is a row."""
        start = len(self.out)
        self.mark("(", tight=False)
        if self.is_mark(")"):
            self.fail("() is empty; a value is expected")
        count = self._list(")")
        if count == 1:
            self._indirection(start)
        elif count == 2:
            self.pair_end = self.at

    def _list(self, close: str) -> int:
        """Expressions up to the closing mark; how many."""
        count = 0
        while True:
            self.expression()
            count += 1
            if not self.mark(","):
                self.need_mark(close)
                return count

    def _indirection(self, start: int) -> None:
        """Subscripts and fields of the operand that was written from `start` on."""
        while self.is_mark("[", "."):
            if self.mark("["):
                self._subscript()
            else:
                self._field(start)

    def _subscript(self) -> None:
        if not self.is_mark(":"):
            if self.is_mark("]"):
                self.fail("[] is empty; a subscript is expected")
            self.expression()
        if self.mark(":", tight=False) and not self.is_mark("]"):
            self.expression()
        self.need_mark("]")

    def _field(self, start: int) -> None:
        """`(x).f`, printed so that it can only be a field: where x has none, `(x).f` calls the function f.

        A bare name is never a function, and the condition, which is never evaluated, keeps it from being a
        column of the row outside.
        """
        self.step()
        token = self.token
        if token.kind == "operator" and token.value == "*":
            self.fail(".* (all columns) is not one value")
        if token.kind not in ("name", "quoted"):
            self.unexpected("the name of a field is expected after .")
        self.field_count += 1
        if self.field_count > MAX_FIELDS:
            self.fail(f"an expression can read at most {MAX_FIELDS} fields")
        field = quote_identifier(self.step().value)
        value = "".join(self.out[start:]).strip()
        space = " " if self.out[start].startswith(" ") else ""
        row = f"(SELECT ({value}).*) AS field WHERE true OR field.{field} IS NULL"
        self.out[start:] = [space, "(SELECT ", field, " FROM ", row, ")"]

    def _named(self) -> None:
        """A column or a call."""
        token = self.token
        parts = [token]
        self._check_first_name(token)
        self.step()
        while self.is_mark("."):
            self.step()
            if self.token.kind == "operator" and self.token.value == "*":
                self.fail(".* (all columns) is not one value")
            if self.token.kind not in ("name", "quoted"):
                self.unexpected("a name is expected after .")
            if len(parts) == 2:
                self.fail("a column has at most two parts, alias.column")
            parts.append(self.step())
        if self.is_mark("("):
            self._call([part.value for part in parts], token)
        else:
            self._column(parts)

    def _check_first_name(self, token: Token) -> None:
        called = self.ahead().kind == "mark" and self.ahead().value == "("
        if token.kind != "name":
            return
        if called and token.value in allowed.NOT_FUNCTIONS and token.value != "json_object":
            self.fail(f"{token.value}(…) is not on the list of functions")
        elif token.value in allowed.RESERVED or (token.value in allowed.NOT_COLUMNS and not called):
            self.fail(f'{token.value} is a key word of SQL; a column of this name is written "{token.value}"')

    def _column(self, parts: list[Token]) -> None:
        start, names = len(self.out), [part.value for part in parts]
        self.columns.append(ColumnName(names[0] if len(names) == 2 else None, names[-1], parts[0].start + 1))
        if len(names) == 1 and self.qualifier:
            names.insert(0, self.qualifier)
        self.emit(".".join(quote_identifier(name) for name in names))
        if self.is_mark("["):
            self._indirection(start)

    # --- calls

    def _call(self, names: list[str], token: Token) -> None:
        name = names[-1]
        if len(names) == 2 and names[0] != "pg_catalog":
            self.fail("a function can only be written bare or as pg_catalog.name", token)
        if name not in allowed.FUNCTIONS:
            self.fail(allowed.why_function_refused(name), token)
        self.emit(f"pg_catalog.{quote_identifier(name)}")
        self.mark("(")
        self._arguments(name, token)
        self._refuse_tail()

    def _arguments(self, name: str, token: Token) -> None:
        count = 0
        while not (count == 0 and self.is_mark(")")):
            if self.token.kind in ("name", "quoted") and self.ahead().value in ("=>", ":="):
                self.fail("named arguments are not allowed; list the arguments")
            self.expression()
            count += 1
            if self.is_word("order"):
                self.fail("ORDER BY inside a call belongs to aggregates, which are not allowed")
            if not self.mark(","):
                break
        self.need_mark(")")
        wanted, why = allowed.ARGUMENTS.get(name, (count, ""))
        if count != wanted:
            self.fail(why, token)

    def _refuse_tail(self) -> None:
        if self.is_word("over", "filter", "within", "ignore", "respect"):
            self.fail(f"{self.token.value.upper()} belongs to aggregates and window functions; not allowed")

    def _keyword_call(self, name: str) -> None:
        """`name(` where SQL has its own syntax for it."""
        self.word(name)
        self.mark("(")

    def _list_call(self) -> None:
        self._keyword_call(self.token.value)
        self._list(")")

    def _nullif(self) -> None:
        token = self.token
        self._keyword_call("nullif")
        if self._list(")") != 2:
            self.fail("nullif takes two arguments", token)

    def _row(self) -> None:
        self._keyword_call("row")
        if not self.mark(")") and self._list(")") == 2:
            self.pair_end = self.at

    def _cast_call(self) -> None:
        self._keyword_call("cast")
        literal = self.token if self.token.kind == "string" else None
        self.expression()
        whole = literal is self._last()
        self.need_word("as")
        self._check_clock(self.type_name(), literal if whole else None)
        self.need_mark(")")

    def _extract(self) -> None:
        self._keyword_call("extract")
        keywords = allowed.RESERVED | allowed.NOT_COLUMNS | allowed.NOT_FUNCTIONS
        if self.token.kind not in ("name", "quoted", "string") or self.is_word(*keywords):
            self.unexpected("a field like year is expected")
        token = self.step()
        self.emit(token.value if token.kind == "string" else quote_literal(token.value))
        self.need_word("from")
        self.expression()
        self.need_mark(")")

    def _substring(self) -> None:
        """substring(x FROM a FOR b), substring(x SIMILAR p ESCAPE e), substring(x, a, b)."""
        start, token = len(self.out), self.token
        self._keyword_call("substring")
        self.expression()
        if self.word("similar"):
            self.expression()
            self.need_word("escape")
            self.expression()
            self.need_mark(")")
        elif self.is_word("from", "for"):
            self._from_for()
        else:
            self._plain_call(start, token)

    def _from_for(self) -> None:
        for other in ("for", "from") if self.is_word("from") else ("from", "for"):
            if self.word("from", "for"):
                self.expression()
                if not self.is_word(other):
                    break
        self.need_mark(")")

    def _overlay(self) -> None:
        start, token = len(self.out), self.token
        self._keyword_call("overlay")
        self.expression()
        if not self.word("placing"):
            self._plain_call(start, token)
            return
        self.expression()
        self.need_word("from")
        self.expression()
        if self.word("for"):
            self.expression()
        self.need_mark(")")

    def _plain_call(self, start: int, token: Token) -> None:
        """The rest of an ordinary call whose first argument is written already."""
        space = " " if self.out[start].startswith(" ") else ""
        self.out[start] = f"{space}pg_catalog.{quote_identifier(token.value)}"
        if self.mark(","):
            self._list(")")
        else:
            self.need_mark(")")

    def _position(self) -> None:
        self._keyword_call("position")
        self.expression(narrow=True)
        self.need_word("in")
        self.expression(narrow=True)
        self.need_mark(")")

    def _trim(self) -> None:
        self._keyword_call("trim")
        self.word("both", "leading", "trailing")
        if self.word("from"):
            self._list(")")
            return
        self.expression()
        if self.word("from") or self.mark(","):
            self._list(")")
        else:
            self.need_mark(")")

    def _normalize(self) -> None:
        self._keyword_call("normalize")
        self.expression()
        if self.mark(","):
            self.need_word("nfc", "nfd", "nfkc", "nfkd")
        self.need_mark(")")

    def _array(self) -> None:
        self.word("array")
        if self.is_mark("("):
            self.fail("a subselect is not allowed; ARRAY[…] takes values")
        if not self.is_mark("["):
            self.unexpected("[ is expected after ARRAY")
        self._array_level()

    def _array_level(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"the expression is nested deeper than {MAX_DEPTH}")
        self.mark("[")
        inner = self.is_mark("[")
        while not self.is_mark("]"):
            if inner:
                if not self.is_mark("["):
                    self.unexpected("[ is expected: an array's rows are all lists")
                self._array_level()
            else:
                self.expression()
            if not self.mark(","):
                break
            if self.is_mark("]"):
                self.unexpected("a value is expected")
        self.need_mark("]")
        self.depth -= 1

    def _case(self) -> None:
        self.word("case")
        if not self.is_word("when"):
            self.expression()
        self.need_word("when")
        while True:
            self.expression()
            self.need_word("then")
            self.expression()
            if not self.word("when"):
                break
        if self.word("else"):
            self.expression()
        self.need_word("end")


_CONSTANTS = {"null", "true", "false"}
_CLOCK_AND_USER = allowed.VOLATILE & (allowed.RESERVED | allowed.NOT_COLUMNS)
_SIZED_TYPES = _SIZED | allowed.TYPES
_OPENERS: dict[str, Callable[[_ExpressionParser], None]] = {
    "array": _ExpressionParser._array,
    "case": _ExpressionParser._case,
    "cast": _ExpressionParser._cast_call,
    "coalesce": _ExpressionParser._list_call,
    "extract": _ExpressionParser._extract,
    "greatest": _ExpressionParser._list_call,
    "least": _ExpressionParser._list_call,
    "normalize": _ExpressionParser._normalize,
    "nullif": _ExpressionParser._nullif,
    "overlay": _ExpressionParser._overlay,
    "position": _ExpressionParser._position,
    "row": _ExpressionParser._row,
    "substring": _ExpressionParser._substring,
    "trim": _ExpressionParser._trim,
}
_AFTER: dict[str, Callable[[_ExpressionParser, _Pending], bool | None]] = {
    "and": _ExpressionParser._junction,
    "at": _ExpressionParser._at_time_zone,
    "between": _ExpressionParser._between,
    "collate": _ExpressionParser._collate,
    "escape": _ExpressionParser._escape,
    "ilike": _ExpressionParser._like,
    "in": _ExpressionParser._in,
    "is": _ExpressionParser._is,
    "isnull": _ExpressionParser._null_test,
    "like": _ExpressionParser._like,
    "not": _ExpressionParser._not,
    "notnull": _ExpressionParser._null_test,
    "operator": _ExpressionParser._operator_syntax,
    "or": _ExpressionParser._junction,
    "overlaps": _ExpressionParser._overlaps,
    "similar": _ExpressionParser._similar,
}
