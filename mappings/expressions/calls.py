"""Calls in expressions: allowed functions, and what SQL writes like a call or between key words of its own."""

from __future__ import annotations

from collections.abc import Callable

from mappings.conversions.kit import KIT
from mappings.expressions import allowlist, extensions
from mappings.expressions.constants import quote_literal
from mappings.expressions.cursor import Reader
from mappings.expressions.tokens import Token
from mappings.expressions.tree import (
    Argument,
    Array,
    Call,
    Case,
    Cast,
    Node,
    NullIf,
    Row,
    Syntax,
    When,
    is_tableoid,
)
from mappings.expressions.types import read_type
from mappings.expressions.walking import measure, substituted

MAX_CONVERTED = 20_000
"""Nodes, as many as an expression may have when it is printed."""


def read_call(reader: Reader, names: list[str], token: Token) -> Node:
    """A call of a function whose name has been read. names: [schema,] name; token: where it begins."""
    schema, name = (names[0] if len(names) == 2 else None), names[-1]
    if schema is None and name in KIT:
        return _converted(reader, name, token)
    extension = name in extensions.FUNCTIONS and schema != "pg_catalog"
    if schema not in (None, "pg_catalog") and not extension:
        reader.fail("a function can only be written bare or as pg_catalog.name", token)
    if name not in allowlist.FUNCTIONS and not extension:
        reader.fail(allowlist.why_function_refused(name), token)
    reader.need_mark("(")
    arguments = _arguments(reader, name, token)
    if reader.is_word("over", "filter", "within", "ignore", "respect"):
        word = reader.token.value.upper()
        reader.fail(f"{word} belongs to aggregates and window functions; not allowed")
    home = schema if schema or name not in allowlist.FUNCTIONS else "pg_catalog"
    return Call(home, name, arguments, token.start, bare=schema is None)


def _converted(reader: Reader, name: str, token: Token) -> Node:
    """A call of the conversion kit: what it stands for, with the arguments in the places of the parameters."""
    macro = KIT[name]
    reader.need_mark("(")
    arguments = _arguments(reader, name, token)
    if len(arguments) != len(macro.parameters) or any(node.name or node.variadic for node in arguments):
        reader.fail(f"{name} is called as {macro.signature}", token)
    values = {one: node.value for one, node in zip(macro.parameters, arguments, strict=True)}
    node = substituted(type(reader)(macro.sql).expression(), values)
    if measure(node)[0] > MAX_CONVERTED:
        reader.fail(f"{name} gets too long here: it holds its arguments several times", token)
    return node


def _arguments(reader: Reader, name: str, token: Token) -> tuple[Argument, ...]:
    arguments: list[Argument] = []
    while not (not arguments and reader.is_mark(")")):
        variadic = reader.word("variadic") is not None
        arguments.append(Argument(name=_argument_name(reader), variadic=variadic, value=reader.expression()))
        if reader.is_word("order"):
            reader.fail("ORDER BY inside a call belongs to aggregates, which are not allowed")
        if variadic or not reader.mark(","):
            break
    reader.need_mark(")")
    wanted, why = allowlist.ARGUMENTS.get(name, (None, ""))
    if wanted is not None and len(arguments) != wanted:
        reader.fail(why, token)
    return tuple(arguments)


def _argument_name(reader: Reader) -> str | None:
    """`days =>`, or := as it was written once; whether the function has it, the server says."""
    if reader.token.kind in ("name", "quoted") and reader.ahead().value in ("=>", ":="):
        name = reader.step().value
        reader.step()
        return name
    return None


def _open(reader: Reader) -> str:
    """Read `name(` where SQL has its own syntax for it; the name in capitals."""
    word = reader.step().value
    reader.need_mark("(")
    return word.upper()


def _joined(word: str, items: tuple[Node, ...], at: int = 0) -> Syntax:
    """`WORD(a, b)`."""
    pieces: list[str | Node] = [f"{word}("]
    for number, item in enumerate(items):
        pieces += [", ", item] if number else [item]
    return Syntax((*pieces, ")"), word=word, at=at)


def _list_call(reader: Reader) -> Node:
    at = reader.token.start
    return _joined(_open(reader), reader.expressions(")"), at)


def _nullif(reader: Reader) -> Node:
    token = reader.token
    _open(reader)
    items = reader.expressions(")")
    if len(items) != 2:
        reader.fail("nullif takes two arguments", token)
    return NullIf(*items)


def _row(reader: Reader) -> Node:
    _open(reader)
    return Row(()) if reader.mark(")") else Row(reader.expressions(")"))


def _cast(reader: Reader) -> Node:
    _open(reader)
    operand = reader.expression()
    reader.need_word("as")
    cast = Cast(operand, read_type(reader, is_tableoid(operand)))
    reader.need_mark(")")
    return cast


def _extract(reader: Reader) -> Node:
    _open(reader)
    keywords = allowlist.RESERVED | allowlist.NOT_COLUMNS | allowlist.NOT_FUNCTIONS
    if reader.token.kind not in ("name", "quoted", "string") or reader.is_word(*keywords):
        reader.unexpected("a field like year is expected")
    field = quote_literal(reader.step().value)
    reader.need_word("from")
    operand = reader.expression()
    reader.need_mark(")")
    return Syntax((f"EXTRACT({field} FROM ", operand, ")"), word="EXTRACT")


