"""Binds in an expression what its text alone does not tell: names in the schemas of users and extensions.

- Types and collations without a schema are those that the role's own search_path leads to.
- An operator or function is an extension's where PostgreSQL would take that one, had it only pg_catalog and the
  extensions to choose from. It is named with its schema, and its operands are cast to the very types that it is
  declared with wherever they are of others: one that a user makes later never fits better.
- A text that becomes a date or time is kept from reading the clock.

Asking about types runs nothing: the server describes a query. What cannot be told is a complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import psycopg

from mappings.catalog import extensions
from mappings.catalog.describe import types_of
from mappings.catalog.extensions import UNKNOWN, ExtensionOperator, Extensions, Times, TypeFacts
from mappings.compiling.names.overloads import NO_TYPE, Ambiguous, choose_function, choose_operator, spread
from mappings.expressions import allowlist, tree
from mappings.expressions.checks import CLOCK_TYPES
from mappings.expressions.clock import guarded
from mappings.expressions.extensions import FUNCTIONS
from mappings.expressions.names import RelationName
from mappings.expressions.parser import Expression, with_values
from mappings.expressions.printer import to_sql
from mappings.expressions.tree import Binary, Call, Cast, Node, Prefix, Quantified, String, TypeName, Word
from mappings.expressions.walking import rewrite
from mappings.sql import Sql, compose, joined

HOME = "pg_catalog"
TIMES_OF_DAY = (1083, 1266)
INTERVAL = 1186
"""PostgreSQL: time, timetz; interval."""
FIELDS = "a date or time in the fields of {name} may read the clock; take each field alone and cast it"


@dataclass(frozen=True, slots=True)
class BoundExpression:
    """complaint: why the expression cannot be bound, a sentence; None where it is."""

    expression: Expression
    complaint: str | None


@dataclass
class Names:
    """What names mean in one database, and parameters in its environment."""

    conn: psycopg.Connection[Any]
    parameters: Mapping[str, str] = field(default_factory=dict)
    extensions: Extensions = field(init=False)
    _bound: dict[tuple[Expression, str], BoundExpression] = field(default_factory=dict)
    _types: dict[int, TypeFacts] = field(default_factory=dict)
    _schemas: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _timed: dict[str, Times] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.extensions = extensions.read(self.conn)

    def bind(self, expression: Expression, from_sql: Sql) -> BoundExpression:
        """from_sql: what stands after FROM where the expression is used; its columns decide types."""
        key = (expression, from_sql)
        if key not in self._bound:
            valued = with_values(expression, self.parameters)
            self._bound[key] = _Binding(self, valued, from_sql).bound()
        return self._bound[key]

    def facts(self, oid: int) -> TypeFacts:
        if oid not in self._types:
            self._types[oid] = extensions.type_facts(self.conn, oid)
        return self._types[oid]

    def schema(self, name: str, what: Literal["type", "collation"]) -> str | None:
        if (name, what) not in self._schemas:
            self._schemas[name, what] = extensions.schema_of(self.conn, name, what)
        return self._schemas[name, what]

    def times_in(self, type_name: str) -> Times:
        if type_name not in self._timed:
            self._timed[type_name] = extensions.times_in(self.conn, type_name)
        return self._timed[type_name]

    def as_type(self, node: Node, oid: int, bounds: str = "") -> Node:
        """Cast, even where it seems to be of that type: a domain over it may be hidden there."""
        if oid not in self._names:
            self._names[oid] = extensions.type_sql(self.conn, oid)
        words = self._names[oid]
        return Cast(node, TypeName(words, words.rpartition(".")[2], bounds=bounds, unlimited=words))


class _Binding:
    """The binding of one expression."""

    def __init__(self, names: Names, expression: Expression, from_sql: Sql) -> None:
        self.names, self.expression, self.from_sql = names, expression, from_sql
        self.conn = names.conn
        self._known: dict[str, tuple[int, ...]] = {}

    def bound(self) -> BoundExpression:
        try:
            node = rewrite(self.expression.bound, self._change)
        except Ambiguous as error:
            return BoundExpression(self.expression, str(error))
        return BoundExpression(replace(self.expression, bound=node), None)

    def _change(self, node: Node) -> Node:
        change = _CHANGES.get(type(node))
        return change(self, node) if change else node

    # --- types

    def _types_of(self, nodes: Sequence[Node]) -> list[TypeFacts] | None:
        """Of each node its type; None where the server does not understand them, which is complained of elsewhere."""
        known = [isinstance(node, String) or node == Word("NULL") for node in nodes]
        asked = [node for node, constant in zip(nodes, known, strict=True) if not constant]
        try:
            oids = iter(self._ask(asked)) if asked else iter(())
        except psycopg.Error:
            return None
        return [self.names.facts(UNKNOWN if constant else next(oids)) for constant in known]

    def _ask(self, nodes: Sequence[Node]) -> tuple[int, ...]:
        columns = joined(", ", (compose("({})", to_sql(node, self.expression.qualifier)) for node in nodes))
        if columns not in self._known:
            self._known[columns] = types_of(self.conn, compose("SELECT {} FROM {}", columns, self.from_sql))
        return self._known[columns]

    def _understands(self, node: Node) -> bool:
        try:
            self._ask([node])
        except psycopg.Error:
            return False
        return True

    def _cast(self, node: Cast) -> Node:
        named = replace(node, type=self._type(node.type))
        times = self._times_in(named.type)
        if times == "among others" and (isinstance(node.operand, tree.Row) or self._is_text(node.operand)):
            raise Ambiguous(FIELDS.format(name=node.type.base))
        return replace(named, operand=self._guarded(named.operand)) if times == "alone" else named

    def _guarded(self, node: Node) -> Node:
        """What becomes a date or time, kept from reading the clock where it is a text; constants are seen to alone."""
        if isinstance(node, tree.Array):
            return tree.Array(tuple(self._guarded(item) for item in node.items))
        return guarded(node) if self._is_text(node) else node

    def _type(self, kind: TypeName) -> TypeName:
        """A user's type with its schema; the server says so where there is none."""
        if kind.user is None or kind.user.schema is not None:
            return kind
        schema = self.names.schema(kind.user.name, "type")
        return replace(kind, user=RelationName(schema, kind.user.name)) if schema else kind

    def _times_in(self, kind: TypeName) -> Times:
        if kind.user:
            return self.names.times_in(kind.user.sql)
        return "alone" if kind.base in CLOCK_TYPES else "none"

    def _is_text(self, node: Node) -> bool:
        if isinstance(node, String) or node == Word("NULL"):
            return False  # what it is read as is looked at alone: clauses.clocks
        result = self._types_of([node])
        return result is None or result[0].is_text

    def _collate(self, node: tree.Collate) -> Node:
        if node.collation.schema is not None:
            return node
        schema = self.names.schema(node.collation.name, "collation")
        return replace(node, collation=RelationName(schema, node.collation.name)) if schema else node

    def _at_time_zone(self, node: tree.Syntax) -> Node:
        if node.word == "AT":
            operand, zone = (piece for piece in node.pieces if isinstance(piece, Node))
            self._refuse_current_offset(operand, zone)
        return node

    def _refuse_current_offset(self, operand: Node, zone: Node) -> None:
        """A time of day has no date that tells the offset of a zone: PostgreSQL takes today's."""
        result = self._types_of([operand, zone])
        if result and result[0].oid in TIMES_OF_DAY and result[1].oid != INTERVAL:
            raise Ambiguous(
                "the offset of a zone for a time without a date depends on the clock; use a timestamp, or an interval"
                " as the zone"
            )

    # --- operators

    def _is_candidate(self, node: Prefix | Binary | Quantified) -> bool:
        return node.schema == HOME and node.name in self.names.extensions.operator_names

    def _chosen(
        self, node: Prefix | Binary | Quantified, left: TypeFacts, right: TypeFacts
    ) -> ExtensionOperator | None:
        known = self.names.extensions
        return choose_operator(known, node.name, left, right, lambda: self._understands(node))

    def _prefix(self, node: Prefix) -> Node:
        if not self._is_candidate(node) or not (types := self._types_of([node.operand])):
            return node
        result = self._chosen(node, NO_TYPE, types[0])
        if result is None:
            return node
        return replace(node, schema=result.schema, operand=self.names.as_type(node.operand, result.right))

    def _binary(self, node: Binary) -> Node:
        if not self._is_candidate(node) or not (types := self._types_of([node.left, node.right])):
            return node
        result = self._chosen(node, *types)
        if result is None:
            return node
        left, right = self.names.as_type(node.left, result.left), self.names.as_type(node.right, result.right)
        return replace(node, schema=result.schema, left=left, right=right)

    def _nullif(self, node: tree.NullIf) -> Node:
        """By the extension's own `=`, where that is meant; the value is then of the type that it compares."""
        equal = self._binary(Binary(HOME, "=", node.left, node.right))
        if not isinstance(equal, Binary) or equal.schema == HOME:
            return node
        return tree.Case(None, (tree.When(equal, Word("NULL")),), equal.left)

    def _quantified(self, node: Quantified) -> Node:
        if not self._is_candidate(node) or not (types := self._types_of([node.left, node.right])):
            return node
        element = self.names.facts(types[1].element or UNKNOWN)
        result = self._chosen(node, types[0], element)
        if result is None:
            return node
        if element.oid not in (result.right, UNKNOWN):
            raise Ambiguous(f"cast the array of {node.name} {node.quantifier} to the type that is meant")
        left = self.names.as_type(node.left, result.left)
        return replace(
            node, schema=result.schema, left=left, right=self.names.as_type(node.right, result.right, "[]")
        )

    # --- functions

    def _call(self, node: Call) -> Node:
        if node.name in ("json_populate_record", "jsonb_populate_record"):
            self._refuse_times_in(node)
        values = [argument.value for argument in node.arguments]
        if node.schema == HOME and node.name == "timezone" and len(values) == 2:
            self._refuse_current_offset(values[1], values[0])
        if node.schema == HOME and node.name in allowlist.CLOCK_TYPES and len(values) == 1:
            return replace(node, arguments=(tree.Argument(self._guarded(values[0])),))
        if node.name not in FUNCTIONS or (node.schema == HOME and not node.bare):
            return node
        return self._extension_call(node, values)

    def _refuse_times_in(self, node: Call) -> None:
        result = self._types_of([argument.value for argument in node.arguments[:1]])
        if not result or result[0].oid == UNKNOWN:
            return
        if self.names.times_in(extensions.type_sql(self.conn, result[0].oid)) != "none":
            raise Ambiguous(FIELDS.format(name=node.name))

    def _extension_call(self, node: Call, values: list[Node]) -> Node:
        known, at_home = self.names.extensions, node.name in allowlist.FUNCTIONS
        types = self._types_of(values)
        named = [f for f in known.functions if f.name == node.name and f.extension in FUNCTIONS[node.name]]
        named = [f for f in named if node.schema in (None, HOME, f.schema)]
        if not named and not at_home:
            where = " or ".join(FUNCTIONS[node.name])
            raise Ambiguous(
                f"{node.name} belongs to the extension {where}, which this database does not have there"
            )
        if types is None or any(argument.name or argument.variadic for argument in node.arguments):
            return node
        touched = bool({facts.oid for facts in types} & known.types)
        if at_home and not touched:
            return node
        result = choose_function(known, named, types)
        if result is None:
            if at_home:
                return node
            raise Ambiguous(
                f"which {node.name} is meant cannot be told, or none takes these; cast its arguments"
            )
        wanted = spread(result, len(values))
        pairs = zip(values, wanted, strict=True)
        arguments = tuple(tree.Argument(self.names.as_type(value, oid)) for value, oid in pairs)
        return replace(node, schema=result.schema, arguments=arguments)


_CHANGES: dict[type[Node], Callable[[_Binding, Any], Node]] = {
    Cast: _Binding._cast,
    tree.Collate: _Binding._collate,
    tree.Syntax: _Binding._at_time_zone,
    Prefix: _Binding._prefix,
    Binary: _Binding._binary,
    tree.NullIf: _Binding._nullif,
    Quantified: _Binding._quantified,
    Call: _Binding._call,
}
