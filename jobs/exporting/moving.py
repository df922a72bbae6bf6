"""Scripts that move rows: a table's copy and links in chunks, each a transaction with its line in the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from jobs import phases
from jobs.engine.moving import backrefs, ranges
from jobs.engine.moving.sequences import advance
from jobs.engine.sql import (
    before_images,
    feed_stage,
    insert_rows,
    key_sql,
    merge,
    merge_by_level,
    past_triggers,
    superseded,
)
from jobs.engine.sql.assigning import lookup
from jobs.engine.sql.key_sql import Range
from jobs.engine.sql.rollback import remember
from jobs.engine.target import ledger
from jobs.exporting import assigning, keys_again
from jobs.exporting.blocks import (
    FIRED,
    HIGH,
    LOW,
    RUN,
    RUN_DECLARED,
    block,
    bound,
    counted,
    executed,
    feed_name,
    hushed,
    require_run,
    settled,
    stop,
    variables,
)
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import literal

CHUNK_ROWS = 20_000
"""Source rows of a chunk; without an index on the key more, as each chunk then reads the whole table."""

DECLARED = "\n".join(
    [
        RUN_DECLARED,
        "migrator_chunk integer;",
        f"{LOW} text[];",
        f"{HIGH} text[];",
        "migrator_inserted bigint := 0;",
        "migrator_updated bigint := 0;",
        "migrator_kept bigint := 0;",
        "migrator_so_far bigint[];",
        "migrator_keys text[];",
        FIRED,
    ]
)


def copy(plan: Plan, table: TablePlan, rows: int = CHUNK_ROWS) -> tuple[str, ...]:
    """Every source row that is not there yet, chunk by chunk. Executed again it goes on after the last chunk."""
    chunk = _range(table)
    relation = relation_of(plan, table, chunk, "copy")
    late = assigning.assign_late(plan, table, relation, relation_of(plan, table, chunk, "assign"))
    work = (
        f"SET CONSTRAINTS ALL IMMEDIATE;\n{late}{_forget_gone(plan, table, relation)}"
        f"{_placed(plan, table, relation, chunk)}{_released(plan, table, relation)}"
    )
    mapped = ("ANALYZE migrator.migration_map",) if table.link.keep_map else ()
    after = (f"ANALYZE {table.into.target_sql}", *mapped)
    first = (advance(table, sequence) for sequence in (*table.into.drawn, *table.into.ahead))
    return (
        *first,
        *_assign(plan, table),
        _loop(plan, table, phases.COPY, rows, keys_again.gathered(plan, table), work),
        *after,
    )


def _assign(plan: Plan, table: TablePlan) -> tuple[str, ...]:
    """All rows get the values that depend on those that are taken, before any is copied."""
    if not table.assigning:
        return ()
    epoch = "SELECT r.epoch FROM migrator.run AS r WHERE r.number = migrator_run"
    taken_over = f"IF ({epoch}) > 1 THEN\n  RETURN;\nEND IF;\n"
    given = f"{assigning.assign(plan, table, relation_of(plan, table, Range(), 'assign'))}{lookup.KNOWN};\n"
    return (block(DECLARED, f"{require_run(plan)}\n{taken_over}{staged_first(plan, table)}{given}"),)


def link(plan: Plan, table: TablePlan, rows: int = CHUNK_ROWS) -> tuple[str, ...]:
    """References that had to wait until all rows are in, and in one database the target's ids at the source."""
    chunk = _range(table)
    relation = relation_of(plan, table, chunk, "link")
    work = ""
    if any(ref.deferred for ref in table.references):
        before, fill, after = past_triggers.link(plan, table, relation, RUN, fresh=False)
        work += "".join(executed(statement) for statement in before)
        work += counted(fill, "migrator_updated") + "".join(executed(statement) for statement in after)
    if table.link.backref and plan.same_database:
        pairs = f"({backrefs.pairs(plan, table, relation)})"
        work += settled(table) + refuse_others(table, pairs)
        work += "".join(f"{statement};\n" for statement in backrefs.update(table, pairs))
    return (_loop(plan, table, phases.LINK, rows, all_copied(plan), work),)


def _placed(plan: Plan, table: TablePlan, relation: str, chunk: Range) -> str:
    """Rows that were rolled back get the keys again that they had."""
    had = table.with_memory(remember.is_remembered(table))
    again, new = (_place(plan, either, relation, chunk) for either in (had, table))
    return keys_again.either(plan, table, again, new)


def _forget_gone(plan: Plan, table: TablePlan, relation: str) -> str:
    """As a worker does; between two databases the script that would overwrite such a value stops instead."""
    if not (plan.same_database and backrefs.knows_gone(table)):
        return ""
    pairs = insert_rows.gone(plan, table, relation)
    emptied = "".join(f"{statement};\n" for statement in backrefs.emptied(table, f"({pairs})"))
    return f"IF EXISTS ({pairs}) THEN\n{emptied}END IF;\n"


