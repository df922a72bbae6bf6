"""Expressions: decides which SQL an operator may write, and prints it bound.

Tokens become a tree, checks walk it, binding names the schema of every function, type and operator, the printer writes
it; nothing can leave the parentheses that it is put into. Source of the grammar: PostgreSQL 18,
src/backend/parser/gram.y (a_expr, b_expr, c_expr, Typename).

The printed SQL may contain %, { and }: double % where it is executed with parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mappings.expressions import tree
from mappings.expressions.binding import bind
from mappings.expressions.checks import check, clock_constants
from mappings.expressions.clock import timeless_text
from mappings.expressions.constants import quote_identifier
from mappings.expressions.cursor import Reader
from mappings.expressions.names import ColumnName, RelationName
from mappings.expressions.operators import OperatorReader
from mappings.expressions.printer import to_sql
from mappings.expressions.relations import parse_relation
from mappings.expressions.tokens import ExpressionError
from mappings.expressions.tree import Node, TypeName
from mappings.expressions.walking import children, rewrite, walk
from mappings.sql import Sql, joined, printed

__all__ = [
    "ColumnName",
    "Expression",
    "ExpressionError",
    "Ordering",
    "RelationName",
    "SortKey",
    "parse_expression",
    "parse_ordering",
    "parse_relation",
    "quote_identifier",
    "with_values",
    "without_clock",
    "without_limits",
]


@dataclass(frozen=True, slots=True)
class Expression:
    """text: as given. tree: what it says; bound: the same with a schema for every name that the text alone can give.

    columns: as referred to; types: user-defined ones, (schema, name); casts: casts to types of limited length or
    precision, as written.
    """

    text: str
    tree: Node
    bound: Node
    qualifier: str | None = None

    @property
    def sql(self) -> Sql:
        """As printed, safe inside parentheses."""
        return to_sql(self.bound, self.qualifier)

    @property
    def last_cast(self) -> tuple[Sql, Sql] | None:
        """Where all of it is one `x::type`, the SQL of x and of the type."""
        if not isinstance(self.bound, tree.Cast):
            return None
        return to_sql(self.bound.operand, self.qualifier), self.bound.type.sql

    @property
    def element_cast(self) -> tuple[Expression, Sql] | None:
        """Where all of it is one `x::type[]`: x, and the SQL of the elements' type."""
        if not isinstance(self.bound, tree.Cast) or not self.bound.type.bounds:
            return None
        return replace(self, bound=self.bound.operand), replace(self.bound.type, bounds="").sql

    @property
    def items(self) -> tuple[Expression, ...]:
        """Where all of it is one `ARRAY[a, b]`: a and b."""
        return (
            tuple(replace(self, bound=item) for item in self.bound.items)
            if isinstance(self.bound, tree.Array)
            else ()
        )

    @property
    def columns(self) -> tuple[ColumnName, ...]:
        return tuple(node.reference for node in walk(self.tree) if isinstance(node, tree.Column))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters, without the colon."""
        return tuple(node.name for node in walk(self.tree) if isinstance(node, tree.Parameter))

    @property
    def types(self) -> tuple[tuple[str | None, str], ...]:
        return tuple((kind.user.schema, kind.user.name) for kind in _types(self.tree) if kind.user)

    @property
    def casts(self) -> tuple[str, ...]:
        return tuple(kind.as_written for kind in _types(self.tree) if kind.cuts)


def _types(node: Node) -> Iterator[TypeName]:
    """The types of casts in the order of the text: a type stands behind what it is the type of."""
    waiting: list[Node | TypeName] = [node]
    while waiting:
        result = waiting.pop()
        if isinstance(result, TypeName):
            yield result
            continue
        after = [result.type] if isinstance(result, tree.Cast | tree.TypedConstant) else []
        waiting += [*after, *reversed(list(children(result)))]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One part of an ordering. direction: ` DESC NULLS LAST` or ''."""

    expression: Expression
    direction: str

    @property
    def sql(self) -> Sql:
        return printed(self.expression.sql + self.direction)


