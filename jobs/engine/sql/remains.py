"""Statements that look for what still says that a run was here: its rows by their ids, flags and writers, its map
rows, its before-images. Each answers with (how many, some of their keys) unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.engine.sql import before_images, key_sql
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from jobs.engine.sql.remove import mapped, xids
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal

MOST_KEYS = 5

WROTE = ("copy", "link", "repair")
"""Phases in which a run writes its own rows; what unlinks or restores them are others."""


def _some(key: str, rows: str) -> str:
    keys = f"SELECT {key} AS key FROM {rows}"
    return f"SELECT count(*), (array_agg(x.key ORDER BY x.key))[1:{MOST_KEYS}] FROM ({keys}) AS x"


def columns(table: TablePlan) -> str:
    """The names of the columns that a target has now; no row where it is gone."""
    return (
        "SELECT array_agg(attname::text) FROM pg_attribute"
        f" WHERE attrelid = to_regclass({literal(table.into.target_sql)}) AND attnum > 0 AND NOT attisdropped"
        " HAVING count(*) > 0"
    )


def counted(runs: Iterable[int]) -> str:
    """(run, table, inserted, updated, kept) by the ledger."""
    numbers = literal("{" + ",".join(map(str, runs)) + "}")
    return (
        "SELECT l.run, l.table_name, sum(l.inserted)::bigint, sum(l.updated)::bigint, sum(l.kept)::bigint\n"
        f"  FROM migrator.ledger AS l WHERE l.run = ANY ({numbers}::bigint[]) AND l.phase IN ('copy', 'prune')\n"
        " GROUP BY l.run, l.table_name"
    )


def undone(run: RunNumber) -> str:
    """(table, source keys that were let go) of a rollback so far."""
    return (
        "SELECT l.table_name, sum(l.updated)::bigint FROM migrator.ledger AS l"
        f" WHERE l.run = {run} AND l.phase IN ('undo', 'leave') GROUP BY l.table_name"
    )


def writers(run: RunNumber, phases: Sequence[str] = WROTE) -> str:
    """The transactions in which a run wrote rows of its own, as rows carry them (PostgreSQL: xmin)."""
    return (
        f"SELECT DISTINCT l.writer FROM migrator.ledger AS l WHERE l.run = {run}"
        f" AND l.phase = ANY ({key_sql.texts(phases)})"
    )


def in_map(plan: Plan, table: TablePlan, run: RunNumber, takers: Iterable[int], known: Sequence[str]) -> str:
    """(inserted, updated, kept by the run, map rows of `takers`, rows that speak for a target row, strange ones).

    takers: runs that may have taken over a map row whose target row was gone, or set its source row aside; strange:
    written by none of `known`.
    """
    others = literal("{" + ",".join(map(str, takers)) + "}")
    mine = ", ".join(
        f"count(*) FILTER (WHERE m.run = {run} AND m.action = {literal(action)})"
        for action in ("inserted", "updated", "kept")
    )
    return (
        f"SELECT {mine}, count(*) FILTER (WHERE m.run = ANY ({others}::bigint[]))\n"
        f"       + (SELECT count(*) FROM migrator.quarantine AS q WHERE {key_sql.of_table(plan, table.name, 'q')}"
        f" AND q.run = ANY ({others}::bigint[])),\n"
        "       count(*) FILTER (WHERE m.action <> 'kept' AND m.superseded_by IS NULL),\n"
        f"       count(*) FILTER (WHERE m.xmin <> ALL ({xids(known)}))\n"
        f"  FROM {MAP} AS m WHERE {key_sql.of_table(plan, table.name)}"
    )


def in_target(table: TablePlan, there: Sequence[str], own: Sequence[str], known: Sequence[str]) -> str:
    """(rows, with a source id, flagged, written by `own`, with a source id but written by none of `known`, flagged
    without a source id).

    there: the columns that the target has now.
    """
    first = (
        f"t.{ident(table.link.source_id[0])}"
        if table.link.source_id and table.link.source_id[0] in there
        else "NULL"
    )
    flag = (
        f"t.{ident(table.link.is_migrated)}"
        if table.link.is_migrated and table.link.is_migrated in there
        else "false"
    )
    return (
        f"SELECT count(*), count({first}), count(*) FILTER (WHERE {flag}),\n"
        f"       count(*) FILTER (WHERE t.xmin = ANY ({xids(own)})),\n"
        f"       count(*) FILTER (WHERE {first} IS NOT NULL AND t.xmin <> ALL ({xids(known)})),\n"
        f"       count(*) FILTER (WHERE {flag} AND {first} IS NULL)\n"
        f"  FROM {table.into.target_sql} AS t"
    )


def row_name(table: TablePlan) -> str:
    """By what a target row `t` is named to a person."""
    names = [f"t.{ident(key.column)}" for key in table.into.target_key]
    return key_sql.target_key_text(table, names) if names else "t.ctid::text"


def carrying(table: TablePlan) -> str:
    """Target rows that have a source id, by it."""
    condition = f"t.{ident(table.link.source_id[0])} IS NOT NULL"
    return _some(key_sql.source_id_text(table, "t"), f"{table.into.target_sql} AS t WHERE {condition}")


def flagged(plan: Plan, table: TablePlan, there: Sequence[str]) -> str:
    """Target rows that are flagged and that nothing claims, by their own key. there: the columns it has now."""
    sharing = [other for other in plan.tables if other.into.target_sql == table.into.target_sql]
    ids = {
        other.link.source_id[0]
        for other in sharing
        if other.link.source_id and other.link.source_id[0] in there
    }
    unlinked = "".join(f" AND t.{ident(name)} IS NULL" for name in sorted(ids))
    claim = f"SELECT FROM {MAP} AS m WHERE m.target_key = {row_name(table)}"  # of any mapping: they may share the flag
    flagged = f"t.{ident(table.link.is_migrated or '')}{unlinked}"
    return _some(row_name(table), f"{table.into.target_sql} AS t WHERE {flagged} AND NOT EXISTS ({claim})")


def unclaimed(plan: Plan, table: TablePlan, own: Sequence[str] | None = None) -> str:
    """Target rows whose source id no map row has, by it. own: only those that these transactions wrote."""
    key = key_sql.source_id_text(table, "t")
    claim = f"SELECT FROM {MAP} AS m WHERE {key_sql.of_table(plan, table.name)} AND m.source_key = {key}"
    wrote = "" if own is None else f" AND t.xmin = ANY ({xids(own)})"
    first = f"t.{ident(table.link.source_id[0])}"
    return _some(
        key, f"{table.into.target_sql} AS t WHERE {first} IS NOT NULL{wrote} AND NOT EXISTS ({claim})"
    )


DISPLACED = (
    "source rows have another target row by their source id than by the map: somebody changed or emptied the source"
    " id, the key, or the map"
)


def displaced(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> str:
    """Source rows whose target row is one by its source id and another, or none, by the key that the map has.

    For tables that have both. Someone emptied or changed the source id, the key, or the map.
    """
    ids = key_sql.equal(
        [f"t.{ident(name)}" for name in table.link.source_id],
        key_sql.decoded("m.source_key", [part.kept for part in table.feed.key]),
        key_sql.kept_operators(table),
    )
    keys = key_sql.equal(
        [f"k.{ident(part.column)}" for part in table.into.target_key],
        key_sql.decoded("m.target_key", [part.kept for part in table.into.target_key]),
        key_sql.target_operators(table),
    )
    rows = (
        f"{MAP} AS m\n"
        f"  LEFT JOIN {table.into.target_sql} AS t ON {ids}\n"
        f"  LEFT JOIN {table.into.target_sql} AS k ON {keys}\n"
        f" WHERE {mapped(plan, table, run, chunk)} AND m.action <> 'kept' AND m.superseded_by IS NULL\n"
        "   AND (t.tableoid, t.ctid) IS DISTINCT FROM (k.tableoid, k.ctid)"
    )
    return _some("m.source_key", rows)


def without_image(plan: Plan, table: TablePlan, run: RunNumber) -> str:
    """Source rows whose target row the run overwrote, and of which no old values are kept."""
    same = before_images.image_of(table, run, "b", "m.target_key")
    image = f"SELECT true AS found FROM migrator.before_image AS b WHERE {same} LIMIT 1"
    inserted = before_images.inserted_by(plan, table, run, "u.target_key")
    updated = f"{mapped(plan, table, run, Range())} AND m.action = 'updated'"
    without = f"SELECT m.source_key, m.target_key FROM {MAP} AS m LEFT JOIN LATERAL ({image}) AS b ON true"
    rows = (
        f"({without}\n WHERE {updated} AND b.found IS NULL) AS u\n"
        f"  LEFT JOIN LATERAL ({inserted}) AS i ON true WHERE i.found IS NULL"
    )
    return _some("u.source_key", rows)


def left_in_map(plan: Plan, table: TablePlan, run: RunNumber) -> str:
    """The run's map rows, by source key."""
    return _some("m.source_key", f"{MAP} AS m WHERE {mapped(plan, table, run, Range())}")


