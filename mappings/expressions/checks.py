"""What must hold for a tree that was read, beside the names in it: no clock, nothing too deep or too long."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.expressions import allowlist, tree
from mappings.expressions.clock import names_clock
from mappings.expressions.cursor import Cursor
from mappings.expressions.tokens import ExpressionError
from mappings.expressions.tree import Call, Cast, Node, String, TypeName
from mappings.expressions.types import read_type
from mappings.expressions.walking import measure, walk

MAX_FIELDS = 100
MAX_HEIGHT = 165
"""So deep and no deeper, so that printing, which recurses, stays far from Python's limit."""

_RANGES = {"daterange", "tsrange", "tstzrange", "datemultirange", "tsmultirange", "tstzmultirange"}
CLOCK_TYPES = allowlist.CLOCK_TYPES | _RANGES


def clock_constants(node: Node) -> list[String]:
    """The constants that would be another time each time they are read, if they are read as times."""
    return [result for result in walk(node) if isinstance(result, String) and names_clock(result.value)]


def check(cursor: Cursor, node: Node, start: int) -> None:
    """Raise ExpressionError for what is refused. start: where in the text the expression begins."""
    if measure(node)[1] > MAX_HEIGHT:
        cursor.fail_at("the expression is nested too deep", start)
    nodes = list(walk(node))
    if sum(isinstance(result, tree.Field) for result in nodes) > MAX_FIELDS:
        cursor.fail_at(f"an expression can read at most {MAX_FIELDS} fields", start)
    for result in nodes:
        for literal in _read_as_times(result):
            if names_clock(literal.value):
                shown = f"'{literal.value}'"
                cursor.fail_at(f"{shown} depends on the clock: {allowlist.UNCLOCKED}", literal.at)
        if isinstance(result, Call):
            _check_call(cursor, result)
        elif isinstance(result, Cast) and result.type.base == "regclass" and id(result) not in _named(nodes):
            cursor.fail_at("write tableoid::regclass::text, the table's name as text", _at(result.operand))


def _named(nodes: list[Node]) -> set[int]:
    """What is cast to text: of a regclass only that is taken, since a constant beside it would be looked up."""
    texts = ("text", "varchar")
    return {id(node.operand) for node in nodes if isinstance(node, Cast) and node.type.base in texts}


def _at(node: Node) -> int:
    return node.at if isinstance(node, tree.Column) else 0


def _read_as_times(node: Node) -> Iterator[String]:
    if isinstance(node, tree.TypedConstant) and node.type.base in CLOCK_TYPES:
        yield node.value
    elif isinstance(node, Cast) and node.type.base in CLOCK_TYPES:
        yield from _constants(node.operand)
    elif isinstance(node, Call) and node.name in CLOCK_TYPES:
        yield from (constant for argument in node.arguments for constant in _constants(argument.value))


def _constants(node: Node) -> Iterator[String]:
    """What takes on the type of a cast that stands behind it."""
    if isinstance(node, String):
        yield node
    elif isinstance(node, tree.Array):
        for item in node.items:
            yield from _constants(item)


def _check_call(cursor: Cursor, call: Call) -> None:
    """pg_input_is_valid reads a value of any type: of a domain with its CHECK, of regrole by the catalogs."""
    if call.name != "pg_input_is_valid":
        return
    kind = call.arguments[-1].value if call.arguments else None
    named = any(argument.name or argument.variadic for argument in call.arguments)
    if named or not isinstance(kind, String) or built_in_type(kind.value) is None:
        text = "pg_input_is_valid takes a value and a constant that names a built-in type, such as 'integer'"
        cursor.fail_at(f"{text}; others are not on the list", call.at)


def built_in_type(text: str) -> TypeName | None:
    """The type that a text names, if it is one of the built-in types that read no catalog."""
    try:
        cursor = Cursor(text)
        result = read_type(cursor)
    except ExpressionError:
        return None
    known = result.user is None and result.base != "regconfig" and cursor.token.kind == "end"
    return result if known else None
