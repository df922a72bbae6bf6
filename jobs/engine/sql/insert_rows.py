"""Statements that insert the rows of a feed which are not there yet, with the keys and map rows of each."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.sql import firing, key_sql, parents
from jobs.engine.sql.feed_stage import BOOLEAN_FLAG
from jobs.engine.sql.key_sql import MAP, PageRange, Range, RunNumber
from jobs.engine.sql.rollback import remember
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal


def map_range(plan: Plan, table: TablePlan, chunk: Range, run: RunNumber) -> str:
    """Map rows of the target rows in a range; for rows that were streamed and had no map row before."""
    bounds = key_sql.target_range(table, chunk, "t")
    rows = (
        f"SELECT {_new_pair(table)}\n"
        f"  FROM {table.into.target_sql} AS t WHERE t.{ident(table.link.source_id[0])} IS NOT NULL AND {bounds}"
    )
    return map_rows(plan, table, run, f"(\n{rows}\n) AS new")


def insert(
    plan: Plan,
    table: TablePlan,
    relation: str,
    chunk: Range,
    run: RunNumber,
    *,
    lists_keys: bool,
    guarded: bool,
) -> str:
    """Inserts the feed's rows that are not there yet, with their map rows. Returns (inserted, keys | NULL).

    lists_keys: whether to return the source keys of the new rows; guarded: whether rows may be there already.
    """
    if table.keyed_late and table.link.keep_map and not (table.whole or table.link.source_id):
        return _insert_and_pair(plan, table, relation, chunk, run, guarded)
    if table.whole or (table.link.keep_map and not table.link.source_id):
        return _insert_with_new_keys(plan, table, relation, chunk, run, guarded)
    body = _insert_body(plan, table, relation, chunk, guarded)
    if not table.link.keep_map:
        returned = f"{key_sql.source_id_text(table, 't')} AS key" if lists_keys else "NULL::text AS key"
        collected = "array_agg(key)" if lists_keys else "NULL::text[]"
        counted = f"SELECT count(*), {collected} FROM new{firing.gate(table)}"
        return firing.gated(table, f"WITH new AS (\n{body}\nRETURNING {returned}\n)\n{counted}")
    return firing.gated(
        table,
        f"WITH new AS (\n{body}\nRETURNING {_new_pair(table)}\n), mapped AS (\n"
        f"{map_rows(plan, table, run, 'new')}{over_stale(guarded)}\nRETURNING 1\n)\n"
        f"SELECT count(*), NULL::text[] FROM mapped{firing.gate(table)}",
    )


def insert_all(plan: Plan, table: TablePlan, relation: str, chunk: Range, run: RunNumber) -> str:
    """Inserts the feed's rows, none of which can be there, with their map rows. Its row count says how many.

    Only for tables with a source id, whose rows do not have to point to each other at once.
    """
    body = _insert_body(plan, table, relation, chunk, guarded=False)
    if not table.link.keep_map:
        return body
    return f"WITH new AS (\n{body}\nRETURNING {_new_pair(table)}\n)\n{map_rows(plan, table, run, 'new')}"


def _new_pair(table: TablePlan) -> str:
    """The key of the row at its source, and of the row that it became."""
    target_key = key_sql.target_key_text(table, [f"t.{ident(key.column)}" for key in table.into.target_key])
    return f"{key_sql.source_id_text(table, 't')} AS source_key, {target_key} AS target_key"


def map_rows(plan: Plan, table: TablePlan, run: RunNumber, relation: str) -> str:
    return (
        f"INSERT INTO {MAP} (mapping, table_name, source_key, target_key, run, action)\n"
        f"SELECT {literal(plan.mapping)}, {literal(table.name)}, source_key, target_key, {run}, 'inserted'"
        f" FROM {relation}"
    )


def over_stale(guarded: bool) -> str:
    """A map row whose target row someone deleted gives way to the row that is inserted in its place."""
    if not guarded:
        return ""
    columns = ("target_key", "run", "action", "at")
    sets = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return f"\nON CONFLICT (mapping, table_name, source_key) DO UPDATE SET {sets}, superseded_by = NULL"


def target_columns(table: TablePlan, with_key: bool) -> list[str]:
    """The target columns that an insert names, in the order of `mapped_row`."""
    names = [value.target for value in table.values] + [*table.referring]
    names += list(table.link.source_id)
    names += [table.link.is_migrated] if table.link.is_migrated else []
    names += [key.column for key in table.into.target_key if with_key and key.default]
    return names


def mapped_row(plan: Plan, table: TablePlan, own: bool = False) -> tuple[list[str], list[str]]:
    """(SQL of each column before the new keys, joins that the references need). own: also to rows of this table."""
    row = [f"f.c{number}::{value.type}" for number, value in enumerate(table.values, start=1)]
    joins = []
    for refs in table.referring.values():
        values = []
        for number, ref in refs:
            if ref.deferred or (ref.parent == table.name and not own):
                continue
            found = parents.resolve(plan, number, ref)
            values.append(parents.reference_value(number, ref, found, strict=True))
            joins.append(found.joins)
        row.append(parents.together(refs, values or [f"NULL::{refs[0][1].type}"]))
    row += [key for key, _ in zip(key_sql.key_of(table, "f"), table.link.source_id, strict=False)]
    row += [BOOLEAN_FLAG] if table.link.is_migrated else []
    return row, joins


def guard(plan: Plan, table: TablePlan, chunk: Range, guarded: bool) -> str:
    """Leaves out rows that are there already; bounded on both sides where ranges hold in the target.

    Where they do not, each row is looked up by its key: OFFSET 0 keeps the planner from joining instead, which it
    does row against row where it knows too little of the tables.
    """
    if not guarded:
        return ""
    if table.link.link_by == "source_id":
        ids = [f"g.{ident(name)}" for name in table.link.source_id]
        match = key_sql.equal(ids, key_sql.key_of(table, "f"), key_sql.kept_operators(table))
        holds = table.link.aligned and not isinstance(chunk, PageRange)
        bounds = f" AND {key_sql.target_range(table, chunk, 'g')}" if holds else " OFFSET 0"
        return f"\n WHERE NOT EXISTS (SELECT FROM {table.into.target_sql} AS g WHERE {match}{bounds})"
    return f"\n WHERE NOT {is_mapped(plan, table, key_sql.feed_key_text(table, 'f'))}"


def is_mapped(plan: Plan, table: TablePlan, key: str) -> str:
    """Whether the map has a source key, and its target row is there: somebody may have deleted that since."""
    match = f"{key_sql.of_table(plan, table.name, 'g')} AND g.source_key = {key}"
    return f"EXISTS (SELECT FROM {MAP} AS g WHERE {match} AND {_is_there(table)} OFFSET 0)"


def _is_there(table: TablePlan) -> str:
    """Whether the target row of a map row `g` is there."""
    names = [f"r.{ident(part.column)}" for part in table.into.target_key]
    keys = key_sql.decoded("g.target_key", [part.kept for part in table.into.target_key])
    same = key_sql.equal(names, keys, key_sql.target_operators(table))
    return f"EXISTS (SELECT FROM {table.into.target_sql} AS r WHERE {same} OFFSET 0)"


def gone(plan: Plan, table: TablePlan, relation: str) -> str:
    """(source key, target key), as the map writes them, of the feed's rows whose target row somebody deleted."""
    match = (
        f"{key_sql.of_table(plan, table.name, 'g')} AND g.source_key = {key_sql.feed_key_text(table, 'f')}"
    )
    return (
        f"SELECT g.source_key AS key, g.target_key AS id FROM {relation} AS f JOIN {MAP} AS g ON {match}\n"
        f" WHERE NOT {_is_there(table)}"
    )


