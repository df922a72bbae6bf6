"""Statements for rows that may be in the target already: matched, then kept or updated, with before-images.

They work on one temporary table of mapped rows `w`, which has a column for each that the migration fills and
four of its own (Own).
"""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.sql import feed_and_insert, firing, key_sql
from jobs.engine.sql.key_sql import MAP, WRITER, Range
from mappings.plan.model import Plan, TablePlan
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
    return feed_and_insert.target_columns(table, with_key=not table.keyed_late)


def create_stage(table: TablePlan) -> str:
    """Typed like the target's own columns, without their modifiers."""
    mine = own_columns(table)
    columns = ", ".join(ident(name) for name in filled(table))
    return (
        f"CREATE TEMPORARY TABLE {stage_name(table)} ON COMMIT DROP AS\n"
        f"SELECT NULL::bigint AS {mine.n}, NULL::text AS {mine.key}, NULL::text AS {mine.target},"
        f" NULL::text AS {mine.action}, {columns} FROM {table.target_sql} WITH NO DATA"
    )


def fill(plan: Plan, table: TablePlan, relation: str, chunk: Range, guarded: bool) -> str:
    """The feed's rows that are not mapped yet, in the order of their keys; new keys are left empty."""
    return fill_from(plan, table, relation, feed_and_insert.guard(plan, table, chunk, guarded))


def fill_from(plan: Plan, table: TablePlan, relation: str, which: str, own: bool = False) -> str:
    """Rows `f` of a feed, by a WHERE clause or ''. own: with the references to rows of this table that are in."""
    mine = own_columns(table)
    row, joins = feed_and_insert.mapped_row(plan, table, own)
    names = feed_and_insert.target_columns(table, with_key=False)
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
    assert table.existing is not None
    on_target, on_row = (
        [f"({sql})" for sql in side] for side in (table.existing.on_target, table.existing.on_row)
    )
    condition = key_sql.equal(on_target, on_row, table.existing.operators)
    keys = [f"t.{ident(key.column)}" for key in table.target_key]
    text = key_sql.target_key_text(table, keys)
    action = "kept" if table.existing.then == "keep" else "updated"
    return (
        f"UPDATE {stage_name(table)} AS w SET {mine.target} = x.target, {mine.action} = {literal(action)}\n"
        f"  FROM (SELECT DISTINCT ON (w.{mine.n}) w.{mine.n}, {text} AS target FROM {stage_name(table)} AS w\n"
        f"          JOIN {table.target_sql} AS t ON {condition} ORDER BY w.{mine.n}, {', '.join(keys)}) AS x\n"
        f" WHERE x.{mine.n} = w.{mine.n}"
    )


def _make_keys(table: TablePlan) -> list[str]:
    """Of the rows without a match, the first of each match becomes a new row, and gets its key."""
    mine = own_columns(table)
    assert table.existing is not None
    stage = stage_name(table)
    parts = ", ".join(f"({sql})" for sql in table.existing.on_row)
    known = " AND ".join(f"({sql}) IS NOT NULL" for sql in table.existing.on_row)
    made = [f"{ident(key.column)} = {key.default}" for key in table.target_key if key.default]
    made = [f"{mine.action} = 'inserted'", *([] if table.keyed_late else made)]
    keys = key_sql.target_key_text(table, [f"w.{ident(key.column)}" for key in table.target_key])
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
    assert table.existing is not None
    stage, mine = stage_name(table), own_columns(table)
    parts = [f"({sql})" for sql in table.existing.on_row]
    matches = ", ".join(f"{sql} AS m{number}" for number, sql in enumerate(parts, start=1))
    same = key_sql.equal(
        parts, [f"o.m{number}" for number in range(1, len(parts) + 1)], table.existing.operators
    )
    action = "kept" if table.existing.then == "keep" else "updated"
    return (
        f"UPDATE {stage} AS w SET {mine.target} = o.target, {mine.action} = {literal(action)}\n"
        f"  FROM (SELECT w.{mine.target} AS target, {matches} FROM {stage} AS w\n"
        f"         WHERE w.{mine.action} = 'inserted') AS o WHERE w.{mine.action} IS NULL AND {same}"
    )


def place_new(table: TablePlan) -> list[str]:
    """What becomes of rows without a match: new rows, and rows that go where those go."""
    if table.keyed_late:
        return [*_make_keys(table), _insert_and_pair(table), _follow_first(table)]
    return [*_make_keys(table), _follow_first(table), firing.counted(table, _insert(table))]


