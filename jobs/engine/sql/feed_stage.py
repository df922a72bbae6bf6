"""How the feed reaches the target: inline, into a staging table, or straight into the target table."""

from __future__ import annotations

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import FeedColumn, Purpose
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, shortened, verbatim

BOOLEAN_FLAG = verbatim("true")


def inline(table: TablePlan, chunk: Range, purpose: Purpose) -> Sql:
    """The feed as a subquery, where source and target are one database."""
    return compose("(\n{}\n)", key_sql.feed(table, chunk, purpose))


def stage_name(table: TablePlan, purpose: Purpose) -> Sql:
    """The temporary table that holds one chunk's feed, where source and target are two databases."""
    return compose("pg_temp.{}", _bare(table, purpose))


def _bare(table: TablePlan, purpose: Purpose) -> Sql:
    return ident(shortened(f"feed_{purpose}_{table.name}"))


def create_stage(table: TablePlan, purpose: Purpose) -> Sql:
    """The staging table: emptied by each commit, gone with the session."""
    columns = joined(
        ", ", (compose("{} {}", column.name, column.type) for column in key_sql.feed_columns(table, purpose))
    )
    return compose(
        "CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns}) ON COMMIT DELETE ROWS",
        name=_bare(table, purpose),
        columns=columns,
    )


def copy_out(table: TablePlan, chunk: Range, purpose: Purpose) -> Sql:
    """The feed as a binary stream from the source."""
    return compose("COPY (\n{}\n) TO STDOUT (FORMAT binary)", key_sql.feed(table, chunk, purpose))


def copy_in(table: TablePlan, purpose: Purpose) -> Sql:
    """The stream into the staging table."""
    return compose("COPY {} FROM STDIN (FORMAT binary)", stage_name(table, purpose))


def streamed_columns(table: TablePlan) -> list[tuple[str, Sql]]:
    """(target column, SQL at the source) of a row that goes straight into the target."""
    rows: list[tuple[str, Sql]] = [(value.target, value.sql) for value in table.values]
    rows += [(target, compose("NULL::{}", refs[0][1].type)) for target, refs in table.referring.items()]
    keys = [compose("({})::{}", part.sql, part.type) for part in table.feed.key]
    rows += list(zip(table.link.source_id, keys, strict=False))
    return [*rows, (table.link.is_migrated, BOOLEAN_FLAG)] if table.link.is_migrated else rows


def streams_as(table: TablePlan) -> Sql:
    """The format of the stream: binary needs the very same types on both sides."""
    return verbatim("binary" if all(value.wire == value.type for value in table.values) else "text")


def stream_out(table: TablePlan, chunk: Range) -> Sql:
    """The chunk's rows as the target takes them."""
    columns = [
        FeedColumn(compose("s{}", number), sql, NOTHING)
        for number, (_, sql) in enumerate(streamed_columns(table), start=1)
    ]
    return compose(
        "COPY (\n{}\n) TO STDOUT (FORMAT {})", key_sql.projected(table, chunk, columns), streams_as(table)
    )


def stream_in(table: TablePlan) -> Sql:
    """The stream into the target itself."""
    names = joined(", ", (ident(name) for name, _ in streamed_columns(table)))
    return compose("COPY {} ({}) FROM STDIN (FORMAT {})", table.into.target_sql, names, streams_as(table))