def refuse_others(table: TablePlan, pairs: str) -> str:
    """Stops where a source row has a value in its back-reference that no run wrote. pairs: a FROM item of (key, id)."""
    others = stop(
        f"{table.name}: {table.source}.{table.link.backref} has values that no run of this mapping wrote,"
        " which would be overwritten; empty them, and execute this script again"
    )
    return f"IF EXISTS (SELECT FROM {backrefs.differing(table, pairs)}) THEN\n  {others}\nEND IF;\n"


def all_copied(plan: Plan) -> str:
    """Stops unless every table was copied to its end."""
    names = ", ".join(literal(table.name) for table in plan.moved)
    last = "l.run = migrator_run AND l.table_name = t.name AND l.phase = 'copy' AND l.high IS NULL"
    missing = stop("not every table is copied to its end: execute the scripts before this one first")
    return (
        f"IF EXISTS (SELECT FROM unnest(ARRAY[{names}]::text[]) AS t(name)\n"
        f"            WHERE NOT EXISTS (SELECT FROM migrator.ledger AS l WHERE {last})) THEN\n  {missing}\nEND IF;\n"
    )


def _range(table: TablePlan) -> Range:
    """The chunk between two variables, or everything where rows have to go in one statement."""
    parts = 0 if table.whole else table.feed.range_parts
    return Range(variables(LOW, parts), variables(HIGH, parts)) if parts else Range()


def relation_of(plan: Plan, table: TablePlan, chunk: Range, purpose: key_sql.Purpose) -> str:
    """The feed of a range: the mapping over the source tables, or in two databases over what was staged of it."""
    if plan.same_database:
        return feed_stage.inline(table, chunk, purpose)
    return f"(SELECT * FROM {feed_name(plan, table.name)} AS s WHERE {_staged(table, chunk)})"


def _staged(table: TablePlan, chunk: Range) -> str:
    parts = table.feed.key[: table.feed.range_parts]
    columns = [f"s.k{number}" for number, _ in enumerate(parts, start=1)]
    types, operators = [part.type for part in parts], [part.kept_operators for part in parts]
    return key_sql.between(columns, types, chunk.low, chunk.high, operators)


def _loop(plan: Plan, table: TablePlan, phase: str, rows: int, before: str, work: str) -> str:
    """Chunks until the last, each committed with its line in the ledger; the last has no upper end."""
    record = bound(
        ledger.RECORD,
        [
            *("migrator_run", literal(table.name), literal(phase), "migrator_chunk", LOW, HIGH),
            *("migrator_inserted", "migrator_updated", "migrator_kept", "0", "migrator_keys"),
        ],
    )
    said = "'%: % chunk %: % inserted, % updated, % kept'"
    counts = "migrator_chunk, migrator_inserted, migrator_updated, migrator_kept"
    body = (
        "LOOP\n"
        f"{require_run(plan)}\n"
        "IF (SELECT r.epoch FROM migrator.run AS r WHERE r.number = migrator_run) > 1 THEN\n"
        "  RAISE INFO 'a worker has taken this run over, nothing to do';\n  EXIT;\nEND IF;\n"
        f"{before}"
        f"SELECT l.chunk, l.high INTO migrator_chunk, {LOW} FROM migrator.ledger AS l\n"
        f" WHERE l.run = migrator_run AND l.table_name = {literal(table.name)} AND l.phase = {literal(phase)}\n"
        " ORDER BY l.chunk DESC LIMIT 1;\n"
        f"EXIT WHEN migrator_chunk IS NOT NULL AND {LOW} IS NULL;\n"
        "migrator_chunk := coalesce(migrator_chunk, 0) + 1;\n"
        f"{staged_first(plan, table)}{_boundary(plan, table, rows)}{hushed(table)}{work}{settled(table)}{record};\n"
        f"RAISE INFO {said}, {literal(table.name)}, {literal(phase)}, {counts};\n"
        "COMMIT;\nEND LOOP;"
    )
    return block(DECLARED, body)


def staged_first(plan: Plan, table: TablePlan) -> str:
    """Stops where the table's rows were not read from their file yet."""
    if plan.same_database:
        return ""
    name = feed_name(plan, table.name)
    missing = stop(
        f"{table.name}: its rows are not in {name}; execute the script that reads them from a file first"
    )
    return f"IF to_regclass({literal(name)}) IS NULL THEN\n  {missing}\nEND IF;\n"


