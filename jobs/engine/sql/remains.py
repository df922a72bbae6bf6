"""Statements that look for what still says that a run was here: its rows by their ids, flags and writers, its map
rows, its before-images. Each answers with (how many, some of their keys) unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import before_images, key_sql
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.remove import mapped, xids
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim

MOST_KEYS = 5

WROTE = ("copy", "link", "repair")
"""Phases in which a run writes its own rows; what unlinks or restores them are others."""


def _some(key: Sql, rows: Sql) -> Sql:
    keys = compose("SELECT {} AS key FROM {}", key, rows)
    few = compose("(array_agg(x.key ORDER BY x.key))[1:{}]", MOST_KEYS)
    return compose("SELECT count(*), {} FROM ({}) AS x", few, keys)


def columns(table: TablePlan) -> Sql:
    """The names of the columns that a target has now; no row where it is gone."""
    return compose(
        "SELECT array_agg(attname::text) FROM pg_attribute"
        " WHERE attrelid = to_regclass({target_sql}) AND attnum > 0 AND NOT attisdropped"
        " HAVING count(*) > 0",
        target_sql=literal(table.into.target_sql),
    )


def counted(runs: Iterable[int]) -> Sql:
    """(run, table, inserted, updated, kept) by the ledger."""
    numbers = literal("{" + ",".join(map(str, runs)) + "}")
    return compose(
        "SELECT l.run, l.table_name, sum(l.inserted)::bigint, sum(l.updated)::bigint, sum(l.kept)::bigint\n"
        "  FROM migrator.ledger AS l WHERE l.run = ANY ({numbers}::bigint[]) AND l.phase IN ('copy', 'prune')\n"
        " GROUP BY l.run, l.table_name",
        numbers=numbers,
    )


def undone(run: RunNumber) -> Sql:
    """(table, source keys that were let go) of a rollback so far."""
    return compose(
        "SELECT l.table_name, sum(l.updated)::bigint FROM migrator.ledger AS l"
        " WHERE l.run = {run} AND l.phase IN ('undo', 'leave') GROUP BY l.table_name",
        run=run,
    )


def writers(run: RunNumber, phases: Sequence[str] = WROTE) -> Sql:
    """The transactions in which a run wrote rows of its own, as rows carry them (PostgreSQL: xmin)."""
    return compose(
        "SELECT DISTINCT l.writer FROM migrator.ledger AS l WHERE l.run = {run} AND l.phase = ANY ({texts})",
        run=run,
        texts=key_sql.texts(phases),
    )


def in_map(scope: Scope, takers: Iterable[int], known: Sequence[str]) -> Sql:
    """(inserted, updated, kept by the run, map rows of `takers`, rows that speak for a target row, strange ones).

    takers: runs that may have taken over a map row whose target row was gone, or set its source row aside; strange:
    written by none of `known`.
    """
    others = literal("{" + ",".join(map(str, takers)) + "}")
    mine = joined(
        ", ",
        (
            compose("count(*) FILTER (WHERE m.run = {} AND m.action = {})", scope.run, literal(action))
            for action in ("inserted", "updated", "kept")
        ),
    )
    return compose(
        "SELECT {mine}, count(*) FILTER (WHERE m.run = ANY ({others}::bigint[]))\n"
        "       + (SELECT count(*) FROM migrator.quarantine AS q WHERE {of_table}"
        " AND q.run = ANY ({others}::bigint[])),\n"
        "       count(*) FILTER (WHERE m.action <> 'kept' AND m.superseded_by IS NULL),\n"
        "       count(*) FILTER (WHERE m.xmin <> ALL ({xids}))\n"
        "  FROM {map} AS m WHERE {plan}",
        mine=mine, others=others, of_table=key_sql.of_table(scope.plan, scope.table.name, verbatim("q")),
        xids=xids(known), map=MAP, plan=key_sql.of_table(scope.plan, scope.table.name),
    )  # fmt: skip


def in_target(table: TablePlan, there: Sequence[str], own: Sequence[str], known: Sequence[str]) -> Sql:
    """(rows, with a source id, flagged, written by `own`, with a source id but written by none of `known`, flagged
    without a source id).

    there: the columns that the target has now.
    """
    first = (
        compose("t.{}", ident(table.link.source_id[0]))
        if table.link.source_id and table.link.source_id[0] in there
        else verbatim("NULL")
    )
    flag = (
        compose("t.{}", ident(table.link.is_migrated))
        if table.link.is_migrated and table.link.is_migrated in there
        else verbatim("false")
    )
    return compose(
        "SELECT count(*), count({first}), count(*) FILTER (WHERE {flag}),\n"
        "       count(*) FILTER (WHERE t.xmin = ANY ({xids})),\n"
        "       count(*) FILTER (WHERE {first} IS NOT NULL AND t.xmin <> ALL ({known})),\n"
        "       count(*) FILTER (WHERE {flag} AND {first} IS NULL)\n"
        "  FROM {target_sql} AS t",
        first=first, flag=flag, xids=xids(own), known=xids(known), target_sql=table.into.target_sql,
    )  # fmt: skip


def row_name(table: TablePlan) -> Sql:
    """By what a target row `t` is named to a person."""
    names = key_sql.target_keys(table, verbatim("t"))
    return key_sql.target_key_text(table, names) if names else verbatim("t.ctid::text")


def carrying(table: TablePlan) -> Sql:
    """Target rows that have a source id, by it."""
    condition = compose("t.{} IS NOT NULL", ident(table.link.source_id[0]))
    return _some(
        key_sql.source_id_text(table, verbatim("t")),
        compose("{} AS t WHERE {}", table.into.target_sql, condition),
    )


def flagged(plan: Plan, table: TablePlan, there: Sequence[str]) -> Sql:
    """Target rows that are flagged and that nothing claims, by their own key. there: the columns it has now."""
    sharing = [other for other in plan.tables if other.into.target_sql == table.into.target_sql]
    ids = {
        other.link.source_id[0]
        for other in sharing
        if other.link.source_id and other.link.source_id[0] in there
    }
    unlinked = joined("", (compose(" AND t.{} IS NULL", ident(name)) for name in sorted(ids)))
    claim = compose(
        "SELECT FROM {} AS m WHERE m.target_key = {}", MAP, row_name(table)
    )  # of any mapping: they may share the flag
    rows = compose(
        "{target_sql} AS t WHERE t.{ident}{unlinked} AND NOT EXISTS ({claim})",
        target_sql=table.into.target_sql, ident=ident(table.link.is_migrated or ""), unlinked=unlinked,
        claim=claim,
    )  # fmt: skip
    return _some(row_name(table), rows)


def unclaimed(plan: Plan, table: TablePlan, own: Sequence[str] | None = None) -> Sql:
    """Target rows whose source id no map row has, by it. own: only those that these transactions wrote."""
    key = key_sql.source_id_text(table, verbatim("t"))
    claim = compose("SELECT FROM {} AS m WHERE {}", MAP, key_sql.map_row(plan, table, key))
    wrote = NOTHING if own is None else compose(" AND t.xmin = ANY ({})", xids(own))
    first = compose("t.{}", ident(table.link.source_id[0]))
    return _some(
        key,
        compose(
            "{target_sql} AS t WHERE {first} IS NOT NULL{wrote} AND NOT EXISTS ({claim})",
            target_sql=table.into.target_sql, first=first, wrote=wrote, claim=claim,
        ),
    )  # fmt: skip


def unlinked_since(plan: Plan, table: TablePlan, run: RunNumber) -> Sql:
    """Target rows without a source id that were written after the run's first row, and by no run, by their own key."""
    ids = [other.link.source_id for other in plan.moved if other.into.target_sql == table.into.target_sql]
    unlinked = joined(" AND ", (compose("t.{} IS NULL", ident(names[0])) for names in ids if names))
    first = compose(
        "SELECT max(age(l.writer::xid)) FROM migrator.ledger AS l"
        " WHERE l.run = {run} AND l.table_name = {name} AND l.phase = 'copy'",
        run=run, name=literal(table.name),
    )  # fmt: skip
    known = verbatim("SELECT FROM migrator.ledger AS k WHERE k.writer::xid = t.xmin")
    rows = compose(
        "{target_sql} AS t WHERE {unlinked} AND age(t.xmin) < ({first}) AND NOT EXISTS ({known})",
        target_sql=table.into.target_sql, unlinked=unlinked, first=first, known=known,
    )  # fmt: skip
    return _some(row_name(table), rows)


