"""Statements that put values back which a trigger of the target rewrote on their way in, past that trigger.

An update that nobody asked for fires it as well: when a reference is filled after the copy, and when a rollback
restores a row. Triggers that come after the change are left alone, and see both.
"""

from __future__ import annotations

from jobs.engine.sql import before_images, firing, key_sql, links, merge
from jobs.engine.sql import remove as removals
from jobs.engine.sql.key_sql import Range, RunNumber
from jobs.engine.sql.rollback import remember
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, unlike, unused


def stage_name(table: TablePlan) -> str:
    """The temporary table of values that were there, for one chunk."""
    return ident(f"was_{table.name}"[:60])


def alone(table: TablePlan) -> str:
    """Shuts other writers out: they would wait for the triggers anyway, and two chunks for each other."""
    return f"LOCK TABLE {table.into.target_sql} IN SHARE ROW EXCLUSIVE MODE"


def _past(table: TablePlan, statement: str) -> list[str]:
    """One statement past the triggers; the stage is done with."""
    return [*_between(table, [firing.counted(table, statement)]), f"DROP TABLE {stage_name(table)}"]


def _between(table: TablePlan, statements: list[str]) -> list[str]:
    """Statements while the triggers that come before an update are off; what is pending would forbid that."""
    on = [trigger for trigger in table.firing.triggers if trigger.update]
    return [
        *firing.settle(table),
        *(f"ALTER TABLE {table.into.target_sql} DISABLE TRIGGER {ident(trigger.name)}" for trigger in on),
        *statements,
        *(f"ALTER TABLE {table.into.target_sql} {trigger.enable} {ident(trigger.name)}" for trigger in on),
    ]


def all_past(table: TablePlan, statements: list[str]) -> list[str]:
    """Updates of columns of ours, of which triggers that rewrite rows must not hear."""
    return [alone(table), *_between(table, statements)] if table.rewritten and statements else statements


def _create_stage(table: TablePlan) -> str:
    """Typed like the target's own columns, and where the row is."""
    columns = ", ".join(ident(name) for name, _ in _settled(table))
    part, place = _whereabouts(table)
    return (
        f"CREATE TEMPORARY TABLE {stage_name(table)} ON COMMIT DROP AS\n"
        f"SELECT NULL::oid AS {part}, NULL::tid AS {place}, {columns} FROM {table.into.target_sql} WITH NO DATA"
    )


def _whereabouts(table: TablePlan) -> tuple[str, str]:
    """What the stage calls the columns that say where a row is."""
    taken = [name for name, _ in _settled(table)]
    return unused("__part", taken), unused("__place", taken)


def _settled(table: TablePlan) -> list[tuple[str, bool]]:
    """(column, whether it has equality) of what is filled before links are, keys left out."""
    keys = {key.column for key in table.into.target_key}
    found = [(value.target, value.has_equality) for value in table.values]
    found += [(target, True) for target, refs in table.referring.items() if not refs[0][1].deferred]
    found += [
        (name, True)
        for name in (*table.link.source_id, *([table.link.is_migrated] if table.link.is_migrated else []))
    ]
    return [(name, equality) for name, equality in found if name not in keys]


def link(
    plan: Plan, table: TablePlan, relation: str, run: RunNumber, fresh: bool, *, strict: bool = True
) -> tuple[list[str], str, list[str]]:
    """links.link, with what has to be done before it and after it. Its row count says how many."""
    if not table.rewritten:
        filled = links.link(plan, table, relation, run, fresh, strict=strict)
        return [], firing.counted(table, filled), []
    was = [f"o.{ident(name)}" for name, _ in _settled(table)]
    update = links.link(plan, table, relation, run, fresh, strict=strict, before=was)
    noted = f"WITH linked AS (\n{update}\n) INSERT INTO {stage_name(table)} SELECT * FROM linked{firing.gate(table)}"
    return [alone(table), _create_stage(table)], firing.gated(table, noted), _settle(table)


def _settle(table: TablePlan) -> list[str]:
    """Puts the noted values back wherever they are others now."""
    columns, (part, place) = _settled(table), _whereabouts(table)
    sets = ", ".join(f"{ident(name)} = w.{ident(name)}" for name, _ in columns)
    changed = " OR ".join(_changed(table, name, equality) for name, equality in columns)
    return _past(
        table,
        f"UPDATE {table.into.target_sql} AS t SET {sets}\n  FROM {stage_name(table)} AS w\n"
        f" WHERE t.tableoid = w.{part} AND t.ctid = w.{place} AND ({changed})",
    )


def _changed(table: TablePlan, name: str, equality: bool) -> str:
    """Whether a noted value is another now."""
    cast = "" if equality else "::text"
    operators = {
        **{value.target: value.operators for value in table.values},
        **{ref.target: ref.operators for ref in table.references},
        **dict(zip(table.link.source_id, key_sql.kept_operators(table), strict=False)),
    }
    return unlike(f"t.{ident(name)}{cast}", f"w.{ident(name)}{cast}", operators.get(name, ""))


def note_images(plan: Plan, table: TablePlan, run: RunNumber, chunk: Range) -> str:
    """Keeps the before-images of a chunk's rows, which restoring them takes away."""
    same = before_images.image_of(table, run, "b", "m.target_key")
    return (
        f"CREATE TEMPORARY TABLE {stage_name(table)} ON COMMIT DROP AS\n"
        f"SELECT DISTINCT ON (b.target_key) b.target_key, b.old_values FROM {key_sql.MAP} AS m\n"
        f"  JOIN migrator.before_image AS b ON {same}\n WHERE {removals.mapped(plan, table, run, chunk)}"
    )


def restore_again(table: TablePlan) -> list[str]:
    """Puts the old values back once more wherever they are others now."""
    columns = [
        (ident(name), place, kind) for place, (name, kind) in enumerate(before_images.imaged(table), start=1)
    ]
    sets = ", ".join(f"{name} = (w.old_values[{place}])::{kind}" for name, place, kind in columns)
    changed = " OR ".join(
        f"t.{name}::text IS DISTINCT FROM w.old_values[{place}]" for name, place, _ in columns
    )
    return _past(
        table,
        f"UPDATE {table.into.target_sql} AS t SET {sets}\n  FROM {stage_name(table)} AS w\n"
        f" WHERE {merge.paired(table, 'w.target_key')} AND ({changed})",
    )


def remove(
    plan: Plan, table: TablePlan, run: RunNumber, fresh: bool, chunk: Range
) -> tuple[list[str], str, list[str]]:
    """removals.remove, with what has to be done before it and after it."""
    statement = removals.remove(plan, table, run, fresh, chunk)
    first = [*remember.keep(plan, table, run, fresh, chunk), *removals.restored_too(plan, table, run, chunk)]
    if not (table.rewritten and table.into.existing):
        return first, statement, []
    return [alone(table), *first, note_images(plan, table, run, chunk)], statement, restore_again(table)
