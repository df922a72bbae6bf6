"""Triggers of the target that are left off while rows are written."""

from __future__ import annotations

from jobs.actions import runs
from tests.journeys.world import fresh, work
from tests.language.feature import Feature, Rows

HEADING = "The target's triggers left off"


def test_they_are_off_there_and_back_for_the_migration_alone(feature: Feature) -> None:
    """With three chunks, of which one has a bad row, a repair between, and the owner's own rows before and after."""
    feature.given_recipe(
        HEADING,
        target="INSERT INTO item VALUES (9, 'own', NULL); CREATE TABLE kind (id int PRIMARY KEY);"
        " INSERT INTO kind VALUES (1); ALTER TABLE item ADD kind int DEFAULT 1 REFERENCES kind",
        source="INSERT INTO item VALUES (3, NULL, '2003-03-03')",
        mapping="on_error: quarantine\n",
    )
    feature.target("ALTER TABLE new.item ADD CHECK (title IS NOT NULL)")
    feature.chunk_rows = 1
    assert feature.warnings().startswith(
        "tables[0].triggers: off while rows of new.item are written and taken back: counted, touched; they fire: none."
    )
    query = "SELECT id, changed::text FROM item WHERE id < 9 ORDER BY 1"
    rows: dict[str, Rows] = {
        query: [(1, "2001-01-01"), (2, "2002-02-02")],
        "SELECT rows FROM counter": [(1,)],
    }
    run = feature.check(rows, {"item": (2, 0, 0, 1)})
    feature.target("ALTER TABLE new.item DISABLE TRIGGER USER; UPDATE new.item SET changed = NULL WHERE id = 1;"
                   " ALTER TABLE new.item ENABLE TRIGGER USER")  # fmt: skip
    run = run if feature.one else type(run).objects.latest("pk")
    if feature.one:
        runs.verify(run, None)
        assert work(fresh(run)).status == "mismatch"
        runs.repair(fresh(run), None)
        assert work(fresh(run)).status == "verified"
        feature.expect(rows)
    feature.target("INSERT INTO new.item VALUES (10, 'own', NULL)")
    feature.expect(
        {
            "SELECT rows FROM counter": [(2,)],
            "SELECT changed = current_date FROM item WHERE id = 10": [(True,)],
        }
    )


def test_only_those_that_are_named_and_by_their_owner(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    text = (
        "version: 1\nname: feature\n"
        "tables: [{source: old.item, target: new.item, triggers: [%s], columns: {id: id}}]"
    )
    feature.define(text % "counted, gone")
    assert feature.blockers() == "tables[0].triggers: new.item has no trigger gone that is on"
    feature.define(text % "counted")
    assert "written and taken back: counted; they fire: touched." in feature.warnings()
    feature.check({"SELECT id, changed = current_date FROM item ORDER BY 1": [(1, True), (2, True)],
                   "SELECT rows FROM counter": [(0,)]})  # fmt: skip
