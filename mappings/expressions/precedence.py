"""Precedence of operators, from the loosest to the tightest. `a = b = c` and its like are errors."""

from __future__ import annotations

OR, AND, NOT, IS, COMPARE, LIKE, ESCAPE = range(7)
OTHER, ADD, MULTIPLY, POWER, AT, COLLATE, SIGN, CAST = range(7, 15)
NEVER_TWICE = (IS, COMPARE, LIKE, ESCAPE)
OPERATOR_LEVELS = (
    dict.fromkeys(("<", ">", "=", "<=", ">=", "<>"), COMPARE)
    | dict.fromkeys("+-", ADD)
    | dict.fromkeys("*/%", MULTIPLY)
    | {"^": POWER}
)