def _boundary(plan: Plan, table: TablePlan, rows: int) -> str:
    """The key that ends the next chunk; NULL where fewer rows are left."""
    if table.whole or not table.feed.range_parts:
        return f"{HIGH} := NULL;\n"
    numbers = range(1, table.feed.range_parts + 1)
    left = Range(low=variables(LOW, len(numbers)))
    names = [f"b{number}" for number in numbers]
    if plan.same_database:
        query = ranges.boundary(table, left, rows if table.feed.stepped else max(rows, ranges.UNSTEPPED))
    else:
        keys = ", ".join(f"s.k{number}" for number in numbers)
        listed = ", ".join(f"s.k{number}::text" for number in numbers)
        source = f"{feed_name(plan, table.name)} AS s WHERE {_staged(table, left)}"
        query = f"SELECT {listed} FROM {source} ORDER BY {keys} OFFSET {rows - 1} LIMIT 1"
    array = f"ARRAY[{', '.join(f'b.{name}' for name in names)}]"
    return f"{HIGH} := (SELECT {array} FROM ({query}) AS b({', '.join(names)}));\n"


def _place(plan: Plan, table: TablePlan, relation: str, chunk: Range) -> str:
    """Inserts, updates or keeps; always looking first whether a row is there."""
    if table.into.existing is None:
        lists_keys = not table.link.keep_map
        statement = insert_rows.insert(plan, table, relation, chunk, RUN, lists_keys=lists_keys, guarded=True)
        keys = "" if not lists_keys else "migrator_keys := coalesce(migrator_keys, '{}');\n"
        return f"{executed(statement, 'migrator_inserted, migrator_keys')}{keys}"
    if table.whole:
        return _place_by_level(plan, table, relation, chunk)
    fill = merge.fill(plan, table, relation, chunk, guarded=True)
    return _in_turn(_staged_from(table, fill), _merged(plan, table))


def _in_turn(*groups: Sequence[str]) -> str:
    return "".join(executed(statement) for group in groups for statement in group)


def _staged_from(table: TablePlan, fill: str) -> list[str]:
    return [
        f"DROP TABLE IF EXISTS pg_temp.{merge.stage_name(table)}",
        merge.create_stage(table),
        fill,
        f"ANALYZE {merge.stage_name(table)}",
    ]


def _merged(plan: Plan, table: TablePlan) -> list[str]:
    """What becomes of the staged rows; their counts go where a chunk's are."""
    updates = table.into.existing is not None and table.into.existing.then == "update"
    return [
        merge.match(table),
        *merge.place_new(plan, table),
        f"IF ({merge.unpaired(table)}) THEN\n  {stop(merge.left_out(table))}\nEND IF",
        *((before_images.before_images(plan, table, RUN), merge.update(table)) if updates else ()),
        f"{merge.map_rows(plan, table, RUN, guarded=True)}\n  INTO migrator_inserted, migrator_updated, migrator_kept",
        *((superseded.supersede(plan, table, RUN),) if updates else ()),
    ]


def _place_by_level(plan: Plan, table: TablePlan, relation: str, chunk: Range) -> str:
    """Rows that are found by where their parents of the same table went, parents first."""
    counts = ("migrator_inserted", "migrator_updated", "migrator_kept")
    none_left = f"EXIT WHEN NOT EXISTS (SELECT FROM {merge.stage_name(table)})"
    sums = [(name, f"migrator_so_far[{n}]") for n, name in enumerate(counts, start=1)]
    noted = [f"{so_far} := {so_far} + {name}" for name, so_far in sums]
    told = [f"{name} := {so_far}" for name, so_far in sums]
    rest = (
        f"IF (SELECT count FROM ({merge_by_level.left(table)}) AS x) > 0 THEN\n"
        f"{merge_by_level.fill_rest(plan, table)};\n{stop(merge_by_level.in_a_circle(table))}\nEND IF"
    )
    level = _in_turn(
        _staged_from(table, merge_by_level.fill_level(plan, table)),
        [none_left],
        _merged(plan, table),
        [*noted, merge_by_level.let_go(table)],
    )
    held = [*merge_by_level.hold(plan, table, relation, chunk, guarded=True), "migrator_so_far := '{0,0,0}'"]
    return f"{_in_turn(held)}LOOP\n{level}END LOOP;\n{_in_turn([*told, rest])}"


def _released(plan: Plan, table: TablePlan, relation: str) -> str:
    """Rows that a worker had set aside earlier and that went in this time leave the quarantine."""
    aside = f"{key_sql.of_table(plan, table.name, 'q')}"
    return (
        f"IF EXISTS (SELECT FROM migrator.quarantine AS q WHERE {aside}) THEN\n"
        f"WITH gone AS (DELETE FROM migrator.quarantine AS q USING {relation} AS f\n"
        f" WHERE {aside} AND q.source_key = {key_sql.feed_key_text(table, 'f')} RETURNING q.*)\n"
        "INSERT INTO migrator.released SELECT gone.*, migrator_run FROM gone WHERE gone.run <> migrator_run;\nEND IF;\n"
    )


def sequences(plan: Plan) -> tuple[str, ...]:
    """Puts each sequence of a mapped column past the largest value in it, and checks the foreign keys of backrefs."""
    keys = (backrefs.validation(table) for table in plan.moved if table.link.backref_key)
    ahead = (advance(table, sequence) for table in plan.moved for sequence in table.into.sequences)
    return (*ahead, *keys)