def _insert_and_pair(table: TablePlan) -> str:
    """The new rows, each paired by its place with the key that the insert returns; none if one is left out."""
    mine = own_columns(table)
    keys = key_sql.target_key_text(table, [f"t.{ident(key.column)}" for key in table.target_key])
    stage = stage_name(table)
    before = f" AND {firing.HAND_OVER}" if table.fires else ""
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
    overriding = " OVERRIDING SYSTEM VALUE" if table.overriding else ""
    return (
        f"INSERT INTO {table.target_sql} AS t ({columns}){overriding}\n"
        f"SELECT {columns} FROM {stage_name(table)} AS w WHERE w.{mine.action} = 'inserted' ORDER BY w.{mine.n}"
    )


def overwritten(table: TablePlan) -> list[tuple[str, str]]:
    """(column, type) of what an update overwrites: all that is mapped, but not the key; the row keeps its id."""
    keys = {key.column for key in table.target_key}
    found = [(value.target, value.type) for value in table.values]
    found += [(ref.target, ref.type) for ref in table.references]
    found += [(name, part.type) for name, part in zip(table.source_id, table.key, strict=False)]
    found += [(table.is_migrated, "boolean")] if table.is_migrated else []
    return [(column, kind) for column, kind in found if column not in keys]


def imaged(table: TablePlan) -> list[tuple[str, str]]:
    """(column, type) of what a rollback restores: what an update overwrites, and what a trigger may change with it."""
    return overwritten(table) + [(other.name, other.type) for other in table.others if table.rewritten]


def paired(table: TablePlan, text: str) -> str:
    """How target rows `t` are found by their key as one text."""
    keys = [f"t.{ident(key.column)}" for key in table.target_key]
    decoded = key_sql.decoded(text, [key.kept for key in table.target_key])
    return key_sql.equal(keys, decoded, key_sql.target_operators(table))


def before_images(plan: Plan, table: TablePlan, run: int) -> str:
    """The old values, once for each target row, of rows that this run did not insert itself."""
    mine = own_columns(table)
    columns = imaged(table)
    names = key_sql.texts([name for name, _ in columns])
    values = ", ".join(f"t.{ident(name)}::text" for name, _ in columns)
    own = (
        f"SELECT FROM {MAP} AS m WHERE {key_sql.of_table(plan, table.name)} AND m.run = {run}"
        " AND m.action = 'inserted' AND m.target_key = w.target"
    )
    return (
        "INSERT INTO migrator.before_image (run, table_name, target_key, columns, old_values)\n"
        f"SELECT {run}, {literal(table.name)}, w.target, {names}, ARRAY[{values}]::text[]\n"
        f"  FROM (SELECT DISTINCT {mine.target} AS target FROM {stage_name(table)}\n"
        f"         WHERE {mine.action} = 'updated') AS w\n"
        f"  JOIN {table.target_sql} AS t ON {paired(table, 'w.target')}\n"
        f" WHERE NOT EXISTS ({own})\n"
        "ON CONFLICT DO NOTHING"
    )


def update(table: TablePlan) -> str:
    """The last source row of each target row overwrites what is mapped."""
    mine = own_columns(table)
    sets = ", ".join(f"{ident(name)} = w.{ident(name)}" for name, _ in overwritten(table))
    return firing.counted(
        table,
        f"UPDATE {table.target_sql} AS t SET {sets}\n"
        f"  FROM (SELECT DISTINCT ON ({mine.target}) * FROM {stage_name(table)} WHERE {mine.action} = 'updated'\n"
        f"         ORDER BY {mine.target}, {mine.n} DESC) AS w\n"
        f" WHERE {paired(table, f'w.{mine.target}')}",
    )


