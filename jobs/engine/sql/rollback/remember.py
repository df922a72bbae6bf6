"""Statements by which a rollback remembers the keys that its rows had, and a later run gives them again.

What references to the target's rows there are outside of it, in mails or other systems, then holds again. A rollback
writes an array for each chunk, which costs it little; a run that finds such makes a table with an index of them first.
"""

from __future__ import annotations

from jobs.engine.sql import key_sql, remove
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from mappings.plan.model import Plan
from mappings.plan.table_plan import COUNTED, TablePlan
from mappings.plan.table_plan import Sequence as Counter
from mappings.sql import cast, ident, literal

CHUNKS, KEYS = "migrator.remembered_chunk", "migrator.remembered_key"

BY_INDEX = "SET LOCAL enable_seqscan = off"
"""Whether another row has a key by now is looked up for each new row: a target that is nearly empty when its chunk
begins would be read as a whole each time, while it grows."""

TOGETHER = 50_000
"""Keys in one array."""


def is_remembered(table: TablePlan) -> bool:
    """Whether new rows of a table get keys that nobody maps, so that they could be others the next time.

    Where those are counted, the sequence must be one that can be put past what is remembered.
    """
    made = [key for key in table.into.target_key if key.default]
    counters = {sequence.column for sequence in table.into.drawn}
    counted = all(key.column in counters for key in made if key.type in COUNTED)
    return table.link.same_ids and bool(made) and counted


def keep(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range) -> list[str]:
    """Keeps the keys of a run's rows that are about to go; nothing where nobody asks for them again.

    A statement of its own: handing them on from the DELETE costs three times as much. An array is what one transaction
    wrote, which a chunk bounds, where that is so.
    """
    if not is_remembered(table):
        return []
    row = "m" if table.link.keep_map else "t"
    part = f"row_number() OVER () / {TOGETHER}" if table.whole else f"{row}.xmin"
    if table.link.keep_map:
        keys = "m.source_key, m.target_key"
        rows = f"{MAP} AS m WHERE {remove.mapped(plan, table, run, chunk)} AND m.action = 'inserted'"
    else:
        target = key_sql.target_key_text(table, [f"t.{ident(one.column)}" for one in table.into.target_key])
        keys = f"{key_sql.source_id_text(table, 't')} AS source_key, {target} AS target_key"
        rows = f"{table.into.target_sql} AS t WHERE {remove.carried(table, run, plan, fresh, chunk)}"
    return [
        f"INSERT INTO {CHUNKS} (mapping, table_name, run, source_keys, target_keys)\n"
        f"SELECT {literal(plan.mapping)}, {literal(table.name)}, {run}, array_agg(x.source_key),"
        f" array_agg(x.target_key)\n  FROM (SELECT {keys}, {part} AS part FROM {rows}) AS x GROUP BY x.part"
    ]


def is_any(plan: Plan, table: TablePlan, place: str = KEYS) -> str:
    """Whether anything is remembered of a table mapping: at hand, or in arrays still."""
    return f"EXISTS (SELECT FROM {place} AS k WHERE {key_sql.of_table(plan, table.name, 'k')})"


def counters(table: TablePlan) -> list[Counter]:
    """The sequences of parts of the key that are made."""
    made = {key.column for key in table.into.target_key if key.default}
    return [sequence for sequence in table.into.drawn if sequence.column in made]


def gather(plan: Plan, table: TablePlan) -> list[str]:
    """Makes rows of the arrays: of each source row the key that it had last, and of each key the last that had it."""
    names = f"{literal(plan.mapping)}, {literal(table.name)}"
    of_chunks = key_sql.of_table(plan, table.name, "c")
    sharing = key_sql.texts([one.name for one in plan.tables if one.into.target_sql == table.into.target_sql])
    rows = (
        f"SELECT c.run, u.source_key, u.target_key FROM {CHUNKS} AS c,"
        f" unnest(c.source_keys, c.target_keys) AS u(source_key, target_key) WHERE {of_chunks}"
    )
    older = (
        "SELECT s.ctid AS place, row_number() OVER (PARTITION BY s.target_key ORDER BY s.run DESC) AS nth\n"
        f"  FROM {KEYS} AS s WHERE s.mapping = {literal(plan.mapping)} AND s.table_name = ANY ({sharing})"
    )
    return [
        f"INSERT INTO {KEYS} AS k (mapping, table_name, source_key, target_key, run)\n"
        f"SELECT DISTINCT ON (x.source_key) {names}, x.source_key, x.target_key, x.run FROM ({rows}) AS x\n"
        " WHERE x.target_key IS NOT NULL ORDER BY x.source_key, x.run DESC\n"
        "ON CONFLICT (mapping, table_name, source_key) DO UPDATE SET target_key = excluded.target_key,"
        " run = excluded.run WHERE k.run < excluded.run",
        f"DELETE FROM {CHUNKS} AS c WHERE {of_chunks}",
        f"DELETE FROM {KEYS} AS k USING ({older}) AS o WHERE k.ctid = o.place AND o.nth > 1",
        f"ANALYZE {KEYS}",
    ]


def again(plan: Plan, table: TablePlan, key: str) -> list[str]:
    """What a new row gets as each part of its key that is made: what it had, unless another row has that by now, else
    a new one. key: the source key of the row, as the map writes it."""
    had = key_sql.decoded("k.target_key", [one.kept for one in table.into.target_key])
    columns = [f"r.{ident(one.column)}" for one in table.into.target_key]
    same = key_sql.equal(columns, had, key_sql.target_operators(table))
    found = (
        f"FROM {KEYS} AS k WHERE {key_sql.of_table(plan, table.name, 'k')} AND k.source_key = {key}"
        f" AND NOT EXISTS (SELECT FROM {table.into.target_sql} AS r WHERE {same} OFFSET 0)"
    )
    return [
        f"coalesce((SELECT {value} {found}), {cast(part.default, part.type)})"
        for part, value in zip(table.into.target_key, had, strict=True)
        if part.default
    ]


def put_past(plan: Plan, table: TablePlan, counter: Counter) -> str:
    """Puts a sequence past what is remembered, unless it is there already: a new row must not draw what another had.

    Without its verb, SELECT, within a block of PL/pgSQL PERFORM.
    """
    place = [key.column for key in table.into.target_key].index(counter.column)
    had = key_sql.decoded("k.target_key", [one.type for one in table.into.target_key])[place]
    extreme, side = ("max", ">") if counter.ascending else ("min", "<")
    name = f"{literal(counter.name)}::regclass"
    of = key_sql.of_table(plan, table.name, "k")
    furthest = f"SELECT {extreme}({had})::bigint AS value FROM {KEYS} AS k WHERE {of}"
    beyond = f"x.value {side} s.last_value"
    return f"setval({name}, x.value) FROM ({furthest}) AS x, {counter.name} AS s WHERE {beyond}"
