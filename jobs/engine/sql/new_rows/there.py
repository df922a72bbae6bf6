"""Which of the feed's rows are in the target already, or were, and somebody deleted them."""

from __future__ import annotations

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.walks.chunk_range import PageRange, Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, verbatim


def guard(plan: Plan, table: TablePlan, chunk: Range, guarded: bool) -> Sql:
    """Leaves out rows that are there already; bounded on both sides where ranges hold in the target.

    Where they do not, each row is looked up by its key: OFFSET 0 keeps the planner from joining instead, which it
    does row against row where it knows too little of the tables.
    """
    if not guarded:
        return NOTHING
    if table.link.link_by == "source_id":
        ids = key_sql.source_id_columns(table, verbatim("g"))
        match = key_sql.equal(ids, key_sql.key_of(table, verbatim("f")), key_sql.kept_operators(table))
        holds = table.link.aligned and not isinstance(chunk, PageRange)
        bounds = (
            compose(" AND {}", key_sql.target_range(table, chunk, verbatim("g")))
            if holds
            else verbatim(" OFFSET 0")
        )
        return compose(
            "\n WHERE NOT EXISTS (SELECT FROM {target_sql} AS g WHERE {match}{bounds})",
            target_sql=table.into.target_sql, match=match, bounds=bounds,
        )  # fmt: skip
    return compose("\n WHERE NOT {}", is_mapped(plan, table, key_sql.feed_key_text(table, verbatim("f"))))


def is_mapped(plan: Plan, table: TablePlan, key: Sql) -> Sql:
    """Whether the map has a source key, and its target row is there: somebody may have deleted that since."""
    match = compose("{} AND g.source_key = {}", key_sql.of_table(plan, table.name, verbatim("g")), key)
    return compose(
        "EXISTS (SELECT FROM {map} AS g WHERE {match} AND {is_there} OFFSET 0)",
        map=MAP, match=match, is_there=_is_there(table),
    )  # fmt: skip


def _is_there(table: TablePlan) -> Sql:
    """Whether the target row of a map row `g` is there."""
    names = key_sql.target_keys(table, verbatim("r"))
    keys = key_sql.decoded(verbatim("g.target_key"), [part.kept for part in table.into.target_key])
    same = key_sql.equal(names, keys, key_sql.target_operators(table))
    return compose("EXISTS (SELECT FROM {} AS r WHERE {} OFFSET 0)", table.into.target_sql, same)


def gone(plan: Plan, table: TablePlan, relation: Sql) -> Sql:
    """(source key, target key), as the map writes them, of the feed's rows whose target row somebody deleted."""
    match = compose(
        "{} AND g.source_key = {}",
        key_sql.of_table(plan, table.name, verbatim("g")),
        key_sql.feed_key_text(table, verbatim("f")),
    )
    return compose(
        "SELECT g.source_key AS key, g.target_key AS id FROM {relation} AS f JOIN {map} AS g ON {match}\n"
        " WHERE NOT {is_there}",
        relation=relation, map=MAP, match=match, is_there=_is_there(table),
    )  # fmt: skip
