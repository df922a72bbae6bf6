"""The next free texts: a row keeps what its source says where that is free and it is the first to say so; the others
get a suffix, each the lowest number that is free, in the order of their keys."""

from __future__ import annotations

from jobs.engine.sql.assigning import stage
from jobs.engine.sql.assigning.stage import OWN, SAID, TOLD
from mappings.plan.model import Plan
from mappings.plan.references import Assigned, Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, operator, verbatim


def first(plan: Plan, table: TablePlan, ref: Reference) -> list[Sql]:
    """Values that rows have already count, and the first row that says a free one keeps it."""
    how = ref.assigned
    assert how is not None
    given = compose(
        "SELECT b.{KEY}, {typed} AS {target} FROM {STAGE} AS b",
        typed=stage.typed(ref, compose("b.{VALUE}", **OWN)), target=ident(ref.target), **OWN,
    )  # fmt: skip
    told = compose(
        "(SELECT x.{KEY}, {told} AS {SAID} FROM ({given} WHERE b.{VALUE} IS NOT NULL) AS x) AS x",
        told=how.told, given=given, **OWN,
    )  # fmt: skip
    turns = compose(
        "SELECT min(s.{TURN}) AS turn FROM {STAGE} AS s WHERE {WAITS} GROUP BY s.{PLACE}, s.{TOLD}", **OWN
    )
    return [
        compose(
            "UPDATE {STAGE} AS s SET {SAID} = x.{SAID} FROM {told} WHERE x.{KEY} = s.{KEY}", told=told, **OWN
        ),
        compose(
            "UPDATE {STAGE} AS s SET {VALUE} = s.{BASE}, {SAID} = s.{TOLD} FROM (\n{turns}\n) AS x\n"
            " WHERE x.turn = s.{TURN} AND {is_free}",
            turns=turns, is_free=_is_free(plan, table, ref, verbatim("s"), TOLD), **OWN,
        ),
    ]  # fmt: skip


def _is_free(plan: Plan, table: TablePlan, ref: Reference, row: Sql, told: Sql) -> Sql:
    """Whether neither a row that is there, nor one that comes, has a value that is told like `told`."""
    assert ref.assigned is not None
    same = compose(
        "{SAID} {operator} {row}.{told}",
        operator=operator("=", ref.assigned.operators), row=row, told=told, **OWN,
    )  # fmt: skip
    there = compose(
        "SELECT FROM {rows_there} AS t WHERE t.{PLACE} = {row}.{THERE} AND t.{same}",
        rows_there=stage.rows_there(table, ref), row=row, same=same, **OWN,
    )  # fmt: skip
    kept = compose(
        "SELECT FROM {values_kept} AS a WHERE a.{PLACE} = {row}.{PLACE} AND a.{same}",
        values_kept=stage.values_kept(plan, table, ref), row=row, same=same, **OWN,
    )  # fmt: skip
    coming = compose(
        "SELECT FROM {STAGE} AS z WHERE z.{PLACE} = {row}.{PLACE} AND z.{same}", row=row, same=same, **OWN
    )
    return joined(" AND ", (compose("NOT EXISTS ({})", rows) for rows in (there, kept, coming)))


def rows_wait() -> Sql:
    """Whether another round is needed."""
    return compose("SELECT EXISTS (SELECT FROM {STAGE} AS s WHERE {WAITS})", **OWN)