DISPLACED = (
    "source rows have another target row by their source id than by the map: somebody changed or emptied the source"
    " id, the key, or the map"
)


def displaced(scope: Scope, chunk: Range) -> Sql:
    """Source rows whose target row is one by its source id and another, or none, by the key that the map has.

    For tables that have both. Someone emptied or changed the source id, the key, or the map.
    """
    table = scope.table
    ids = key_sql.equal(
        key_sql.source_id_columns(table, verbatim("t")),
        key_sql.decoded(verbatim("m.source_key"), [part.kept for part in table.feed.key]),
        key_sql.kept_operators(table),
    )
    keys = key_sql.equal(
        key_sql.target_keys(table, verbatim("k")),
        key_sql.decoded(verbatim("m.target_key"), [part.kept for part in table.into.target_key]),
        key_sql.target_operators(table),
    )
    rows = compose(
        "{map} AS m\n  LEFT JOIN {target_sql} AS t ON {ids}\n  LEFT JOIN {target_sql} AS k ON {keys}\n"
        " WHERE {mapped} AND m.action <> 'kept' AND m.superseded_by IS NULL\n"
        "   AND (t.tableoid, t.ctid) IS DISTINCT FROM (k.tableoid, k.ctid)",
        map=MAP, target_sql=table.into.target_sql, ids=ids, keys=keys, mapped=mapped(scope, chunk),
    )  # fmt: skip
    return _some(verbatim("m.source_key"), rows)


