"""What the type checker cannot see of composed SQL: its words are literals, and nothing else is executed."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator

import pytest

from tests.unit.source_trees import files, walked

pytestmark = pytest.mark.unit
PRINTERS = (
    *("mappings/expressions/", "mappings/catalog/", "mappings/schema/rename.py"),
    "jobs/engine/target/stop_query.py",  # executes the operator's own query
    *(
        "jobs/engine/schema/helper_index.py",
        "jobs/running/fingerprints.py",
    ),  # names that servers printed
    "jobs/demo/load.py",  # executes a script of ours
)
"""Where text becomes Sql: what the syntax trees print, what servers printed, definitions over another column."""

MAKERS = ("verbatim", "compose", "joined")


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call, and where it stands."""
    for path, file in files().items():
        yield from ((path, node) for node in file.calls)


@functools.cache
def imported(path: str) -> frozenset[str]:
    """What a module takes from the room."""
    imports = (one for one in files()[path].tree.body if isinstance(one, ast.ImportFrom))
    return frozenset(alias.name for one in imports if one.module == "mappings.sql" for alias in one.names)


def called(path: str, node: ast.expr) -> str:
    """Which function of the room is called, by the name that it has there; '' for none of them."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return ""
    return node.func.id if node.func.id in imported(path) else ""


def defined(path: str, name: str) -> ast.expr | None:
    """What a constant in capitals is, in this module or in that which it comes from; None where it is none."""
    for node in files()[path].tree.body if path in files() else ():
        if isinstance(node, ast.Assign) and name in [ast.unparse(target) for target in node.targets]:
            return node.value
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return defined(f"{(node.module or '').replace('.', '/')}.py", name)
    return None


def is_literal(path: str, node: ast.expr | None) -> bool:
    """A constant, one or another of two, or a constant of a module that is made of such."""
    if isinstance(node, ast.IfExp):
        return is_literal(path, node.body) and is_literal(path, node.orelse)
    if isinstance(node, ast.Name):
        value = defined(path, node.id)
        return is_literal(path, value) or (value is not None and called(path, value) in MAKERS)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def refused(path: str, node: ast.Call) -> bool:
    name = called(path, node)
    if name == "printed":
        return not path.startswith(PRINTERS)
    return name == "Sql" or (name in MAKERS and not is_literal(path, node.args[0]))


def is_unmade(path: str, node: ast.Call) -> bool:
    """Whether a statement is executed that nobody can tell the words of."""
    verbs = ("execute", "executemany", "copy")
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in verbs or not node.args:
        return False
    return not is_literal(path, node.args[0]) and called(path, node.args[0]) not in ("encoded", *MAKERS)


def listed(wrong: Callable[[str, ast.Call], bool]) -> list[str]:
    return [f"{path}:{node.lineno}: {ast.unparse(node)[:80]}" for path, node in calls() if wrong(path, node)]


def test_the_words_of_composed_sql_are_literals() -> None:
    assert listed(refused) == []


def test_nothing_is_executed_but_literals_and_what_was_made() -> None:
    assert listed(is_unmade) == []


@pytest.mark.parametrize(
    "line",
    [
        'verbatim(f"DROP TABLE {name}")',
        "compose(template, name)",
        "compose(WORDS, name)",
        'joined(f" {name} ", parts)',
        "printed(name)",
        "Sql(name)",
        'conn.execute(f"DROP TABLE {name}")',
        "conn.execute(query.encode())",
        "conn.execute(WORDS)",
    ],
)
def test_what_could_smuggle_a_text_in_is_seen(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f'from mappings.sql import Sql, compose, joined, printed, verbatim\nWORDS = f"DROP {{name}}"\n{line}\n'
    path = f"jobs/engine/moving/{len(line)}.py"
    monkeypatch.setitem(files(), path, walked(module))
    assert any(refused(path, node) or is_unmade(path, node) for node in files()[path].calls)
