"""How the feed reaches the target: inline, into a staging table, or straight into the target table."""

from __future__ import annotations

from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import FeedColumn, Purpose, Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident

BOOLEAN_FLAG = "true"


def inline(table: TablePlan, chunk: Range, purpose: Purpose) -> str:
    """The feed as a subquery, where source and target are one database."""
    return f"(\n{key_sql.feed(table, chunk, purpose)}\n)"


def stage_name(table: TablePlan, purpose: Purpose) -> str:
    """The temporary table that holds one chunk's feed, where source and target are two databases."""
    return f"pg_temp.{ident(f'feed_{purpose}_{table.name}'[:60])}"


def create_stage(table: TablePlan, purpose: Purpose) -> str:
    """The staging table: emptied by each commit, gone with the session."""
    columns = ", ".join(f"{column.name} {column.type}" for column in key_sql.feed_columns(table, purpose))
    name = stage_name(table, purpose).removeprefix("pg_temp.")
    return f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns}) ON COMMIT DELETE ROWS"


def copy_out(table: TablePlan, chunk: Range, purpose: Purpose) -> str:
    """The feed as a binary stream from the source."""
    return f"COPY (\n{key_sql.feed(table, chunk, purpose)}\n) TO STDOUT (FORMAT binary)"


def copy_in(table: TablePlan, purpose: Purpose) -> str:
    """The stream into the staging table."""
    return f"COPY {stage_name(table, purpose)} FROM STDIN (FORMAT binary)"


def streamed_columns(table: TablePlan) -> list[tuple[str, str]]:
    """(target column, SQL at the source) of a row that goes straight into the target."""
    rows: list[tuple[str, str]] = [(value.target, value.sql) for value in table.values]
    rows += [(target, f"NULL::{refs[0][1].type}") for target, refs in table.referring.items()]
    keys = [f"({part.sql})::{part.type}" for part in table.feed.key]
    rows += list(zip(table.link.source_id, keys, strict=False))
    return [*rows, (table.link.is_migrated, BOOLEAN_FLAG)] if table.link.is_migrated else rows


def streams_as(table: TablePlan) -> str:
    """The format of the stream: binary needs the very same types on both sides."""
    return "binary" if all(value.wire == value.type for value in table.values) else "text"


def stream_out(table: TablePlan, chunk: Range) -> str:
    """The chunk's rows as the target takes them."""
    columns = [
        FeedColumn(f"s{number}", sql, "") for number, (_, sql) in enumerate(streamed_columns(table), start=1)
    ]
    return f"COPY (\n{key_sql.projected(table, chunk, columns)}\n) TO STDOUT (FORMAT {streams_as(table)})"


def stream_in(table: TablePlan) -> str:
    """The stream into the target itself."""
    names = ", ".join(ident(name) for name, _ in streamed_columns(table))
    return f"COPY {table.into.target_sql} ({names}) FROM STDIN (FORMAT {streams_as(table)})"
