"""What only psql can do: rows through files, where source and target are two databases."""

from __future__ import annotations

from jobs.engine.moving import backrefs
from jobs.engine.sql import key_sql, remains
from jobs.engine.sql.walks.chunk_range import Range
from jobs.exporting import checking, moving
from jobs.exporting.blocks import COUNT_DECLARED, Command, Statement, block, column_at, feed_name
from jobs.exporting.taking_back import own_pairs
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, joined, literal, verbatim


def write_feed(table: TablePlan, file: str) -> tuple[Statement, ...]:
    """At the source: every row of the mapping into a file. Like \\copy, but the query may span lines."""
    return _held(_into(compose("COPY (\n{}\n) TO STDOUT", key_sql.feed(table, Range(), "file")), file))


def read_feed(plan: Plan, table: TablePlan, file: str) -> tuple[Statement, ...]:
    """In the target: the file into a table of its own, all of it or nothing."""
    name = feed_name(plan, table.name)
    columns = joined(
        ", ", (compose("{} {}", column.name, column.type) for column in key_sql.feed_columns(table, "file"))
    )
    keys = joined(", ", (compose("k{}", number) for number in range(1, table.feed.range_parts + 1)))
    index: list[Statement] = []
    if keys and not table.whole:
        index.append(compose("CREATE INDEX ON {} ({})", name, keys))
    return (
        verbatim("BEGIN"),
        verbatim("CREATE SCHEMA IF NOT EXISTS migrator"),
        compose("DROP TABLE IF EXISTS {}", name),
        compose("CREATE UNLOGGED TABLE {} ({})", name, columns),
        Command(compose("\\copy {} FROM {}", name, literal(file))),
        *index,
        compose("ANALYZE {}", name),
        verbatim("COMMIT"),
    )


def drop_feeds(plan: Plan) -> tuple[Statement, ...]:
    """The tables that were read from files are not needed any more."""
    return tuple(compose("DROP TABLE IF EXISTS {}", feed_name(plan, table.name)) for table in plan.moved)


def write_ids(plan: Plan, table: TablePlan, file: str) -> tuple[Statement, ...]:
    """In the target: the ids that the source rows got, into a file."""
    rows = backrefs.pairs(plan, table, feed_name(plan, table.name))
    return _held(_into(compose("COPY (\n{}\n) TO STDOUT", rows), file))


def read_ids(table: TablePlan, file: str) -> tuple[Statement, ...]:
    """At the source: those ids into the column that is meant for them."""
    return (
        verbatim("BEGIN"),
        backrefs.create_stage(table),
        Command(compose("\\copy target_ids FROM {}", literal(file))),
        block(NOTHING, moving.refuse_others(table, backrefs.STAGE)),
        *backrefs.update(table, backrefs.STAGE),
        verbatim("COMMIT"),
    )


def check_ids(table: TablePlan, file: str) -> tuple[Statement, ...]:
    """At the source, at any time: whether those ids are there."""
    keys = key_sql.source_key_text(table)
    rows = compose("SELECT {} AS key FROM {}", keys, backrefs.unlike(table, backrefs.STAGE))
    some = compose(
        "SELECT count(*), (array_agg(x.key ORDER BY x.key))[1:{most}] FROM ({rows}) AS x\n"
        "  INTO migrator_count, migrator_keys;\nIF migrator_count > 0 THEN\n"
        "  RAISE INFO 'different, for example: %', migrator_keys;\nEND IF;\n{differ}",
        most=remains.MOST_KEYS, rows=rows,
        differ=checking.backrefs_differ(table, verbatim("migrator_count")),
    )  # fmt: skip
    return (
        verbatim("BEGIN"),
        backrefs.create_stage(table),
        Command(compose("\\copy target_ids FROM {}", literal(file))),
        block(COUNT_DECLARED, some),
        verbatim("COMMIT"),
    )


def write_keys(plan: Plan, table: TablePlan, file: str) -> tuple[Statement, ...]:
    """In the target, before the rows go: the source and target keys of the run's rows, into a file."""
    pairs, is_begun = own_pairs(plan, table)
    return (
        block(NOTHING, NOTHING),
        Command(compose("SELECT {} AS migrator_begun\n\\gset", is_begun)),
        Command(verbatim("\\if :migrator_begun")),
        _into(compose("COPY (\n{}\n) TO STDOUT", pairs), file),
        Command(verbatim("\\else")),
        _into(verbatim("COPY (SELECT WHERE false) TO STDOUT"), file),
        Command(verbatim("\\endif")),
    )


def clear_ids(table: TablePlan, file: str) -> tuple[Statement, ...]:
    """At the source: the ids of those rows out again."""
    there = column_at(table.feed.source_sql, table.link.backref or "")  # the schema step may be undone
    emptied = joined(
        "",
        (
            compose("{};\n", statement)
            for statement in backrefs.emptied(table, verbatim("pg_temp.migrator_keys"))
        ),
    )
    return (
        verbatim("BEGIN"),
        verbatim("CREATE TEMPORARY TABLE migrator_keys (key text, id text) ON COMMIT DROP"),
        Command(compose("\\copy migrator_keys FROM {}", literal(file))),
        block(NOTHING, compose("IF {} THEN\n{}END IF;", there, emptied)),
        verbatim("COMMIT"),
    )


def _held(statement: Statement) -> tuple[Statement, ...]:
    """One statement in a transaction whose settings were looked at."""
    return (verbatim("BEGIN"), block(NOTHING, NOTHING), statement, verbatim("COMMIT"))


def _into(statement: Sql, file: str) -> Command:
    """A COPY whose rows psql writes into a file."""
    return Command(compose("{}\n\\g {}", statement, literal(file)))
