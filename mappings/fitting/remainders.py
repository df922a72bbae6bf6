"""Divisions of whole numbers by whole numbers, whose remainders PostgreSQL drops without a word."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from mappings.catalog.describe import describe
from mappings.catalog.types import INTEGERS
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.expressions.printer import to_sql
from mappings.expressions.tree import Argument, Binary, Call, Case, Node, Number, String, Syntax, When, Word
from mappings.expressions.walking import children, walk
from mappings.sql import Sql

HOME = "pg_catalog"
NULL = Word("NULL")


def dropped(compiler: Compiler, text: str) -> Sql | None:
    """The first division of a row that drops a remainder, as the text `7 / 2`, else NULL; None: nothing does.

    A remainder that the expression itself takes with % is not lost: `v / 100` beside `v % 100` takes a number apart.
    """
    expression = compiler.table.bound(text)
    kept = {to_sql(node.left) for node in _operators(expression.bound, "%")}
    divisions = [
        node
        for node in _operators(expression.bound, "/")
        if to_sql(node.left) not in kept and _is_whole(compiler, node, expression.qualifier)
    ]
    result = _found(expression.bound, divisions) if divisions else None
    return to_sql(result, expression.qualifier) if result else None


def _operators(node: Node, name: str) -> Iterator[Binary]:
    return (result for result in walk(node) if isinstance(result, Binary) and result.name == name)


def _is_whole(compiler: Compiler, division: Binary, qualifier: str | None) -> bool:
    """Whether the quotient is a whole number, which only that of two whole numbers is."""
    try:
        query = projection.select([to_sql(division, qualifier)], compiler.from_sql)
        (kind,) = describe(compiler.databases.source, query)
    except psycopg.Error:
        return False
    return kind.base in INTEGERS


def _found(node: Node, divisions: list[Binary]) -> Node | None:
    """What is computed only where a condition holds is looked at only there: elsewhere it might fail."""
    parts: list[Node] = []
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Case) or _is_coalesce(one):
            parts += [part for part in [_chosen(one, divisions)] if part]
            continue
        if any(one is division for division in divisions):
            assert isinstance(one, Binary)
            parts.append(_remainder(one))
        waiting += reversed(list(children(one)))
    return parts[0] if len(parts) == 1 else _coalesce(parts) if parts else None


def _is_coalesce(node: Node) -> bool:
    return isinstance(node, Syntax) and node.word == "COALESCE"


def _chosen(node: Node, divisions: list[Binary]) -> Node | None:
    """Of a CASE or COALESCE: what is found in the value that the row gets."""
    if isinstance(node, Case) and node.subject is None:
        choices = [(when.condition, when.result) for when in node.whens]
        default = node.default
    elif isinstance(node, Case):
        return None
    else:
        choices = [(_is_known(value), value) for value in children(node)]
        default = None
    result = [_found(value, divisions) for _, value in choices]
    last = _found(default, divisions) if default else None
    if not (last or any(result)):
        return None
    whens = tuple(When(choice[0], part or NULL) for choice, part in zip(choices, result, strict=True))
    return Case(None, whens, last)


def _is_known(value: Node) -> Node:
    return Binary(HOME, ">", _call("num_nonnulls", value), Number("0"))


def _remainder(division: Binary) -> Node:
    """`7 / 2` where it leaves one. By 0 nothing is divided: that is for the expression itself to fail on."""
    left, right = division.left, division.right
    rest = Binary(HOME, "<>", Binary(HOME, "%", left, right), Number("0"))
    by_zero = When(Binary(HOME, "=", right, Number("0")), NULL)
    return Case(None, (by_zero, When(rest, _call("concat", left, String(" / "), right))), None)


def _coalesce(parts: list[Node]) -> Node:
    pieces: list[str | Node] = []
    for part in parts:
        pieces += [", ", part]
    return Syntax(("COALESCE(", *pieces[1:], ")"), word="COALESCE")


def _call(name: str, *arguments: Node) -> Node:
    return Call(HOME, name, tuple(Argument(argument) for argument in arguments))
