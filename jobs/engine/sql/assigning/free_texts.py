"""The next free texts: a row keeps what its source says where that is free and it is the first to say so; the others
get a suffix, each the lowest number that is free, in the order of their keys."""

from __future__ import annotations

from jobs.engine.sql.assigning import stage
from jobs.engine.sql.assigning.stage import (
    BASE,
    KEY,
    PLACE,
    PROBLEM,
    SAID,
    STAGE,
    THERE,
    TOLD,
    TRIES,
    TURN,
    VALUE,
    WAITS,
)
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal, operator


def first(plan: Plan, table: TablePlan, ref: Reference) -> list[str]:
    """Values that rows have already count, and the first row that says a free one keeps it."""
    how = ref.assigned
    assert how is not None
    given = f"SELECT b.{KEY}, {stage.typed(ref, f'b.{VALUE}')} AS {ident(ref.target)} FROM {STAGE} AS b"
    told = f"(SELECT x.{KEY}, {how.told} AS {SAID} FROM ({given} WHERE b.{VALUE} IS NOT NULL) AS x) AS x"
    in_turn = f"PARTITION BY s.{PLACE}, s.{TOLD} ORDER BY s.{TURN}, s.{KEY}"
    turns = f"SELECT s.{KEY} AS key, row_number() OVER ({in_turn}) AS turn\n  FROM {STAGE} AS s WHERE {WAITS}"
    return [
        f"UPDATE {STAGE} AS s SET {SAID} = x.{SAID} FROM {told} WHERE x.{KEY} = s.{KEY}",
        f"UPDATE {STAGE} AS s SET {VALUE} = s.{BASE}, {SAID} = s.{TOLD} FROM (\n{turns}\n) AS x\n"
        f" WHERE x.key = s.{KEY} AND x.turn = 1 AND {_is_free(plan, table, ref, 's', TOLD)}",
    ]


def _is_free(plan: Plan, table: TablePlan, ref: Reference, row: str, told: str) -> str:
    """Whether neither a row that is there, nor one that comes, has a value that is told like `told`."""
    assert ref.assigned is not None
    same = f"{SAID} {operator('=', ref.assigned.operators)} {row}.{told}"
    there = f"SELECT FROM {stage.rows_there(table, ref)} AS t WHERE t.{PLACE} = {row}.{THERE} AND t.{same}"
    kept = (
        f"SELECT FROM {stage.values_kept(plan, table, ref)} AS a WHERE a.{PLACE} = {row}.{PLACE} AND a.{same}"
    )
    coming = f"SELECT FROM {STAGE} AS z WHERE z.{PLACE} = {row}.{PLACE} AND z.{same}"
    return " AND ".join(f"NOT EXISTS ({rows})" for rows in (there, kept, coming))


def rows_wait() -> str:
    """Whether another round is needed."""
    return f"SELECT EXISTS (SELECT FROM {STAGE} AS s WHERE {WAITS})"


def next_round(plan: Plan, table: TablePlan, ref: Reference) -> str:
    """Offers the waiting rows of each text, a group, its next free numbers, as many as wait and more where more are
    taken; of two that would say the same the first takes it.

    A row for which none is free tries higher numbers in the next round, until the column holds no longer ones.
    """
    how = ref.assigned
    assert how is not None
    suffix = f"replace({literal(how.suffix)}, '{{n}}', n.n::text)"
    cut = f"left(g.{BASE}, {how.most} - char_length({suffix}))" if how.most else f"g.{BASE}"
    fits = f"\n WHERE char_length({suffix}) < {how.most}" if how.most else ""
    value = stage.typed(ref, f"n.{VALUE}")
    return (
        "WITH waiting AS (\n"
        f"SELECT s.*, row_number() OVER (PARTITION BY s.{PLACE}, s.{BASE} ORDER BY s.{TURN}, s.{KEY}) AS turn,\n"
        f"       dense_rank() OVER (ORDER BY s.{PLACE}, s.{BASE}) AS number\n"
        f"  FROM {STAGE} AS s WHERE {WAITS}\n), groups AS (\n"
        f"SELECT number, min({PLACE}) AS {PLACE}, min({THERE}) AS {THERE}, min({BASE}) AS {BASE},\n"
        f"       min({TRIES}) AS low, 2 * min({TRIES}) + count(*) AS high\n"
        f"  FROM waiting GROUP BY number\n), tried AS (\n"
        f"SELECT g.number, g.{PLACE}, g.{THERE}, n.n AS {TRIES}, {cut} || {suffix} AS {VALUE}\n"
        f"  FROM groups AS g CROSS JOIN LATERAL generate_series(g.low, g.high) AS n(n){fits}\n), told AS (\n"
        f"SELECT number, {PLACE}, {THERE}, {TRIES}, {VALUE}, {how.told} AS {SAID}\n"
        f"  FROM (SELECT n.*, {value} AS {ident(ref.target)} FROM tried AS n) AS x\n), free AS (\n"
        f"SELECT c.*, row_number() OVER (PARTITION BY c.number ORDER BY c.{TRIES}) AS turn\n"
        f"  FROM told AS c WHERE {_is_free(plan, table, ref, 'c', SAID)}\n), taken AS (\n"
        f"SELECT w.{KEY}, g.{TRIES}, g.{VALUE}, g.{SAID},\n"
        f"       row_number() OVER (PARTITION BY w.{PLACE}, g.{SAID} ORDER BY w.{TURN}, w.{KEY}) AS in_line\n"
        f"  FROM waiting AS w JOIN free AS g ON {_in_turn('g')} = {_in_turn('w')}\n)\n"
        f"UPDATE {STAGE} AS s SET {VALUE} = CASE WHEN t.in_line = 1 THEN t.{VALUE} END,\n"
        f"       {SAID} = CASE WHEN t.in_line = 1 THEN t.{SAID} END,\n"
        f"       {TRIES} = coalesce(t.{TRIES}, g.high) + 1, {PROBLEM} = {_used_up(ref)}\n"
        f"  FROM waiting AS w JOIN groups AS g ON g.number = w.number LEFT JOIN taken AS t ON t.{KEY} = w.{KEY}\n"
        f" WHERE s.{KEY} = w.{KEY}"
    )


def _in_turn(row: str) -> str:
    """Whose turn it is in which group, as one number: the planner would hold all of a group against all of it."""
    return f"(({row}.number << 32) + {row}.turn)"


def _used_up(ref: Reference) -> str:
    """Why a row gets no value: all numbers that the column has room for are taken."""
    how = ref.assigned
    assert how is not None
    if not how.most:
        return "NULL::text"
    longest = f"char_length(replace({literal(how.suffix)}, '{{n}}', g.high::text))"
    said = literal(
        f" is taken, and so is every number that {ref.target} has room for in {how.most} characters"
    )
    return f"CASE WHEN t.{KEY} IS NULL AND {longest} >= {how.most} THEN concat(g.{BASE}, {said}) END"
