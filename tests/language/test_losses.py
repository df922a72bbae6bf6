"""What the target's types change is told in the plan, and again in the report."""

from __future__ import annotations

from jobs.reporting import summary
from tests.language.feature import Feature

TOLD = "5 values would lose the blanks at their end"


def test_a_loss_is_in_the_plan_and_in_the_report(feature: Feature) -> None:
    feature.given(
        "CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item SELECT n, n || ' ' FROM"
        " generate_series(1, 5) n; INSERT INTO item VALUES (9, 'whole')",
        "CREATE TABLE thing (id int PRIMARY KEY, v char(5))",
        """
tables: [{source: old.item, target: new.thing, columns: {id: id, v: v}}]
""",
    )
    assert (
        f"tables[0].columns.v: {TOLD}, for example 1 , 2 , 3 ; source rows 1, 2, 3, 4, 5"
        in feature.warnings()
    )
    run = feature.verified()
    report = run.reports.get()
    assert report.tables[0]["losses"] == [
        {"table": "item", "column": "v", "rows": 5, "examples": ["1 ", "2 ", "3 "],
         "told": "would lose the blanks at their end"}]  # fmt: skip
    assert f"item.v: {TOLD}, for example 1 , 2 , 3 " in summary.text(run, width=200)
