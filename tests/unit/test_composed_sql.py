"""What the type checker cannot see of composed SQL: its words are literals, and nothing else is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.unit
ROOT: Path = settings.BASE_DIR
ROOM = "mappings/sql.py"
CONVERTED = ("mappings",)
"""The packages that execute nothing but Sql."""

PRINTERS = (
    *("mappings/expressions/", "mappings/catalog/", "mappings/schema/rename.py"),
    "mappings/compiling/projection.py",  # takes texts of packages that are not converted
)
"""Where text becomes Sql: what the syntax trees print, what servers printed, definitions over another column."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call of the converted packages, and where it stands."""
    for package in CONVERTED:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Call):
                        yield str(path.relative_to(ROOT)), node


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def is_literal(node: ast.expr) -> bool:
    """A constant, one or another of two, or a constant of the module, in capitals, which ruff keeps from f-strings."""
    if isinstance(node, ast.IfExp):
        return is_literal(node.body) and is_literal(node.orelse)
    if isinstance(node, ast.Name | ast.Attribute):
        return (node.id if isinstance(node, ast.Name) else node.attr).isupper()
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def refused(path: str, node: ast.Call) -> bool:
    if path == ROOM:
        return False
    if called(node) == "Sql":
        return True
    if called(node) == "printed":
        return not path.startswith(PRINTERS)
    return called(node) in ("verbatim", "compose", "joined") and not is_literal(node.args[0])


def test_the_words_of_composed_sql_are_literals() -> None:
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node)[:80]}" for path, node in calls() if refused(path, node)
    ]
    assert found == []


def test_nothing_is_executed_but_literals_and_what_was_encoded() -> None:
    found = []
    for path, node in calls():
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("execute", "executemany", "copy")
            and node.args
        ):
            first = node.args[0]
            if not isinstance(first, ast.Constant) and not (
                isinstance(first, ast.Call) and called(first) == "encoded"
            ):
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert found == []
