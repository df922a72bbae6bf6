"""How many source rows say what is taken, and get a suffix: by each other, and by rows that are there.

It is told from the source: what only the copy finds out, such as which row a parent becomes, is left to that.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from mappings.compiling import projection
from mappings.compiling.names.resolve import Databases
from mappings.plan.references import Assigned, Reference
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.sql import Sql, compose, encoded, ident, joined, literal, verbatim

MOST_NAMED = 3
MOST_ROWS_THERE = 10_000
"""Of the target, that are held against the source rows; more are left to the copy."""


def suffixed(table: TablePlan, path: str, databases: Databases) -> Iterator[Problem]:
    """A warning for each column that says how many values get a suffix, with some of them."""
    for _, ref in table.assigning:
        how = ref.assigned
        if how is None or not how.suffix:
            continue
        there = _values_there(table, ref, how, databases.target)
        try:
            row = databases.source.execute(encoded(_query(table, ref, how, there))).fetchone()
        except psycopg.Error:
            continue  # a value that the copy will report by its row
        count, rows = row or (0, [])
        if count:
            more = f" and {count - len(rows)} more" if count > len(rows) else ""
            text = (
                f"{count} source rows say what is taken by rows before them or by rows that are there, and get the"
                f" suffix {how.suffix}: {', '.join(rows)}{more}"
            )
            yield Problem(f"{path}.columns.{ref.target}", text)


def _told(ref: Reference, how: Assigned, text: Sql) -> Sql:
    """By what values are told apart, as far as the source can say that: letters of either case may be the same."""
    return text if how.told == ident(ref.target) and not how.operators else compose("lower({})", text)


def _values_there(
    table: TablePlan, ref: Reference, how: Assigned, target: psycopg.Connection
) -> list[tuple[str, str]]:
    """(among which rows, value) of the target's rows; none where that depends on what parents become, or of many."""
    known = {value.target for value in table.values}
    if not known.issuperset(how.within):
        return []
    place = _place([compose("t.{}", ident(name)) for name in how.within])
    own = [
        compose("to_jsonb(t.*) ->> {} IS NULL", literal(name)) for name in table.link.source_id[:1]
    ]  # it may not be there yet
    where = joined(" AND ", [compose("t.{} IS NOT NULL", ident(ref.target)), *own])
    told = _told(ref, how, compose("t.{}::text", ident(ref.target)))
    query = compose(
        "SELECT {place}, {told} FROM {target_sql} AS t WHERE {where} LIMIT {most_rows_there}",
        place=place,
        told=told,
        target_sql=table.into.target_sql,
        where=where,
        most_rows_there=MOST_ROWS_THERE + 1,
    )
    rows = target.execute(encoded(query)).fetchall()
    return [(str(place), str(value)) for place, value in rows] if len(rows) <= MOST_ROWS_THERE else []


def _place(texts: list[Sql]) -> Sql:
    return compose(
        "jsonb_build_array({})::text", joined(", ", (compose("({})::text", text) for text in texts))
    )


def _query(table: TablePlan, ref: Reference, how: Assigned, there: list[tuple[str, str]]) -> Sql:
    """(how many, the first) of the source rows that come after another one, or that say what is there."""
    values = {value.target: [compose("({})::{}", value.sql, value.type)] for value in table.values}
    values |= {
        target: [by.sql for _, one in refs for by in one.by] for target, refs in table.referring.items()
    }
    place = _place([sql for name in how.within for sql in values[name]])
    key = projection.key_text([(part.sql, part.native) for part in table.feed.key])
    columns = [
        compose("{} AS key", key), compose("{} AS said", ref.by[1].sql),
        compose("{} AS told", _told(ref, how, ref.by[1].sql)), compose("{} AS place", place),
        compose("{} AS turn", how.order),
    ]  # fmt: skip
    rows = projection.select(columns, table.feed.from_sql, table.feed.where_sql)
    taken = joined(
        ", ", (compose("({}, {})", literal(one), literal(other)) for one, other in there)
    ) or verbatim("(NULL, NULL)")
    listed = compose(
        "SELECT r.key, r.said, r.turn, row_number() OVER (PARTITION BY r.place, r.told ORDER BY r.turn) > 1\n"
        "       OR (r.place, r.told) IN (SELECT v.place, v.told FROM (VALUES {taken}) AS v(place, told)) AS late\n"
        "  FROM (\n{rows}\n) AS r WHERE r.said IS NOT NULL",
        taken=taken,
        rows=rows,
    )
    named = compose(
        "(array_agg(concat(x.key, ' (', x.said, ')') ORDER BY x.turn))[1:{most_named}]", most_named=MOST_NAMED
    )
    return compose("SELECT count(*), {} FROM (\n{}\n) AS x WHERE x.late", named, listed)
