"""What a chunk's rows do in the target: inserted, updated or kept, and out of the quarantine."""

from __future__ import annotations

from jobs.engine.moving import backrefs
from jobs.engine.sql import insert_rows, key_sql
from jobs.engine.sql.key_sql import Range
from jobs.engine.sql.merging import merge, merge_by_level, program
from jobs.engine.sql.new_rows import there
from jobs.engine.sql.rollback import remember
from jobs.exporting import keys_again
from jobs.exporting.blocks import executed, in_turn, scripted, stop
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, joined, verbatim


def placed(plan: Plan, table: TablePlan, relation: Sql, chunk: Range) -> Sql:
    """Rows that were rolled back get the keys again that they had."""
    had = table.with_memory(remember.is_remembered(table))
    again, new = (_place(plan, either, relation, chunk) for either in (had, table))
    return keys_again.either(plan, table, again, new)


def forget_gone(plan: Plan, table: TablePlan, relation: Sql) -> Sql:
    """As a worker does; between two databases the script that would overwrite such a value stops instead."""
    if not (plan.same_database and backrefs.knows_gone(table)):
        return NOTHING
    pairs = there.gone(plan, table, relation)
    emptied = joined(
        "", (compose("{};\n", statement) for statement in backrefs.emptied(table, compose("({})", pairs)))
    )
    return compose("IF EXISTS ({}) THEN\n{}END IF;\n", pairs, emptied)


def _place(plan: Plan, table: TablePlan, relation: Sql, chunk: Range) -> Sql:
    """Inserts, updates or keeps; always looking first whether a row is there."""
    if table.into.existing is None:
        lists_keys = not table.link.keep_map
        statement = insert_rows.insert(
            scripted(plan, table), relation, chunk, lists_keys=lists_keys, guarded=True
        )
        keys = verbatim("" if not lists_keys else "migrator_keys := coalesce(migrator_keys, '{}');\n")
        return compose("{}{}", executed(statement, verbatim("migrator_inserted, migrator_keys")), keys)
    if table.whole:
        return _place_by_level(plan, table, relation, chunk)
    staged = in_turn(program.staged(table, merge.fill(plan, table, relation, chunk, guarded=True)))
    return joined("", [staged, _merged(plan, table)])


def _merged(plan: Plan, table: TablePlan) -> Sql:
    """What becomes of the staged rows; their counts go where a chunk's are."""
    return joined("", (_printed(step) for step in program.merged(scripted(plan, table), guarded=True)))


def _printed(step: program.Step) -> Sql:
    match step:
        case program.Refuse(when, why):
            return compose("IF ({}) THEN\n  {}\nEND IF;\n", when, stop(why))
        case program.Analyze(sql, when) if when is not None:
            return compose("IF ({}) THEN\n  {};\nEND IF;\n", when, sql)
        case program.Count(sql):
            return executed(sql, COUNTS)
    return executed(step.sql)


COUNTS = verbatim("migrator_inserted, migrator_updated, migrator_kept")
"""The variables for what was done with a chunk's rows."""


def _place_by_level(plan: Plan, table: TablePlan, relation: Sql, chunk: Range) -> Sql:
    """Rows that are found by where their parents of the same table went, parents first."""
    counts = (verbatim("migrator_inserted"), verbatim("migrator_updated"), verbatim("migrator_kept"))
    none_left = compose("EXIT WHEN NOT EXISTS (SELECT FROM {})", merge.stage_name(table))
    noted = [
        compose("migrator_so_far[{n}] := migrator_so_far[{n}] + {name}", n=n, name=name)
        for n, name in enumerate(counts, start=1)
    ]
    told = [compose("{} := migrator_so_far[{}]", name, n) for n, name in enumerate(counts, start=1)]
    rest = compose(
        "IF (SELECT count FROM ({left}) AS x) > 0 THEN\n{fill_rest};\n{stop}\nEND IF",
        left=merge_by_level.left(table), fill_rest=merge_by_level.fill_rest(plan, table),
        stop=stop(merge_by_level.in_a_circle(table)),
    )  # fmt: skip
    level = joined(
        "",
        [
            in_turn(program.staged(table, merge_by_level.fill_level(plan, table)), [none_left]),
            _merged(plan, table),
            in_turn(noted, [merge_by_level.let_go(table)]),
        ],
    )
    held = [
        *merge_by_level.hold(plan, table, relation, chunk, guarded=True),
        verbatim("migrator_so_far := '{0,0,0}'"),
    ]
    return compose("{}LOOP\n{}END LOOP;\n{}", in_turn(held), level, in_turn([*told, rest]))


def released(plan: Plan, table: TablePlan, relation: Sql) -> Sql:
    """Rows that a worker had set aside earlier and that went in this time leave the quarantine."""
    aside = key_sql.of_table(plan, table.name, verbatim("q"))
    return compose(
        "IF EXISTS (SELECT FROM migrator.quarantine AS q WHERE {aside}) THEN\n"
        "WITH gone AS (DELETE FROM migrator.quarantine AS q USING {relation} AS f\n"
        " WHERE {aside} AND q.source_key = {feed_key_text} RETURNING q.*)\n"
        "INSERT INTO migrator.released SELECT gone.*, migrator_run FROM gone WHERE gone.run <> migrator_run;\n"
        "END IF;\n",
        aside=aside, relation=relation, feed_key_text=key_sql.feed_key_text(table, verbatim("f")),
    )  # fmt: skip
