"""What plans and registers of older versions do not say in fields, read from the SQL that those versions wrote.

Their forms are fixed: nothing writes them any more. Without it a run that was frozen before an upgrade could not be
taken back after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

NAME = r"""(?:"(?:[^"]|"")*"|[^\s".()]+)"""
BASE = re.compile(rf"(?P<source>{NAME}(?:\.{NAME})?) AS (?P<alias>{NAME})", re.DOTALL)
"""A source table and its alias, as TablePlan.base_sql has them."""

OF_VIEWS = ("DROP VIEW ", "CREATE VIEW ", "ALTER VIEW ", "GRANT ", "REVOKE ", "COMMENT ON ")
"""How statements began that a widening did to views over the column, and no others of it."""


def completed(plan: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a frozen plan with what its version did not write yet."""
    return {
        **plan,
        "tables": [_table(table) for table in plan["tables"]],
        "steps": [_step(step) for step in plan["steps"]],
    }


def _table(table: dict[str, Any]) -> dict[str, Any]:
    """What the target's owner made fires, unless a plan says that there is nothing."""
    match = BASE.fullmatch(table["base_sql"]) if "alias" not in table else None
    named = {"source_sql": match["source"], "alias": match["alias"]} if match else {}
    return {"fires": True, **named, **table}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    if step["kind"] != "widen" or "views_first" in step:
        return step
    first, last = counts_of_views(step["sql"])
    return {**step, "views_first": first, "views_last": last}


def counts_of_views(statements: Sequence[str]) -> tuple[int, int]:
    """How many of the first and of the last statements of a widening take views away and make them again."""
    first = _leading(statements)
    return first, _leading(list(reversed(statements[first:])))


def _leading(statements: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda statement: statement.startswith(OF_VIEWS), statements))


def type_in(statements: Sequence[str], column: str) -> str:
    """The type that a widening, or a swap, gave to a column; '' if none. column: quoted."""
    before = f"ALTER COLUMN {column} TYPE "
    for statement in statements:
        _, result, rest = statement.partition(before)
        if result:
            return rest.partition("\n")[0].partition(", ADD COLUMN ")[0]
    return ""
