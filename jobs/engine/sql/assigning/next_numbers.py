"""The next numbers of each list: those that come follow, in their order, those that are there."""

from __future__ import annotations

from jobs.engine.sql.assigning import stage
from jobs.engine.sql.assigning.stage import OWN
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, verbatim


def number(plan: Plan, table: TablePlan, ref: Reference) -> Sql:
    """Rows without a number get one."""
    how = ref.assigned
    assert how is not None
    there = _largest(stage.rows_there(table, ref))
    kept = _largest(stage.values_kept(plan, table, ref))
    last = compose("greatest({}, a.last)", verbatim("t.last") if how.after is None else how.after)
    turn = compose('row_number() OVER (PARTITION BY s.{PLACE} COLLATE "C" ORDER BY s.{TURN})', **OWN)
    numbered = compose(
        "SELECT s.{TURN} AS turn, coalesce({last}, 0) + {turn} AS value FROM {STAGE} AS s\n"
        "  LEFT JOIN {there} AS t ON t.place = s.{THERE} LEFT JOIN {kept} AS a ON a.place = s.{PLACE}\n WHERE {WAITS}",
        last=last, turn=turn, there=there, kept=kept, **OWN,
    )  # fmt: skip
    return compose(
        "UPDATE {STAGE} AS s SET {VALUE} = x.value::text FROM (\n{numbered}\n) AS x WHERE x.turn = s.{TURN}",
        numbered=numbered,
        **OWN,
    )


def _largest(rows: Sql) -> Sql:
    return compose(
        "(SELECT x.{PLACE} AS place, ceil(max(x.{VALUE}::numeric)) AS last FROM {rows} AS x GROUP BY x.{PLACE})",
        rows=rows,
        **OWN,
    )
