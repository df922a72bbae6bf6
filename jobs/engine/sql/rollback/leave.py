"""Statements for rows of a run that somebody edited since, and that its rollback leaves: they are let go, and named."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.engine.sql import before_images, firing, key_sql, past_triggers, remove
from jobs.engine.sql.key_sql import MAP, Range, RunNumber
from jobs.engine.sql.merge import paired
from jobs.engine.sql.rollback import as_copied
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal

WROTE = ("inserted", "updated")


def _own_keys(table: TablePlan) -> str:
    """The source key and the target key, as texts, of a run's row `t`, with its map row `m` where there is one."""
    if table.link.keep_map:
        return "m.source_key AS key, m.target_key AS target"
    target = key_sql.target_key_text(table, [f"t.{ident(part.column)}" for part in table.into.target_key])
    return f"{key_sql.source_id_text(table, 't')} AS key, {target} AS target"


def edited(plan: Plan, table: TablePlan, run: RunNumber, fresh: bool) -> str:
    """(source key, target key) of the rows whose last writer is none of the run's own transactions."""
    rows = remove.owned(plan, table, run, fresh, Range(), WROTE)
    own = f"SELECT l.writer FROM migrator.ledger AS l WHERE l.run = {run}"
    return (
        f"SELECT x.key, x.target FROM (\nSELECT {_own_keys(table)}, t.xmin::text AS writer FROM {rows}\n) AS x"
        f" WHERE x.writer NOT IN ({own}) ORDER BY x.key"
    )


def pointed_to(
    plan: Plan,
    parent: TablePlan,
    child: TablePlan,
    run: RunNumber,
    fresh: tuple[bool, bool],
    *,
    keys: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    operators: Sequence[str],
) -> str:
    """(source key, target key) of the parent's rows, inserted by the run, to which these rows of the child point.

    fresh: the parent's and the child's; keys: source keys of the child; pairs: (child column, parent column).
    """
    names = [f"t.{ident(column)} AS c{number}" for number, (column, _) in enumerate(pairs)]
    children = remove.owned(plan, child, run, fresh[1], Range(only=tuple(keys)), WROTE)
    same = key_sql.equal(
        [f"t.{ident(column)}" for _, column in pairs],
        [f"c.c{number}" for number in range(len(pairs))],
        operators,
    )
    rows = remove.owned(plan, parent, run, fresh[0], Range())
    pointing = f"SELECT FROM (SELECT {', '.join(names)} FROM {children}) AS c WHERE {same}"
    return f"SELECT {_own_keys(parent)} FROM {rows} AND EXISTS (\n{pointing})"


def note(plan: Plan, table: TablePlan, run: RunNumber, rows: Sequence[tuple[str, str | None, str]]) -> str:
    """Lists rows (source key, target key, why) as left."""
    keys, targets, whys = zip(*rows, strict=True)
    arrays = ", ".join([key_sql.texts(keys), _nullable(targets), key_sql.texts(whys)])
    return (
        "INSERT INTO migrator.left_row (run, mapping, table_name, source_key, target_key, why)\n"
        f"SELECT {run}, {literal(plan.mapping)}, {literal(table.name)}, u.* FROM unnest({arrays}) AS u\n"
        "ON CONFLICT DO NOTHING"
    )


def _nullable(values: Sequence[str | None]) -> str:
    return f"ARRAY[{', '.join('NULL' if value is None else literal(value) for value in values)}]::text[]"


def release(
    plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, keys: Sequence[str], *, owners: bool
) -> list[str]:
    """The rows stay as they are, and nothing says any more that they were migrated. In a transaction.

    owners: whether the source id is a column of the table's owner, which keeps its value.
    """
    chunk = Range(only=tuple(keys))
    links = [] if owners else [(name, "NULL") for name in table.link.source_id]
    links += [(table.link.is_migrated, "false")] if table.link.is_migrated else []
    done = [_unlink(plan, table, run, fresh, chunk, links)] if links else []
    if links and table.into.existing and table.into.existing.then == "update":
        done.append(_relink(plan, table, run, chunk, [name for name, _ in links]))
    done = past_triggers.all_past(table, done)
    if not table.link.keep_map:
        return done
    images = (
        f"DELETE FROM migrator.before_image AS b USING {MAP} AS m\n"
        f" WHERE {before_images.image_of(table, run, 'b', 'm.target_key')}"
        f" AND {remove.mapped(plan, table, run, chunk)}"
    )
    return [*done, images, as_copied.unmap(plan, table, run, chunk)]


def _unlink(
    plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range, links: Sequence[tuple[str, str]]
) -> str:
    """Of rows that the run inserted."""
    sets = ", ".join(f"{ident(name)} = {value}" for name, value in links)
    update = f"UPDATE {table.into.target_sql} AS t SET {sets}"
    if not table.link.keep_map:
        return firing.counted(table, f"{update} WHERE {remove.carried(table, run, plan, fresh, chunk)}")
    same = remove.pair(table, "m.source_key", "m.target_key")
    mine = f"{remove.mapped(plan, table, run, chunk)} AND m.action = 'inserted'"
    return firing.counted(table, f"{update} FROM {MAP} AS m WHERE {same} AND {mine}")


def _relink(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range, names: Sequence[str]) -> str:
    """Rows that the run updated say again what they said before it of where they came from."""
    sets = ", ".join(
        f"{ident(name)} = (b.old_values[{place}])::{kind}"
        for place, (name, kind) in enumerate(before_images.imaged(table), start=1)
        if name in names
    )
    return firing.counted(
        table,
        f"UPDATE {table.into.target_sql} AS t SET {sets}\n  FROM {MAP} AS m JOIN migrator.before_image AS b"
        f" ON {before_images.image_of(table, run, 'b', 'm.target_key')}\n"
        f" WHERE {paired(table, 'm.target_key')} AND {remove.mapped(plan, table, run, chunk)}"
        " AND m.action = 'updated'",
    )


LEFT = (
    "SELECT l.table_name, l.source_key, l.target_key, l.why FROM migrator.left_row AS l WHERE l.run = %s"
    " ORDER BY l.table_name, l.why <> 'edited', l.source_key"
)
"""(table, source key, target key, why) of what the rollback of a run left."""
