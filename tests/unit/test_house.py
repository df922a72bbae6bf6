"""How large a file, a function and a folder may become; beyond it they are cut along their topics."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.unit
ROOT: Path = settings.BASE_DIR
PACKAGES = ("mappings", "jobs", "migrator_site")
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, MEDIAN_OF_FUNCTIONS, FILES_IN_A_FOLDER = 300, 40, 8, 20
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
)


def functions() -> Iterator[tuple[str, int]]:
    """Where each function stands, and how many lines it takes, its signature included and decorators not."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines


def test_no_file_is_longer_than_can_be_overlooked() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert len(lines) > 300, "the packages moved: nothing is looked at"
    assert {path: count for path, count in lines.items() if count > LINES_OF_A_FILE} == {}


def test_every_function_fits_a_screen() -> None:
    found = list(functions())
    assert {where: lines for where, lines in found if lines > LINES_OF_A_FUNCTION} == {}
    assert statistics.median(lines for _, lines in found) <= MEDIAN_OF_FUNCTIONS


def test_no_folder_holds_more_files_than_one_reads_through() -> None:
    folders = {path.parent for path in FILES}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > FILES_IN_A_FOLDER} == {}
