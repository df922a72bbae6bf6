"""Statements by which a rollback remembers the keys that its rows had, and a later run gives them again.

What references to the target's rows there are outside of it, in mails or other systems, then holds again. A rollback
writes an array for each chunk, of numbers or texts, which costs it little; a run that finds such makes a table with an
index of them first.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.scope import Scope
from jobs.engine.sql import key_sql, remove
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import COUNTED, TablePlan
from mappings.plan.table_plan import Sequence as Counter
from mappings.sql import Sql, cast, compose, literal, verbatim

CHUNKS, KEYS = verbatim("migrator.remembered_chunk"), verbatim("migrator.remembered_key")

BY_INDEX = verbatim("SET LOCAL enable_seqscan = off")
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


def keep(scope: Scope, chunk: Range) -> list[Sql]:
    """Keeps the keys of a run's rows that are about to go; nothing where nobody asks for them again.

    Statements of their own: handing them on from the DELETE costs more than twice as much.
    """
    table = scope.table
    if not is_remembered(table):
        return []
    if table.link.keep_map:
        own = compose("{} AS m WHERE {} AND m.action = 'inserted'", MAP, remove.mapped(scope, chunk))
        return [_keep(scope, verbatim("m.source_key"), verbatim("m.target_key"), verbatim("m.xmin"), own)]
    row = verbatim("t")
    source = key_sql.source_id_text(table, row)
    target = key_sql.target_key_text(table, key_sql.target_keys(table, row))
    return [
        _keep(
            scope, source, target, verbatim("t.xmin"), compose("{} AS t WHERE {}", table.into.target_sql, own)
        )
        for own in remove.unmapped_in_turn(scope, chunk)
    ]


def _keep(scope: Scope, source: Sql, target: Sql, writer: Sql, rows: Sql) -> Sql:
    """An array of a chunk's numbers; of texts, which may be long, one of what each transaction wrote of it.

    source, target: the keys of a row, as texts; writer: the transaction that wrote it; rows: the FROM clause and what
    follows it.
    """
    table = scope.table
    source_column, source = _place(verbatim("source"), source, [part.type for part in table.feed.key])
    target_column, target = _place(verbatim("target"), target, [key.type for key in table.into.target_key])
    if table.whole:
        writer = compose("row_number() OVER () / {}", TOGETHER)
    elif source_column == "source_numbers" and target_column == "target_numbers":
        writer = verbatim("NULL")
    return compose(
        "INSERT INTO {chunks} (mapping, table_name, run, {source_column}, {target_column})\n"
        "SELECT {mapping}, {name}, {run}, array_agg(x.source), array_agg(x.target)\n"
        "  FROM (SELECT {source} AS source, {target} AS target, {writer} AS part FROM {rows}) AS x {together}",
        chunks=CHUNKS, source_column=source_column, target_column=target_column,
        mapping=literal(scope.plan.mapping), name=literal(table.name), run=scope.run,
        source=source, target=target, writer=writer, rows=rows,
        together=verbatim("HAVING count(*) > 0" if writer == "NULL" else "GROUP BY x.part"),
    )  # fmt: skip


def _place(side: Sql, key: Sql, types: Sequence[Sql]) -> tuple[Sql, Sql]:
    """The column in which keys of one side are kept, and one of them as its element: numbers take half of the time
    that texts take."""
    if len(types) == 1 and types[0] in COUNTED:
        return compose("{}_numbers", side), compose("({})::bigint", key)
    return compose("{}_keys", side), key


def is_any(plan: Plan, table: TablePlan, place: Sql = KEYS) -> Sql:
    """Whether anything is remembered of a table mapping: at hand, or in arrays still."""
    return compose(
        "EXISTS (SELECT FROM {} AS k WHERE {})", place, key_sql.of_table(plan, table.name, verbatim("k"))
    )


def counters(table: TablePlan) -> list[Counter]:
    """The sequences of parts of the key that are made."""
    made = {key.column for key in table.into.target_key if key.default}
    return [sequence for sequence in table.into.drawn if sequence.column in made]


def gather(plan: Plan, table: TablePlan) -> list[Sql]:
    """Makes rows of the arrays: of each source row the key that it had last, and of each key the last that had it."""
    names = compose("{}, {}", literal(plan.mapping), literal(table.name))
    of_chunks = key_sql.of_table(plan, table.name, verbatim("c"))
    sharing = key_sql.texts([one.name for one in plan.tables if one.into.target_sql == table.into.target_sql])
    rows = compose(
        "SELECT c.run, u.source_key, u.target_key FROM {chunks} AS c,"
        " unnest(coalesce(c.source_keys, c.source_numbers::text[]), coalesce(c.target_keys, c.target_numbers::text[]))"
        " AS u(source_key, target_key) WHERE {of_chunks}",
        chunks=CHUNKS,
        of_chunks=of_chunks,
    )
    older = compose(
        "SELECT s.ctid AS place, row_number() OVER (PARTITION BY s.target_key ORDER BY s.run DESC) AS nth\n"
        "  FROM {keys} AS s WHERE s.mapping = {mapping} AND s.table_name = ANY ({sharing})",
        keys=KEYS, mapping=literal(plan.mapping), sharing=sharing,
    )  # fmt: skip
    return [
        compose(
            "INSERT INTO {keys} AS k (mapping, table_name, source_key, target_key, run)\n"
            "SELECT DISTINCT ON (x.source_key) {names}, x.source_key, x.target_key, x.run FROM ({rows}) AS x\n"
            " WHERE x.target_key IS NOT NULL ORDER BY x.source_key, x.run DESC\n"
            "ON CONFLICT (mapping, table_name, source_key) DO UPDATE SET target_key = excluded.target_key,"
            " run = excluded.run WHERE k.run < excluded.run",
            keys=KEYS, names=names, rows=rows,
        ),
        compose("DELETE FROM {} AS c WHERE {}", CHUNKS, of_chunks),
        compose(
            "DELETE FROM {keys} AS k USING ({older}) AS o WHERE k.ctid = o.place AND o.nth > 1",
            keys=KEYS,
            older=older,
        ),
        compose("ANALYZE {}", KEYS),
    ]  # fmt: skip


def again(plan: Plan, table: TablePlan, key: Sql) -> list[Sql]:
    """What a new row gets as each part of its key that is made: what it had, unless another row has that by now, else
    a new one. key: the source key of the row, as the map writes it."""
    had = key_sql.decoded(verbatim("k.target_key"), [one.kept for one in table.into.target_key])
    columns = key_sql.target_keys(table, verbatim("r"))
    same = key_sql.equal(columns, had, key_sql.target_operators(table))
    result = compose(
        "FROM {keys} AS k WHERE {of_table} AND k.source_key = {key}"
        " AND NOT EXISTS (SELECT FROM {target_sql} AS r WHERE {same} OFFSET 0)",
        keys=KEYS, of_table=key_sql.of_table(plan, table.name, verbatim("k")), key=key,
        target_sql=table.into.target_sql, same=same,
    )  # fmt: skip
    return [
        compose("coalesce((SELECT {} {}), {})", value, result, cast(part.default, part.type))
        for part, value in zip(table.into.target_key, had, strict=True)
        if part.default
    ]


def put_past(plan: Plan, table: TablePlan, counter: Counter) -> Sql:
    """Puts a sequence past what is remembered, unless it is there already: a new row must not draw what another had.

    Without its verb, SELECT, within a block of PL/pgSQL PERFORM.
    """
    place = [key.column for key in table.into.target_key].index(counter.column)
    had = key_sql.decoded(verbatim("k.target_key"), [one.type for one in table.into.target_key])[place]
    extreme, side = (
        (verbatim("max"), verbatim(">")) if counter.ascending else (verbatim("min"), verbatim("<"))
    )
    name = compose("{}::regclass", literal(counter.name))
    of = key_sql.of_table(plan, table.name, verbatim("k"))
    furthest = compose(
        "SELECT {extreme}({had})::bigint AS value FROM {keys} AS k WHERE {of}",
        extreme=extreme, had=had, keys=KEYS, of=of,
    )  # fmt: skip
    beyond = compose("x.value {} s.last_value", side)
    return compose(
        "setval({name}, x.value) FROM ({furthest}) AS x, {counter_name} AS s WHERE {beyond}",
        name=name, furthest=furthest, counter_name=counter.name, beyond=beyond,
    )  # fmt: skip