@dataclass(frozen=True, slots=True)
class Ordering:
    keys: tuple[SortKey, ...]

    @property
    def sql(self) -> Sql:
        return joined(", ", [key.sql for key in self.keys])

    @property
    def items(self) -> tuple[Expression, ...]:
        return tuple(key.expression for key in self.keys)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(name for item in self.items for name in item.parameters)


def parse_expression(text: str, qualifier: str | None = None) -> Expression:
    """Read one scalar expression; raise ExpressionError at the first character that is not allowed.

    With a qualifier, bare column names are printed under that alias.
    """
    parser = _Parser(text)
    result = parser.item(qualifier)
    parser.end()
    return replace(result, text=text)


def parse_ordering(text: str, qualifier: str | None = None) -> Ordering:
    """Read `expression [ASC|DESC] [NULLS FIRST|LAST], …`, with a qualifier as in parse_expression."""
    parser = _Parser(text)
    keys = [parser.sort_key(qualifier)]
    while parser.mark(","):
        keys.append(parser.sort_key(qualifier))
    parser.end()
    return Ordering(tuple(keys))


def without_limits(expression: Expression, unrounded: bool = False) -> Expression:
    """The same with casts that neither cut nor round: `::varchar(5)` as `::varchar`.

    unrounded: casts to whole numbers become casts to numeric as well.
    """

    def unlimited(node: Node) -> Node:
        if not isinstance(node, tree.Cast | tree.TypedConstant) or node.type.user:
            return node
        words = "numeric" if unrounded and node.type.whole else node.type.unlimited
        return replace(node, type=replace(node.type, words=words, length=""))

    return replace(expression, bound=rewrite(expression.bound, unlimited))


def without_clock(expression: Expression) -> Iterator[Expression]:
    """For each constant that may be read as `now` or `today`: the same expression with one there that is no time."""
    for constant in clock_constants(expression.tree):
        at, timeless = constant.at, tree.String(timeless_text(constant.value), constant.at)

        def changed(node: Node, at: int = at, timeless: Node = timeless) -> Node:
            return timeless if isinstance(node, tree.String) and node.at == at else node

        yield replace(expression, bound=rewrite(expression.bound, changed))


def with_values(expression: Expression, values: Mapping[str, str]) -> Expression:
    """The same with constants in the places of its parameters; NULL for one without a value, which a plan refuses."""

    def valued(node: Node) -> Node:
        if not isinstance(node, tree.Parameter):
            return node
        return tree.String(values[node.name], node.at) if node.name in values else tree.Word("NULL")

    if not expression.parameters:
        return expression
    return replace(expression, tree=rewrite(expression.tree, valued), bound=rewrite(expression.bound, valued))


class _Parser(Reader):
    """Whole expressions and sort keys."""

    def expression(self, narrow: bool = False) -> Node:
        with self.deeper():
            return OperatorReader(self, narrow).read()

    def item(self, qualifier: str | None) -> Expression:
        """One expression of a list."""
        if self.token.kind == "end":
            self.fail(
                "an expression is expected, but the text ends" if self.at else "the expression is empty"
            )
        start = self.token.start
        result = self.expression()
        check(self, result, start)
        bound = bind(result)
        if bound is None:
            self.fail_at("BETWEEN, IN, CASE and IS DISTINCT FROM are nested too deep here", start)
        return Expression(self.text[start : self.last.end], result, bound, qualifier)

    def sort_key(self, qualifier: str | None) -> SortKey:
        constant = self.token.kind in ("number", "string") and self.ahead()
        result = self.item(qualifier)
        if constant and constant is self.token:
            self.fail("a constant orders nothing", self.last)
        if self.is_word("using"):
            self.fail("USING is not allowed; write ASC or DESC")
        direction = self.word("asc", "desc")
        words = f" {direction.upper()}" if direction else ""
        if self.word("nulls"):
            words += f" NULLS {self.need_word('first', 'last').upper()}"
        return SortKey(result, words)

    def end(self) -> None:
        if self.is_mark(","):
            self.fail("one expression only: , is not allowed here")
        if self.is_word("asc", "desc", "nulls"):
            self.fail(f"{self.token.value.upper()} belongs to order_by")
        if self.token.kind != "end":
            self.unexpected("nothing more is expected")
