"""Statements for rows that may be in the target already: matched, then kept or updated, with before-images.

They work on one temporary table of mapped rows `w`, which has a column for each that the migration fills and
four of its own (Own).
"""

from __future__ import annotations

from typing import NamedTuple

from jobs.engine.scope import Scope
from jobs.engine.sql import before_images, firing, insert_rows, key_sql, remember
from jobs.engine.sql.firing import Statement
from jobs.engine.sql.key_sql import MAP
from jobs.engine.sql.new_rows import there
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, shortened, unused, verbatim


class Own(NamedTuple):
    """The stage's own columns, quoted, called like none of the target's.

    n: the order of the source keys; target: the target row's key, once known; action: what becomes of the row.
    """

    n: Sql
    key: Sql
    target: Sql
    action: Sql


def own_columns(table: TablePlan) -> Own:
    """What the stage of a table calls its own columns."""
    return Own(*(unused(f"__{name}", filled(table)) for name in Own._fields))


def stage_name(table: TablePlan) -> Sql:
    """The temporary table of mapped rows."""
    return ident(shortened(f"mapped_{table.name}"))


def filled(table: TablePlan) -> list[str]:
    """All columns that the migration fills in a new row, those of a new key included where it is made before."""
    return insert_rows.target_columns(table, with_key=not table.keyed_late)


def create_stage(table: TablePlan) -> Sql:
    """Typed like the target's own columns, without their modifiers."""
    mine = own_columns(table)
    columns = joined(", ", (ident(name) for name in filled(table)))
    return compose(
        "CREATE TEMPORARY TABLE {stage_name} ON COMMIT DROP AS\n"
        "SELECT NULL::bigint AS {n}, NULL::text AS {key}, NULL::text AS {target},"
        " NULL::text AS {action}, {columns} FROM {target_sql} WITH NO DATA",
        stage_name=stage_name(table), n=mine.n, key=mine.key, target=mine.target, action=mine.action,
        columns=columns, target_sql=table.into.target_sql,
    )  # fmt: skip


def fill(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, guarded: bool) -> Sql:
    """The feed's rows that are not mapped yet, in the order of their keys; new keys are left empty."""
    return fill_from(plan, table, relation, there.guard(plan, table, chunk, guarded))


def fill_from(plan: Plan, table: TablePlan, relation: Sql, which: Sql, own: bool = False) -> Sql:
    """Rows `f` of a feed, by a WHERE clause or ''. own: with the references to rows of this table that are in."""
    mine = own_columns(table)
    row, joins = insert_rows.mapped_row(plan, table, own)
    names = insert_rows.target_columns(table, with_key=False)
    order = joined(", ", key_sql.key_of(table, verbatim("f")))
    source = joined("\n  ", [compose("{} AS f", relation), *joins])
    return compose(
        "INSERT INTO {stage_name} ({n}, {key}, {names})\n"
        "SELECT row_number() OVER (ORDER BY {order}), {feed_key_text}, {row}\n"
        "  FROM {source}{which}",
        stage_name=stage_name(table), n=mine.n, key=mine.key,
        names=joined(", ", (ident(name) for name in names)), order=order,
        feed_key_text=key_sql.feed_key_text(table, verbatim("f")), row=joined(", ", row), source=source,
        which=which,
    )  # fmt: skip


def match(table: TablePlan) -> Sql:
    """Rows whose match is in the target are paired with it; of several matches the first by key."""
    mine = own_columns(table)
    assert table.into.existing is not None
    on_target, on_row = (
        [compose("({})", sql) for sql in side]
        for side in (table.into.existing.on_target, table.into.existing.on_row)
    )
    condition = key_sql.equal(on_target, on_row, table.into.existing.operators)
    keys = key_sql.target_keys(table, verbatim("t"))
    text = key_sql.target_key_text(table, keys)
    action = "kept" if table.into.existing.then == "keep" else "updated"
    return compose(
        "UPDATE {stage_name} AS w SET {target} = x.target, {action} = {action2}\n"
        "  FROM (SELECT DISTINCT ON (w.{n}) w.{n}, {text} AS target FROM {stage_name} AS w\n"
        "          JOIN {target_sql} AS t ON {condition} ORDER BY w.{n}, {keys}) AS x\n"
        " WHERE x.{n} = w.{n}",
        stage_name=stage_name(table), target=mine.target, action=mine.action, action2=literal(action),
        n=mine.n, text=text, target_sql=table.into.target_sql, condition=condition, keys=joined(", ", keys),
    )  # fmt: skip


