"""Statements that fill references which waited until all rows were in, and pair feed rows with target rows."""

from __future__ import annotations

from jobs.engine.sql import key_sql, parents
from jobs.engine.sql.keep_differences import PLACE
from jobs.engine.sql.key_sql import MAP, RunNumber
from jobs.engine.sql.superseded import overwritten
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, unlike


def linked(
    plan: Plan, table: TablePlan, relation: str, run: RunNumber | None, untouched: bool = False
) -> tuple[str, str]:
    """(FROM items, condition) that pair feed rows `f` with target rows `t`.

    run: only rows it brought; untouched: also rows that were kept or that say what another source row says.
    """
    if table.link.link_by == "source_id":
        ids = [f"t.{ident(name)}" for name in table.link.source_id]
        condition = key_sql.equal(ids, key_sql.key_of(table, "f"), key_sql.kept_operators(table))
        if run is None or not table.link.keep_map:
            return f"{relation} AS f", condition
        owned = f"{key_sql.of_table(plan, table.name)} AND m.source_key = {key_sql.feed_key_text(table, 'f')}"
        return (
            f"{relation} AS f",
            f"{condition} AND EXISTS (SELECT FROM {MAP} m WHERE {owned} AND m.run = {run})",
        )
    keys = key_sql.decoded("m.target_key", [key.kept for key in table.into.target_key])
    names = [f"t.{ident(key.column)}" for key in table.into.target_key]
    mapped = f"{key_sql.of_table(plan, table.name)} AND m.source_key = {key_sql.feed_key_text(table, 'f')}"
    own = f" AND m.run = {run}" if run is not None else ""
    if table.into.existing and not untouched:
        own += " AND m.action <> 'kept' AND m.superseded_by IS NULL"
    return (
        f"{relation} AS f JOIN {MAP} AS m ON {mapped}",
        f"{key_sql.equal(names, keys, key_sql.target_operators(table))}{own}",
    )


def link(
    plan: Plan,
    table: TablePlan,
    relation: str,
    run: RunNumber,
    fresh: bool,
    *,
    strict: bool = True,
    before: list[str] | None = None,
) -> str:
    """Fills the deferred references of rows that this run brought, from parents that are all in by now.

    strict: a missing parent raises MG001; else its reference stays NULL. before: SQL over the row `o` as it was;
    returned with where the row is now.
    """
    rows = key_sql.references(table, "link")
    found = {number: parents.resolve(plan, number, ref) for number, ref in rows}
    values = [
        f"{parents.reference_value(number, ref, found[number], strict=strict)} AS w{number}"
        for number, ref in rows
    ]
    keys = [f"f.k{number}" for number in range(1, len(table.feed.key) + 1)]
    joins = "\n  ".join(found[number].joins for number, _ in rows)
    inner = f"(SELECT {', '.join([*keys, *values])}\n  FROM {relation} AS f\n  {joins})"
    source, condition = linked(plan, table, inner, None if fresh else run)
    columns = [refs for refs in table.referring.values() if refs[0][1].deferred]
    filled = [(refs[0][1], _unless_overwritten(plan, table, refs)) for refs in columns]
    sets = ", ".join(f"{ident(ref.target)} = {sql}" for ref, sql in filled)
    changed = " OR ".join(
        unlike(f"(t.{ident(ref.target)})::{ref.type}", f"({sql})::{ref.type}", ref.operators)
        for ref, sql in filled
    )
    returned = ""
    if before is not None:
        source += f", {table.into.target_sql} AS o"
        condition += " AND o.tableoid = t.tableoid AND o.ctid = t.ctid"
        returned = f"\nRETURNING {', '.join(['t.tableoid', 't.ctid', *before])}"
    where = f"{condition} AND ({changed})"
    return f"UPDATE {table.into.target_sql} AS t SET {sets}\n  FROM {source}\n WHERE {where}{returned}"


def _unless_overwritten(plan: Plan, table: TablePlan, refs: list[tuple[int, Reference]]) -> str:
    """The parent that was found, where no other table mapping has the say on this column."""
    target = refs[0][1].target
    theirs = overwritten(plan, table, target)
    found = parents.together(refs, [f"f.w{number}" for number, _ in refs])
    return f"CASE WHEN {theirs} THEN t.{ident(target)} ELSE {found} END" if theirs else found


def linked_pairs(plan: Plan, table: TablePlan) -> str:
    """(key, id) of each source row that is linked, both as texts."""
    if table.link.link_by == "map":
        return (
            f"SELECT m.source_key AS key, m.target_key AS id FROM {MAP} AS m"
            f" WHERE {key_sql.of_table(plan, table.name)}"
        )
    target = key_sql.target_key_text(table, [f"t.{ident(part.column)}" for part in table.into.target_key])
    return (
        f"SELECT {key_sql.source_id_text(table, 't')} AS key, {target} AS id FROM {table.into.target_sql} AS t"
        f" WHERE t.{ident(table.link.source_id[0])} IS NOT NULL"
    )


def differing_backrefs(table: TablePlan, relation: str, most: int) -> str:
    """(source key, id that it should name, what it names, how many in all) of source rows in scope whose
    back-reference is not what the pairs of `relation` say; by key, up to `most`."""
    names = [f"k{number}" for number in range(1, len(table.feed.key) + 1)]
    same = key_sql.equal(
        [f"f.{name}" for name in names],
        key_sql.decoded("i.key", [part.native for part in table.feed.key]),
        [part.operators for part in table.feed.key],
    )
    parts = [f"{part.sql} AS {name}" for name, part in zip(names, table.feed.key, strict=True)]
    own = f"{table.feed.alias}.{ident(table.link.backref or '')} AS own"
    scope = f" WHERE {table.feed.where_sql}" if table.feed.where_sql else ""
    rows = f"SELECT {', '.join(parts)}, {own} FROM {table.feed.from_sql}{scope}"
    unlike = f"(f.own IS NULL OR {key_sql.target_key_text(table, ['f.own'])} <> i.id)"
    return (
        "SELECT x.key, x.id, x.found, count(*) OVER () FROM (\n"
        f"SELECT DISTINCT i.key, i.id, f.own::text AS found FROM ({rows}) AS f, {relation} AS i(key, id)\n"
        f" WHERE {same} AND {unlike}\n) AS x ORDER BY {PLACE.format('x.key')} LIMIT {most}"
    )
