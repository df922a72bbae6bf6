"""Statements that count, walk and remove the rows of one run; one purpose each."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.sql import before_images, firing, key_sql
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal


def mapped(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> str:
    """The map rows `m` of one run in a stretch of the map, or in a walk over it in the order of its source keys."""
    conditions = [key_sql.of_table(plan, table.name), f"m.run = {run}"]
    if chunk.only is not None:
        conditions.append(f"m.source_key = ANY ({key_sql.texts(chunk.only)})")
    if is_stretch(chunk):
        assert chunk.low and chunk.high
        conditions.append(f"m.xmin = ANY ({xids(chunk.low[0].split(','))})")
        conditions.append(key_sql.between(["m.ctid"], ["tid"], chunk.low[1:2], chunk.high[1:2]))
    else:
        conditions.append(key_sql.between(["m.source_key"], ["text"], chunk.low, chunk.high))
    return " AND ".join(conditions)


def is_stretch(chunk: Range) -> bool:
    """Whether bounds are (writers, place, file of the map), and not source keys, of which a map row has one."""
    return bool(chunk.low and chunk.high) and len(chunk.low or ()) == 3


def stretches(plan: Plan, table: TablePlan, run: RunNumber) -> str:
    """Where the map rows of one run lie: (writer, first place, last place, rows) of each transaction that wrote some.

    What one transaction wrote lies close together, in the map as in the target, so taking it back in that order
    costs a third of what it costs in the order of the keys.
    """
    return (
        f"SELECT m.xmin::text, min(m.ctid)::text, max(m.ctid)::text, count(*) FROM {MAP} AS m\n"
        f" WHERE {mapped(plan, table, run, Range())} GROUP BY m.xmin ORDER BY min(m.ctid)"
    )


def carried(table: TablePlan, run: RunNumber, plan: Plan, fresh: bool, chunk: Range) -> str:
    """The target rows `t` of one run where no map says so: by source id and the keys that the ledger lists."""
    listed = (
        "FROM migrator.ledger l JOIN migrator.run r ON r.number = l.run"
        f" WHERE r.mapping = {literal(plan.mapping)} AND l.table_name = {literal(table.name)} AND l.keys IS NOT NULL"
        f" AND l.run {'<>' if fresh else '='} {run}"
    )
    key, keys = key_sql.source_id_text(table, "t"), f"SELECT unnest(l.keys) {listed}"
    # Where no other run lists any key, which is looked up once, rows need not be turned into texts.
    own = f"(NOT EXISTS (SELECT {listed}) OR {key} NOT IN ({keys}))" if fresh else f"{key} IN ({keys})"
    return f"t.{ident(table.link.source_id[0])} IS NOT NULL AND {_within(table, chunk)} AND {own}"


def _within(table: TablePlan, chunk: Range) -> str:
    """The target rows `t` whose source ids are in a range; its bounds may be of the leading parts alone."""
    ids, types = [f"t.{ident(name)}" for name in table.link.source_id], [part.type for part in table.feed.key]
    own = key_sql.kept_operators(table)
    if chunk.only is not None:
        given = f"unnest({key_sql.texts(chunk.only)}) AS o(key)"
        if any(own):
            same = key_sql.equal(ids, key_sql.decoded("o.key", types), own)
            return f"EXISTS (SELECT FROM {given} WHERE {same})"
        return f"{key_sql.row(ids)} IN (SELECT {', '.join(key_sql.decoded('o.key', types))} FROM {given})"
    above, up_to = len(chunk.low or ()), len(chunk.high or ())
    return (
        f"{key_sql.between(ids[:above], types[:above], chunk.low, None, own[:above])}"
        f" AND {key_sql.between(ids[:up_to], types[:up_to], None, chunk.high, own[:up_to])}"
    )


def boundary(
    plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, low: tuple[str, ...] | None, rows: int
) -> str:
    """The key at which a walk over the run's rows has passed `rows` of them, as texts; no row at the end."""
    chunk = Range(low=low)
    if table.link.keep_map:
        return (
            f"SELECT m.source_key FROM {MAP} m WHERE {mapped(plan, table, run, chunk)}\n"
            f" ORDER BY m.source_key OFFSET {rows - 1} LIMIT 1"
        )
    ids = [f"t.{ident(name)}" for name in table.link.source_id]
    texts = ", ".join(f"{column}::text" for column in ids)
    return (
        f"SELECT {texts} FROM {table.into.target_sql} t WHERE {carried(table, run, plan, fresh, chunk)}\n"
        f" ORDER BY {', '.join(ids)} OFFSET {rows - 1} LIMIT 1"
    )


