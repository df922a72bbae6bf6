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


def test_a_whole_number_division_that_drops_a_remainder_is_told(feature: Feature) -> None:
    feature.given(
        "CREATE TABLE item (id int PRIMARY KEY, v text, a int, b int, day int);"
        " INSERT INTO item SELECT n, n::text, n, n - 3, 20240100 + n FROM generate_series(1, 9) n",
        "CREATE TABLE thing (id int PRIMARY KEY, half int, share int, text text, exact numeric, day date)",
        """
tables:
  - source: old.item
    target: new.thing
    columns:
      id: id
      half: {expr: "v::int / 2"}
      share: {expr: "case when b <> 0 then a / b end"}
      text: {expr: "coalesce(nullif(a, 4) / 3, 0)::text || '!'"}
      exact: {expr: "a::numeric / 2"}
      day: {expr: "make_date(day / 10000, day / 100 % 100, day % 100)"}
""",
    )
    told = "would lose the remainder of a whole-number division, for example"
    losses = [line for line in feature.warnings().splitlines() if "remainder" in line]
    assert losses == [
        f"tables[0].columns.half: 5 values {told} 1 / 2, 3 / 2, 5 / 2; source rows 1, 3, 5, 7, 9",
        f"tables[0].columns.share: 5 values {told} 1 / -2, 5 / 2, 7 / 4; source rows 1, 5, 7, 8, 9",
        f"tables[0].columns.text: 5 values {told} 1 / 3, 2 / 3, 5 / 3; source rows 1, 2, 5, 7, 8",
    ]
    run = feature.verified()
    assert {loss["column"] for loss in run.reports.get().tables[0]["losses"]} == {"half", "share", "text"}
