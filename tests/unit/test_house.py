"""How large a file, a function and a folder may become; beyond it they are cut along their topics."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.unit.source_trees import ROOT, files

pytestmark = pytest.mark.unit
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, MEDIAN_OF_FUNCTIONS, FILES_IN_A_FOLDER = 300, 40, 8, 20


def functions() -> Iterator[tuple[str, int]]:
    """Where each function stands, and how many lines it takes, its signature included and decorators not."""
    for path, file in files().items():
        for node in file.functions:
            assert node.end_lineno is not None
            yield f"{path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_no_file_is_longer_than_can_be_overlooked() -> None:
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in files()}
    assert len(lines) > 300, "the packages moved: nothing is looked at"
    assert {path: count for path, count in lines.items() if count > LINES_OF_A_FILE} == {}


def test_every_function_fits_a_screen() -> None:
    found = list(functions())
    assert {where: lines for where, lines in found if lines > LINES_OF_A_FUNCTION} == {}
    assert statistics.median(lines for _, lines in found) <= MEDIAN_OF_FUNCTIONS


def test_no_folder_holds_more_files_than_one_reads_through() -> None:
    counts = Counter(path.rpartition("/")[0] for path in files())
    assert {folder: count for folder, count in counts.items() if count > FILES_IN_A_FOLDER} == {}
