"""Binds a tree: every function, type and operator to pg_catalog, so that no path and nobody's operator decides.

What SQL writes in words and looks up by the path (LIKE, BETWEEN, IN, IS DISTINCT FROM, CASE x WHEN) becomes the
operators that PostgreSQL makes of it (parse_expr.c), which can be named with their schema. NULLIF is left as it is: its
type is the one that its `=` gives to the first value, which nothing else expresses where the types are not known (for
those of extensions see compiling.bind_names); and so is CASE over a row. Those two, text search configurations and
collations without a schema rely on the session's fixed path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mappings.expressions import tree
from mappings.expressions.checks import MAX_HEIGHT, built_in_type
from mappings.expressions.tree import Argument, Binary, Call, Junction, Node, Not, Number, Word
from mappings.expressions.walking import measure, rewrite, walk

HOME = "pg_catalog"
MAX_NODES = 20_000

_GROWING = (tree.Between, tree.In, tree.Distinct, tree.Case, tree.Like)
"""What is printed longer or deeper than it was."""
FEW = 12
"""Texts that a list may hold to be compared one by one, which people read more easily."""
_LIKES = {"LIKE": "~~", "ILIKE": "~~*", "SIMILAR TO": "~"}
_ESCAPES = {"LIKE": "like_escape", "ILIKE": "like_escape", "SIMILAR TO": "similar_to_escape"}


def bind(node: Node) -> Node | None:
    """The same expression in operators of pg_catalog; None where that would be too long."""
    bound = rewrite(
        node, lambda result: _BINDERS[type(result)](result) if type(result) in _BINDERS else result
    )
    if not any(isinstance(result, _GROWING) for result in walk(node)):
        return bound
    size, height = measure(bound)
    return bound if size <= MAX_NODES and height <= MAX_HEIGHT else None


def _call(name: str, *arguments: Node) -> Call:
    return Call(HOME, name, tuple(Argument(value) for value in arguments))


def _operator(name: str, left: Node, right: Node) -> Binary:
    return Binary(HOME, name, left, right)


def _named(node: tree.Prefix | tree.Binary | tree.Quantified) -> Node:
    return replace(node, schema=HOME) if node.schema is None else node


def _like(node: tree.Like) -> Node:
    pattern, name = node.pattern, _LIKES[node.word]
    if node.escape:
        pattern = _call(_ESCAPES[node.word], pattern, node.escape)
    elif node.word == "SIMILAR TO":
        pattern = _call("similar_to_escape", pattern)
    return _operator(f"!{name}" if node.negated else name, node.left, pattern)


def _between(node: tree.Between) -> Node:
    """The operand is computed twice, as PostgreSQL itself does it."""
    result = _within(node, node.low, node.high)
    if not node.symmetric:
        return result
    return Junction("AND" if node.negated else "OR", (result, _within(node, node.high, node.low)))


def _within(node: tree.Between, low: Node, high: Node) -> Node:
    below, above = ("<", ">") if node.negated else (">=", "<=")
    sides = _operator(below, node.operand, low), _operator(above, node.operand, high)
    return Junction("OR" if node.negated else "AND", sides)


def _in(node: tree.In) -> Node:
    """PostgreSQL's own way (transformAExprIn): what names no column becomes one array, the rest is compared alone."""
    name, word = ("<>", "AND") if node.negated else ("=", "OR")
    if len(node.items) > 1 and all(isinstance(n, Number) and n.text.isdecimal() for n in node.items):
        quantifier = "ALL" if node.negated else "ANY"
        return tree.Quantified(HOME, name, node.operand, quantifier, tree.Array(node.items))
    if isinstance(node.operand, tree.Column) and 1 < len(node.items) <= FEW and _are_plain(node.items):
        return Junction(word, tuple(_operator(name, node.operand, item) for item in node.items))
    constants = [item for item in node.items if not any(isinstance(n, tree.Column) for n in walk(item))]
    rows = any(isinstance(item, tree.Row) for item in (node.operand, *node.items))
    compared: list[Node] = []
    if len(constants) > 1 and not rows:
        array = _common_array(node.operand, tuple(constants))
        quantifier = "ALL" if node.negated else "ANY"
        compared.append(tree.Quantified(HOME, name, node.operand, quantifier, array))
    else:
        constants = []
    taken = {id(item) for item in constants}
    left = [item for item in node.items if id(item) not in taken]
    compared += [_operator(name, node.operand, item) for item in left]
    return compared[0] if len(compared) == 1 else Junction(word, tuple(compared))


def _are_plain(items: tuple[Node, ...]) -> bool:
    """Texts alone: compared one by one, each takes the operand's type as it would among the others."""
    return all(isinstance(item, tree.String) for item in items)


def _common_array(operand: Node, items: tuple[Node, ...]) -> Node:
    """The items as an array of the type that they have in common with the operand.

    The operand takes part in finding that type and is cut off again; it is never computed, and the whole is a
    constant to the planner.
    """
    typed = operand
    if not isinstance(operand, tree.String | Word):
        typed = tree.Case(None, (tree.When(Word("FALSE"), operand),), None)
    return tree.Subscript(tree.Array((typed, *items)), (tree.Index(Number("2"), is_slice=True),))


def _distinct(node: tree.Distinct) -> Node:
    """Equal, or both NULL. num_nulls, since a row of NULLs IS NULL without being NULL."""
    sides = node.left, node.right
    if isinstance(node.left, tree.Row) and isinstance(node.right, tree.Row) and node.left.items:
        pairs = zip(node.left.items, node.right.items, strict=False)
        if len(node.left.items) == len(node.right.items):
            parts = tuple(_distinct(tree.Distinct(False, left, right)) for left, right in pairs)
            different = parts[0] if len(parts) == 1 else Junction("OR", parts)
            return Not(different) if node.negated else different
    values = [side for side in sides if side != Word("NULL")]
    nulls = _call("num_nulls", *(values or sides))
    if len(values) < 2:
        same: Node = _operator("=", nulls, Number(str(max(len(values), 2 if not values else 1))))
    else:
        same = tree.Syntax(
            ("COALESCE(", _operator("=", *sides), ", ", _operator("=", nulls, Number("2")), ")"),
            word="COALESCE",
        )
    return same if node.negated else Not(same)


def _input_type(node: Call) -> Node:
    """The type that pg_input_is_valid takes as a text, bound as well."""
    if node.name != "pg_input_is_valid" or not isinstance(kind := node.arguments[-1].value, tree.String):
        return node
    result = built_in_type(kind.value)
    named = Argument(replace(kind, value=result.sql)) if result else node.arguments[-1]
    return replace(node, arguments=(*node.arguments[:-1], named))


def _case(node: tree.Case) -> Node:
    subject = node.subject
    rows = [subject, *(when.condition for when in node.whens)]
    if subject is None or any(isinstance(part, tree.Row) for part in rows):
        return node
    if isinstance(subject, tree.String) or subject == Word("NULL"):
        subject = tree.Cast(
            subject, tree.TEXT
        )  # PostgreSQL takes it as text, too, whatever it is compared with
    whens = tuple(replace(when, condition=_operator("=", subject, when.condition)) for when in node.whens)
    return tree.Case(None, whens, node.default)


_BINDERS: dict[type[Node], Callable[[Any], Node]] = {
    tree.Prefix: _named,
    tree.Binary: _named,
    tree.Quantified: _named,
    tree.Like: _like,
    tree.Between: _between,
    tree.In: _in,
    tree.Distinct: _distinct,
    tree.Case: _case,
    tree.Call: _input_type,
}
