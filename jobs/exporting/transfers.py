"""What only psql can do: rows through files, where source and target are two databases."""

from __future__ import annotations

from jobs.engine.moving import backrefs
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import Range
from jobs.exporting import moving
from jobs.exporting.blocks import Command, block, column_at, feed_name
from jobs.exporting.taking_back import own_pairs
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan


def write_feed(table: TablePlan, file: str) -> tuple[str, ...]:
    """At the source: every row of the mapping into a file. Like \\copy, but the query may span lines."""
    return _held(_into(f"COPY (\n{key_sql.feed(table, Range(), 'file')}\n) TO STDOUT", file))


def read_feed(plan: Plan, table: TablePlan, file: str) -> tuple[str, ...]:
    """In the target: the file into a table of its own, all of it or nothing."""
    name = feed_name(plan, table.name)
    columns = ", ".join(f"{column.name} {column.type}" for column in key_sql.feed_columns(table, "file"))
    keys = ", ".join(f"k{number}" for number in range(1, table.feed.range_parts + 1))
    index = (f"CREATE INDEX ON {name} ({keys})",) if keys and not table.whole else ()
    return (
        "BEGIN",
        "CREATE SCHEMA IF NOT EXISTS migrator",
        f"DROP TABLE IF EXISTS {name}",
        f"CREATE UNLOGGED TABLE {name} ({columns})",
        Command(f"\\copy {name} FROM {_quoted(file)}"),
        *index,
        f"ANALYZE {name}",
        "COMMIT",
    )


def drop_feeds(plan: Plan) -> tuple[str, ...]:
    """The tables that were read from files are not needed any more."""
    return tuple(f"DROP TABLE IF EXISTS {feed_name(plan, table.name)}" for table in plan.moved)


def write_ids(plan: Plan, table: TablePlan, file: str) -> tuple[str, ...]:
    """In the target: the ids that the source rows got, into a file."""
    rows = backrefs.pairs(plan, table, f"{feed_name(plan, table.name)}")
    return _held(_into(f"COPY (\n{rows}\n) TO STDOUT", file))


def read_ids(table: TablePlan, file: str) -> tuple[str, ...]:
    """At the source: those ids into the column that is meant for them."""
    return (
        "BEGIN",
        backrefs.create_stage(table),
        Command(f"\\copy target_ids FROM {_quoted(file)}"),
        block("", moving.refuse_others(table, backrefs.STAGE)),
        *backrefs.update(table, backrefs.STAGE),
        "COMMIT",
    )


def write_keys(plan: Plan, table: TablePlan, file: str) -> tuple[str, ...]:
    """In the target, before the rows go: the source and target keys of the run's rows, into a file."""
    pairs, is_begun = own_pairs(plan, table)
    return (
        block("", ""),
        Command(f"SELECT {is_begun} AS migrator_begun\n\\gset"),
        Command("\\if :migrator_begun"),
        _into(f"COPY (\n{pairs}\n) TO STDOUT", file),
        Command("\\else"),
        _into("COPY (SELECT WHERE false) TO STDOUT", file),
        Command("\\endif"),
    )


def clear_ids(table: TablePlan, file: str) -> tuple[str, ...]:
    """At the source: the ids of those rows out again."""
    there = column_at(table.feed.source_sql, table.link.backref or "")  # the schema step may be undone
    emptied = "".join(f"{statement};\n" for statement in backrefs.emptied(table, "pg_temp.migrator_keys"))
    return (
        "BEGIN",
        "CREATE TEMPORARY TABLE migrator_keys (key text, id text) ON COMMIT DROP",
        Command(f"\\copy migrator_keys FROM {_quoted(file)}"),
        block("", f"IF {there} THEN\n{emptied}END IF;"),
        "COMMIT",
    )


def _held(statement: str) -> tuple[str, ...]:
    """One statement in a transaction whose settings were looked at."""
    return ("BEGIN", block("", ""), statement, "COMMIT")


def _into(statement: str, file: str) -> str:
    """A COPY whose rows psql writes into a file."""
    return Command(f"{statement}\n\\g {_quoted(file)}")


def _quoted(file: str) -> str:
    return f"'{file}'"
