"""Whether another table mapping has the last say on a column."""

from __future__ import annotations

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, literal


def overwritten(plan: Plan, table: TablePlan, column: str) -> Sql | None:
    """Whether another table mapping wrote this column after the map row `m` did; None where none can have.

    Told by the time of the map rows, which is the target's clock; what one transaction wrote (an exported script)
    by the mapping's order.
    """
    rivals = [other for other in table.into.overwriters if column in other.columns]
    if not rivals:
        return None
    at_once = [other.table for other in rivals if other.later]
    return compose(
        "EXISTS (SELECT FROM {map} AS o WHERE o.mapping = {mapping}"
        " AND o.table_name = ANY ({texts}) AND o.target_key = m.target_key"
        " AND o.action = 'updated'"
        " AND (o.at > m.at OR (o.at = m.at AND o.table_name = ANY ({at_once}))))",
        map=MAP, mapping=literal(plan.mapping), texts=key_sql.texts([other.table for other in rivals]),
        at_once=key_sql.texts(at_once),
    )  # fmt: skip
