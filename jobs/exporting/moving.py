"""Scripts that move rows: a table's copy and links in chunks, each a transaction with its line in the ledger."""

from __future__ import annotations

from jobs import phases
from jobs.engine.moving import backrefs, ranges
from jobs.engine.moving.sequences import advance
from jobs.engine.sql import (
    feed_stage,
    key_sql,
    past_triggers,
)
from jobs.engine.sql.references import lookup
from jobs.engine.sql.walks.bounds import between
from jobs.engine.sql.walks.chunk_range import LateRange, Range
from jobs.engine.target import ledger
from jobs.exporting import assigning, keys_again, placing
from jobs.exporting.blocks import (
    FIRED,
    HIGH,
    LOW,
    RUN,
    RUN_DECLARED,
    Statement,
    block,
    bound_in,
    counted,
    feed_name,
    hushed,
    in_turn,
    require_run,
    scripted,
    settled,
    stop,
)
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, bound, compose, joined, literal, verbatim

CHUNK_ROWS = 20_000
"""Source rows of a chunk; without an index on the key more, as each chunk then reads the whole table."""

DECLARED = joined(
    "\n",
    [
        RUN_DECLARED,
        verbatim("migrator_chunk integer;"),
        compose("{} text[];", LOW),
        compose("{} text[];", HIGH),
        verbatim("migrator_inserted bigint := 0;"),
        verbatim("migrator_updated bigint := 0;"),
        verbatim("migrator_kept bigint := 0;"),
        verbatim("migrator_so_far bigint[];"),
        verbatim("migrator_keys text[];"),
        FIRED,
    ],
)


WRITTEN = (
    *(verbatim("migrator_inserted"), verbatim("migrator_updated"), verbatim("migrator_kept")),
    *(verbatim("0"), verbatim("migrator_keys")),
)
"""What the ledger says of a chunk: nothing is quarantined by a script."""


def copy_table(plan: Plan, table: TablePlan, rows: int = CHUNK_ROWS) -> tuple[Statement, ...]:
    """Every source row that is not there yet, chunk by chunk. Executed again it goes on after the last chunk."""
    chunk = _range(table)
    relation = relation_of(plan, table, chunk, "copy")
    late = assigning.assign_late(plan, table, relation, relation_of(plan, table, chunk, "assign"))
    work = compose(
        "SET CONSTRAINTS ALL IMMEDIATE;\n{late}{forget_gone}{placed}{released}",
        late=late, forget_gone=placing.forget_gone(plan, table, relation),
        placed=placing.placed(plan, table, relation, chunk), released=placing.released(plan, table, relation),
    )  # fmt: skip
    after: list[Statement] = [compose("ANALYZE {}", table.into.target_sql)]
    if table.link.keep_map:
        after.append(verbatim("ANALYZE migrator.migration_map"))
    first = (advance(table, sequence) for sequence in (*table.into.drawn, *table.into.ahead))
    return (
        *first,
        *_assign(plan, table),
        _loop(plan, table, phases.COPY, rows, keys_again.gathered(plan, table), work),
        *after,
    )


def _assign(plan: Plan, table: TablePlan) -> tuple[Statement, ...]:
    """All rows get the values that depend on those that are taken, before any is copied."""
    if not table.assigning:
        return ()
    epoch = verbatim("SELECT r.epoch FROM migrator.run AS r WHERE r.number = migrator_run")
    taken_over = compose("IF ({}) > 1 THEN\n  RETURN;\nEND IF;\n", epoch)
    given = compose(
        "{}{};\n", assigning.assign(plan, table, relation_of(plan, table, Range(), "assign")), lookup.KNOWN
    )
    return (
        block(
            DECLARED,
            compose(
                "{require_run}\n{taken_over}{staged_first}{given}",
                require_run=require_run(plan), taken_over=taken_over, staged_first=staged_first(plan, table),
                given=given,
            ),
        ),
    )  # fmt: skip


def link(plan: Plan, table: TablePlan, rows: int = CHUNK_ROWS) -> tuple[Statement, ...]:
    """References that had to wait until all rows are in, and in one database the target's ids at the source."""
    chunk = _range(table)
    relation = relation_of(plan, table, chunk, "link")
    work: list[Sql] = []
    if any(ref.deferred for ref in table.references):
        before, fill, after = past_triggers.link(scripted(plan, table), relation)
        work += [in_turn(before), counted(fill, verbatim("migrator_updated")), in_turn(after)]
    if table.link.backref and plan.same_database:
        pairs = compose("({})", backrefs.pairs(plan, table, relation))
        work += [settled(table), refuse_others(table, pairs), in_turn(backrefs.update(table, pairs))]
    return (_loop(plan, table, phases.LINK, rows, all_copied(plan), joined("", work)),)


def refuse_others(table: TablePlan, pairs: Sql) -> Sql:
    """Stops where a source row has a value in its back-reference that no run wrote. pairs: a FROM item of (key, id)."""
    others = stop(
        f"{table.name}: {table.source}.{table.link.backref} has values that no run of this mapping wrote,"
        " which would be overwritten; empty them, and execute this script again"
    )
    return compose(
        "IF EXISTS (SELECT FROM {}) THEN\n  {}\nEND IF;\n", backrefs.differing(table, pairs), others
    )


