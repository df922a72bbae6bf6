"""Cursors that read tokens from left to right and refuse the first one that does not fit."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from mappings.expressions.tokens import ExpressionError, Token, tokenize

if TYPE_CHECKING:
    from mappings.expressions.tree import Node

MAX_LENGTH = 10_000
MAX_DEPTH = 100


def _check_text(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the text is longer than {MAX_LENGTH:,} characters", text, MAX_LENGTH + 1)
    if match := re.search("[\x00\ud800-\udfff]", text):
        what = "NUL" if match[0] == "\x00" else "half of a surrogate pair"
        raise ExpressionError(f"{what} is not a character PostgreSQL can hold", text, match.start() + 1)


class Cursor:
    """Where in the tokens of a text the reading is."""

    def __init__(self, text: str) -> None:
        _check_text(text)
        self.text, self.tokens, self.at = text, tokenize(text), 0
        self._refuse_bad()

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def last(self) -> Token:
        """The token read last."""
        return self.tokens[self.at - 1]

    def ahead(self, count: int = 1) -> Token:
        return self.tokens[min(self.at + count, len(self.tokens) - 1)]

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        self.fail_at(message, (token or self.token).start)

    def fail_at(self, message: str, start: int) -> NoReturn:
        """start: the offset of what is refused."""
        raise ExpressionError(message, self.text, start + 1)

    def _refuse_bad(self) -> None:
        if self.token.kind == "bad":
            self.fail(self.token.value)

    def step(self) -> Token:
        token = self.token
        self.at += 1
        self._refuse_bad()
        return token

    def is_mark(self, *values: str) -> bool:
        return self.token.kind == "mark" and self.token.value in values

    def is_word(self, *values: str) -> bool:
        return self.token.kind == "name" and self.token.value in values

    def mark(self, value: str) -> bool:
        """Read the mark if it is next."""
        if not self.is_mark(value):
            return False
        self.step()
        return True

    def word(self, *values: str) -> str | None:
        """Read one of the key words if it is next, and give it."""
        return self.step().value if self.is_word(*values) else None

    def need_mark(self, value: str) -> None:
        if not self.mark(value):
            self.unexpected(f"{value} is expected")

    def need_word(self, *values: str) -> str:
        result = self.word(*values)
        if result is None:
            self.unexpected(f"{' or '.join(values).upper()} is expected")
        return result

    def unexpected(self, wanted: str) -> NoReturn:
        """Refuse the current token, saying what it is where its name alone helps."""
        if self.is_mark(";"):
            self.fail("one expression only, no statements: ; is not allowed")
        if self.is_mark(")"):
            self.fail("a ) without its (" if wanted == "nothing more is expected" else f"{wanted} before )")
        self.fail(f"{wanted}, but the text ends" if self.token.kind == "end" else wanted)


class Reader(Cursor, ABC):
    """A cursor that reads whole expressions, which the readers of their parts come back to."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    @abstractmethod
    def expression(self, narrow: bool = False) -> Node:
        """a_expr, or b_expr where narrow: without key words for operators."""

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Brackets, calls and CASE recurse; so deep and no deeper."""
        self._depth += 1
        self.check_depth(self._depth)
        yield
        self._depth -= 1

    def check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.fail(f"the expression is nested deeper than {MAX_DEPTH}")

    def expressions(self, close: str) -> tuple[Node, ...]:
        """One or more, up to the closing mark, which is read too."""
        result = [self.expression()]
        while self.mark(","):
            result.append(self.expression())
        self.need_mark(close)
        return tuple(result)
