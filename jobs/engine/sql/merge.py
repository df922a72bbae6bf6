"""Statements for rows that may be in the target already: matched, then kept or updated, with before-images.

They work on one temporary table of mapped rows `w`, which has a column for each that the migration fills and
four of its own (Own).
"""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.sql import firing, insert_rows, key_sql
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from jobs.engine.sql.rollback import remember
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal, unused


class Own(NamedTuple):
    """The stage's own columns, quoted, called like none of the target's.

    n: the order of the source keys; target: the target row's key, once known; action: what becomes of the row.
    """

    n: str
    key: str
    target: str
    action: str


def own_columns(table: TablePlan) -> Own:
    """What the stage of a table calls its own columns."""
    return Own(*(unused(f"__{name}", filled(table)) for name in Own._fields))


def stage_name(table: TablePlan) -> str:
    """The temporary table of mapped rows."""
    return ident(f"mapped_{table.name}"[:60])


def filled(table: TablePlan) -> list[str]:
    """All columns that the migration fills in a new row, those of a new key included where it is made before."""
    return insert_rows.target_columns(table, with_key=not table.keyed_late)


def create_stage(table: TablePlan) -> str:
    """Typed like the target's own columns, without their modifiers."""
    mine = own_columns(table)
    columns = ", ".join(ident(name) for name in filled(table))
    return (
        f"CREATE TEMPORARY TABLE {stage_name(table)} ON COMMIT DROP AS\n"
        f"SELECT NULL::bigint AS {mine.n}, NULL::text AS {mine.key}, NULL::text AS {mine.target},"
        f" NULL::text AS {mine.action}, {columns} FROM {table.into.target_sql} WITH NO DATA"
    )


def fill(plan: Plan, table: TablePlan, relation: str, chunk: Range, guarded: bool) -> str:
    """The feed's rows that are not mapped yet, in the order of their keys; new keys are left empty."""
    return fill_from(plan, table, relation, insert_rows.guard(plan, table, chunk, guarded))


def fill_from(plan: Plan, table: TablePlan, relation: str, which: str, own: bool = False) -> str:
    """Rows `f` of a feed, by a WHERE clause or ''. own: with the references to rows of this table that are in."""
    mine = own_columns(table)
    row, joins = insert_rows.mapped_row(plan, table, own)
    names = insert_rows.target_columns(table, with_key=False)
    order = ", ".join(key_sql.key_of(table, "f"))
    source = "\n  ".join([f"{relation} AS f", *joins])
    return (
        f"INSERT INTO {stage_name(table)} ({mine.n}, {mine.key}, {', '.join(ident(name) for name in names)})\n"
        f"SELECT row_number() OVER (ORDER BY {order}), {key_sql.feed_key_text(table, 'f')}, {', '.join(row)}\n"
        f"  FROM {source}{which}"
    )


def match(table: TablePlan) -> str:
    """Rows whose match is in the target are paired with it; of several matches the first by key."""
    mine = own_columns(table)
    assert table.into.existing is not None
    on_target, on_row = (
        [f"({sql})" for sql in side] for side in (table.into.existing.on_target, table.into.existing.on_row)
    )
    condition = key_sql.equal(on_target, on_row, table.into.existing.operators)
    keys = [f"t.{ident(key.column)}" for key in table.into.target_key]
    text = key_sql.target_key_text(table, keys)
    action = "kept" if table.into.existing.then == "keep" else "updated"
    return (
        f"UPDATE {stage_name(table)} AS w SET {mine.target} = x.target, {mine.action} = {literal(action)}\n"
        f"  FROM (SELECT DISTINCT ON (w.{mine.n}) w.{mine.n}, {text} AS target FROM {stage_name(table)} AS w\n"
        f"          JOIN {table.into.target_sql} AS t ON {condition} ORDER BY w.{mine.n}, {', '.join(keys)}) AS x\n"
        f" WHERE x.{mine.n} = w.{mine.n}"
    )


