"""What `existing.match` cannot find: rows with NULL in their match, and rows that are each other's parents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from mappings.compiling import projection
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.sql import Sql, cast, compose, encoded, ident, joined, literal, unused

MOST_NAMED = 3

STAND_INS = ("0", "00000000-0000-0000-0000-000000000000", "2000-01-01")
"""Texts one of which most types of keys take: where a reference is not NULL, its value is not known before the copy."""


def never_matching(plan: TablePlan, path: str, source: psycopg.Connection) -> Iterator[Problem]:
    """A warning with the number of rows that have NULL in their match: nothing is equal to NULL.

    Nothing is said where the source cannot compute the match: it may be written in types of the target alone.
    """
    if plan.into.existing is None or not plan.feed.key:
        return
    known = joined(" AND ", (compose("({}) IS NOT NULL", sql) for sql in plan.into.existing.on_row))
    key = unused("source_key", _filled(plan))
    for stand_in in STAND_INS:
        query = compose(
            "SELECT count(*), (array_agg(w.{key} ORDER BY w.{key}))[1:{most_named}]\n"
            "  FROM ({mapped_rows}) AS w WHERE NOT ({known})",
            key=key,
            most_named=MOST_NAMED,
            mapped_rows=_mapped_rows(plan, stand_in),
            known=known,
        )
        try:
            count, keys = _row(source, query)
        except psycopg.Error:
            continue
        if count:
            text = f"{count} source rows have NULL in their match, which finds no row that is there: each becomes a"
            yield Problem(f"{path}.existing.match", f"{text} new row; source rows {_listed(count, keys)}")
        return


def _mapped_rows(plan: TablePlan, stand_in: str) -> Sql:
    """The source rows in scope under the target's column names, with their key as text."""
    columns = [compose("{} AS {}", cast(value.sql, value.type), ident(value.target)) for value in plan.values]
    for target, refs in plan.referring.items():
        asked = joined(" OR ", (_asked(ref) for _, ref in refs))
        columns.append(
            compose(
                "CASE WHEN {} THEN {} END AS {}",
                asked,
                cast(literal(stand_in), refs[0][1].type),
                ident(target),
            )
        )
    key = projection.key_text([(part.sql, part.native) for part in plan.feed.key])
    own = unused("source_key", _filled(plan))
    return projection.select(
        [compose("{} AS {}", key, own), *columns], plan.feed.from_sql, plan.feed.where_sql
    )


def _filled(plan: TablePlan) -> list[str]:
    return [value.target for value in plan.values] + [*plan.referring]


def _asked(ref: Reference) -> Sql:
    return joined(" AND ", (compose("({}) IS NOT NULL", by.sql) for by in ref.by))


def circles(plan: TablePlan, path: str, source: psycopg.Connection) -> Iterator[Problem]:
    """A blocker for rows that would have to be found by where their parents went, and are their own forebears."""
    if plan.into.existing is None:
        return
    for ref in plan.references:
        if ref.parent != plan.name or ref.deferred:
            continue
        count, keys = _row(source, _unreached(plan, ref))
        if count:
            text = (
                f"rows are found in {plan.target} level by level, parents first, but {count} source rows are in a"
                f" circle of parents or below one: {_listed(count, keys)}; break the circle (a root that names"
                " itself: nullif(parent, id)), or leave those rows out by where"
            )
            yield Problem(f"{path}.columns.{ref.target}", text)


def _unreached(plan: TablePlan, ref: Reference) -> Sql:
    """(how many, the first) of the rows to which no way leads down from a row without a parent in scope."""
    key = projection.key_text([(part.sql, part.native) for part in plan.feed.key])
    parent = projection.key_text([(by.sql, by.type) for by in ref.by])
    edges = projection.select(
        [compose("{} AS k", key), compose("CASE WHEN {} THEN {} END AS p", _asked(ref), parent)],
        plan.feed.from_sql,
        plan.feed.where_sql,
    )
    return compose(
        "WITH RECURSIVE edges AS MATERIALIZED ({edges}), reached AS (\n"
        "SELECT e.k FROM edges AS e WHERE e.p IS NULL OR NOT EXISTS (SELECT FROM edges AS x WHERE x.k = e.p)\n"
        "UNION SELECT e.k FROM edges AS e JOIN reached AS r ON r.k = e.p)\n"
        "SELECT count(*), (array_agg(e.k ORDER BY e.k))[1:{most_named}]\n"
        "  FROM edges AS e WHERE NOT EXISTS (SELECT FROM reached AS r WHERE r.k = e.k)",
        edges=edges,
        most_named=MOST_NAMED,
    )


def _row(source: psycopg.Connection, query: Sql) -> tuple[Any, ...]:
    row = source.execute(encoded(query)).fetchone()
    assert row is not None
    return row


def _listed(count: int, keys: list[str]) -> str:
    more = f" and {count - len(keys)} more" if count > len(keys) else ""
    return f"{', '.join(keys)}{more}"
