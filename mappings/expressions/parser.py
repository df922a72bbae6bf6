"""Expressions: decides which SQL an operator may write, and re-prints it.

What comes out has the same tokens in the same order as what went in, so PostgreSQL gives it the same
precedence and meaning. Names are quoted, functions and types are bound to pg_catalog, and nothing can leave
the parentheses it is put into. Source of the grammar: PostgreSQL 18, src/backend/parser/gram.y (a_expr,
b_expr, c_expr, Typename).

The printed SQL may contain %, { and }: double % where it is executed with parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mappings.expressions.names import ColumnName, RelationName, parse_relation
from mappings.expressions.operators import OperatorParser
from mappings.expressions.tokens import ExpressionError, quote_identifier

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
    "without_clock",
    "without_limits",
]


@dataclass(frozen=True, slots=True)
class Expression:
    """text: as given. sql: as re-printed, safe inside parentheses. types: user-defined ones, (schema, name).

    casts: casts to types of limited length or precision, as written. last_cast: where all of it is one `x::type`, the
    SQL of x and of the type.
    """

    text: str
    sql: str
    columns: tuple[ColumnName, ...]
    types: tuple[tuple[str | None, str], ...]
    casts: tuple[str, ...]
    last_cast: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ordering:
    sql: str
    items: tuple[Expression, ...]


def parse_expression(text: str, qualifier: str | None = None) -> Expression:
    """Read one scalar expression; raise ExpressionError at the first character that is not allowed.

    With a qualifier, bare column names are printed under that alias.
    """
    parser = _Parser(text)
    parser.qualifier = qualifier
    found = parser.item()
    parser.end()
    return replace(found, text=text)


def without_limits(text: str, unrounded: bool = False) -> str:
    """The same expression as SQL, with casts that neither cut nor round: `::varchar(5)` as `::varchar`.

    unrounded: casts to whole numbers become casts to numeric as well.
    """
    parser = _Parser(text)
    parser.unlimited, parser.unrounded = True, unrounded
    return parser.item().sql


def without_clock(text: str) -> str:
    """The same expression as SQL, with constants that are no time any more where they hold `now` or `today`."""
    parser = _Parser(text)
    parser.unclocked = True
    return parser.item().sql


def parse_ordering(text: str, qualifier: str | None = None) -> Ordering:
    """Read `expression [ASC|DESC] [NULLS FIRST|LAST], …`, with a qualifier as in parse_expression."""
    parser = _Parser(text)
    parser.qualifier = qualifier
    items = [parser.sort_key()]
    while parser.mark(","):
        items.append(parser.sort_key())
    parser.end()
    return Ordering("".join(parser.out), tuple(items))


class _Parser(OperatorParser):
    """Whole expressions and sort keys, each with what it refers to."""

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
            self._last_cast(written),
        )

    def _last_cast(self, written: int) -> tuple[str, str] | None:
        inner, end = self.last_cast
        if end != len(self.out) or inner <= written:
            return None
        return "".join(self.out[written:inner]).strip(), "".join(self.out[inner + 1 :]).strip()

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
