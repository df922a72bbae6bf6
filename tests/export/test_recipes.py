"""Recipes of the docs, executed by hand, rehearsed and repaired: what a worker makes of them is tested under
tests/language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from jobs.actions import rehearsals, repairs, runs
from jobs.models import Rehearsal
from tests.conftest import Databases
from tests.export import test_django, test_flyway
from tests.export.twins import Twin
from tests.journeys.world import Layout, fresh, work
from tests.language import (
    test_backref_keys,
    test_ids_inside,
    test_lists_to_rows,
    test_parameters,
    test_same_table,
    test_several_parents,
    test_taken_values,
    test_triggers_off,
)
from tests.language.feature import Feature, Rows, explained, recipe

BODIES = ("on f1", "on f3", "on note 1", "on note 3", "on p1")


class Recipe(NamedTuple):
    """rows: what it brings; spoil: what somebody does to a row of it afterwards; first: what is done to the source
    before, as a script stops where a worker sets rows aside; layouts: where it is possible."""

    rows: dict[str, Rows]
    spoil: str
    first: str = ""
    parameters: Mapping[str, str] = {}
    layouts: tuple[Layout, ...] = ("one", "two")


RECIPES: dict[str, Recipe] = {
    test_ids_inside.HEADING: Recipe(test_ids_inside.ROWS, "UPDATE task SET assignees = '{7}' WHERE path = '/900/'"),
    test_several_parents.HEADING: Recipe(
        {test_several_parents.SUBJECTS: [(body, body) for body in BODIES]},
        "UPDATE note SET subject_id = 7 WHERE body = 'on p1'",
        "DELETE FROM note WHERE id > 5",
    ),
    test_taken_values.HEADING: Recipe(test_taken_values.GIVEN, "UPDATE page SET slug = 'other' WHERE slug = 'home-2'"),
    test_triggers_off.HEADING: Recipe(
        {"SELECT rows FROM counter": [(0,)], "SELECT id, title FROM item ORDER BY 1": [(1, "one"), (2, "two")]},
        "ALTER TABLE item DISABLE TRIGGER USER; UPDATE item SET title = 'x' WHERE id = 1;"
        " ALTER TABLE item ENABLE TRIGGER USER",
    ),
    test_lists_to_rows.HEADING: Recipe(
        {"SELECT client, place, number FROM phone ORDER BY 1, 2": [
            (1, 1, "11"), (1, 2, "12"), (1, 3, "13"), (3, 1, "31"), (3, 2, "32"),
        ]},
        "UPDATE phone SET number = '99' WHERE place = 3",
    ),
    test_parameters.HEADING: Recipe(
        {"SELECT id, owner FROM account ORDER BY 1": [(1, "ada"), (3, "nobody")]},
        "UPDATE account SET owner = 'x' WHERE id = 3",
        parameters={"tenant": "7", "default_owner": "nobody"},
    ),
    test_same_table.HEADING: Recipe(
        test_same_table.BOTH,
        "UPDATE old.project SET name = 'x' WHERE name = 'first (copy)'",
        parameters={"project": "1"},
        layouts=("one",),
    ),
    test_backref_keys.HEADING: Recipe(
        {"SELECT t.name FROM old.customer c JOIN client t ON t.id = c.client_id ORDER BY 1": [("ada",), ("bob",)]},
        "UPDATE client SET name = 'x' WHERE name = 'ada'",
        layouts=("one",),
    ),
}  # fmt: skip


def given(feature: Feature, heading: str) -> Recipe:
    """The recipe, with its data on both sides."""
    found = RECIPES[heading]
    if heading == test_same_table.HEADING:  # its source is its target
        source, text = recipe("recipes.md", heading)
        feature.given(source, "SELECT 1", text.partition("name: ")[2].partition("\n")[2])
    else:
        feature.given_recipe(heading, source=found.first)
    feature.environment.parameters = dict(found.parameters)
    feature.environment.save()
    return found


class Way(NamedTuple):
    """How the scripts of a format are executed, there and back."""

    format: str
    there: Callable[[Twin, Path], object]
    back: Callable[[Twin, Path], object]


def _migrated(twin: Twin, folder: Path, words: tuple[str, ...]) -> None:
    test_django.migrate(twin, folder.parent, *words)


WAYS = {
    "psql": Way("psql", Twin.psql, lambda twin, folder: twin.psql(folder / "undo")),
    "flyway": Way(
        "flyway", test_flyway.migrate, lambda twin, folder: test_flyway.migrate(twin, folder, "U", back=True)
    ),
    "django": Way(
        "django", lambda twin, folder: _migrated(twin, folder, ()),
        lambda twin, folder: _migrated(twin, folder, ("zero",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "form"),
    [
        ("two", "psql"),
        pytest.param("one", "psql", marks=pytest.mark.long),
        pytest.param("one", "flyway", marks=pytest.mark.long),
        pytest.param("two", "django", marks=pytest.mark.long),
    ],
)
def test_every_feature_goes_there_and_back_by_hand(
    databases: Databases, layout: Layout, form: str, tmp_path: Path
) -> None:
    way = WAYS[form]
    for number, heading in enumerate(RECIPES):
        if layout not in RECIPES[heading].layouts:
            continue
        hand = Twin(databases, layout, f"hand{number}")
        found = given(hand, heading)
        before = hand.state()
        folder = hand.export(tmp_path / str(number) / "exported", way.format)
        hand.psql(folder / "by_psql/1_before")  # of nothing but psql's own format there is nothing
        way.there(hand, folder)
        hand.psql(folder / "by_psql/2_after")
        hand.expect(found.rows)
        hand.psql(folder / "by_psql/3_before_undo")
        way.back(hand, folder)
        assert hand.state() == before, heading


@pytest.mark.parametrize("layout", ["one", "two"])
def test_every_feature_is_rehearsed_and_repaired(
    databases: Databases, layout: Layout, transactional_db: None
) -> None:
    for number, heading in enumerate(RECIPES):
        if layout not in RECIPES[heading].layouts:
            continue
        with closing(Feature(databases.pair(layout), f"feature{number}")) as feature:
            found = given(feature, heading)
            before = feature.state()
            run = feature.brings(found.rows)
            feature.target(f"SET search_path = new; {found.spoil}")
            runs.verify(fresh(run), None)
            assert work(run).status == "mismatch", heading
            repairs.repair(fresh(run), None)
            assert work(run).status == "verified", (heading, explained(fresh(run)))
            feature.expect(found.rows)
            feature.undo(run)
            assert feature.state() == before, heading
            tried = rehearsals.rehearse(feature.mapping, feature.environment, None, rows=None)
            summary = rehearsals.summary(Rehearsal.objects.get(pk=tried.pk))
            assert feature.state() == before and summary["stopped"] == "", (heading, summary)
