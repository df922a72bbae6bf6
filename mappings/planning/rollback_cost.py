"""What a rollback would cost where a column that refers to the target has no index, and ids that it loses: warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

from mappings.catalog import unindexed_keys
from mappings.catalog.unindexed_keys import SECONDS_PER_PAGE
from mappings.compiling.columns import Compiler
from mappings.plan.schema_steps import in_words
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem

NOTICED_SECONDS = 1.0


def warnings(
    conn: psycopg.Connection,
    tables: Sequence[TablePlan],
    only: Sequence[str] | None,
    compilers: Mapping[str, Compiler],
) -> list[Problem]:
    """One for each foreign key onto a target of these tables without an index, and for each whose ids do not return.

    only: the names of those that are moved, None for all.
    """
    tables = [table for table in tables if not only or table.name in only]
    rows: dict[str, int] = {}
    for table in tables:
        rows[table.into.target_sql] = rows.get(table.into.target_sql, 0) + table.feed.estimate
    first = {table.into.target_sql: table.name for table in reversed(tables)}
    problems = [_new_ids(table, compilers[table.name]) for table in tables if table.ids_do_not_come_again]
    for key in unindexed_keys.onto(conn, rows) if rows else ():
        seconds = key.reads(rows[key.parent], rows.get(key.child, 0)) * SECONDS_PER_PAGE
        if seconds >= NOTICED_SECONDS:
            text = (
                f"{key.display} has no index: a rollback would read all of it for each row that it deletes,"
                f" {in_words(seconds)} in all; for its time a helper index is built, while others write"
            )
            problems.append(Problem(f"{compilers[first[key.parent]].table.path}.target", text))
    return problems


def _new_ids(table: TablePlan, compiler: Compiler) -> Problem:
    text = (
        f"rows of {table.target} that are brought again after a rollback get new ids, because"
        f" {table.ids_do_not_come_again}; references to them from outside would then lead nowhere. same_ids: false says"
        " that this is meant"
    )
    return Problem(f"{compiler.table.path}.link", text)