def _new_keys(plan: Plan, table: TablePlan) -> list[str]:
    """Of a row `f` that is new: each part of its key that is made."""
    if table.link.remembered:
        return remember.again(plan, table, key_sql.feed_key_text(table, "f"))
    return [key.default for key in table.into.target_key if key.default]


def _insert_body(plan: Plan, table: TablePlan, relation: str, chunk: Range, guarded: bool) -> str:
    row, joins = mapped_row(plan, table)
    row += _new_keys(plan, table) if table.link.remembered else []
    columns = ", ".join(ident(name) for name in target_columns(table, with_key=table.link.remembered))
    overriding = " OVERRIDING SYSTEM VALUE" if table.into.overriding else ""
    source = "\n  ".join([f"{relation} AS f", *joins])
    return (
        f"INSERT INTO {table.into.target_sql} AS t ({columns}){overriding}\n"
        f"SELECT {', '.join(row)}\n  FROM {source}{guard(plan, table, chunk, guarded)}"
    )


def _insert_with_new_keys(
    plan: Plan, table: TablePlan, relation: str, chunk: Range, run: RunNumber, guarded: bool
) -> str:
    """Makes new keys before the insert, so that rows can be paired with keys, and can point to each other."""
    row, joins = mapped_row(plan, table)
    row += _new_keys(plan, table)
    names = target_columns(table, with_key=True)
    named = [f"{sql} AS v{number}" for number, sql in enumerate(row, start=1)]
    named += key_sql.key_of(table, "f") + _own_parts(table)
    keys = [f"a.v{names.index(key.column) + 1}" for key in table.into.target_key]
    source = "\n  ".join([f"{relation} AS f", *joins])
    values, own_joins = _point_to_each_other(plan, table, names)
    overriding = " OVERRIDING SYSTEM VALUE" if table.into.overriding else ""
    text = (
        f"WITH made AS MATERIALIZED (\nSELECT {', '.join(named)}, {key_sql.feed_key_text(table, 'f')} AS source_key\n"
        f"  FROM {source}{guard(plan, table, chunk, guarded)}\n), new AS (\n"
        f"INSERT INTO {table.into.target_sql} ({', '.join(ident(name) for name in names)}){overriding}\n"
        f"SELECT {', '.join(values)}\n  FROM {' '.join(['made AS a', *own_joins])} RETURNING 1\n)"
    )
    if not table.link.keep_map:
        counted = "SELECT count(*), (SELECT array_agg(source_key) FROM made) FROM new"
        return firing.gated(table, f"{text}\n{counted}{firing.gate(table)}")
    return firing.gated(
        table,
        f"{text}, mapped AS (\n"
        f"INSERT INTO {MAP} (mapping, table_name, source_key, target_key, run, action)\n"
        f"SELECT {literal(plan.mapping)}, {literal(table.name)}, a.source_key,"
        f" {key_sql.target_key_text(table, keys)}, {run}, 'inserted' FROM made AS a{over_stale(guarded)}\n"
        "RETURNING 1\n)\n"
        f"SELECT (SELECT count(*) FROM mapped), NULL::text[] FROM (SELECT count(*) FROM new) AS n"
        f"{firing.gate(table)}",
    )


