"""A source row is in the target, or it is set aside: never both, which one query proves."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.errors import EngineError
from jobs.engine.feed import Work, run_sql
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.target.witnesses import Told, ask
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, verbatim


def both(work: Work) -> Told:
    """Source rows that are set aside, and that the map, or without one the target, has all the same."""
    return ask(work, in_both(work.plan, work.table))


def in_both(plan: Plan, table: TablePlan) -> Sql:
    """(how many source rows are set aside and mapped too, some of their keys)."""
    if table.link.keep_map:
        there = compose(
            "SELECT FROM {map} AS m WHERE {of_table} AND m.source_key = q.source_key",
            map=MAP,
            of_table=key_sql.of_table(plan, table.name),
        )
    else:
        types = [part.type for part in table.feed.key]
        ids = key_sql.source_id_columns(table, verbatim("t"))
        same = key_sql.equal(
            ids, key_sql.decoded(verbatim("q.source_key"), types), key_sql.kept_operators(table)
        )
        there = compose("SELECT FROM {} AS t WHERE {}", table.into.target_sql, same)
    return compose(
        "SELECT count(*), (array_agg(q.source_key))[1:5] FROM migrator.quarantine AS q\n"
        " WHERE {of_table} AND EXISTS ({there})",
        of_table=key_sql.of_table(plan, table.name, verbatim("q")),
        there=there,
    )


def unmap(work: Work, keys: Sequence[str]) -> None:
    """Takes away what the map says of rows that are being set aside, once their target rows are gone.

    Raises EngineError where such a target row is there: a row that arrived is not set aside.
    """
    table = work.table
    if not (table.link.keep_map and keys):
        return
    mapped = compose(
        "{} AND m.source_key = ANY ({})", key_sql.of_table(work.plan, table.name), key_sql.texts(keys)
    )
    if table.into.target_key:
        same = key_sql.equal(
            key_sql.target_keys(table, verbatim("t")),
            key_sql.decoded(verbatim("m.target_key"), [part.type for part in table.into.target_key]),
            key_sql.target_operators(table),
        )
        there = compose("EXISTS (SELECT FROM {} AS t WHERE {})", table.into.target_sql, same)
        row = run_sql(
            work.target,
            compose(
                "SELECT m.source_key, m.target_key FROM {map} AS m WHERE {mapped} AND {there} LIMIT 1",
                map=MAP, mapped=mapped, there=there,
            ),
        ).fetchone()  # fmt: skip
        if row:
            raise EngineError(
                f"{table.name}: source row {row[0]} cannot be set aside, because the map has it as row {row[1]} of"
                f" {table.target}, which is there; see what became of its source id"
            )
    run_sql(work.target, compose("DELETE FROM {} AS m WHERE {}", MAP, mapped))
