"""Scripts that take rows back: links emptied, rows deleted or restored, map rows gone; chunk by chunk."""

from __future__ import annotations

from jobs import phases
from jobs.engine.moving import backrefs
from jobs.engine.sql import firing, past_triggers, remember
from jobs.engine.sql import remove as removals
from jobs.engine.sql.rollback import walk
from jobs.engine.sql.walks.chunk_range import LateRange, Range
from jobs.engine.target import ledger
from jobs.exporting import registering
from jobs.exporting.blocks import (
    FIRED,
    HIGH,
    LOW,
    RUN_DECLARED,
    Statement,
    begun,
    block,
    bound_in,
    executed,
    hushed,
    in_turn,
    own_run,
    run_to_take_back,
    scripted,
    settled,
)
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, bound, compose, joined, literal, verbatim

CHUNK_ROWS = 20_000

DECLARED = joined(
    "\n",
    [
        RUN_DECLARED,
        verbatim("migrator_chunk integer;"),
        compose("{} text[];", LOW),
        compose("{} text[];", HIGH),
        verbatim("migrator_rows bigint := 0;"),
        verbatim("migrator_keys bigint;"),
        FIRED,
    ],
)


def remove(plan: Plan, table: TablePlan, rows: int = CHUNK_ROWS) -> tuple[Statement, ...]:
    """Deletes what the run inserted, restores what it updated, and what the map says of both."""
    chunk = _walked(table)
    before, statement, after = past_triggers.remove(scripted(plan, table), chunk)
    removed = executed(statement, verbatim("migrator_rows, migrator_keys"))
    keeps = registering.INSTALLED if remember.is_remembered(table) else NOTHING
    work = joined("", [keeps, in_turn(before), removed, in_turn(after)])
    return (_loop(plan, table, phases.UNDO, rows, work, by_chunks=True),)


def unlink(plan: Plan, table: TablePlan) -> tuple[Statement, ...]:
    """Empties the deferred references of the run's rows, and the ids at the source in one database."""
    work: list[Sql] = []
    if any(ref.deferred for ref in table.references):
        emptied = removals.unlink(scripted(plan, table), Range())
        work.append(executed(firing.counted(table, emptied)))
    if table.link.backref and plan.same_database:
        pairs = compose("({})", removals.own_pairs(scripted(plan, table), Range()))
        work += [settled(table), in_turn(backrefs.emptied(table, pairs))]
    return (_loop(plan, table, phases.UNLINK, 0, joined("", work), by_chunks=False),)


def own_pairs(plan: Plan, table: TablePlan) -> tuple[Sql, Sql]:
    """The keys of the run's rows, as long as no worker has taken it over; and whether there can be any."""
    own = own_run(plan)
    number = compose("(SELECT r.number FROM migrator.run AS r WHERE {} AND r.epoch = 1)", own)
    return removals.own_pairs(scripted(plan, table, number), Range()), begun(table.name, number)


def _walked(table: TablePlan) -> Range:
    """The next of what is left, by the map's own order, or by the source ids where there is no map."""
    if table.whole:
        return Range()
    parts = 1 if table.link.keep_map else len(table.link.source_id)
    return LateRange(above=bound_in(LOW, parts), up_to=bound_in(HIGH, parts))


def _loop(plan: Plan, table: TablePlan, phase: str, rows: int, work: Sql, *, by_chunks: bool) -> Sql:
    """Takes the next rows of what is left until nothing is; or all at once."""
    record = bound(
        ledger.RECORD,
        [
            *(
                verbatim("migrator_run"),
                literal(table.name),
                literal(phase),
                verbatim("migrator_chunk"),
                verbatim("NULL"),
                HIGH,
            ),
            *(verbatim("migrator_rows"), verbatim("0"), verbatim("0"), verbatim("0"), verbatim("NULL")),
        ],
    )
    body = compose(
        "LOOP\n"
        "{run_to_take_back}\n"
        "IF migrator_run IS NULL OR NOT {begun} THEN\n"
        "  RAISE INFO 'nothing to roll back';\n  RETURN;\nEND IF;\n"
        "SELECT coalesce(max(l.chunk), 0) + 1 INTO migrator_chunk FROM migrator.ledger AS l\n"
        " WHERE l.run = migrator_run AND l.table_name = {name} AND l.phase = {phase};\n"
        "{boundary}{hushed}{work}{settled}{record};\n"
        "RAISE INFO '%: % chunk %, % rows', {name}, {phase}, migrator_chunk, migrator_rows;\n"
        "COMMIT;\nEXIT WHEN {high} IS NULL;\n{low} := {high};\nEND LOOP;",
        run_to_take_back=run_to_take_back(plan), begun=begun(table.name), name=literal(table.name),
        phase=literal(phase), boundary=_boundary(plan, table, rows) if by_chunks else NOTHING,
        hushed=hushed(table), work=work, settled=settled(table), record=record, high=HIGH, low=LOW,
    )  # fmt: skip
    return block(DECLARED, body)


def _boundary(plan: Plan, table: TablePlan, rows: int) -> Sql:
    if table.whole:
        return compose("{} := NULL;\n", HIGH)
    parts = 1 if table.link.keep_map else len(table.link.source_id)
    names = [compose("b{}", number) for number in range(1, parts + 1)]
    query = walk.boundary(scripted(plan, table), LateRange(above=bound_in(LOW, parts)), rows)
    array = compose("ARRAY[{}]", joined(", ", (compose("b.{}", name) for name in names)))
    return compose(
        "{high} := (SELECT {array} FROM ({query}) AS b({names}));\n",
        high=HIGH, array=array, query=query, names=joined(", ", names),
    )  # fmt: skip
