"""Types in expressions: PostgreSQL's Typename, what a cast to it may lose, and which constants it refuses."""

from __future__ import annotations

import re

from mappings.expressions import allowlist
from mappings.expressions.names import RelationName
from mappings.expressions.tokens import Cursor, Token, quote_identifier

_WHOLE_NUMBERS = {"int", "integer", "smallint", "bigint"}
_WHOLE = {"int", "integer", "smallint", "bigint", "real", "boolean"}
VARYING = {"bit", "char", "character", "nchar"}
SIZED = {"float", "decimal", "dec", "numeric", "varchar"} | VARYING
TYPE_WORDS = _WHOLE | SIZED | {"double", "national", "time", "timestamp", "interval"}
_ONE_LONG = VARYING | {"national"}  # without a length they hold one character or bit
FIELDS = {
    "year": ("month",),
    "month": (),
    "day": ("hour", "minute", "second"),
    "hour": ("minute", "second"),
    "minute": ("second",),
    "second": (),
}
CLOCK_WORDS = re.compile(r"\b(now|today|tomorrow|yesterday)\b", re.IGNORECASE)
NO_TIME = "no time"


class TypeParser(Cursor):
    """Typename, with what a cast to it may lose."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.types: list[tuple[str | None, str]] = []
        self.casts: list[str] = []
        self.unlimited = False  # types are printed without their limits, for measuring what those take away
        self.unrounded = False  # whole numbers are printed as numeric
        self.unclocked = False  # what the clock decides is printed as what is no time

    def type_name(self) -> str:
        """Read a type; give the name that tells what its constants may hold."""
        first, words = self.token, self.at
        keyword = first.kind == "name" and first.value in TYPE_WORDS
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
        if self.unrounded and name in _WHOLE_NUMBERS:
            self.step()
            self.emit("numeric")
            return
        self._type_word(name)
        if name in VARYING and not self._type_word("varying") and self.unlimited:
            self.emit("varying")
        if name in SIZED:
            self._modifiers()

    def interval_fields(self) -> None:
        if not self.is_word(*FIELDS):
            self._modifiers()
            return
        smallest = self.token.value
        self._type_word(smallest)
        if self._type_word("to"):
            if not self.is_word(*FIELDS[smallest]):
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
        written = len(self.out)
        if not self.mark("("):
            return
        while True:
            if general and self.token.kind == "name" and self.token.value not in allowlist.RESERVED:
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
        if self.unlimited and not general:
            del self.out[written:]

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
        if schema in (None, "pg_catalog") and name in allowlist.TYPES:
            self.emit('pg_catalog."char"' if name == "char" else f"pg_catalog.{name}")
            self._modifiers()
            return name
        if (schema is None and allowlist.is_refused_type(name)) or (schema or "").startswith("pg_"):
            self.fail(f"{name} is not on the list of types", first)
        self.types.append((schema, name))
        self.emit(RelationName(schema, name).sql)
        self._modifiers(general=True)
        return name

    def _type_parts(self) -> tuple[str | None, str]:
        token = self.token
        if token.kind not in ("name", "quoted"):
            self.unexpected("the name of a type is expected")
        if token.kind == "name" and token.value in allowlist.RESERVED | allowlist.NOT_FUNCTIONS - {"json"}:
            self.fail(f"{token.value} is a key word of SQL, not a type")
        parts = [self.step().value]
        while self.is_mark("."):
            self.step()
            if len(parts) == 2 or self.token.kind not in ("name", "quoted"):
                self.unexpected("a type's name is [schema.]name")
            parts.append(self.step().value)
        return (parts[0] if len(parts) == 2 else None), parts[-1]

    def _check_clock(self, type_name: str, literal: Token | None) -> None:
        if literal and type_name in allowlist.CLOCK_TYPES and CLOCK_WORDS.search(literal.value):
            self.fail(f"{literal.value} depends on the clock: {allowlist.UNCLOCKED}", literal)
