"""Statements that fill references which waited until all rows were in, and pair feed rows with target rows."""

from __future__ import annotations

from jobs.engine.scope import RunNumber, Scope
from jobs.engine.sql import key_sql
from jobs.engine.sql.keep_differences import PLACE
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.last_say import overwritten
from jobs.engine.sql.references import parents
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, unlike, verbatim


def linked(
    plan: Plan, table: TablePlan, relation: Sql, run: RunNumber | None, untouched: bool = False
) -> tuple[Sql, Sql]:
    """(FROM items, condition) that pair feed rows `f` with target rows `t`.

    run: only rows it brought; untouched: also rows that were kept or that say what another source row says.
    """
    if table.link.link_by == "source_id":
        ids = key_sql.source_id_columns(table, verbatim("t"))
        condition = key_sql.equal(ids, key_sql.key_of(table, verbatim("f")), key_sql.kept_operators(table))
        if run is None or not table.link.keep_map:
            return compose("{} AS f", relation), condition
        owned = key_sql.map_row(plan, table, key_sql.feed_key_text(table, verbatim("f")))
        return (
            compose("{} AS f", relation),
            compose(
                "{condition} AND EXISTS (SELECT FROM {map} m WHERE {owned} AND m.run = {run})",
                condition=condition, map=MAP, owned=owned, run=run,
            ),
        )  # fmt: skip
    keys = key_sql.decoded(verbatim("m.target_key"), [key.kept for key in table.into.target_key])
    names = key_sql.target_keys(table, verbatim("t"))
    mapped = key_sql.map_row(plan, table, key_sql.feed_key_text(table, verbatim("f")))
    own = compose(" AND m.run = {}", run) if run is not None else NOTHING
    if table.into.existing and not untouched:
        own = compose("{} AND m.action <> 'kept' AND m.superseded_by IS NULL", own)
    return (
        compose("{} AS f JOIN {} AS m ON {}", relation, MAP, mapped),
        compose("{}{}", key_sql.equal(names, keys, key_sql.target_operators(table)), own),
    )


def link(
    scope: Scope, relation: Sql, *, strict: bool = True, before: list[Sql] | None = None,
) -> Sql:  # fmt: skip
    """Fills the deferred references of rows that this run brought, from parents that are all in by now.

    strict: a missing parent raises MG001; else its reference stays NULL. before: SQL over the row `o` as it was;
    returned with where the row is now.
    """
    plan, table = scope.plan, scope.table
    rows = key_sql.references(table, "link")
    result = {number: parents.resolve(plan, number, ref) for number, ref in rows}
    values = [
        compose("{} AS w{}", parents.reference_value(number, ref, result[number], strict=strict), number)
        for number, ref in rows
    ]
    keys = [compose("f.k{}", number) for number in range(1, len(table.feed.key) + 1)]
    joins = joined("\n  ", (result[number].joins for number, _ in rows))
    inner = compose("(SELECT {}\n  FROM {} AS f\n  {})", joined(", ", [*keys, *values]), relation, joins)
    source, condition = linked(plan, table, inner, None if scope.fresh else scope.run)
    columns = [refs for refs in table.referring.values() if refs[0][1].deferred]
    filled = [(refs[0][1], _unless_overwritten(plan, table, refs)) for refs in columns]
    sets = joined(", ", (compose("{} = {}", ident(ref.target), sql) for ref, sql in filled))
    changed = joined(" OR ", (_differs(ref, sql) for ref, sql in filled))
    returned = NOTHING
    if before is not None:
        source = compose("{}, {} AS o", source, table.into.target_sql)
        condition = compose("{} AND o.tableoid = t.tableoid AND o.ctid = t.ctid", condition)
        returned = compose("\nRETURNING t.tableoid, t.ctid, {}", joined(", ", before))
    return compose(
        "UPDATE {target} AS t SET {sets}\n  FROM {source}\n WHERE {condition} AND ({changed}){returned}",
        target=table.into.target_sql, sets=sets, source=source, condition=condition, changed=changed,
        returned=returned,
    )  # fmt: skip


def _differs(ref: Reference, sql: Sql) -> Sql:
    there = compose("(t.{})::{}", ident(ref.target), ref.type)
    return unlike(there, compose("({})::{}", sql, ref.type), ref.operators)


def _unless_overwritten(plan: Plan, table: TablePlan, refs: list[tuple[int, Reference]]) -> Sql:
    """The parent that was found, where no other table mapping has the say on this column."""
    target = refs[0][1].target
    theirs = overwritten(plan, table, target)
    result = parents.together(refs, [compose("f.w{}", number) for number, _ in refs])
    return compose("CASE WHEN {} THEN t.{} ELSE {} END", theirs, ident(target), result) if theirs else result


def linked_pairs(plan: Plan, table: TablePlan) -> Sql:
    """(key, id) of each source row that is linked, both as texts."""
    if table.link.link_by == "map":
        return compose(
            "SELECT m.source_key AS key, m.target_key AS id FROM {map} AS m WHERE {of_table}",
            map=MAP,
            of_table=key_sql.of_table(plan, table.name),
        )
    target = key_sql.target_key_text(
        table, [compose("t.{}", ident(part.column)) for part in table.into.target_key]
    )
    return compose(
        "SELECT {source_id_text} AS key, {target} AS id FROM {target_sql} AS t"
        " WHERE t.{source_id} IS NOT NULL",
        source_id_text=key_sql.source_id_text(table, verbatim("t")), target=target,
        target_sql=table.into.target_sql, source_id=ident(table.link.source_id[0]),
    )  # fmt: skip


def differing_backrefs(table: TablePlan, relation: Sql, most: int) -> Sql:
    """(source key, id that it should name, what it names, how many in all) of source rows in scope whose
    back-reference is not what the pairs of `relation` say; by key, up to `most`."""
    names = [compose("k{}", number) for number in range(1, len(table.feed.key) + 1)]
    same = key_sql.equal(
        [compose("f.{}", name) for name in names],
        key_sql.decoded(verbatim("i.key"), [part.native for part in table.feed.key]),
        [part.operators for part in table.feed.key],
    )
    parts = [compose("{} AS {}", part.sql, name) for name, part in zip(names, table.feed.key, strict=True)]
    own = compose("{}.{} AS own", table.feed.alias, ident(table.link.backref or ""))
    scope = compose(" WHERE {}", table.feed.where_sql) if table.feed.where_sql else verbatim("")
    rows = compose(
        "SELECT {parts}, {own} FROM {from_sql}{scope}",
        parts=joined(", ", parts), own=own, from_sql=table.feed.from_sql, scope=scope,
    )  # fmt: skip
    unlike = compose("(f.own IS NULL OR {} <> i.id)", key_sql.target_key_text(table, [verbatim("f.own")]))
    return compose(
        "SELECT x.key, x.id, x.found, count(*) OVER () FROM (\n"
        "SELECT DISTINCT i.key, i.id, f.own::text AS found FROM ({rows}) AS f, {relation} AS i(key, id)\n"
        " WHERE {same} AND {unlike}\n) AS x ORDER BY {format} LIMIT {most}",
        rows=rows, relation=relation, same=same, unlike=unlike, format=compose(PLACE, verbatim("x.key")),
        most=most,
    )  # fmt: skip
