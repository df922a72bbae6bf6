"""Recipes of the docs, executed by psql: what a worker makes of them is tested under tests/language."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.export.twins import Twin
from tests.journeys.world import Layout
from tests.language import (
    test_ids_inside,
    test_lists_to_rows,
    test_several_parents,
    test_taken_values,
    test_triggers_off,
)
from tests.language.feature import Rows

BODIES = ("on f1", "on f3", "on note 1", "on note 3", "on p1")
RECIPES: dict[str, tuple[str, dict[str, Rows]]] = {
    test_ids_inside.HEADING: ("", test_ids_inside.ROWS),
    test_several_parents.HEADING: (
        "DELETE FROM note WHERE id > 5",  # a script stops where a worker sets rows aside
        {test_several_parents.SUBJECTS: [(body, body) for body in BODIES]},
    ),
    test_taken_values.HEADING: ("", test_taken_values.GIVEN),
    test_triggers_off.HEADING: (
        "",
        {"SELECT rows FROM counter": [(0,)], "SELECT id FROM item WHERE changed < current_date": [(1,), (2,)]},
    ),
    test_lists_to_rows.HEADING: (
        "",
        {"SELECT client, place, number FROM phone ORDER BY 1, 2": [
            (1, 1, "11"), (1, 2, "12"), (1, 3, "13"), (3, 1, "31"), (3, 2, "32"),
        ]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", ["one", "two"])
def test_recipes_go_there_and_back_by_psql(databases: Databases, layout: Layout, tmp_path: Path) -> None:
    for number, (heading, (source, rows)) in enumerate(RECIPES.items()):
        hand = Twin(databases, layout, f"hand{number}")
        hand.given_recipe(heading, source=source)
        before = hand.state()
        folder = hand.export(tmp_path / str(number))
        hand.psql(folder)
        hand.expect(rows)
        hand.psql(folder / "undo")
        assert hand.state() == before
