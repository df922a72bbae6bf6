"""Operands of expressions: constants, columns, groups, and their subscripts and fields."""

from __future__ import annotations

from mappings.expressions import allowlist
from mappings.expressions.calls import OPENERS, CallParser
from mappings.expressions.names import ColumnName
from mappings.expressions.tokens import Token, quote_identifier
from mappings.expressions.types import CLOCK_WORDS, FIELDS, NO_TIME, SIZED, TYPE_WORDS, VARYING

MAX_FIELDS = 100

_CONSTANTS = {"null", "true", "false"}
_CLOCK_AND_USER = allowlist.VOLATILE & (allowlist.RESERVED | allowlist.NOT_COLUMNS)
_SIZED_TYPES = SIZED | allowlist.TYPES


class OperandParser(CallParser):
    """c_expr: what stands between operators."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.columns: list[ColumnName] = []
        self.field_count = 0
        self.qualifier: str | None = None

    def _operand(self) -> None:
        token = self.token
        if token.kind in ("number", "string", "bits"):
            self.step()
            self.emit(CLOCK_WORDS.sub(NO_TIME, token.value) if self.unclocked else token.value)
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
        if name in OPENERS and (called or name in ("case", "array")):
            OPENERS[name](self)
            return True
        if name in _CLOCK_AND_USER:
            self.fail(allowlist.why_function_refused(name))
        if name in allowlist.EXPLAINED and (called or name in allowlist.RESERVED):
            self.fail(allowlist.EXPLAINED[name])
        return False

    def _typed_literal(self) -> bool:
        """`date '2020-01-01'`, `interval '1' day`, `timestamp(3) with time zone '…'`."""
        token = self.token
        if not self._at_typed_literal():
            return False
        if token.value == "interval" and self.ahead().kind == "string":
            self.emit(self.step().value)
            self.emit(self.step().value)
            if self.is_word(*FIELDS):
                self.interval_fields()
            return True
        name, users = self.type_name(), len(self.types)
        if self.token.kind != "string":
            self.unexpected("the constant of the type is expected")
        if len(self.types) > users or name not in allowlist.TYPES | TYPE_WORDS:
            self.fail(f"only built-in types can stand before a constant; write '…'::{name}", token)
        self._check_clock(name, self.token)
        self.emit(self.step().value)
        return True

    def _at_typed_literal(self) -> bool:
        token, skip = self.token, 2 if self.token.value == "pg_catalog" and self.ahead().value == "." else 0
        name, following, third = self.ahead(skip).value, self.ahead(skip + 1), self.ahead(skip + 2)
        if following.kind == "string":
            return token.kind == "quoted" or token.value not in allowlist.RESERVED
        if following.kind == "mark" and following.value == "(" and name in _SIZED_TYPES:
            return third.kind == "number" and self._after_parenthesis(skip).kind in ("string", "name")
        if following.kind != "name" or token.kind != "name" or skip:
            return False
        if name in ("time", "timestamp"):
            return following.value in ("with", "without") and third.value == "time"
        second = "precision" if name == "double" else "varying" if name in VARYING else None
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
        if called and token.value in allowlist.NOT_FUNCTIONS and token.value != "json_object":
            self.fail(f"{token.value}(…) is not on the list of functions")
        elif token.value in allowlist.RESERVED or (token.value in allowlist.NOT_COLUMNS and not called):
            self.fail(f'{token.value} is a key word of SQL; a column of this name is written "{token.value}"')

    def _column(self, parts: list[Token]) -> None:
        start, names = len(self.out), [part.value for part in parts]
        self.columns.append(ColumnName(names[0] if len(names) == 2 else None, names[-1], parts[0].start + 1))
        if len(names) == 1 and self.qualifier:
            names.insert(0, self.qualifier)
        self.emit(".".join(quote_identifier(name) for name in names))
        if self.is_mark("["):
            self._indirection(start)