def left_images(table: TablePlan, run: RunNumber) -> str:
    """Old values that were not put back, by the target row's key."""
    condition = f"b.run = {run} AND b.table_name = {literal(table.name)}"
    return _some("b.target_key", f"migrator.before_image AS b WHERE {condition}")


def strays(plan: Plan, table: TablePlan, own: Sequence[str], *, after: int = 0) -> str:
    """Rows that a run's own transactions wrote for no source row: a trigger of the target made or changed them.

    after: the run, once it is undone; then no row that it wrote may be there, but those that it was told to leave.
    """
    unclaimed = _unclaimed_by_any(plan, table, bool(after))
    rows = f"{table.into.target_sql} AS t WHERE t.xmin = ANY ({xids(own)}) AND {unclaimed}"
    if after:
        left = (
            f"SELECT FROM migrator.left_row AS l WHERE l.run = {after} AND l.target_key = {row_name(table)}"
        )
        rows += f" AND NOT EXISTS ({left})"
    return _some(row_name(table), rows)


def written_by(plan: Plan, table: TablePlan, writers: str) -> str:
    """The same once a run is undone, where its transactions are known only when it runs. writers: their query."""
    claims = _unclaimed_by_any(plan, table, after=True)
    return f"SELECT FROM {table.into.target_sql} AS t WHERE t.xmin IN ({writers}) AND {claims}"


def _unclaimed_by_any(plan: Plan, table: TablePlan, after: bool) -> str:
    sharing = [other for other in plan.tables if other.into.target_sql == table.into.target_sql]
    claims = " AND ".join(
        f"NOT {_claimed(plan, other)}" for other in sharing if not after or other.link.keep_map
    )
    return claims or "true"


def _claimed(plan: Plan, table: TablePlan) -> str:
    """Whether a table mapping says of the target row `t` that it stands for a source row."""
    if not table.link.keep_map:
        return f"t.{ident(table.link.source_id[0])} IS NOT NULL"
    names = [f"t.{ident(key.column)}" for key in table.into.target_key]
    same = (
        f"m.target_key = {key_sql.target_key_text(table, names)}"
        if names
        else f"m.source_key = {key_sql.source_id_text(table, 't')}"
    )
    return f"EXISTS (SELECT FROM {MAP} AS m WHERE {key_sql.of_table(plan, table.name)} AND {same})"