def next_source_id(table: TablePlan, low: tuple[str, ...] | None, rows: int) -> str:
    """The source id at which a walk over the target has passed `rows` of them, as texts; no row at the end.

    Reads the index alone: rows of other runs count as well.
    """
    ids = [f"t.{ident(name)}" for name in table.link.source_id]
    texts = ", ".join(f"{column}::text" for column in ids)
    bounds = _within(table, Range(low=low))
    return (
        f"SELECT {texts} FROM {table.into.target_sql} AS t WHERE {ids[0]} IS NOT NULL AND {bounds}\n"
        f" ORDER BY {', '.join(ids)} OFFSET {rows - 1} LIMIT 1"
    )


def next_cut(table: TablePlan, run: RunNumber, low: tuple[str, ...] | None, rows: int) -> str:
    """(bound, whether it is the last): the bound of the run's copy, an array of texts, by which `rows` rows were
    inserted above `low`, NULL for none; the last where fewer than `rows` are left, and no other run brought any, whose
    rows would be read as well; NULL where nothing tells.

    Asks the ledger alone. Ranges between any bounds, in whatever order, leave no row out.
    """
    parts = table.feed.key[: table.feed.range_parts]
    columns = [f"(l.high[{number}])::{part.type}" for number, part in enumerate(parts, start=1)]
    above = len(low[: len(parts)]) if low else 0
    types, own = [part.type for part in parts[:above]], key_sql.kept_operators(table)[:above]
    beyond = key_sql.between(columns[:above], types, low and low[:above], None, own)
    others = (
        f"SELECT FROM migrator.ledger AS o WHERE o.run <> {run} AND o.table_name = {literal(table.name)}"
        " AND o.phase = 'copy' AND o.inserted > 0"
    )
    return (
        "SELECT (array_agg(to_jsonb(x.high) ORDER BY x.passed) FILTER (WHERE x.high IS NOT NULL"
        f" AND x.passed >= {rows}))[1], sum(x.inserted) < {rows} AND NOT EXISTS ({others})\n"
        f"  FROM (SELECT l.high, l.inserted, sum(l.inserted) OVER (ORDER BY {', '.join(columns)}) AS passed\n"
        f"  FROM migrator.ledger AS l WHERE l.run = {run} AND l.table_name = {literal(table.name)}\n"
        f"   AND l.phase = 'copy' AND (l.high IS NULL OR {beyond})) AS x"
    )


def pair(table: TablePlan, text: str, key: str) -> str:
    """How target rows `t` are found from a map row: by source id where rows carry it, else by their key."""
    if table.link.link_by == "source_id":
        ids = [f"t.{ident(name)}" for name in table.link.source_id]
        decoded = key_sql.decoded(text, [part.kept for part in table.feed.key])
        return key_sql.equal(ids, decoded, key_sql.kept_operators(table))
    names = [f"t.{ident(part.column)}" for part in table.into.target_key]
    decoded = key_sql.decoded(key, [part.kept for part in table.into.target_key])
    return key_sql.equal(names, decoded, key_sql.target_operators(table))


def owned(
    plan: Plan,
    table: TablePlan,
    run: RunNumber,
    fresh: bool,
    chunk: Range,
    actions: tuple[str, ...] = ("inserted",),
) -> str:
    """A FROM clause and condition of the target rows `t` that a run inserted, or did other things to."""
    if table.link.keep_map:
        condition = f"{mapped(plan, table, run, chunk)} AND m.action = ANY ({key_sql.texts(actions)})"
        on = pair(table, "m.source_key", "m.target_key")
        return f"{table.into.target_sql} AS t JOIN {MAP} AS m ON {on} WHERE {condition}"
    return f"{table.into.target_sql} AS t WHERE {carried(table, run, plan, fresh, chunk)}"


def source_keys(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range) -> str:
    """The source keys, as texts, of a run's rows."""
    if table.link.keep_map:
        return f"SELECT m.source_key FROM {MAP} AS m WHERE {mapped(plan, table, run, chunk)}"
    key = key_sql.source_id_text(table, "t")
    return f"SELECT {key} FROM {table.into.target_sql} AS t WHERE {carried(table, run, plan, fresh, chunk)}"


def own_pairs(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range) -> str:
    """(key, id): the source keys of a run's rows and their target keys, as texts."""
    if table.link.keep_map:
        return f"SELECT m.source_key AS key, m.target_key AS id FROM {MAP} AS m WHERE {mapped(plan, table, run, chunk)}"
    key, columns = (
        key_sql.source_id_text(table, "t"),
        [f"t.{ident(part.column)}" for part in table.into.target_key],
    )
    rows = f"{table.into.target_sql} AS t WHERE {carried(table, run, plan, fresh, chunk)}"
    return f"SELECT {key} AS key, {key_sql.target_key_text(table, columns)} AS id FROM {rows}"


def unlink(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range) -> str:
    """Empties the deferred references of a run's rows, so that rows can go in any order.

    Those of rows that it updated too: restoring them brings back what they referred to before.
    """
    columns = list(dict.fromkeys(ref.target for ref in table.references if ref.deferred))
    which = "m.action IN ('inserted', 'updated')"
    return empty(plan, table, run, fresh, chunk, columns=columns, which=which)