def _make_keys(plan: Plan, table: TablePlan) -> list[Sql]:
    """Of the rows without a match, the first of each match becomes a new row, and gets its key."""
    mine = own_columns(table)
    assert table.into.existing is not None
    stage = stage_name(table)
    parts = joined(", ", (compose("({})", sql) for sql in table.into.existing.on_row))
    known = joined(" AND ", (compose("({}) IS NOT NULL", sql) for sql in table.into.existing.on_row))
    new: list[Sql] = [key.default for key in table.into.target_key if key.default]
    if table.link.remembered:
        new = remember.again(plan, table, compose("w.{}", mine.key))
    names = [ident(key.column) for key in table.into.target_key if key.default]
    made = [compose("{} = {}", name, value) for name, value in zip(names, new, strict=True)]
    made = [compose("{} = 'inserted'", mine.action), *([] if table.keyed_late else made)]
    keys = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("w")))
    first = compose(
        "UPDATE {stage} AS w SET {made}\n"
        "  FROM (SELECT w.{n}, ({known}) AS known,\n"
        "               first_value(w.{n}) OVER (PARTITION BY {parts} ORDER BY w.{n}) AS first\n"
        "          FROM {stage} AS w WHERE w.{target} IS NULL) AS x\n"
        " WHERE x.{n} = w.{n} AND (x.{n} = x.first OR NOT x.known)",
        stage=stage, made=joined(", ", made), n=mine.n, known=known, parts=parts, target=mine.target,
    )  # fmt: skip
    if table.keyed_late:
        return [first]
    return [
        first,
        compose(
            "UPDATE {stage} AS w SET {target} = {keys} WHERE w.{action} = 'inserted'",
            stage=stage, target=mine.target, keys=keys, action=mine.action,
        ),
    ]  # fmt: skip


def _follow_first(table: TablePlan) -> Sql:
    """The other rows of a match go where its first row goes."""
    assert table.into.existing is not None
    stage, mine = stage_name(table), own_columns(table)
    parts = [compose("({})", sql) for sql in table.into.existing.on_row]
    matches = joined(", ", (compose("{} AS m{}", sql, number) for number, sql in enumerate(parts, start=1)))
    same = key_sql.equal(
        parts,
        [compose("o.m{}", number) for number in range(1, len(parts) + 1)],
        table.into.existing.operators,
    )
    action = "kept" if table.into.existing.then == "keep" else "updated"
    return compose(
        "UPDATE {stage} AS w SET {target} = o.target, {action} = {action2}\n"
        "  FROM (SELECT w.{target} AS target, {matches} FROM {stage} AS w\n"
        "         WHERE w.{action} = 'inserted') AS o WHERE w.{action} IS NULL AND {same}",
        stage=stage, target=mine.target, action=mine.action, action2=literal(action), matches=matches,
        same=same,
    )  # fmt: skip


def place_new(plan: Plan, table: TablePlan) -> list[Statement]:
    """What becomes of rows without a match: new rows, and rows that go where those go."""
    if table.keyed_late:
        return [*_make_keys(plan, table), _insert_and_pair(table), _follow_first(table)]
    return [*_make_keys(plan, table), _follow_first(table), firing.counted(table, _insert(table))]


def _insert_and_pair(table: TablePlan) -> Statement:
    """The new rows, each paired by its place with the key that the insert returns; none if one is left out."""
    mine = own_columns(table)
    keys = key_sql.target_key_text(table, key_sql.target_keys(table, verbatim("t")))
    stage = stage_name(table)
    before = compose(" AND {}", firing.HAND_OVER) if table.firing.fires else NOTHING
    return firing.gated(
        table,
        compose(
            "WITH new AS (\n{insert}\nRETURNING {keys} AS target\n)\n"
            "UPDATE {stage} AS w SET {target} = n.target\n"
            "  FROM (SELECT target, row_number() OVER () AS place FROM new) AS n\n"
            "  JOIN (SELECT {n}, row_number() OVER (ORDER BY {n}) AS place, count(*) OVER () AS rows\n"
            "          FROM {stage}\n"
            "         WHERE {action} = 'inserted') AS s USING (place)\n"
            " WHERE w.{n} = s.{n} AND s.rows = (SELECT count(*) FROM new){before}",
            insert=_insert(table), keys=keys, stage=stage, target=mine.target, n=mine.n, action=mine.action,
            before=before,
        ),
    )  # fmt: skip


