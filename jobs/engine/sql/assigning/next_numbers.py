"""The next numbers of each list: those that come follow, in their order, those that are there."""

from __future__ import annotations

from jobs.engine.sql.assigning import stage
from jobs.engine.sql.assigning.stage import KEY, PLACE, STAGE, THERE, TURN, VALUE, WAITS
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan


def number(plan: Plan, table: TablePlan, ref: Reference) -> str:
    """Rows without a number get one."""
    how = ref.assigned
    assert how is not None
    there = _largest(stage.rows_there(table, ref))
    kept = _largest(stage.values_kept(plan, table, ref))
    last = f"greatest({'t.last' if how.after is None else how.after}, a.last)"
    turn = f"row_number() OVER (PARTITION BY s.{PLACE} ORDER BY s.{TURN}, s.{KEY})"
    numbered = (
        f"SELECT s.{KEY} AS key, coalesce({last}, 0) + {turn} AS value FROM {STAGE} AS s\n"
        f"  LEFT JOIN {there} AS t ON t.place = s.{THERE} LEFT JOIN {kept} AS a ON a.place = s.{PLACE}\n WHERE {WAITS}"
    )
    return f"UPDATE {STAGE} AS s SET {VALUE} = x.value::text FROM (\n{numbered}\n) AS x WHERE x.key = s.{KEY}"


def _largest(rows: str) -> str:
    return f"(SELECT x.{PLACE} AS place, ceil(max(x.{VALUE}::numeric)) AS last FROM {rows} AS x GROUP BY x.{PLACE})"
