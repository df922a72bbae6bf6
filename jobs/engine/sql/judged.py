"""Statements that say of a chunk's joined rows how many agree, and show some of those that do not."""

from __future__ import annotations

from jobs.engine.sql import compare, key_sql
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, joined, verbatim


def counted(plan: Plan, table: TablePlan, relation: Sql, chunk: Range) -> Sql:
    """Counts (source rows, found in the target, missing, extra, different, kept, kept and alike) of one chunk."""
    different = compose("CASE WHEN {} THEN true END AS different", compare.differs(plan, table))
    return compose(
        "SELECT {}, count(c.different), {}\n  FROM {} AS c",
        COUNTED,
        KEPT,
        judged(plan, table, relation, chunk, different),
    )


COUNTED = verbatim(
    "count(c.present) AS feed, count(c.present) + count(c.found) - count(*) AS matched,\n"
    "       count(*) - count(c.found) AS missing, count(*) - count(c.present) AS extra"
)
KEPT = verbatim("count(c.kept) AS kept, count(c.alike) AS alike")


def judged(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, *more: Sql) -> Sql:
    """A relation of what is counted of each joined row, each true or NULL: present, found, kept, alike, and more.

    OFFSET 0: the join then hands on no columns but these. PostgreSQL holds 1,664 in a row, both sides may have more.
    """
    there, (kept, unlike) = compose("t.{}", compare.here(table)), kept_rows(plan, table)
    listed = [
        verbatim("f.present"),
        compose("CASE WHEN {} IS NOT NULL THEN true END AS found", there),
        compose("CASE WHEN {} THEN true END AS kept", kept),
        compose("CASE WHEN {} AND NOT ({}) THEN true END AS alike", kept, unlike),
        *more,
    ]
    rows = compare.comparison(plan, table, relation, chunk)
    return compose("(SELECT {}\n  FROM {} OFFSET 0)", joined(",\n       ", listed), rows)


def wrong(plan: Plan, table: TablePlan, identical: bool) -> Sql:
    """Whether a joined row is missing, extra or different."""
    there, other = compare.here(table), compare.differs(plan, table, identical)
    return compose("f.present IS NULL OR t.{} IS NULL OR ({})", there, other)


def kept_rows(plan: Plan, table: TablePlan) -> tuple[Sql, Sql]:
    """(whether a paired row was there and was kept, whether it says something else than its source row)."""
    if not table.into.existing or table.into.existing.then != "keep":
        return verbatim("false"), verbatim("false")
    values = [
        condition
        for name, condition, _, _ in compare.differences(plan, table)
        if name != table.link.is_migrated
    ]
    return compose("f.present AND t.{} IS NOT NULL AND m.action = 'kept'", compare.here(table)), joined(
        " OR ", values
    ) or verbatim("false")


def samples(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, most: int) -> Sql:
    """Rows (kind, source key, [[column, expected, found]]) of what the comparison found wrong."""
    key, there = key_sql.feed_key_text(table, verbatim("f")), compare.here(table)
    ids = key_sql.source_id_text(table, verbatim("t")) if table.link.source_id else verbatim("NULL")
    kind = compose(
        "CASE WHEN f.present IS NULL THEN 'extra' WHEN t.{there} IS NULL THEN 'missing' ELSE 'different' END",
        there=there,
    )
    return compose(
        "SELECT {kind}, CASE WHEN f.present THEN {key} ELSE {ids} END,\n"
        "       CASE WHEN f.present AND t.{there} IS NOT NULL THEN {columns} END\n"
        "  FROM {comparison}\n"
        " WHERE {wrong}\n LIMIT {most}",
        kind=kind, key=key, ids=ids, there=there, columns=compare.differing(plan, table),
        comparison=compare.comparison(plan, table, relation, chunk), wrong=wrong(plan, table, False), most=most,
    )  # fmt: skip