def all_copied(plan: Plan) -> Sql:
    """Stops unless every table was copied to its end."""
    names = joined(", ", (literal(table.name) for table in plan.moved))
    last = verbatim("l.run = migrator_run AND l.table_name = t.name AND l.phase = 'copy' AND l.high IS NULL")
    missing = stop("not every table is copied to its end: execute the scripts before this one first")
    return compose(
        "IF EXISTS (SELECT FROM unnest(ARRAY[{names}]::text[]) AS t(name)\n"
        "            WHERE NOT EXISTS (SELECT FROM migrator.ledger AS l WHERE {last})) THEN\n  {missing}\nEND IF;\n",
        names=names, last=last, missing=missing,
    )  # fmt: skip


def _range(table: TablePlan) -> Range:
    """The chunk between two variables, or everything where rows have to go in one statement."""
    if table.whole or not table.feed.range_parts:
        return Range()
    return LateRange(
        above=bound_in(LOW, table.feed.range_parts), up_to=bound_in(HIGH, table.feed.range_parts)
    )


def relation_of(plan: Plan, table: TablePlan, chunk: Range, purpose: key_sql.Purpose) -> Sql:
    """The feed of a range: the mapping over the source tables, or in two databases over what was staged of it."""
    if plan.same_database:
        return feed_stage.inline(table, chunk, purpose)
    return compose("(SELECT * FROM {} AS s WHERE {})", feed_name(plan, table.name), _staged(table, chunk))


def _staged(table: TablePlan, chunk: Range) -> Sql:
    parts = table.feed.key[: table.feed.range_parts]
    columns = [compose("s.k{}", number) for number, _ in enumerate(parts, start=1)]
    types, operators = [part.type for part in parts], [part.kept_operators for part in parts]
    return between(columns, types, *key_sql.ends(chunk), operators)


def _loop(plan: Plan, table: TablePlan, phase: str, rows: int, before: Sql, work: Sql) -> Sql:
    """Chunks until the last, each committed with its line in the ledger; the last has no upper end."""
    whose = (RUN, literal(table.name), literal(phase), verbatim("migrator_chunk"), LOW, HIGH)
    record = bound(ledger.RECORD, [*whose, *WRITTEN])
    said = verbatim("'%: % chunk %: % inserted, % updated, % kept'")
    counts = verbatim("migrator_chunk, migrator_inserted, migrator_updated, migrator_kept")
    body = compose(
        "LOOP\n"
        "{require_run}\n"
        "IF (SELECT r.epoch FROM migrator.run AS r WHERE r.number = migrator_run) > 1 THEN\n"
        "  RAISE INFO 'a worker has taken this run over, nothing to do';\n  EXIT;\nEND IF;\n"
        "{before}"
        "SELECT l.chunk, l.high INTO migrator_chunk, {low} FROM migrator.ledger AS l\n"
        " WHERE l.run = migrator_run AND l.table_name = {name} AND l.phase = {phase}\n"
        " ORDER BY l.chunk DESC LIMIT 1;\n"
        "EXIT WHEN migrator_chunk IS NOT NULL AND {low} IS NULL;\n"
        "migrator_chunk := coalesce(migrator_chunk, 0) + 1;\n"
        "{staged_first}{boundary}{hushed}{work}{settled}{record};\n"
        "RAISE INFO {said}, {name}, {phase}, {counts};\n"
        "COMMIT;\nEND LOOP;",
        require_run=require_run(plan), before=before, low=LOW, name=literal(table.name), phase=literal(phase),
        staged_first=staged_first(plan, table), boundary=_boundary(plan, table, rows), hushed=hushed(table),
        work=work, settled=settled(table), record=record, said=said, counts=counts,
    )  # fmt: skip
    return block(DECLARED, body)


def staged_first(plan: Plan, table: TablePlan) -> Sql:
    """Stops where the table's rows were not read from their file yet."""
    if plan.same_database:
        return NOTHING
    name = feed_name(plan, table.name)
    missing = stop(
        f"{table.name}: its rows are not in {name}; execute the script that reads them from a file first"
    )
    return compose("IF to_regclass({}) IS NULL THEN\n  {}\nEND IF;\n", literal(name), missing)


def _boundary(plan: Plan, table: TablePlan, rows: int) -> Sql:
    """The key that ends the next chunk; NULL where fewer rows are left."""
    if table.whole or not table.feed.range_parts:
        return compose("{} := NULL;\n", HIGH)
    left = LateRange(above=bound_in(LOW, table.feed.range_parts))
    names = [compose("b{}", number) for number in range(1, table.feed.range_parts + 1)]
    if plan.same_database:
        query = ranges.boundary(table, left, rows if table.feed.stepped else max(rows, ranges.UNSTEPPED))
    else:
        keys = joined(", ", (compose("s.k{}", number) for number in range(1, table.feed.range_parts + 1)))
        listed = joined(
            ", ", (compose("s.k{}::text", number) for number in range(1, table.feed.range_parts + 1))
        )
        source = compose("{} AS s WHERE {}", feed_name(plan, table.name), _staged(table, left))
        query = compose(
            "SELECT {listed} FROM {source} ORDER BY {keys} OFFSET {rows} LIMIT 1",
            listed=listed, source=source, keys=keys, rows=rows - 1,
        )  # fmt: skip
    array = compose("ARRAY[{}]", joined(", ", (compose("b.{}", name) for name in names)))
    return compose(
        "{high} := (SELECT {array} FROM ({query}) AS b({names}));\n",
        high=HIGH, array=array, query=query, names=joined(", ", names),
    )  # fmt: skip


def sequences(plan: Plan) -> tuple[Statement, ...]:
    """Puts each sequence of a mapped column past the largest value in it, and checks the foreign keys of backrefs."""
    keys = (backrefs.validation(table) for table in plan.moved if table.link.backref_key)
    ahead = (advance(table, sequence) for table in plan.moved for sequence in table.into.sequences)
    return (*ahead, *keys)