def _insert_and_pair(
    plan: Plan, table: TablePlan, relation: str, chunk: Range, run: RunNumber, guarded: bool
) -> str:
    """Pairs rows with the keys that the insert returns, by their order. A count of NULL: some rows did not go in."""
    row, joins = mapped_row(plan, table)
    row += _new_keys(plan, table) if table.link.remembered else []
    columns = ", ".join(ident(name) for name in target_columns(table, with_key=table.link.remembered))
    named = [f"{sql} AS v{number}" for number, sql in enumerate(row, start=1)]
    order = ", ".join(key_sql.key_of(table, "f"))
    named += [
        f"{key_sql.feed_key_text(table, 'f')} AS source_key",
        f"row_number() OVER (ORDER BY {order}) AS place",
    ]
    source = "\n  ".join([f"{relation} AS f", *joins])
    keys = key_sql.target_key_text(table, [f"t.{ident(key.column)}" for key in table.into.target_key])
    overriding = " OVERRIDING SYSTEM VALUE" if table.into.overriding else ""
    return firing.gated(
        table,
        f"WITH made AS MATERIALIZED (\nSELECT {', '.join(named)}\n  FROM {source}{guard(plan, table, chunk, guarded)}\n"
        f"), new AS (\nINSERT INTO {table.into.target_sql} AS t ({columns}){overriding}\n"
        f"SELECT {', '.join(f'a.v{number}' for number in range(1, len(row) + 1))} FROM made AS a ORDER BY a.place\n"
        f"RETURNING {keys} AS target_key\n), paired AS (\n"
        "SELECT a.source_key, n.target_key FROM made AS a\n"
        "  JOIN (SELECT target_key, row_number() OVER () AS place FROM new) AS n USING (place)\n), mapped AS (\n"
        f"{map_rows(plan, table, run, 'paired')}{over_stale(guarded)}\nRETURNING 1\n)\n"
        "SELECT CASE WHEN (SELECT count(*) FROM made) = (SELECT count(*) FROM new) THEN count(*) END,"
        f" NULL::text[] FROM mapped{firing.gate(table)}",
    )


def _own(table: TablePlan) -> list[tuple[int, Reference]]:
    """References of rows to rows of the same table that cannot wait until all are in."""
    numbered = enumerate(table.references, start=1)
    return [(number, ref) for number, ref in numbered if ref.parent == table.name and not ref.deferred]


def _own_parts(table: TablePlan) -> list[str]:
    return [f"f.r{number}_{place}" for number, ref in _own(table) for place in range(1, len(ref.by) + 1)]


def _point_to_each_other(plan: Plan, table: TablePlan, names: list[str]) -> tuple[list[str], list[str]]:
    """(values, joins): a reference to the same table finds its parent among the new rows, else among the old."""
    values = [f"a.v{number}" for number in range(1, len(names) + 1)]
    joins = []
    for number, ref in _own(table):
        found = parents.resolve(plan, number, ref, "a")
        alias = f"b{number}"
        parts = [f"a.r{number}_{place}" for place in range(1, len(ref.by) + 1)]
        keys = [f"{alias}.k{place}" for place in range(1, len(table.feed.key) + 1)]
        same = key_sql.equal(keys, parts, key_sql.kept_operators(table))
        joins.append(f"LEFT JOIN made AS {alias} ON {same}\n  {found.joins}")
        new = f"{alias}.v{names.index(ref.value_column) + 1}"
        missing = f"{keys[0]} IS NULL AND {found.missing}"
        both = replace(found, value=f"coalesce({new}, {found.value})", missing=missing)
        place, others = names.index(ref.target), len(table.referring[ref.target]) - 1
        value = parents.reference_value(number, ref, both, strict=True, row="a")
        values[place] = parents.together(
            table.referring[ref.target], [values[place], value] if others else [value]
        )
    return values, joins
