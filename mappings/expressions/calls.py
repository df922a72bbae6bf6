"""Calls in expressions: allowed functions, and what SQL writes like a call or between key words of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from mappings.expressions import allowlist
from mappings.expressions.tokens import Token, quote_identifier, quote_literal
from mappings.expressions.types import TypeParser

MAX_DEPTH = 100


class CallParser(TypeParser, ABC):
    """Calls, ARRAY[…] and CASE; their arguments are whole expressions."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.pair_end = -1  # the token after the last row of two values

    @abstractmethod
    def expression(self, narrow: bool = False) -> None:
        """a_expr, or b_expr where narrow: without key words for operators."""

    def _last(self) -> Token:
        return self.tokens[self.at - 1]

    def _list(self, close: str) -> int:
        """Expressions up to the closing mark; how many."""
        count = 0
        while True:
            self.expression()
            count += 1
            if not self.mark(","):
                self.need_mark(close)
                return count

    def _call(self, names: list[str], token: Token) -> None:
        name = names[-1]
        if len(names) == 2 and names[0] != "pg_catalog":
            self.fail("a function can only be written bare or as pg_catalog.name", token)
        if name not in allowlist.FUNCTIONS:
            self.fail(allowlist.why_function_refused(name), token)
        self.emit(f"pg_catalog.{quote_identifier(name)}")
        self.mark("(")
        self._arguments(name, token)
        self._refuse_tail()

    def _arguments(self, name: str, token: Token) -> None:
        count = 0
        while not (count == 0 and self.is_mark(")")):
            spread = self.word("variadic")
            self._argument_name()
            self.expression()
            count += 1
            if self.is_word("order"):
                self.fail("ORDER BY inside a call belongs to aggregates, which are not allowed")
            if spread or not self.mark(","):
                break
        self.need_mark(")")
        wanted, why = allowlist.ARGUMENTS.get(name, (count, ""))
        if count != wanted:
            self.fail(why, token)

    def _argument_name(self) -> None:
        """`days =>`, or := as it was written once; whether the function has it, the server says."""
        if self.token.kind in ("name", "quoted") and self.ahead().value in ("=>", ":="):
            self.emit(f"{quote_identifier(self.step().value)} =>")
            self.step()

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
        keywords = allowlist.RESERVED | allowlist.NOT_COLUMNS | allowlist.NOT_FUNCTIONS
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


OPENERS: dict[str, Callable[[CallParser], None]] = {
    "array": CallParser._array,
    "case": CallParser._case,
    "cast": CallParser._cast_call,
    "coalesce": CallParser._list_call,
    "extract": CallParser._extract,
    "greatest": CallParser._list_call,
    "least": CallParser._list_call,
    "normalize": CallParser._normalize,
    "nullif": CallParser._nullif,
    "overlay": CallParser._overlay,
    "position": CallParser._position,
    "row": CallParser._row,
    "substring": CallParser._substring,
    "trim": CallParser._trim,
}
