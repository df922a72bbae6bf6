"""Statements that insert the rows of a feed which are not there yet, with the keys and map rows of each."""

from __future__ import annotations

from jobs.engine.scope import Scope
from jobs.engine.sql import firing, key_sql, remember
from jobs.engine.sql.feed_stage import BOOLEAN_FLAG
from jobs.engine.sql.firing import Statement
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.new_rows.each_other import own_parts, point_to_each_other
from jobs.engine.sql.new_rows.there import guard
from jobs.engine.sql.references import parents
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim


def map_range(scope: Scope, chunk: Range) -> Sql:
    """Map rows of the target rows in a range; for rows that were streamed and had no map row before."""
    table = scope.table
    bounds = key_sql.target_range(table, chunk, verbatim("t"))
    rows = compose(
        "SELECT {new_pair}\n  FROM {target_sql} AS t WHERE t.{source_id} IS NOT NULL AND {bounds}",
        new_pair=_new_pair(table), target_sql=table.into.target_sql, source_id=ident(table.link.source_id[0]),
        bounds=bounds,
    )  # fmt: skip
    return map_rows(scope, compose("(\n{}\n) AS new", rows))


def insert(
    scope: Scope,
    relation: Sql,
    chunk: Range,
    *,
    lists_keys: bool,
    guarded: bool,
) -> Statement:
    """Inserts the feed's rows that are not there yet, with their map rows. Returns (inserted, keys | NULL).

    lists_keys: whether to return the source keys of the new rows; guarded: whether rows may be there already.
    """
    table = scope.table
    if pairs_by_order(table):
        return _insert_and_pair(scope, relation, chunk, guarded)
    if table.whole or (table.link.keep_map and not table.link.source_id):
        return _insert_with_new_keys(scope, relation, chunk, guarded)
    body = _insert_body(scope.plan, table, relation, chunk, guarded)
    if not table.link.keep_map:
        returned = (
            compose("{} AS key", key_sql.source_id_text(table, verbatim("t")))
            if lists_keys
            else verbatim("NULL::text AS key")
        )
        collected = verbatim("array_agg(key)" if lists_keys else "NULL::text[]")
        counted = compose("SELECT count(*), {} FROM new{}", collected, firing.gate(table))
        return firing.gated(table, compose("WITH new AS (\n{}\nRETURNING {}\n)\n{}", body, returned, counted))
    return firing.gated(
        table,
        compose(
            "WITH new AS (\n{body}\nRETURNING {new_pair}\n), mapped AS (\n"
            "{map_rows}{over_stale}\nRETURNING 1\n)\n"
            "SELECT count(*), NULL::text[] FROM mapped{gate}",
            body=body, new_pair=_new_pair(table), map_rows=map_rows(scope, verbatim("new")),
            over_stale=over_stale(guarded), gate=firing.gate(table),
        ),
    )  # fmt: skip


def pairs_by_order(table: TablePlan) -> bool:
    """Whether only the order in which rows went in tells which of them got which key, and none may be left out."""
    return table.keyed_late and table.link.keep_map and not (table.whole or table.link.source_id)


def insert_all(scope: Scope, relation: Sql, chunk: Range) -> Sql:
    """Inserts the feed's rows, none of which can be there, with their map rows. Its row count says how many.

    Only for tables with a source id, whose rows do not have to point to each other at once.
    """
    table = scope.table
    body = _insert_body(scope.plan, table, relation, chunk, guarded=False)
    if not table.link.keep_map:
        return body
    return compose(
        "WITH new AS (\n{}\nRETURNING {}\n)\n{}",
        body,
        _new_pair(table),
        map_rows(scope, verbatim("new")),
    )


def _new_pair(table: TablePlan) -> Sql:
    """The key of the row at its source, and of the row that it became."""
    target_key = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("t")))
    return compose(
        "{} AS source_key, {} AS target_key", key_sql.source_id_text(table, verbatim("t")), target_key
    )


