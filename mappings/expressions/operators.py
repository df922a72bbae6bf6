"""Operators of expressions: what joins operands, and how tightly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mappings.expressions import allowlist, extensions, precedence
from mappings.expressions.cursor import Reader
from mappings.expressions.operands import read_operand
from mappings.expressions.tree import (
    Between,
    Binary,
    Cast,
    Collate,
    Distinct,
    In,
    Junction,
    Like,
    Node,
    Not,
    Number,
    Prefix,
    Quantified,
    Syntax,
    is_pair,
    is_tableoid,
)
from mappings.expressions.types import read_type, read_type_name

_LIKES = {"like": "~~", "ilike": "~~*"}


@dataclass(frozen=True, slots=True)
class _Pending:
    """An operator that waits for all of its right side. written: for people; build: the node, with its right side."""

    level: int
    written: str
    build: Callable[[Node], Node]


class OperatorReader:
    """Reads one expression. Operators wait on an explicit stack, so only brackets, calls and CASE recurse.

    node: what has been read since the operator that waits last.
    """

    def __init__(self, reader: Reader, narrow: bool) -> None:
        self.reader, self.narrow = reader, narrow
        self.pending: list[_Pending] = []
        self.node: Node

    def read(self) -> Node:
        while True:
            self._prefixes()
            self.node = read_operand(self.reader)
            if not self._goes_on():
                break
        self._complete(-1)
        return self.node

    def _prefixes(self) -> None:
        while True:
            token = self.reader.token
            if self.reader.word("not"):
                self._wait(precedence.NOT, "NOT", Not)
            elif token.kind == "operator":
                level = precedence.OPERATOR_LEVELS.get(token.value, precedence.OTHER)
                if token.value == "*":
                    self.reader.fail("* (all columns) is not one value")
                if level not in (precedence.ADD, precedence.OTHER) or token.value == "=>":
                    self.reader.fail(f"a value is expected before {token.value}")
                sign, name = level == precedence.ADD, self._operator_name()
                level = precedence.SIGN if sign else precedence.OTHER
                self._wait(level, name, partial(_signed, name))
            else:
                return
            self.reader.check_depth(len(self.pending))

    def _operator_name(self) -> str:
        name = self.reader.token.value
        if name not in allowlist.OPERATORS and name not in extensions.OPERATORS:
            self.reader.fail(f"{name} is not on the list of operators")
        return self.reader.step().value

    def _wait(self, level: int, written: str, build: Callable[..., Node]) -> None:
        self.pending.append(_Pending(level, written, build))

    def _goes_on(self) -> bool:
        """Read up to the next operand (True) or the end of the expression (False), as each operator does."""
        while True:
            token = self.reader.token
            if token.kind == "operator":
                more: bool | None = self._operator()
            elif self.reader.is_mark("::"):
                more = self._cast()
            elif token.kind == "name" and not self.narrow and token.value in _AFTER:
                more = _AFTER[token.value](self)
            else:
                return False
            if more is None:
                return False
            if more:
                return True

    def _complete(self, level: int) -> None:
        """Complete the pending operators that bind tighter than that."""
        while self.pending and self.pending[-1].level > level:
            self.node = self.pending.pop().build(self.node)

    def _settle(self, level: int) -> Node:
        """Complete what goes before an operator of that level; what then is its left side."""
        self._complete(level)
        if self.pending and self.pending[-1].level == level:
            first = self.pending.pop()
            if level in precedence.NEVER_TWICE:
                self.reader.fail(f"{self.reader.token.value.upper()} after {first.written} needs parentheses")
            self.node = first.build(self.node)
        return self.node

    def _operator(self) -> bool:
        if self.reader.token.value == "=>":
            self.reader.fail("=> names an argument; here it names none")
        level = precedence.OPERATOR_LEVELS.get(self.reader.token.value, precedence.OTHER)
        left, name = self._settle(level), self._operator_name()
        if self._any_array(left, name):
            return False
        self._wait(level, name, lambda right: Binary(None, name, left, right))
        return True

    def _any_array(self, left: Node, operator: str) -> bool:
        quantifier = self.reader.word("any", "all", "some")
        if quantifier is None:
            return False
        self.reader.need_mark("(")
        right = self.reader.expression()
        self.reader.need_mark(")")
        self.node = Quantified(None, operator, left, "ALL" if quantifier == "all" else "ANY", right)
        return True

    def _cast(self) -> bool:
        self._complete(precedence.CAST)
        self.reader.need_mark("::")
        self.node = Cast(self.node, read_type(self.reader, is_tableoid(self.node)))
        return False

    def _junction(self) -> bool:
        name = self.reader.token.value.upper()
        level = precedence.AND if name == "AND" else precedence.OR
        left = self._settle(level)
        self.reader.step()
        operands = left.operands if isinstance(left, Junction) and left.word == name else (left,)
        self._wait(level, name, lambda right: Junction(name, (*operands, right)))
        return True

    def _is(self) -> bool:
        left = self._settle(precedence.IS)
        self.reader.step()
        negated = self.reader.word("not") is not None
        if self.reader.word("distinct"):
            self.reader.need_word("from")
            self._wait(precedence.IS, "IS DISTINCT FROM", lambda right: Distinct(negated, left, right))
            return True
        self.node = Syntax((left, f" IS {'NOT ' if negated else ''}{self._test()}"), bare=True, word="IS")
        return False

    def _test(self) -> str:
        """What stands after IS [NOT]."""
        reader = self.reader
        if reader.word("json"):
            kind = reader.word("value", "array", "object", "scalar")
            return f"JSON {kind.upper()}" if kind else "JSON"
        if form := reader.word("nfc", "nfd", "nfkc", "nfkd"):
            reader.need_word("normalized")
            return f"{form.upper()} NORMALIZED"
        return reader.need_word("null", "true", "false", "unknown", "normalized", "document").upper()

    def _null_test(self) -> bool:
        left = self._settle(precedence.IS)
        test = "NULL" if self.reader.step().value == "isnull" else "NOT NULL"
        self.node = Syntax((left, f" IS {test}"), bare=True, word="IS")
        return False

    def _not(self) -> bool | None:
        following = self.reader.ahead()
        if following.kind != "name" or following.value not in ("between", "in", "like", "ilike", "similar"):
            return None
        if following.value == "similar" and self.reader.ahead(2).value != "to":
            return None
        self._settle(precedence.LIKE)
        self.reader.step()
        result: bool | None = _AFTER[following.value](self, negated=True)
        return result

    def _between(self, negated: bool = False) -> bool:
        left = self._settle(precedence.LIKE)
        self.reader.step()
        symmetric = self.reader.word("symmetric", "asymmetric") == "symmetric"
        low = self.reader.expression(narrow=True)
        self.reader.need_word("and")
        self._wait(precedence.LIKE, "BETWEEN", lambda right: Between(negated, symmetric, left, low, right))
        return True

    def _in(self, negated: bool = False) -> bool:
        left = self._settle(precedence.LIKE)
        self.reader.step()
        self.reader.need_mark("(")
        self.node = In(negated, left, self.reader.expressions(")"))
        return False

    def _like(self, negated: bool = False) -> bool:
        left, word = self._settle(precedence.LIKE), self.reader.step().value
        operator = f"!{_LIKES[word]}" if negated else _LIKES[word]
        if self._any_array(left, operator):
            return False
        self._wait(precedence.LIKE, word.upper(), lambda right: Like(word.upper(), negated, left, right))
        return True

    def _similar(self, negated: bool = False) -> bool | None:
        if self.reader.ahead().value != "to":
            return None
        left = self._settle(precedence.LIKE)
        self.reader.step()
        self.reader.step()
        self._wait(precedence.LIKE, "SIMILAR TO", lambda right: Like("SIMILAR TO", negated, left, right))
        return True

    def _escape(self) -> bool | None:
        self._complete(precedence.ESCAPE)
        if not self.pending or self.pending[-1].written not in ("LIKE", "ILIKE", "SIMILAR TO"):
            return None
        self.reader.step()
        like: Any = self.pending.pop().build(self.node)
        self._wait(precedence.LIKE, "ESCAPE", lambda right: replace(like, escape=right))
        return True

    def _collate(self) -> bool:
        left = self._settle(precedence.COLLATE)
        self.reader.step()
        self.node = Collate(left, read_type_name(self.reader))
        return False

    def _at_time_zone(self) -> bool | None:
        if self.reader.ahead().value != "time":
            return None
        left = self._settle(precedence.AT)
        for word in ("at", "time", "zone"):
            self.reader.need_word(word)
        self._wait(
            precedence.AT, "AT TIME ZONE", lambda zone: Syntax((left, " AT TIME ZONE ", zone), True, "AT")
        )
        return True

    def _overlaps(self) -> bool:
        left = self._settle(precedence.OTHER)
        if not is_pair(left):
            self.reader.fail("OVERLAPS compares two periods, (start, end)")
        self.reader.step()
        right = read_operand(self.reader)
        if not is_pair(right):
            self.reader.fail("OVERLAPS compares two periods, (start, end)", self.reader.last)
        self.node = Syntax((left, " OVERLAPS ", right), bare=True, word="OVERLAPS")
        return False

    def _operator_syntax(self) -> bool:
        self.reader.fail("OPERATOR(…) is not allowed; write the operator itself")


def _signed(name: str, operand: Node) -> Node:
    """A prefix operator; a minus becomes part of the number that it stands before (PostgreSQL: doNegate)."""
    if name == "-" and isinstance(operand, Number):
        text = operand.text
        return Number(text[1:] if text.startswith("-") else f"-{text}")
    return Prefix(None, name, operand)


_AFTER: dict[str, Callable[..., bool | None]] = {
    "and": OperatorReader._junction,
    "at": OperatorReader._at_time_zone,
    "between": OperatorReader._between,
    "collate": OperatorReader._collate,
    "escape": OperatorReader._escape,
    "ilike": OperatorReader._like,
    "in": OperatorReader._in,
    "is": OperatorReader._is,
    "isnull": OperatorReader._null_test,
    "like": OperatorReader._like,
    "not": OperatorReader._not,
    "notnull": OperatorReader._null_test,
    "operator": OperatorReader._operator_syntax,
    "or": OperatorReader._junction,
    "overlaps": OperatorReader._overlaps,
    "similar": OperatorReader._similar,
}
