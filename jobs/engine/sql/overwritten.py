"""Columns of a target row that several table mappings fill: the last one to write a row has the say."""

from __future__ import annotations

from jobs.engine.sql.key_sql import MAP, texts
from mappings.plan.model import Plan, TablePlan
from mappings.sql import literal


def overwritten(plan: Plan, table: TablePlan, column: str) -> str | None:
    """Whether another table mapping wrote this column after the map row `m` did; None where none can have.

    Told by the time of the map rows, which is the target's clock; what one transaction wrote (an exported script)
    by the mapping's order.
    """
    rivals = [other for other in table.overwriters if column in other.columns]
    if not rivals:
        return None
    at_once = [other.table for other in rivals if other.later]
    return (
        f"EXISTS (SELECT FROM {MAP} AS o WHERE o.mapping = {literal(plan.mapping)}"
        f" AND o.table_name = ANY ({texts([other.table for other in rivals])}) AND o.target_key = m.target_key"
        " AND o.action = 'updated'"
        f" AND (o.at > m.at OR (o.at = m.at AND o.table_name = ANY ({texts(at_once)}))))"
    )
