"""Copies within the same table."""

from __future__ import annotations

import pytest

from jobs.actions import runs
from tests.journeys.world import fresh, work
from tests.language.feature import Feature, Rows, recipe

HEADING = "Copies within the same table"
BOTH: dict[str, Rows] = {
    "SELECT name FROM old.project ORDER BY id": [("first",), ("second",), ("first (copy)",)],
    "SELECT t.title, q.title FROM old.task t JOIN old.project p ON p.id = t.project"
    " LEFT JOIN old.task q ON q.id = t.parent"
    " WHERE p.name = 'first (copy)' ORDER BY t.id": [("root", None), ("leaf", "root")],
}


@pytest.mark.parametrize("feature", ["one"], indirect=True)
def test_a_project_is_cloned_with_its_tasks_never_its_clone_and_taken_back(feature: Feature) -> None:
    source, text = recipe("recipes.md", HEADING)
    feature.given(source, "SELECT 1", text.partition("name: ")[2].partition("\n")[2])
    feature.environment.parameters = {"project": "1"}
    feature.environment.save()
    feature.chunk_rows = 1
    counts = {"project": (1, 0, 0, 0), "task": (2, 0, 0, 0)}
    feature.check(BOTH, counts, {"project": (0, 0, 0, 0), "task": (0, 0, 0, 0)})
    feature.source("INSERT INTO old.task (project, parent, title) VALUES (1, 2, 'late')")
    assert [table.inserted for table in feature.verified().tables.order_by("position")] == [0, 1]
    assert feature.source("SELECT count(*) FROM old.task") == [(7,)]


@pytest.mark.parametrize("feature", ["one"], indirect=True)
def test_one_mapping_clones_one_project_after_the_other_and_each_run_takes_back_its_own(
    feature: Feature,
) -> None:
    source, text = recipe("recipes.md", HEADING)
    feature.given(source, "SELECT 1", text.partition("name: ")[2].partition("\n")[2])
    before = feature.state()
    made = []
    for project in ("1", "2"):
        feature.environment.parameters = {"project": project}
        feature.environment.save()
        made.append(feature.verified())
    copies = "SELECT source_table_id, project FROM old.task WHERE is_migrated ORDER BY 1"
    assert feature.source(copies) == [(1, 3), (2, 3), (3, 4)]
    feature.source("DELETE FROM old.task WHERE id = 3")  # an original that is gone is another matter
    runs.verify(fresh(made[1]), None)
    assert work(made[1]).status == "mismatch"
    feature.source("INSERT INTO old.task OVERRIDING SYSTEM VALUE VALUES (3, 2, NULL, 'other')")
    assert feature.rolled_back(made[0]).status == "rolled_back" and feature.source(copies) == [(3, 4)]
    feature.undo(made[1])
    assert feature.state() == before


@pytest.mark.parametrize("feature", ["one"], indirect=True)
def test_what_would_not_tell_copies_from_originals_is_refused(feature: Feature) -> None:
    text = "version: 1\nname: feature\ntables: [{source: old.a, target: old.a, columns: {b: b}%s}]"
    tables = "tables: [{source: old.a, target: old.a, columns: {b: b}}]"
    feature.given("CREATE TABLE a (id int PRIMARY KEY, b int)", "SELECT 1", tables)
    assert (
        feature.blockers() == "tables[0]: old.a is its own target: say by where which of its rows are copied"
    )
    feature.define(text % ", where: 'true', existing: {match: [b], then: keep}")
    assert "existing, distinct, joins and key: content are not possible then" in feature.blockers()
    feature.define(text % ", where: 'true', link: {source_id: false}")
    assert "its copies need a source_id" in feature.blockers()