def empty(
    plan: Plan,
    table: TablePlan,
    run: RunNumber,
    fresh: bool,
    chunk: Range,
    *,
    columns: Sequence[str],
    which: str = "m.action <> 'kept' AND m.superseded_by IS NULL",
) -> str:
    """Sets columns of a run's rows to NULL. which: of its map rows, by default those that say what the row says."""
    names = [ident(column) for column in columns]
    sets = ", ".join(f"{name} = NULL" for name in names)
    some = " OR ".join(f"t.{name} IS NOT NULL" for name in names)
    if table.link.keep_map:
        matched = f"{pair(table, 'm.source_key', 'm.target_key')} AND {mapped(plan, table, run, chunk)}"
        condition = f"{matched} AND {which} AND ({some})"
        return f"UPDATE {table.into.target_sql} AS t SET {sets} FROM {MAP} AS m WHERE {condition}"
    condition = f"{carried(table, run, plan, fresh, chunk)} AND ({some})"
    return f"UPDATE {table.into.target_sql} AS t SET {sets} WHERE {condition}"


def remove(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range) -> str:
    """Deletes a run's rows and what the map says of them.

    Returns (rows deleted, source keys freed, rows that should have been there to be deleted).
    """
    if not table.link.keep_map:
        rows = f"{remove_carried(plan, table, run, fresh, chunk)} RETURNING 1"
        counted = f"SELECT count(*), count(*), count(*) FROM gone{firing.gate(table)}"
        return firing.gated(table, f"WITH gone AS ({rows})\n {counted}")
    restored = before_images.restore(table, run, "gone") + ", " if table.into.existing else ""
    return firing.gated(
        table,
        f"WITH gone AS (DELETE FROM {MAP} AS m WHERE {mapped(plan, table, run, chunk)}\n"
        f" RETURNING m.source_key, m.target_key, m.action), {restored}removed AS (\n"
        f"DELETE FROM {table.into.target_sql} AS t USING gone\n"
        f" WHERE gone.action = 'inserted' AND {pair(table, 'gone.source_key', 'gone.target_key')} RETURNING 1)"
        "\nSELECT (SELECT count(*) FROM removed), (SELECT count(*) FROM gone),"
        f" (SELECT count(*) FROM gone WHERE action = 'inserted'){firing.gate(table)}",
    )


def restored_too(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> list[str]:
    """Lists this transaction as the other runs' own whose rows it restores, although other table mappings brought
    those: by the writers in the ledger a later rollback tells whether anyone else changed the rows."""
    others = [
        other.name
        for other in plan.tables
        if other.into.target_sql == table.into.target_sql and other != table
    ]
    if not others or not table.into.existing or table.into.existing.then != "update":
        return []
    writer = key_sql.WRITER
    return [
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        f"SELECT DISTINCT o.run, o.table_name, 'restored in ' || {run} || ' by ' || {writer}, 0, 0, 0, 0, 0, {writer}\n"
        f"  FROM {MAP} AS m JOIN {MAP} AS o ON o.mapping = m.mapping AND o.table_name = ANY ({key_sql.texts(others)})"
        f" AND o.target_key = m.target_key AND o.run <> m.run AND o.action <> 'kept'\n"
        f" WHERE {mapped(plan, table, run, chunk)} AND m.action = 'updated'\nON CONFLICT DO NOTHING"
    ]


def done_to(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> str:
    """(action, how many) of a run's map rows."""
    return (
        f"SELECT m.action, count(*) FROM {MAP} AS m WHERE {mapped(plan, table, run, chunk)} GROUP BY m.action"
    )


def sharers(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> str:
    """(table mapping, source key, source key of this table) of a run's other rows whose target row these brought,
    or overwrote: several source rows may stand for one target row."""
    names = [other.name for other in plan.moved if other.into.target_sql == table.into.target_sql]
    return (
        f"SELECT s.table_name, s.source_key, m.source_key FROM {MAP} AS m\n"
        f"  JOIN {MAP} AS s ON s.mapping = m.mapping AND s.table_name = ANY ({key_sql.texts(names)})"
        " AND s.target_key = m.target_key AND s.run = m.run AND (s.table_name, s.source_key)"
        " <> (m.table_name, m.source_key)\n"
        f" WHERE {mapped(plan, table, run, chunk)} AND m.action <> 'kept'"
    )


def remove_carried(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range) -> str:
    """Deletes a run's rows where no map says so. Its row count says how many."""
    return f"DELETE FROM {table.into.target_sql} AS t WHERE {carried(table, run, plan, fresh, chunk)}"


def xids(writers: Sequence[str]) -> str:
    return literal("{" + ",".join(writers) + "}") + "::xid[]"