def without_image(scope: Scope) -> Sql:
    """Source rows whose target row the run overwrote, and of which no old values are kept."""
    same = before_images.image_of(scope.table, scope.run, verbatim("b"), verbatim("m.target_key"))
    image = compose("SELECT true AS found FROM migrator.before_image AS b WHERE {same} LIMIT 1", same=same)
    inserted = before_images.inserted_by(scope, verbatim("u.target_key"))
    updated = compose("{} AND m.action = 'updated'", mapped(scope, Range()))
    without = compose(
        "SELECT m.source_key, m.target_key FROM {map} AS m LEFT JOIN LATERAL ({image}) AS b ON true",
        map=MAP,
        image=image,
    )
    rows = compose(
        "({without}\n WHERE {updated} AND b.found IS NULL) AS u\n"
        "  LEFT JOIN LATERAL ({inserted}) AS i ON true WHERE i.found IS NULL",
        without=without, updated=updated, inserted=inserted,
    )  # fmt: skip
    return _some(verbatim("u.source_key"), rows)


def left_in_map(scope: Scope) -> Sql:
    """The run's map rows, by source key."""
    return _some(
        verbatim("m.source_key"),
        compose("{} AS m WHERE {}", MAP, mapped(scope, Range())),
    )


def left_images(table: TablePlan, run: RunNumber) -> Sql:
    """Old values that were not put back, by the target row's key."""
    condition = compose("b.run = {} AND b.table_name = {}", run, literal(table.name))
    return _some(verbatim("b.target_key"), compose("migrator.before_image AS b WHERE {}", condition))


def strays(plan: Plan, table: TablePlan, own: Sequence[str], *, after: int = 0) -> Sql:
    """Rows that a run's own transactions wrote for no source row: a trigger of the target made or changed them.

    after: the run, once it is undone; then no row that it wrote may be there, but those that it was told to leave.
    """
    unclaimed = _unclaimed_by_any(plan, table, bool(after))
    rows = compose("{} AS t WHERE t.xmin = ANY ({}) AND {}", table.into.target_sql, xids(own), unclaimed)
    if after:
        left = compose(
            "SELECT FROM migrator.left_row AS l WHERE l.run = {after} AND l.target_key = {row_name}",
            after=after,
            row_name=row_name(table),
        )
        rows = compose("{} AND NOT EXISTS ({})", rows, left)
    return _some(row_name(table), rows)


def written_by(plan: Plan, table: TablePlan, writers: Sql) -> Sql:
    """The same once a run is undone, where its transactions are known only when it runs. writers: their query."""
    claims = _unclaimed_by_any(plan, table, after=True)
    return compose(
        "SELECT FROM {target_sql} AS t WHERE t.xmin IN ({writers}) AND {claims}",
        target_sql=table.into.target_sql, writers=writers, claims=claims,
    )  # fmt: skip


def _unclaimed_by_any(plan: Plan, table: TablePlan, after: bool) -> Sql:
    sharing = [other for other in plan.tables if other.into.target_sql == table.into.target_sql]
    claims = joined(
        " AND ",
        (compose("NOT {}", _claimed(plan, other)) for other in sharing if not after or other.link.keep_map),
    )
    return claims or verbatim("true")


def _claimed(plan: Plan, table: TablePlan) -> Sql:
    """Whether a table mapping says of the target row `t` that it stands for a source row."""
    if not table.link.keep_map:
        return compose("t.{} IS NOT NULL", ident(table.link.source_id[0]))
    names = key_sql.target_keys(table, verbatim("t"))
    same = (
        compose("m.target_key = {}", key_sql.target_key_text(table, names))
        if names
        else compose("m.source_key = {}", key_sql.source_id_text(table, verbatim("t")))
    )
    return compose(
        "EXISTS (SELECT FROM {} AS m WHERE {} AND {})", MAP, key_sql.of_table(plan, table.name), same
    )
