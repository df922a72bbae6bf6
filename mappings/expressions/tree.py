"""The syntax tree of an expression: what PostgreSQL understands by it, one class for each kind of node.

The parser makes it, checks walk it, binding rewrites it, the printer writes it. Parentheses are not in it: the
printer sets them. `at` is the offset in the text of what an error about the node names.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.expressions.names import ColumnName, RelationName
from mappings.sql import Sql, printed


@dataclass(frozen=True, slots=True)
class Node:
    """Any part of an expression that has a value."""


# --- constants


@dataclass(frozen=True, slots=True)
class Number(Node):
    """In decimal; a minus sign is part of it, as PostgreSQL's grammar has it."""

    text: str


@dataclass(frozen=True, slots=True)
class String(Node):
    """A constant of a type that its place decides. value: decoded; at: -1 where it is not in the text."""

    value: str
    at: int = -1


@dataclass(frozen=True, slots=True)
class Bits(Node):
    text: str


@dataclass(frozen=True, slots=True)
class Word(Node):
    """NULL, TRUE, FALSE."""

    text: str


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type as a cast names it, printed as words, length, after and bounds.

    words: '' for a type that is not built in, which is `user`; base: the name that tells what its constants may hold;
    length: `(10, 2)` or ''; after: what follows it (` without time zone`); cuts: it is limited in length or
    precision; unlimited: the words of the same type without its limits; whole: it holds whole numbers only.
    """

    words: str
    base: str
    length: str = ""
    after: str = ""
    bounds: str = ""
    user: RelationName | None = None
    cuts: bool = False
    unlimited: str = ""
    whole: bool = False
    as_written: str = ""

    @property
    def sql(self) -> Sql:
        name = self.user.sql if self.user else self.words
        return printed(f"{name}{self.length}{self.after}{self.bounds}")


TEXT = TypeName("pg_catalog.text", "text")


@dataclass(frozen=True, slots=True)
class TypedConstant(Node):
    """`date '2020-01-01'`, `interval '1' day`."""

    type: TypeName
    value: String


@dataclass(frozen=True, slots=True)
class Column(Node):
    qualifier: str | None
    name: str
    at: int = 0

    @property
    def reference(self) -> ColumnName:
        return ColumnName(self.qualifier, self.name, self.at + 1)


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """`:name`, whose value stands with the environment (parser.with_values)."""

    name: str
    at: int = 0


# --- what is made of other nodes


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`[low]`, or with is_slice `[low : high]`, of which either may be left out."""

    low: Node | None
    high: Node | None = None
    is_slice: bool = False


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    """`x[1][2]`, which is one access to an array of two dimensions: `(x[1:2])[1:2]` is two nodes."""

    operand: Node
    indexes: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`(x).name`."""

    operand: Node
    name: str


@dataclass(frozen=True, slots=True)
class Row(Node):
    """`ROW(a, b)`, or with two or more `(a, b)`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Array(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class When(Node):
    condition: Node
    result: Node


@dataclass(frozen=True, slots=True)
class Case(Node):
    subject: Node | None
    whens: tuple[When, ...]
    default: Node | None


@dataclass(frozen=True, slots=True)
class Cast(Node):
    operand: Node
    type: TypeName


@dataclass(frozen=True, slots=True)
class Collate(Node):
    operand: Node
    collation: RelationName


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """name: of a named argument; variadic: the last one, an array of all that follow."""

    value: Node
    name: str | None = None
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function by its name. schema: pg_catalog, or that of the extension it belongs to; None: not looked up yet.

    bare: written without a schema, so that an extension's function of that name may be meant as well.
    """

    schema: str | None
    name: str
    arguments: tuple[Argument, ...]
    at: int = 0
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Syntax(Node):
    """What SQL writes between key words of its own, all of it bound by the grammar: pieces as printed, and operands.

    bare: an operator in form (`a IS NULL`), which wants parentheses inside others.
    """

    pieces: tuple[str | Node, ...]
    bare: bool = False
    word: str = ""
    at: int = 0


# --- operators


@dataclass(frozen=True, slots=True)
class Prefix(Node):
    """schema: where the operator is looked up; None: by the path."""

    schema: str | None
    name: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    schema: str | None
    name: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Quantified(Node):
    """`left = ANY (right)`. quantifier: ANY or ALL."""

    schema: str | None
    name: str
    left: Node
    quantifier: str
    right: Node


@dataclass(frozen=True, slots=True)
class Not(Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class Junction(Node):
    """word: AND or OR; two or more operands."""

    word: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Like(Node):
    """word: LIKE, ILIKE, SIMILAR TO."""

    word: str
    negated: bool
    left: Node
    pattern: Node
    escape: Node | None = None


@dataclass(frozen=True, slots=True)
class Between(Node):
    negated: bool
    symmetric: bool
    operand: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class In(Node):
    negated: bool
    operand: Node
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Distinct(Node):
    """`left IS [NOT] DISTINCT FROM right`."""

    negated: bool
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class NullIf(Node):
    left: Node
    right: Node


def is_pair(node: Node) -> bool:
    """Whether it is a row of two, such as a period."""
    return isinstance(node, Row) and len(node.items) == 2


def is_tableoid(node: Node) -> bool:
    """Whether it is the system column that says which table a row is in."""
    return isinstance(node, Column) and node.name == "tableoid"