def _make_keys(plan: Plan, table: TablePlan) -> list[str]:
    """Of the rows without a match, the first of each match becomes a new row, and gets its key."""
    mine = own_columns(table)
    assert table.into.existing is not None
    stage = stage_name(table)
    parts = ", ".join(f"({sql})" for sql in table.into.existing.on_row)
    known = " AND ".join(f"({sql}) IS NOT NULL" for sql in table.into.existing.on_row)
    new: list[str] = [key.default for key in table.into.target_key if key.default]
    if table.link.remembered:
        new = remember.again(plan, table, f"w.{mine.key}")
    names = [ident(key.column) for key in table.into.target_key if key.default]
    made = [f"{name} = {value}" for name, value in zip(names, new, strict=True)]
    made = [f"{mine.action} = 'inserted'", *([] if table.keyed_late else made)]
    keys = key_sql.target_key_text(table, [f"w.{ident(key.column)}" for key in table.into.target_key])
    first = (
        f"UPDATE {stage} AS w SET {', '.join(made)}\n"
        f"  FROM (SELECT w.{mine.n}, ({known}) AS known,\n"
        f"               first_value(w.{mine.n}) OVER (PARTITION BY {parts} ORDER BY w.{mine.n}) AS first\n"
        f"          FROM {stage} AS w WHERE w.{mine.target} IS NULL) AS x\n"
        f" WHERE x.{mine.n} = w.{mine.n} AND (x.{mine.n} = x.first OR NOT x.known)"
    )
    if table.keyed_late:
        return [first]
    return [first, f"UPDATE {stage} AS w SET {mine.target} = {keys} WHERE w.{mine.action} = 'inserted'"]


def _follow_first(table: TablePlan) -> str:
    """The other rows of a match go where its first row goes."""
    assert table.into.existing is not None
    stage, mine = stage_name(table), own_columns(table)
    parts = [f"({sql})" for sql in table.into.existing.on_row]
    matches = ", ".join(f"{sql} AS m{number}" for number, sql in enumerate(parts, start=1))
    same = key_sql.equal(
        parts, [f"o.m{number}" for number in range(1, len(parts) + 1)], table.into.existing.operators
    )
    action = "kept" if table.into.existing.then == "keep" else "updated"
    return (
        f"UPDATE {stage} AS w SET {mine.target} = o.target, {mine.action} = {literal(action)}\n"
        f"  FROM (SELECT w.{mine.target} AS target, {matches} FROM {stage} AS w\n"
        f"         WHERE w.{mine.action} = 'inserted') AS o WHERE w.{mine.action} IS NULL AND {same}"
    )


def place_new(plan: Plan, table: TablePlan) -> list[str]:
    """What becomes of rows without a match: new rows, and rows that go where those go."""
    if table.keyed_late:
        return [*_make_keys(plan, table), _insert_and_pair(table), _follow_first(table)]
    return [*_make_keys(plan, table), _follow_first(table), firing.counted(table, _insert(table))]


def _insert_and_pair(table: TablePlan) -> str:
    """The new rows, each paired by its place with the key that the insert returns; none if one is left out."""
    mine = own_columns(table)
    keys = key_sql.target_key_text(table, [f"t.{ident(key.column)}" for key in table.into.target_key])
    stage = stage_name(table)
    before = f" AND {firing.HAND_OVER}" if table.firing.fires else ""
    return firing.gated(
        table,
        f"WITH new AS (\n{_insert(table)}\nRETURNING {keys} AS target\n)\n"
        f"UPDATE {stage} AS w SET {mine.target} = n.target\n"
        "  FROM (SELECT target, row_number() OVER () AS place FROM new) AS n\n"
        f"  JOIN (SELECT {mine.n}, row_number() OVER (ORDER BY {mine.n}) AS place, count(*) OVER () AS rows\n"
        f"          FROM {stage}\n"
        f"         WHERE {mine.action} = 'inserted') AS s USING (place)\n"
        f" WHERE w.{mine.n} = s.{mine.n} AND s.rows = (SELECT count(*) FROM new){before}",
    )


