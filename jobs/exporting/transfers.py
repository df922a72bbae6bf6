"""What only psql can do: rows through files, where source and target are two databases."""

from __future__ import annotations

from jobs.engine.moving import backrefs
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import Range
from jobs.exporting import moving
from jobs.exporting.blocks import block, column_at, feed_name
from jobs.exporting.taking_back import own_pairs
from mappings.plan.model import Plan, TablePlan


def write_feed(table: TablePlan, file: str) -> tuple[str, ...]:
    """At the source: every row of the mapping into a file. Like \\copy, but the query may span lines."""
    return _held(f"COPY (\n{key_sql.feed(table, Range(), 'verify')}\n) TO STDOUT\n\\g {_quoted(file)}")


def read_feed(plan: Plan, table: TablePlan, file: str) -> tuple[str, ...]:
    """In the target: the file into a table of its own, all of it or nothing."""
    name = feed_name(plan, table.name)
    columns = ", ".join(f"{column.name} {column.type}" for column in key_sql.feed_columns(table, "verify"))
    keys = ", ".join(f"k{number}" for number in range(1, table.range_parts + 1))
    index = (f"CREATE INDEX ON {name} ({keys});",) if keys and not table.whole else ()
    return (
        "BEGIN;",
        "CREATE SCHEMA IF NOT EXISTS migrator;",
        f"DROP TABLE IF EXISTS {name};",
        f"CREATE UNLOGGED TABLE {name} ({columns});",
        f"\\copy {name} FROM {_quoted(file)}",
        *index,
        f"ANALYZE {name};",
        "COMMIT;",
    )


def drop_feeds(plan: Plan) -> tuple[str, ...]:
    """The tables that were read from files are not needed any more."""
    return tuple(f"DROP TABLE IF EXISTS {feed_name(plan, table.name)}" for table in plan.moved)


def write_ids(plan: Plan, table: TablePlan, file: str) -> tuple[str, ...]:
    """In the target: the ids that the source rows got, into a file."""
    rows = backrefs.pairs(plan, table, f"{feed_name(plan, table.name)}")
    return _held(f"COPY (\n{rows}\n) TO STDOUT\n\\g {_quoted(file)}")


def read_ids(table: TablePlan, file: str) -> tuple[str, ...]:
    """At the source: those ids into the column that is meant for them."""
    return (
        "BEGIN;",
        f"{backrefs.create_stage(table)};",
        f"\\copy target_ids FROM {_quoted(file)}",
        f"{block('', moving.refuse_others(table, backrefs.STAGE))};",
        *(f"{statement};" for statement in backrefs.update(table, backrefs.STAGE)),
        "COMMIT;",
    )


def write_keys(plan: Plan, table: TablePlan, file: str) -> tuple[str, ...]:
    """In the target, before the rows go: the source and target keys of the run's rows, into a file."""
    pairs, is_begun = own_pairs(plan, table)
    return (
        f"{block('', '')};",
        f"SELECT {is_begun} AS migrator_begun\n\\gset",
        "\\if :migrator_begun",
        f"COPY (\n{pairs}\n) TO STDOUT\n\\g {_quoted(file)}",
        f"\\else\nCOPY (SELECT WHERE false) TO STDOUT\n\\g {_quoted(file)}",
        "\\endif",
    )


def clear_ids(table: TablePlan, file: str) -> tuple[str, ...]:
    """At the source: the ids of those rows out again."""
    there = column_at(table.source_sql, table.backref or "")  # the schema step may be undone
    emptied = "".join(f"{statement};\n" for statement in backrefs.emptied(table, "pg_temp.migrator_keys"))
    return (
        "BEGIN;",
        "CREATE TEMPORARY TABLE migrator_keys (key text, id text) ON COMMIT DROP;",
        f"\\copy migrator_keys FROM {_quoted(file)}",
        block("", f"IF {there} THEN\n{emptied}END IF;") + ";",
        "COMMIT;",
    )


def _held(statement: str) -> tuple[str, ...]:
    """One statement in a transaction whose settings were looked at."""
    return ("BEGIN;", f"{block('', '')};", statement, "COMMIT;")


def _quoted(file: str) -> str:
    return f"'{file}'"