def next_round(plan: Plan, table: TablePlan, ref: Reference) -> Sql:
    """Offers the waiting rows of each text, a group, its next free numbers, as many as wait and more where more are
    taken; of two that would say the same the first takes it.

    A row for which none is free tries higher numbers in the next round, until the column holds no longer ones.
    """
    how = ref.assigned
    assert how is not None
    cut, suffix, fits = _suffixed(how)
    typed = stage.typed(ref, compose("n.{VALUE}", **OWN))
    is_free = _is_free(plan, table, ref, verbatim("c"), SAID)
    group = compose('PARTITION BY s.{PLACE} COLLATE "C", s.{BASE} COLLATE "C"', **OWN)
    return compose(
        "WITH waiting AS (\n"
        "SELECT s.{TURN}, s.{PLACE}, s.{THERE}, s.{BASE}, row_number() OVER ({group} ORDER BY s.{TURN}) AS turn,\n"
        "       dense_rank() OVER (ORDER BY s.{PLACE} COLLATE \"C\", s.{BASE} COLLATE \"C\") AS number,\n"
        "       min(s.{TRIES}) OVER ({group}) AS low,\n"
        "       2 * min(s.{TRIES}) OVER ({group}) + count(*) OVER ({group}) AS high\n"
        "  FROM {STAGE} AS s WHERE {WAITS}\n), tried AS (\n"
        "SELECT g.number, g.{PLACE}, g.{THERE}, n.n AS {TRIES}, {cut} || {suffix} AS {VALUE}\n"
        "  FROM waiting AS g CROSS JOIN LATERAL generate_series(g.low, g.high) AS n(n)\n"
        " WHERE g.turn = 1{fits}\n), told AS (\n"
        "SELECT number, {PLACE}, {THERE}, {TRIES}, {VALUE}, {told} AS {SAID}\n"
        "  FROM (SELECT n.*, {typed} AS {target} FROM tried AS n) AS x\n), free AS (\n"
        "SELECT c.*, row_number() OVER (PARTITION BY c.number ORDER BY c.{TRIES}) AS turn\n"
        "  FROM told AS c WHERE {is_free}\n), offered AS (\n"
        "SELECT w.{TURN}, w.{PLACE}, w.{BASE}, w.high, g.{TRIES}, g.{VALUE}, g.{SAID}\n"
        "  FROM waiting AS w LEFT JOIN free AS g ON {offer} = {asked}\n), wanted AS (\n"
        "SELECT {PLACE}, {SAID}, min({TURN}) AS first FROM offered GROUP BY {PLACE}, {SAID} HAVING count(*) > 1\n)\n"
        "UPDATE {STAGE} AS s SET {VALUE} = CASE WHEN {wins} THEN o.{VALUE} END,\n"
        "       {SAID} = CASE WHEN {wins} THEN o.{SAID} END,\n"
        "       {TRIES} = coalesce(o.{TRIES}, o.high) + 1, {PROBLEM} = {used_up}\n"
        "  FROM offered AS o LEFT JOIN wanted AS b ON b.{PLACE} = o.{PLACE} AND b.{SAID} {equal} o.{SAID}\n"
        " WHERE s.{TURN} = o.{TURN}",
        cut=cut, suffix=suffix, fits=fits, told=how.told, typed=typed, target=ident(ref.target), group=group,
        is_free=is_free, offer=_in_turn(verbatim("g")), asked=_in_turn(verbatim("w")), used_up=_used_up(ref),
        wins=compose("(b.first IS NULL OR b.first = o.{TURN})", **OWN), equal=operator("=", how.operators), **OWN,
    )  # fmt: skip


def _suffixed(how: Assigned) -> tuple[Sql, Sql, Sql]:
    """What stays of a text, what a number puts behind it, and whether the column has room for that."""
    suffix = compose("replace({}, '{{n}}', n.n::text)", literal(how.suffix))
    if not how.most:
        return compose("g.{BASE}", **OWN), suffix, NOTHING
    cut = compose("left(g.{BASE}, {} - char_length({}))", how.most, suffix, **OWN)
    return cut, suffix, compose(" AND char_length({}) < {}", suffix, how.most)


def _in_turn(row: Sql) -> Sql:
    """Whose turn it is in which group, as one number: the planner would hold all of a group against all of it."""
    return compose("(({row}.number << 32) + {row}.turn)", row=row)


def _used_up(ref: Reference) -> Sql:
    """Why a row gets no value: all numbers that the column has room for are taken."""
    how = ref.assigned
    assert how is not None
    if not how.most:
        return verbatim("NULL::text")
    longest = compose("char_length(replace({}, '{{n}}', o.high::text))", literal(how.suffix))
    said = literal(
        f" is taken, and so is every number that {ref.target} has room for in {how.most} characters"
    )
    return compose(
        "CASE WHEN o.{TRIES} IS NULL AND {longest} >= {most} THEN concat(o.{BASE}, {said}) END",
        longest=longest, most=how.most, said=said, **OWN,
    )  # fmt: skip