def _insert(table: TablePlan) -> Sql:
    """The new rows."""
    mine = own_columns(table)
    columns = joined(", ", (ident(name) for name in filled(table)))
    overriding = verbatim(" OVERRIDING SYSTEM VALUE") if table.into.overriding else NOTHING
    return compose(
        "INSERT INTO {target_sql} AS t ({columns}){overriding}\n"
        "SELECT {columns} FROM {stage_name} AS w WHERE w.{action} = 'inserted' ORDER BY w.{n}",
        target_sql=table.into.target_sql, columns=columns, overriding=overriding, stage_name=stage_name(table),
        action=mine.action, n=mine.n,
    )  # fmt: skip


def keep_images(scope: Scope) -> Sql:
    """The old values, once for each target row, of rows that this run did not insert itself."""
    table = scope.table
    inserted = before_images.inserted_by(scope, verbatim("w.target"))
    mine = own_columns(table)
    columns = before_images.imaged(table)
    names = key_sql.texts([name for name, _ in columns])
    values = joined(
        ", ", (before_images.written(compose("t.{}", ident(name)), kind) for name, kind in columns)
    )
    return compose(
        "INSERT INTO migrator.before_image (run, table_name, target_key, columns, old_values)\n"
        "SELECT {run}, {name}, w.target, {names}, ARRAY[{values}]::text[]\n"
        "  FROM (SELECT DISTINCT {target} AS target FROM {stage_name}\n"
        "         WHERE {action} = 'updated') AS w\n"
        "  JOIN {target_sql} AS t ON {paired}\n"
        "  LEFT JOIN LATERAL ({inserted}) AS own ON true\n"
        " WHERE own.found IS NULL\n"
        "ON CONFLICT DO NOTHING",
        run=scope.run, name=literal(table.name), names=names, values=values, target=mine.target,
        stage_name=stage_name(table), action=mine.action, target_sql=table.into.target_sql,
        paired=before_images.paired(table, verbatim("w.target")), inserted=inserted,
    )  # fmt: skip


def update(table: TablePlan) -> Statement:
    """The last source row of each target row overwrites what is mapped."""
    mine = own_columns(table)
    sets = joined(
        ", ", (compose("{name} = w.{name}", name=ident(name)) for name, _ in before_images.overwritten(table))
    )
    return firing.counted(
        table,
        compose(
            "UPDATE {target_sql} AS t SET {sets}\n"
            "  FROM (SELECT DISTINCT ON ({target}) * FROM {stage_name} WHERE {action} = 'updated'\n"
            "         ORDER BY {target}, {n} DESC) AS w\n"
            " WHERE {paired}",
            target_sql=table.into.target_sql, sets=sets, target=mine.target, stage_name=stage_name(table),
            action=mine.action, n=mine.n, paired=before_images.paired(table, compose("w.{}", mine.target)),
        ),
    )  # fmt: skip


def unpaired(table: TablePlan) -> Sql:
    """Whether new rows have no key, because a trigger left one out. Only the order of the rows tells them apart."""
    mine = own_columns(table)
    return compose("SELECT EXISTS (SELECT FROM {} WHERE {} IS NULL)", stage_name(table), mine.target)


def left_out(table: TablePlan) -> str:
    """Why rows without a source id cannot be told apart."""
    return (
        f"a trigger of {table.target} leaves rows out, and then nobody can tell which of the others got which key;"
        " leave those rows out by where"
    )


def map_rows(scope: Scope, guarded: bool = False) -> Sql:
    """What was done with each source row. Returns (inserted, updated, kept).

    guarded: whether a row's target row may have been deleted, so that its old map row gives way.
    """
    table = scope.table
    mine = own_columns(table)
    return compose(
        "WITH mapped AS (\nINSERT INTO {map} (mapping, table_name, source_key, target_key, run, action)\n"
        "SELECT {mapping}, {name}, {key}, {target}, {run}, {action}\n"
        "  FROM {stage_name}{over_stale} RETURNING action\n)\n"
        "SELECT count(*) FILTER (WHERE action = 'inserted'), count(*) FILTER (WHERE action = 'updated'),"
        " count(*) FILTER (WHERE action = 'kept') FROM mapped",
        map=MAP, mapping=literal(scope.plan.mapping), name=literal(table.name), key=mine.key, target=mine.target,
        run=scope.run, action=mine.action, stage_name=stage_name(table), over_stale=insert_rows.over_stale(guarded),
    )  # fmt: skip


def map_has_outgrown(table: TablePlan) -> Sql:
    """Whether the planner knows of fewer map rows than just came: it would look for each of them in all others."""
    return compose(
        "SELECT (SELECT reltuples FROM pg_class WHERE oid = '{map}'::regclass)"
        " < (SELECT count(*) FROM {stage_name})",
        map=MAP,
        stage_name=stage_name(table),
    )
