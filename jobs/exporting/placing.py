"""What a chunk's rows do in the target: inserted, updated or kept, and out of the quarantine."""

from __future__ import annotations

from jobs.engine.moving import backrefs
from jobs.engine.sql import key_sql, program, remember
from jobs.engine.sql.new_rows import there
from jobs.engine.sql.walks.chunk_range import Range
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
    """Always looks first whether a row is there."""
    lists_keys = table.into.existing is None and not table.link.keep_map
    steps = program.placed(scripted(plan, table), relation, chunk, guarded=True, lists_keys=lists_keys)
    return joined("", (_printed(step) for step in steps))


def _printed(step: program.Step) -> Sql:
    match step:
        case program.Insert():
            text = _insert(step)
        case program.InsertAll():
            raise AssertionError("no table is fresh to a script")
        case program.Stage():
            text = in_turn(step.statements)
        case program.ByLevel():
            text = _level_by_level(step)
        case program.Refuse(when, why):
            text = _where(when, stop(why))
        case program.Advise(sql, when) if when is not None:
            text = _where(when, compose("{};", sql))
        case program.Count(sql):
            text = executed(sql, joined(", ", COUNTS))
        case _:
            text = executed(step.sql)
    return text


def _where(condition: Sql, statement: Sql) -> Sql:
    return compose("IF ({}) THEN\n  {}\nEND IF;\n", condition, statement)


COUNTS = (verbatim("migrator_inserted"), verbatim("migrator_updated"), verbatim("migrator_kept"))
"""The variables for what was done with a chunk's rows."""


def _insert(step: program.Insert) -> Sql:
    lines = [executed(step.sql, verbatim("migrator_inserted, migrator_keys"))]
    if step.lists_keys:
        lines.append(verbatim("migrator_keys := coalesce(migrator_keys, '{}');\n"))
    if step.why:
        lines.append(_where(verbatim("migrator_inserted IS NULL"), stop(step.why)))
    return joined("", lines)


def _level_by_level(step: program.ByLevel) -> Sql:
    noted = [
        compose("migrator_so_far[{n}] := migrator_so_far[{n}] + {name}", n=n, name=name)
        for n, name in enumerate(COUNTS, start=1)
    ]
    told = [compose("{} := migrator_so_far[{}]", name, n) for n, name in enumerate(COUNTS, start=1)]
    rest = compose(
        "IF (SELECT count FROM ({left}) AS x) > 0 THEN\n{fill_rest};\n{stop}\nEND IF",
        left=step.left, fill_rest=step.rest, stop=stop(step.why),
    )  # fmt: skip
    none_left = compose("EXIT WHEN NOT EXISTS (SELECT FROM {})", step.stage.name)
    level = joined(
        "",
        [
            in_turn(step.stage.statements, [none_left]),
            *(_printed(each) for each in step.level),
            in_turn(noted, [step.let_go]),
        ],
    )
    held = [*step.hold, verbatim("migrator_so_far := '{0,0,0}'")]
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
