"""Operators of expressions: what joins operands, and how tightly."""

from __future__ import annotations

from collections.abc import Callable

from mappings.expressions import allowlist
from mappings.expressions.calls import MAX_DEPTH
from mappings.expressions.names import RelationName
from mappings.expressions.operands import OperandParser

# Precedence, from the loosest to the tightest. `a = b = c` and its like are errors.
_OR, _AND, _NOT, _IS, _COMPARE, _LIKE, _ESCAPE = range(7)
_OTHER, _ADD, _MULTIPLY, _POWER, _AT, _COLLATE, _SIGN = range(7, 14)
_NEVER_TWICE = (_IS, _COMPARE, _LIKE, _ESCAPE)
_OPERATOR_LEVELS = (
    dict.fromkeys(("<", ">", "=", "<=", ">=", "<>"), _COMPARE)
    | dict.fromkeys("+-", _ADD)
    | dict.fromkeys("*/%", _MULTIPLY)
    | {"^": _POWER}
)
_Pending = list[tuple[int, str]]  # operators that still wait for all of their right side: level, as written


class OperatorParser(OperandParser):
    """Operators are kept on an explicit stack, so only brackets, calls and CASE recurse."""

    def expression(self, narrow: bool = False) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"the expression is nested deeper than {MAX_DEPTH}")
        pending: _Pending = []
        while True:
            self._prefixes(pending)
            self._operand()
            if not self._goes_on(pending, narrow):
                break
        self.depth -= 1

    # --- before an operand

    def _prefixes(self, pending: _Pending) -> None:
        while True:
            token = self.token
            if self.word("not"):
                pending.append((_NOT, "NOT"))
            elif token.kind == "operator":
                level = _OPERATOR_LEVELS.get(token.value, _OTHER)
                if token.value == "*":
                    self.fail("* (all columns) is not one value")
                if level not in (_ADD, _OTHER) or token.value == "=>":
                    self.fail(f"a value is expected before {token.value}")
                self._write_operator()
                pending.append((_SIGN if level == _ADD else _OTHER, token.value))
            else:
                return
            if len(pending) > MAX_DEPTH:
                self.fail(f"the expression is nested deeper than {MAX_DEPTH}")

    def _write_operator(self) -> None:
        if self.token.value not in allowlist.OPERATORS:
            self.fail(f"{self.token.value} is not on the list of operators")
        self.emit(self.step().value)

    # --- after an operand: each gives whether another operand must follow

    def _goes_on(self, pending: _Pending, narrow: bool) -> bool:
        """Read up to the next operand (True) or to the end of the expression (False)."""
        while True:
            if self.token.kind == "operator":
                more: bool | None = self._operator(pending)
            elif self.is_mark("::"):
                inner = len(self.out)
                more = self._cast()
                if self.depth == 1 and not pending:
                    self.last_cast = (inner, len(self.out))
            elif self.token.kind == "name" and not narrow and self.token.value in _AFTER:
                more = _AFTER[self.token.value](self, pending)
            else:
                return False
            if more is None:
                return False
            if more:
                return True

    def _settle(self, pending: _Pending, level: int) -> None:
        """Complete the pending operators that bind tighter than the next one."""
        while pending and pending[-1][0] > level:
            pending.pop()
        if pending and pending[-1][0] == level:
            _, first = pending.pop()
            if level in _NEVER_TWICE:
                self.fail(f"{self.token.value.upper()} after {first} needs parentheses")

    def _operator(self, pending: _Pending) -> bool:
        token = self.token
        if token.value == "=>":
            self.fail("=> names an argument; here it names none")
        level = _OPERATOR_LEVELS.get(token.value, _OTHER)
        self._settle(pending, level)
        self._write_operator()
        if self._any_array():
            return False
        pending.append((level, token.value))
        return True

    def _any_array(self) -> bool:
        if not self.is_word("any", "all", "some"):
            return False
        self.word("any", "all", "some")
        self._parenthesised()
        return True

    def _parenthesised(self) -> None:
        self.need_mark("(", tight=False)
        self.expression()
        self.need_mark(")")

    def _cast(self) -> bool:
        literal = self._last() if self._last().kind == "string" else None
        self.mark("::")
        self._check_clock(self.type_name(), literal)
        return False

    def _junction(self, pending: _Pending) -> bool:
        name = self.token.value
        self._settle(pending, _AND if name == "and" else _OR)
        self.word(name)
        pending.append((_AND if name == "and" else _OR, name.upper()))
        return True

    def _is(self, pending: _Pending) -> bool:
        self._settle(pending, _IS)
        self.word("is")
        self.word("not")
        if self.word("distinct"):
            self.need_word("from")
            pending.append((_IS, "IS DISTINCT FROM"))
            return True
        if self.word("json"):
            self.word("value", "array", "object", "scalar")
        elif self.word("nfc", "nfd", "nfkc", "nfkd"):
            self.need_word("normalized")
        else:
            self.need_word("null", "true", "false", "unknown", "normalized", "document")
        return False

    def _null_test(self, pending: _Pending) -> bool:
        self._settle(pending, _IS)
        self.word("isnull", "notnull")
        return False

    def _not(self, pending: _Pending) -> bool | None:
        following = self.ahead()
        if following.kind != "name" or following.value not in ("between", "in", "like", "ilike", "similar"):
            return None
        self._settle(pending, _LIKE)
        self.word("not")
        return _AFTER[following.value](self, pending)

    def _between(self, pending: _Pending) -> bool:
        self._settle(pending, _LIKE)
        self.word("between")
        self.word("symmetric", "asymmetric")
        self.expression(narrow=True)
        self.need_word("and")
        pending.append((_LIKE, "BETWEEN"))
        return True

    def _in(self, pending: _Pending) -> bool:
        self._settle(pending, _LIKE)
        self.word("in")
        self.need_mark("(", tight=False)
        self._list(")")
        return False

    def _like(self, pending: _Pending) -> bool:
        self._settle(pending, _LIKE)
        name = self.token.value
        self.word("like", "ilike")
        if self._any_array():
            return False
        pending.append((_LIKE, name.upper()))
        return True

    def _similar(self, pending: _Pending) -> bool | None:
        if self.ahead().value != "to":
            return None
        self._settle(pending, _LIKE)
        self.word("similar")
        self.word("to")
        pending.append((_LIKE, "SIMILAR TO"))
        return True

    def _escape(self, pending: _Pending) -> bool | None:
        while pending and pending[-1][0] > _ESCAPE:
            pending.pop()
        if not pending or pending[-1][1] not in ("LIKE", "ILIKE", "SIMILAR TO"):
            return None
        self.word("escape")
        pending[-1] = (_LIKE, "ESCAPE")
        return True

    def _collate(self, pending: _Pending) -> bool:
        self._settle(pending, _COLLATE)
        self.word("collate")
        schema, name = self._type_parts()
        self.emit(RelationName(schema, name).sql)
        return False

    def _at_time_zone(self, pending: _Pending) -> bool | None:
        if self.ahead().value != "time":
            return None
        self._settle(pending, _AT)
        for word in ("at", "time", "zone"):
            self.need_word(word)
        pending.append((_AT, "AT TIME ZONE"))
        return True

    def _overlaps(self, pending: _Pending) -> bool:
        self._settle(pending, _OTHER)
        if self.pair_end != self.at:
            self.fail("OVERLAPS compares two periods, (start, end)")
        self.word("overlaps")
        self._operand()
        if self.pair_end != self.at:
            self.fail("OVERLAPS compares two periods, (start, end)", self._last())
        return False

    def _operator_syntax(self, pending: _Pending) -> bool:
        self.fail("OPERATOR(…) is not allowed; write the operator itself")


_AFTER: dict[str, Callable[[OperatorParser, _Pending], bool | None]] = {
    "and": OperatorParser._junction,
    "at": OperatorParser._at_time_zone,
    "between": OperatorParser._between,
    "collate": OperatorParser._collate,
    "escape": OperatorParser._escape,
    "ilike": OperatorParser._like,
    "in": OperatorParser._in,
    "is": OperatorParser._is,
    "isnull": OperatorParser._null_test,
    "like": OperatorParser._like,
    "not": OperatorParser._not,
    "notnull": OperatorParser._null_test,
    "operator": OperatorParser._operator_syntax,
    "or": OperatorParser._junction,
    "overlaps": OperatorParser._overlaps,
    "similar": OperatorParser._similar,
}
