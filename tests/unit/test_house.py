"""How large a file, a function and a folder may become, and how many floors it has: beyond it is cut along its topics.

A room is a file or folder of a folder. Rooms that one may take from stand below; a floor is one step of that.
"""

from __future__ import annotations

import functools
import graphlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from tests.unit.source_trees import ROOT, files

pytestmark = pytest.mark.unit
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, MEDIAN_OF_FUNCTIONS, FILES_IN_A_FOLDER = 300, 40, 8, 20
FLOORS = 9


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


@functools.cache
def arrows() -> dict[str, dict[str, set[str]]]:
    """For each folder, by rooms of it, the rooms that these take from."""
    modules = {path.removesuffix(".py").removesuffix("/__init__") for path in files()}
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path, file in files().items():
        importer = path.removesuffix(".py")
        for line in file.imports:
            package = (line.module or "").replace(".", "/")
            for name in line.names:
                named = f"{package}/{name.name}"
                _note(found, importer, named if named in modules else package)
    return found


def _note(found: dict[str, dict[str, set[str]]], importer: str, imported: str) -> None:
    """An arrow in the folder in which the ways to both part."""
    ways = importer.split("/"), imported.split("/")
    shared = next((place for place, (a, b) in enumerate(zip(*ways, strict=False)) if a != b), 0)
    if shared:
        room, other = (way[shared] for way in ways)
        found["/".join(ways[0][:shared])][room].add(other)


def floors(rooms: dict[str, set[str]]) -> int:
    """How many rooms stand on each other. CycleError where two take from each other, directly or not."""
    height: dict[str, int] = {}
    for room in graphlib.TopologicalSorter(rooms).static_order():
        height[room] = 1 + max((height[other] for other in rooms.get(room, ())), default=0)
    return max(height.values(), default=0)


@pytest.mark.parametrize("folder", sorted(arrows()))
def test_no_room_stands_on_too_many_nor_on_itself(folder: str) -> None:
    assert floors(arrows()[folder]) <= FLOORS


def test_rooms_that_take_from_each_other_are_seen() -> None:
    assert floors({"a": {"b"}, "b": {"c"}, "d": {"a", "c"}}) == 4
    with pytest.raises(graphlib.CycleError):
        floors({"a": {"b"}, "b": {"c"}, "c": {"a"}})
