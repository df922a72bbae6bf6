"""Keys that are equal by `=` but spelled otherwise: where parents are found by the text of their key, such children
would lose them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from mappings.catalog.types import INTEGERS, TIMES
from mappings.compiling import projection, references
from mappings.compiling.columns import Compiler
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.sql import Sql, cast, compose, encoded, joined, operator

SPELLED_ONE_WAY = frozenset({
    *INTEGERS, *TIMES, "text", "character varying", "bpchar", "numeric", "uuid", "date", "boolean", "bytea",
}) - {"time with time zone"}  # fmt: skip
"""Types of which equal values have one text, as the map writes it; texts unless their collation is a loose one."""

MOST_NAMED = 3


def of_reference(
    child: Compiler, parent: Compiler, plan: TablePlan, ref: Reference, same: bool
) -> Iterator[Problem]:
    """A blocker with the children whose parent is there under another spelling. plan: the parent's."""
    if not any(_by_its_text(parent, plan, place, same) for place in range(len(plan.feed.key))):
        return
    path = f"{child.table.path}.columns.{ref.target}"
    column = next(column for column in child.table.spec.columns if column.name == ref.target)
    asked = references.sources(child, column, path)
    count, examples = _spelled_otherwise(child, plan, ref, asked or [])
    if count:
        text = (
            f"{count} rows refer to rows of {ref.parent} by keys that are equal but spelled otherwise, for example"
            f" {', '.join(examples)}: parents are found by the text of their key here; spell them alike in the source,"
            f" or give {ref.parent} another key"
        )
        yield Problem(path, text)


def _by_its_text(parent: Compiler, plan: TablePlan, place: int, same: bool) -> bool:
    """Whether the text of a key part decides, although its type may take different texts for equal."""
    part = plan.feed.key[place]
    result = parent.table.source_column((parent.table.key_names or [part.column])[place])
    loose = part.native not in SPELLED_ONE_WAY or bool(result and result[1].loose)
    as_text = (
        plan.link.link_by == "map"
        or part.type != part.native
        or (bool(result and result[1].loose) and not same)
    )
    return loose and as_text


def _spelled_otherwise(
    child: Compiler, plan: TablePlan, ref: Reference, asked: list[Sql]
) -> tuple[int, list[str]]:
    """(how many child rows, `child as parent` of the first)."""
    own = [
        compose("({})::{} AS a{}", sql, part.native, n)
        for n, (sql, part) in enumerate(zip(asked, plan.feed.key, strict=True))
    ]
    text = projection.key_text([(by.sql, by.type) for by in ref.by])
    children = projection.select([compose("{} AS spelled", text), *own], child.from_sql, child.where_sql)
    keys = [compose("{} AS b{}", part.sql, n) for n, part in enumerate(plan.feed.key)]
    key = projection.key_text([(cast(part.sql, part.type), part.type) for part in plan.feed.key])
    parents = projection.select(
        [compose("{} AS spelled", key), *keys], plan.feed.from_sql, plan.feed.where_sql
    )
    same = joined(
        " AND ",
        (
            compose("c.a{n} {operator} p.b{n}", n=n, operator=operator("=", part.operators))
            for n, part in enumerate(plan.feed.key)
        ),
    )
    query = compose(
        "SELECT count(*), (array_agg(DISTINCT c.spelled || ' for ' || p.spelled))[1:{most_named}]\n"
        "  FROM ({children}) AS c JOIN ({parents}) AS p ON {same} WHERE c.spelled <> p.spelled",
        most_named=MOST_NAMED,
        children=children,
        parents=parents,
        same=same,
    )
    try:
        row: Any = child.databases.source.execute(encoded(query)).fetchone()
    except psycopg.Error:
        return 0, []  # a value that the copy reports by its row
    return row[0], row[1] or []