def map_rows(scope: Scope, relation: Sql) -> Sql:
    return compose(
        "INSERT INTO {map} (mapping, table_name, source_key, target_key, run, action)\n"
        "SELECT {mapping}, {name}, source_key, target_key, {run}, 'inserted'"
        " FROM {relation}",
        map=MAP, mapping=literal(scope.plan.mapping), name=literal(scope.table.name), run=scope.run, relation=relation,
    )  # fmt: skip


def over_stale(guarded: bool) -> Sql:
    """A map row whose target row someone deleted gives way to the row that is inserted in its place."""
    if not guarded:
        return NOTHING
    columns = (verbatim("target_key"), verbatim("run"), verbatim("action"), verbatim("at"))
    sets = joined(", ", (compose("{column} = excluded.{column}", column=column) for column in columns))
    return compose(
        "\nON CONFLICT (mapping, table_name, source_key) DO UPDATE SET {sets}, superseded_by = NULL",
        sets=sets,
    )


def target_columns(table: TablePlan, with_key: bool) -> list[str]:
    """The target columns that an insert names, in the order of `mapped_row`."""
    names = [value.target for value in table.values] + [*table.referring]
    names += list(table.link.source_id)
    names += [table.link.is_migrated] if table.link.is_migrated else []
    names += [key.column for key in table.into.target_key if with_key and key.default]
    return names


def mapped_row(plan: Plan, table: TablePlan, own: bool = False) -> tuple[list[Sql], list[Sql]]:
    """(SQL of each column before the new keys, joins that the references need). own: also to rows of this table."""
    row = [compose("f.c{}::{}", number, value.type) for number, value in enumerate(table.values, start=1)]
    joins = []
    for refs in table.referring.values():
        values = []
        for number, ref in refs:
            if ref.deferred or (ref.parent == table.name and not own):
                continue
            result = parents.resolve(plan, number, ref)
            values.append(parents.reference_value(number, ref, result, strict=True))
            joins.append(result.joins)
        row.append(parents.together(refs, values or [compose("NULL::{}", refs[0][1].type)]))
    row += [key for key, _ in zip(key_sql.key_of(table, verbatim("f")), table.link.source_id, strict=False)]
    row += [BOOLEAN_FLAG] if table.link.is_migrated else []
    return row, joins


def _new_keys(plan: Plan, table: TablePlan) -> list[Sql]:
    """Of a row `f` that is new: each part of its key that is made."""
    if table.link.remembered:
        return remember.again(plan, table, key_sql.feed_key_text(table, verbatim("f")))
    return [key.default for key in table.into.target_key if key.default]


def _insert_body(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, guarded: bool) -> Sql:
    row, joins = mapped_row(plan, table)
    row += _new_keys(plan, table) if table.link.remembered else []
    columns = joined(", ", (ident(name) for name in target_columns(table, with_key=table.link.remembered)))
    overriding = verbatim(" OVERRIDING SYSTEM VALUE") if table.into.overriding else NOTHING
    source = joined("\n  ", [compose("{} AS f", relation), *joins])
    return compose(
        "INSERT INTO {target_sql} AS t ({columns}){overriding}\nSELECT {row}\n  FROM {source}{guard}",
        target_sql=table.into.target_sql, columns=columns, overriding=overriding, row=joined(", ", row),
        source=source, guard=guard(plan, table, chunk, guarded),
    )  # fmt: skip


