"""Prints a tree as SQL that can be put between parentheses anywhere, each operand in parentheses where it needs them.

OPERATOR(schema.name) binds like || does, whatever the operator, so precedence is nothing to rely on here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mappings.expressions import tree
from mappings.expressions.constants import quote_identifier, quote_literal
from mappings.expressions.tree import Node
from mappings.sql import Sql, printed

_FORMS = (
    *(tree.Prefix, tree.Binary, tree.Quantified, tree.Not, tree.Junction),
    *(tree.Like, tree.Between, tree.In, tree.Distinct, tree.Collate),
)
_NEVER_TWICE = {"<", ">", "=", "<=", ">=", "<>"}


def to_sql(node: Node, qualifier: str | None = None) -> Sql:
    """With a qualifier, bare column names are printed under that alias."""
    return printed(_Printer(qualifier).print(node))


class _Printer:
    def __init__(self, qualifier: str | None) -> None:
        self.qualifier = qualifier

    def print(self, node: Node) -> str:
        return _PRINTERS[type(node)](self, node)

    def inner(self, node: Node) -> str:
        """As an operand of something else."""
        wants = isinstance(node, _FORMS) or (isinstance(node, tree.Syntax) and node.bare)
        wants = wants or (isinstance(node, tree.Number) and node.text.startswith("-"))
        return f"({self.print(node)})" if wants else self.print(node)

    def listed(self, nodes: tuple[Node, ...]) -> str:
        return ", ".join([self.print(node) for node in nodes])

    def string(self, node: tree.String) -> str:
        return quote_literal(node.value)

    def typed(self, node: tree.TypedConstant) -> str:
        kind = node.type
        if kind.base == "interval" and kind.after:  # the one that has its fields behind the constant
            return f"interval {quote_literal(node.value.value)}{kind.after}"
        return f"{kind.sql} {quote_literal(node.value.value)}"

    def text(self, node: Any) -> str:
        return str(node.text)

    def column(self, node: tree.Column) -> str:
        qualifier = node.qualifier or self.qualifier
        return ".".join(quote_identifier(name) for name in (qualifier, node.name) if name is not None)

    def parameter(self, node: tree.Parameter) -> str:
        """As it was written: what is to run has its value in its place."""
        return f":{node.name}"

    def subscript(self, node: tree.Subscript) -> str:
        operand = self.print(node.operand)
        if not isinstance(node.operand, tree.Column):
            operand = f"({operand})"
        return operand + "".join([self.print(index) for index in node.indexes])

    def index(self, node: tree.Index) -> str:
        low, high = (self.print(part) if part else "" for part in (node.low, node.high))
        return f"[{f'{low} : {high}'.strip() if node.is_slice else low}]"

    def field(self, node: tree.Field) -> str:
        """Printed so that it can only be a field: where x has none, `(x).f` calls the function f.

        A bare name is never a function, and the condition, which is never evaluated, keeps it from being a column of
        the row outside.
        """
        field = quote_identifier(node.name)
        row = f"(SELECT ({self.print(node.operand)}).*) AS field WHERE true OR field.{field} IS NULL"
        return f"(SELECT {field} FROM {row})"

    def row(self, node: tree.Row) -> str:
        return f"ROW({self.listed(node.items)})"

    def array(self, node: tree.Array) -> str:
        return f"ARRAY[{self.listed(node.items)}]"

    def case(self, node: tree.Case) -> str:
        parts = [f" {self.print(node.subject)}"] if node.subject else []
        parts += [f" WHEN {self.print(when.condition)} THEN {self.print(when.result)}" for when in node.whens]
        parts += [f" ELSE {self.print(node.default)}"] if node.default else []
        return f"CASE{''.join(parts)} END"

    def cast(self, node: tree.Cast) -> str:
        return f"{self.inner(node.operand)}::{node.type.sql}"

    def collate(self, node: tree.Collate) -> str:
        return f"{self.inner(node.operand)} COLLATE {node.collation.sql}"

    def call(self, node: tree.Call) -> str:
        name = ".".join(quote_identifier(part) for part in (node.schema, node.name) if part is not None)
        if node.schema == "pg_catalog":
            name = f"pg_catalog.{quote_identifier(node.name)}"
        arguments = []
        for argument in node.arguments:
            named = f"{quote_identifier(argument.name)} => " if argument.name is not None else ""
            spread = "VARIADIC " if argument.variadic else ""
            arguments.append(f"{spread}{named}{self.print(argument.value)}")
        return f"{name}({', '.join(arguments)})"

    def syntax(self, node: tree.Syntax) -> str:
        return "".join([self.inner(piece) if isinstance(piece, Node) else piece for piece in node.pieces])

    # --- operators

    def operator(self, node: tree.Prefix | tree.Binary | tree.Quantified) -> str:
        if node.schema is None:
            return node.name
        schema = "pg_catalog" if node.schema == "pg_catalog" else quote_identifier(node.schema)
        return f"OPERATOR({schema}.{node.name})"

    def prefix(self, node: tree.Prefix) -> str:
        return f"{self.operator(node)} {self.inner(node.operand)}"

    def binary(self, node: tree.Binary) -> str:
        """A chain that leans to the left needs no parentheses, and no recursion."""
        parts: list[str] = []
        left: Node = node
        while True:
            assert isinstance(left, tree.Binary)
            parts.append(f" {self.operator(left)} {self.inner(left.right)}")
            if not _chains(left.left, left):
                break
            left = left.left
        return "".join([self.inner(left.left), *reversed(parts)])

    def quantified(self, node: tree.Quantified) -> str:
        """A field is printed as a subselect, which alone between these parentheses would be one of rows."""
        right = self.print(node.right)
        if isinstance(node.right, tree.Field):
            right = f"COALESCE({right})"
        return f"{self.inner(node.left)} {self.operator(node)} {node.quantifier} ({right})"

    def negation(self, node: tree.Not) -> str:
        return f"NOT {self.inner(node.operand)}"

    def junction(self, node: tree.Junction) -> str:
        parts = []
        for operand in node.operands:
            loose = isinstance(operand, tree.Junction | tree.Between | tree.Not)
            parts.append(self.inner(operand) if loose else self.print(operand))
        return f" {node.word} ".join(parts)

    # --- what binding replaces by operators

    def like(self, node: tree.Like) -> str:
        escape = f" ESCAPE {self.inner(node.escape)}" if node.escape else ""
        left, pattern = self.inner(node.left), self.inner(node.pattern)
        return f"{left} {_not(node.negated)}{node.word} {pattern}{escape}"

    def between(self, node: tree.Between) -> str:
        operand, low, high = (self.inner(part) for part in (node.operand, node.low, node.high))
        symmetric = "SYMMETRIC " if node.symmetric else ""
        return f"{operand} {_not(node.negated)}BETWEEN {symmetric}{low} AND {high}"

    def membership(self, node: tree.In) -> str:
        return f"{self.inner(node.operand)} {_not(node.negated)}IN ({self.listed(node.items)})"

    def distinct(self, node: tree.Distinct) -> str:
        left, right = self.inner(node.left), self.inner(node.right)
        return f"{left} IS {_not(node.negated)}DISTINCT FROM {right}"

    def nullif(self, node: tree.NullIf) -> str:
        return f"NULLIF({self.print(node.left)}, {self.print(node.right)})"


def _not(negated: bool) -> str:
    return "NOT " if negated else ""


def _chains(left: Node, node: tree.Binary) -> bool:
    """Whether `left` goes before the rest without parentheses."""
    if not isinstance(left, tree.Binary) or (left.schema is None) != (node.schema is None):
        return False
    return node.schema is not None or (left.name == node.name and node.name not in _NEVER_TWICE)


_PRINTERS: dict[type[Node], Callable[[_Printer, Any], str]] = {
    tree.Number: _Printer.text,
    tree.String: _Printer.string,
    tree.Bits: _Printer.text,
    tree.Word: _Printer.text,
    tree.TypedConstant: _Printer.typed,
    tree.Parameter: _Printer.parameter,
    tree.Column: _Printer.column,
    tree.Subscript: _Printer.subscript,
    tree.Index: _Printer.index,
    tree.Field: _Printer.field,
    tree.Row: _Printer.row,
    tree.Array: _Printer.array,
    tree.Case: _Printer.case,
    tree.Cast: _Printer.cast,
    tree.Collate: _Printer.collate,
    tree.Call: _Printer.call,
    tree.Syntax: _Printer.syntax,
    tree.Prefix: _Printer.prefix,
    tree.Binary: _Printer.binary,
    tree.Quantified: _Printer.quantified,
    tree.Not: _Printer.negation,
    tree.Junction: _Printer.junction,
    tree.Like: _Printer.like,
    tree.Between: _Printer.between,
    tree.In: _Printer.membership,
    tree.Distinct: _Printer.distinct,
    tree.NullIf: _Printer.nullif,
}
