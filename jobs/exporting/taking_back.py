"""Scripts that take rows back: links emptied, rows deleted or restored, map rows gone; chunk by chunk."""

from __future__ import annotations

from jobs import phases
from jobs.engine.moving import backrefs
from jobs.engine.sql import firing, past_triggers
from jobs.engine.sql import remove as removals
from jobs.engine.sql.key_sql import Range
from jobs.engine.target import ledger
from jobs.exporting.blocks import (
    FIRED,
    HIGH,
    LOW,
    RUN,
    RUN_DECLARED,
    begun,
    block,
    bound,
    executed,
    hushed,
    own_run,
    run_to_take_back,
    settled,
    variables,
)
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import compose, literal, printed

CHUNK_ROWS = 20_000

DECLARED = "\n".join(
    [
        RUN_DECLARED,
        "migrator_chunk integer;",
        f"{LOW} text[];",
        f"{HIGH} text[];",
        "migrator_rows bigint := 0;",
        "migrator_keys bigint;",
        FIRED,
    ]
)


def remove(plan: Plan, table: TablePlan, rows: int = CHUNK_ROWS) -> tuple[str, ...]:
    """Deletes what the run inserted, restores what it updated, and what the map says of both."""
    chunk = _walked(table)
    before, statement, after = past_triggers.remove(plan, table, RUN, False, chunk)
    work = "".join(executed(one) for one in before)
    work += executed(statement, "migrator_rows, migrator_keys") + "".join(executed(one) for one in after)
    return (_loop(plan, table, phases.UNDO, rows, work, by_chunks=True),)


def unlink(plan: Plan, table: TablePlan) -> tuple[str, ...]:
    """Empties the deferred references of the run's rows, and the ids at the source in one database."""
    work = ""
    if any(ref.deferred for ref in table.references):
        work += executed(firing.counted(table, removals.unlink(plan, table, RUN, False, Range())))
    if table.link.backref and plan.same_database:
        pairs = f"({removals.own_pairs(plan, table, RUN, False, Range())})"
        work += settled(table) + "".join(f"{statement};\n" for statement in backrefs.emptied(table, pairs))
    return (_loop(plan, table, phases.UNLINK, 0, work, by_chunks=False),)


def own_pairs(plan: Plan, table: TablePlan) -> tuple[str, str]:
    """The keys of the run's rows, as long as no worker has taken it over; and whether there can be any."""
    own = printed(own_run(plan))
    number = compose("(SELECT r.number FROM migrator.run AS r WHERE {} AND r.epoch = 1)", own)
    return removals.own_pairs(plan, table, number, False, Range()), begun(table.name, number)


def _walked(table: TablePlan) -> Range:
    """The next of what is left, by the map's own order, or by the source ids where there is no map."""
    if table.whole:
        return Range()
    parts = 1 if table.link.keep_map else len(table.link.source_id)
    return Range(variables(LOW, parts), variables(HIGH, parts))


def _loop(plan: Plan, table: TablePlan, phase: str, rows: int, work: str, *, by_chunks: bool) -> str:
    """Takes the next rows of what is left until nothing is; or all at once."""
    record = bound(
        ledger.RECORD,
        [
            *("migrator_run", literal(table.name), literal(phase), "migrator_chunk", "NULL", HIGH),
            *("migrator_rows", "0", "0", "0", "NULL"),
        ],
    )
    body = (
        "LOOP\n"
        f"{run_to_take_back(plan)}\n"
        f"IF migrator_run IS NULL OR NOT {begun(table.name)} THEN\n"
        "  RAISE INFO 'nothing to roll back';\n  RETURN;\nEND IF;\n"
        "SELECT coalesce(max(l.chunk), 0) + 1 INTO migrator_chunk FROM migrator.ledger AS l\n"
        f" WHERE l.run = migrator_run AND l.table_name = {literal(table.name)} AND l.phase = {literal(phase)};\n"
        f"{_boundary(plan, table, rows) if by_chunks else ''}{hushed(table)}{work}{settled(table)}{record};\n"
        f"RAISE INFO '%: % chunk %, % rows', {literal(table.name)}, {literal(phase)}, migrator_chunk, migrator_rows;\n"
        f"COMMIT;\nEXIT WHEN {HIGH} IS NULL;\n{LOW} := {HIGH};\nEND LOOP;"
    )
    return block(DECLARED, body)


def _boundary(plan: Plan, table: TablePlan, rows: int) -> str:
    if table.whole:
        return f"{HIGH} := NULL;\n"
    parts = 1 if table.link.keep_map else len(table.link.source_id)
    names = [f"b{number}" for number in range(1, parts + 1)]
    query = removals.boundary(plan, table, RUN, False, variables(LOW, parts), rows)
    array = f"ARRAY[{', '.join(f'b.{name}' for name in names)}]"
    return f"{HIGH} := (SELECT {array} FROM ({query}) AS b({', '.join(names)}));\n"