def _insert_with_new_keys(scope: Scope, relation: Sql, chunk: Range, guarded: bool) -> Statement:
    """Makes new keys before the insert, so that rows can be paired with keys, and can point to each other."""
    plan, table = scope.plan, scope.table
    row, joins = mapped_row(plan, table)
    row += _new_keys(plan, table)
    names = target_columns(table, with_key=True)
    named = [compose("{} AS v{}", sql, number) for number, sql in enumerate(row, start=1)]
    named += key_sql.key_of(table, verbatim("f")) + own_parts(table)
    keys = [compose("a.v{}", names.index(key.column) + 1) for key in table.into.target_key]
    source = joined("\n  ", [compose("{} AS f", relation), *joins])
    values, own_joins = point_to_each_other(plan, table, names)
    overriding = verbatim(" OVERRIDING SYSTEM VALUE") if table.into.overriding else NOTHING
    text = compose(
        "WITH made AS MATERIALIZED (\nSELECT {named}, {feed_key_text} AS source_key\n"
        "  FROM {source}{guard}\n), new AS (\n"
        "INSERT INTO {target_sql} ({names}){overriding}\n"
        "SELECT {values}\n  FROM {made} RETURNING 1\n)",
        named=joined(", ", named), feed_key_text=key_sql.feed_key_text(table, verbatim("f")), source=source,
        guard=guard(plan, table, chunk, guarded), target_sql=table.into.target_sql,
        names=joined(", ", (ident(name) for name in names)), overriding=overriding,
        values=joined(", ", values), made=joined(" ", [verbatim("made AS a"), *own_joins]),
    )  # fmt: skip
    if not table.link.keep_map:
        counted = verbatim("SELECT count(*), (SELECT array_agg(source_key) FROM made) FROM new")
        return firing.gated(table, compose("{}\n{}{}", text, counted, firing.gate(table)))
    return firing.gated(
        table,
        compose(
            "{text}, mapped AS (\n"
            "INSERT INTO {map} (mapping, table_name, source_key, target_key, run, action)\n"
            "SELECT {mapping}, {name}, a.source_key, {key}, {run}, 'inserted' FROM made AS a{over_stale}\n"
            "RETURNING 1\n)\n"
            "SELECT (SELECT count(*) FROM mapped), NULL::text[] FROM (SELECT count(*) FROM new) AS n{gate}",
            text=text, map=MAP, mapping=literal(plan.mapping), name=literal(table.name),
            key=key_sql.target_key_text(table, keys), run=scope.run, over_stale=over_stale(guarded),
            gate=firing.gate(table),
        ),
    )  # fmt: skip


def _insert_and_pair(scope: Scope, relation: Sql, chunk: Range, guarded: bool) -> Statement:
    """Pairs rows with the keys that the insert returns, by their order. A count of NULL: some rows did not go in."""
    plan, table = scope.plan, scope.table
    row, joins = mapped_row(plan, table)
    row += _new_keys(plan, table) if table.link.remembered else []
    columns = joined(", ", (ident(name) for name in target_columns(table, with_key=table.link.remembered)))
    named = [compose("{} AS v{}", sql, number) for number, sql in enumerate(row, start=1)]
    order = joined(", ", key_sql.key_of(table, verbatim("f")))
    named += [
        compose("{} AS source_key", key_sql.feed_key_text(table, verbatim("f"))),
        compose("row_number() OVER (ORDER BY {}) AS place", order),
    ]
    source = joined("\n  ", [compose("{} AS f", relation), *joins])
    keys = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("t")))
    overriding = verbatim(" OVERRIDING SYSTEM VALUE") if table.into.overriding else NOTHING
    return firing.gated(
        table,
        compose(
            "WITH made AS MATERIALIZED (\nSELECT {named}\n  FROM {source}{guard}\n"
            "), new AS (\nINSERT INTO {target_sql} AS t ({columns}){overriding}\n"
            "SELECT {range} FROM made AS a ORDER BY a.place\n"
            "RETURNING {keys} AS target_key\n), paired AS (\n"
            "SELECT a.source_key, n.target_key FROM made AS a\n"
            "  JOIN (SELECT target_key, row_number() OVER () AS place FROM new) AS n USING (place)\n), mapped AS (\n"
            "{map_rows}{over_stale}\nRETURNING 1\n)\n"
            "SELECT CASE WHEN (SELECT count(*) FROM made) = (SELECT count(*) FROM new) THEN count(*) END,"
            " NULL::text[] FROM mapped{gate}",
            named=joined(", ", named), source=source, guard=guard(plan, table, chunk, guarded),
            target_sql=table.into.target_sql, columns=columns, overriding=overriding,
            range=joined(", ", (compose("a.v{}", number) for number in range(1, len(row) + 1))), keys=keys,
            map_rows=map_rows(scope, verbatim("paired")), over_stale=over_stale(guarded),
            gate=firing.gate(table),
        ),
    )  # fmt: skip