def supersede(plan: Plan, table: TablePlan, run: int) -> str:
    """Map rows whose target row now says what a later source row says."""
    mine = own_columns(table)
    return (
        f"UPDATE {MAP} AS m SET superseded_by = {run}\n"
        f"  FROM (SELECT {mine.target}, max({mine.n}) AS last FROM {stage_name(table)}\n"
        f"         WHERE {mine.action} = 'updated' GROUP BY 1) AS u\n"
        f"  JOIN {stage_name(table)} AS l ON l.{mine.n} = u.last\n"
        f" WHERE {key_sql.of_table(plan, table.name)} AND m.target_key = u.{mine.target}"
        f" AND m.source_key <> l.{mine.key} AND m.superseded_by IS NULL"
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


def map_rows(plan: Plan, table: TablePlan, run: int, guarded: bool = False) -> str:
    """What was done with each source row. Returns (inserted, updated, kept).

    guarded: whether a row's target row may have been deleted, so that its old map row gives way.
    """
    mine = own_columns(table)
    return (
        f"WITH mapped AS (\nINSERT INTO {MAP} (mapping, table_name, source_key, target_key, run, action)\n"
        f"SELECT {literal(plan.mapping)}, {literal(table.name)}, {mine.key}, {mine.target}, {run}, {mine.action}\n"
        f"  FROM {stage_name(table)}{feed_and_insert.over_stale(guarded)} RETURNING action\n)\n"
        "SELECT count(*) FILTER (WHERE action = 'inserted'), count(*) FILTER (WHERE action = 'updated'),"
        " count(*) FILTER (WHERE action = 'kept') FROM mapped"
    )


def map_has_outgrown(table: TablePlan) -> str:
    """Whether the planner knows of fewer map rows than just came: it would look for each of them in all others."""
    return (
        f"SELECT (SELECT reltuples FROM pg_class WHERE oid = '{MAP}'::regclass)"
        f" < (SELECT count(*) FROM {stage_name(table)})"
    )


def restore(table: TablePlan, run: int, gone: str) -> str:
    """Puts the old values back into rows that the map rows `gone` updated, and takes the images away."""
    columns = imaged(table)
    sets = ", ".join(
        f"{ident(name)} = (b.old_values[{place}])::{kind}"
        for place, (name, kind) in enumerate(columns, start=1)
    )
    return (
        f"images AS (\nDELETE FROM migrator.before_image AS b USING {gone}\n"
        f" WHERE b.run = {run} AND b.table_name = {literal(table.name)} AND b.target_key = {gone}.target_key\n"
        " RETURNING b.target_key, b.old_values), restored AS (\n"
        f"UPDATE {table.target_sql} AS t SET {sets} FROM images AS b\n"
        f" WHERE {paired(table, 'b.target_key')} RETURNING 1)"
    )


def release(plan: Plan, run: int) -> str:
    """Map rows of other runs that this run had superseded speak for their target rows again.

    Those rows were restored by this rollback, so its transactions become the other runs' own: by the writers in
    the ledger a later rollback tells whether anyone else changed the rows.
    """
    mine = f"m.mapping = {literal(plan.mapping)} AND m.superseded_by = {run}"
    return (
        f"WITH released AS (UPDATE {MAP} AS m SET superseded_by = NULL WHERE {mine} RETURNING m.run, m.table_name)\n"
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        f"SELECT r.run, r.table_name, 'restored by ' || {run}, row_number() OVER (PARTITION BY r.run, r.table_name),\n"
        "       0, 0, 0, 0, l.writer\n"
        "  FROM (SELECT DISTINCT run, table_name FROM released) AS r\n"
        f"  JOIN migrator.ledger AS l ON l.run = {run} AND l.table_name = r.table_name AND l.phase = 'undo'"
    )


def speak_again(plan: Plan, run: int, chunk: int) -> str:
    """Map rows of other runs speak for their target rows again where nothing of this run does any more.

    Those rows were restored in this transaction, which the ledger therefore lists with the other runs' own.
    """
    updated = (
        f"SELECT FROM {MAP} AS u WHERE (u.mapping, u.table_name, u.target_key) ="
        f" (m.mapping, m.table_name, m.target_key) AND u.run = {run} AND u.action = 'updated'"
    )
    return (
        f"WITH released AS (UPDATE {MAP} AS m SET superseded_by = NULL\n"
        f" WHERE m.mapping = {literal(plan.mapping)} AND m.superseded_by = {run} AND NOT EXISTS ({updated})\n"
        " RETURNING m.run, m.table_name)\n"
        "INSERT INTO migrator.ledger (run, table_name, phase, chunk, inserted, updated, kept, quarantined, writer)\n"
        f"SELECT DISTINCT r.run, r.table_name, 'restored in ' || {run}, {chunk}, 0, 0, 0, 0, {WRITER}\n"
        "  FROM released AS r"
    )


TARGET_INDEX = f"CREATE INDEX IF NOT EXISTS migration_map_target ON {MAP} (target_key, table_name, mapping)"
"""By which superseded map rows are found; only made for mappings that update rows. The target key comes first: no
lookup by a source key then takes this index for its own."""