def _insert(table: TablePlan) -> str:
    """The new rows."""
    mine = own_columns(table)
    columns = ", ".join(ident(name) for name in filled(table))
    overriding = " OVERRIDING SYSTEM VALUE" if table.into.overriding else ""
    return (
        f"INSERT INTO {table.into.target_sql} AS t ({columns}){overriding}\n"
        f"SELECT {columns} FROM {stage_name(table)} AS w WHERE w.{mine.action} = 'inserted' ORDER BY w.{mine.n}"
    )


def overwritten(table: TablePlan) -> list[tuple[str, str]]:
    """(column, type) of what an update overwrites: all that is mapped, but not the key; the row keeps its id."""
    keys = {key.column for key in table.into.target_key}
    found: list[tuple[str, str]] = [(value.target, value.type) for value in table.values]
    found += [(target, refs[0][1].type) for target, refs in table.referring.items()]
    found += [(name, part.type) for name, part in zip(table.link.source_id, table.feed.key, strict=False)]
    found += [(table.link.is_migrated, "boolean")] if table.link.is_migrated else []
    return [(column, kind) for column, kind in found if column not in keys]


def paired(table: TablePlan, text: str) -> str:
    """How target rows `t` are found by their key as one text."""
    keys = [f"t.{ident(key.column)}" for key in table.into.target_key]
    decoded = key_sql.decoded(text, [key.kept for key in table.into.target_key])
    return key_sql.equal(keys, decoded, key_sql.target_operators(table))


def update(table: TablePlan) -> str:
    """The last source row of each target row overwrites what is mapped."""
    mine = own_columns(table)
    sets = ", ".join(f"{ident(name)} = w.{ident(name)}" for name, _ in overwritten(table))
    return firing.counted(
        table,
        f"UPDATE {table.into.target_sql} AS t SET {sets}\n"
        f"  FROM (SELECT DISTINCT ON ({mine.target}) * FROM {stage_name(table)} WHERE {mine.action} = 'updated'\n"
        f"         ORDER BY {mine.target}, {mine.n} DESC) AS w\n"
        f" WHERE {paired(table, f'w.{mine.target}')}",
    )


def unpaired(table: TablePlan) -> str:
    """Whether new rows have no key, because a trigger left one out. Only the order of the rows tells them apart."""
    mine = own_columns(table)
    return f"SELECT EXISTS (SELECT FROM {stage_name(table)} WHERE {mine.target} IS NULL)"


def left_out(table: TablePlan) -> str:
    """Why rows without a source id cannot be told apart."""
    return (
        f"a trigger of {table.target} leaves rows out, and then nobody can tell which of the others got which key;"
        " leave those rows out by where"
    )


def map_rows(plan: Plan, table: TablePlan, run: RunNumber, guarded: bool = False) -> str:
    """What was done with each source row. Returns (inserted, updated, kept).

    guarded: whether a row's target row may have been deleted, so that its old map row gives way.
    """
    mine = own_columns(table)
    return (
        f"WITH mapped AS (\nINSERT INTO {MAP} (mapping, table_name, source_key, target_key, run, action)\n"
        f"SELECT {literal(plan.mapping)}, {literal(table.name)}, {mine.key}, {mine.target}, {run}, {mine.action}\n"
        f"  FROM {stage_name(table)}{insert_rows.over_stale(guarded)} RETURNING action\n)\n"
        "SELECT count(*) FILTER (WHERE action = 'inserted'), count(*) FILTER (WHERE action = 'updated'),"
        " count(*) FILTER (WHERE action = 'kept') FROM mapped"
    )


def map_has_outgrown(table: TablePlan) -> str:
    """Whether the planner knows of fewer map rows than just came: it would look for each of them in all others."""
    return (
        f"SELECT (SELECT reltuples FROM pg_class WHERE oid = '{MAP}'::regclass)"
        f" < (SELECT count(*) FROM {stage_name(table)})"
    )