def _plain(reader: Reader, token: Token, first: Node) -> Node:
    """The rest of an ordinary call whose first argument has been read already."""
    rest: tuple[Node, ...] = ()
    if reader.mark(","):
        rest = reader.expressions(")")
    else:
        reader.need_mark(")")
    arguments = tuple(Argument(node) for node in (first, *rest))
    return Call("pg_catalog", token.value, arguments, token.start)


def _substring(reader: Reader) -> Node:
    """substring(x FROM a FOR b), substring(x SIMILAR p ESCAPE e), substring(x, a, b)."""
    token = reader.token
    pieces: list[str | Node] = [f"{_open(reader)}(", reader.expression()]
    if reader.word("similar"):
        pieces += [" SIMILAR ", reader.expression()]
        reader.need_word("escape")
        pieces += [" ESCAPE ", reader.expression()]
    elif reader.is_word("from", "for"):
        for other in ("for", "from") if reader.is_word("from") else ("from", "for"):
            pieces += [f" {reader.need_word('from', 'for').upper()} ", reader.expression()]
            if not reader.is_word(other):
                break
    else:
        return _plain(reader, token, _operand(pieces))
    reader.need_mark(")")
    return Syntax((*pieces, ")"), word="SUBSTRING")


def _operand(pieces: list[str | Node]) -> Node:
    """The first operand of what has been read."""
    return next(piece for piece in pieces if isinstance(piece, Node))


def _overlay(reader: Reader) -> Node:
    token = reader.token
    pieces: list[str | Node] = [f"{_open(reader)}(", reader.expression()]
    if not reader.word("placing"):
        return _plain(reader, token, _operand(pieces))
    pieces += [" PLACING ", reader.expression()]
    reader.need_word("from")
    pieces += [" FROM ", reader.expression()]
    if reader.word("for"):
        pieces += [" FOR ", reader.expression()]
    reader.need_mark(")")
    return Syntax((*pieces, ")"), word="OVERLAY")


def _position(reader: Reader) -> Node:
    _open(reader)
    part = reader.expression(narrow=True)
    reader.need_word("in")
    whole = reader.expression(narrow=True)
    reader.need_mark(")")
    return Syntax(("POSITION(", part, " IN ", whole, ")"), word="POSITION")


def _trim(reader: Reader) -> Node:
    _open(reader)
    side = reader.word("both", "leading", "trailing") or "both"
    start = f"TRIM({side.upper()} "
    if reader.word("from"):
        return _trimmed(start, None, reader.expressions(")"))
    first = reader.expression()
    if reader.word("from"):
        return _trimmed(start, first, reader.expressions(")"))
    rest: tuple[Node, ...] = ()
    if reader.mark(","):
        rest = reader.expressions(")")
    else:
        reader.need_mark(")")
    return _trimmed(start, None, (first, *rest))


def _trimmed(start: str, what: Node | None, items: tuple[Node, ...]) -> Node:
    """`TRIM(BOTH what FROM items)`."""
    pieces: list[str | Node] = [start, what, " FROM "] if what else [start, "FROM "]
    for number, item in enumerate(items):
        pieces += [", ", item] if number else [item]
    return Syntax((*pieces, ")"), word="TRIM")


def _normalize(reader: Reader) -> Node:
    _open(reader)
    operand, form = reader.expression(), ""
    if reader.mark(","):
        form = f", {reader.need_word('nfc', 'nfd', 'nfkc', 'nfkd').upper()}"
    reader.need_mark(")")
    return Syntax(("NORMALIZE(", operand, f"{form})"), word="NORMALIZE")


def _array(reader: Reader) -> Node:
    reader.step()
    if reader.is_mark("("):
        reader.fail("a subselect is not allowed; ARRAY[…] takes values")
    if not reader.is_mark("["):
        reader.unexpected("[ is expected after ARRAY")
    return _array_level(reader)


def _array_level(reader: Reader) -> Node:
    items: list[Node] = []
    with reader.deeper():
        reader.need_mark("[")
        inner = reader.is_mark("[")
        while not reader.is_mark("]"):
            if inner and not reader.is_mark("["):
                reader.unexpected("[ is expected: an array's rows are all lists")
            items.append(_array_level(reader) if inner else reader.expression())
            if not reader.mark(","):
                break
            if reader.is_mark("]"):
                reader.unexpected("a value is expected")
        reader.need_mark("]")
    return Array(tuple(items))


def _case(reader: Reader) -> Node:
    reader.step()
    subject = None if reader.is_word("when") else reader.expression()
    reader.need_word("when")
    whens = [_when(reader)]
    while reader.word("when"):
        whens.append(_when(reader))
    default = reader.expression() if reader.word("else") else None
    reader.need_word("end")
    return Case(subject, tuple(whens), default)


def _when(reader: Reader) -> When:
    condition = reader.expression()
    reader.need_word("then")
    return When(condition, reader.expression())


OPENERS: dict[str, Callable[[Reader], Node]] = {
    "array": _array,
    "case": _case,
    "cast": _cast,
    "coalesce": _list_call,
    "extract": _extract,
    "greatest": _list_call,
    "least": _list_call,
    "normalize": _normalize,
    "nullif": _nullif,
    "overlay": _overlay,
    "position": _position,
    "row": _row,
    "substring": _substring,
    "trim": _trim,
}
