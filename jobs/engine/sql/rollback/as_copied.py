"""Statements that take back what one transaction of the copy wrote, target and map each in its own order."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.remove import mapped
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, ident, literal, verbatim


def copied_by(table: TablePlan, run: RunNumber, writers: Sequence[str]) -> Sql:
    """(writer, low, high, rows) of the chunks that these transactions of the run's copy committed, of such as were
    ranges of keys."""
    by_keys = verbatim("to_jsonb(l) ->> 'pages' IS NULL")  # an older version's ledger has no such column
    return compose(
        "SELECT l.writer, l.low, l.high, l.inserted FROM migrator.ledger AS l"
        " WHERE l.run = {run} AND l.table_name = {name} AND l.phase = 'copy'"
        " AND l.writer = ANY ({texts}) AND {by_keys}",
        run=run, name=literal(table.name), texts=key_sql.texts(writers), by_keys=by_keys,
    )  # fmt: skip


def remove_written(table: TablePlan, copied: Range, writer: str) -> Sql:
    """Deletes the target rows in a range of source keys that are still as one transaction wrote them."""
    first = compose("t.{}", ident(table.link.source_id[0]))
    bounds = key_sql.target_range(table, copied, verbatim("t"))
    return compose(
        "DELETE FROM {target_sql} AS t\n WHERE {first} IS NOT NULL AND {bounds} AND t.xmin = {writer}::xid",
        target_sql=table.into.target_sql, first=first, bounds=bounds, writer=literal(writer),
    )  # fmt: skip


def unmap(scope: Scope, chunk: Range) -> Sql:
    """Deletes the map rows of a range. Its row count says how many."""
    return compose("DELETE FROM {} AS m WHERE {}", MAP, mapped(scope, chunk))
