"""The code of the packages as syntax trees: read and walked once for all tests that look at it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

ROOT: Path = settings.BASE_DIR
PACKAGES = ("mappings", "jobs", "migrator_site")


class Walked(NamedTuple):
    """One file: its tree, and each call, function and import in it."""

    tree: ast.Module
    calls: list[ast.Call]
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef]
    imports: list[ast.ImportFrom]


@functools.cache
def files() -> dict[str, Walked]:
    """By path from the project's folder; migrations are as Django writes them, and left out."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {
        str(path.relative_to(ROOT)): walked(path.read_text())
        for path in paths
        if "migrations" not in path.parts
    }


def walked(source: str) -> Walked:
    """The tree of a module's text."""
    found = Walked(ast.parse(source), [], [], [])
    for node in _nodes(found.tree):
        if isinstance(node, ast.Call):
            found.calls.append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.functions.append(node)
        elif isinstance(node, ast.ImportFrom):
            found.imports.append(node)
    return found


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Each node, as `ast.walk` has them but in a third of its time."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for value in vars(node).values():
            if isinstance(value, list):
                waiting.extend(each for each in value if isinstance(each, ast.AST))
            elif isinstance(value, ast.AST):
                waiting.append(value)
