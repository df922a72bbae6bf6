"""Statements that put values back which a trigger of the target rewrote on their way in, past that trigger.

An update that nobody asked for fires it as well: when a reference is filled after the copy, and when a rollback
restores a row. Triggers that come after the change are left alone, and see both.
"""

from __future__ import annotations

from jobs.engine.scope import Scope
from jobs.engine.sql import before_images, firing, key_sql, links, remember
from jobs.engine.sql import remove as removals
from jobs.engine.sql.firing import Statement
from jobs.engine.sql.walks.chunk_range import Range
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, shortened, unlike, unused, verbatim


def stage_name(table: TablePlan) -> Sql:
    """The temporary table of values that were there, for one chunk."""
    return ident(shortened(f"was_{table.name}"))


def alone(table: TablePlan) -> Sql:
    """Shuts other writers out: they would wait for the triggers anyway, and two chunks for each other."""
    return compose("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.into.target_sql)


def _past(table: TablePlan, statement: Sql) -> list[Statement]:
    """One statement past the triggers; the stage is done with."""
    return [
        *_between(table, [firing.counted(table, statement)]),
        compose("DROP TABLE {}", stage_name(table)),
    ]


def _between(table: TablePlan, statements: list[Statement]) -> list[Statement]:
    """Statements while the triggers that come before an update are off; what is pending would forbid that."""
    on = [trigger for trigger in table.firing.triggers if trigger.update]
    return [
        *firing.settle(table),
        *(
            compose("ALTER TABLE {} DISABLE TRIGGER {}", table.into.target_sql, ident(trigger.name))
            for trigger in on
        ),
        *statements,
        *(
            compose("ALTER TABLE {} {} {}", table.into.target_sql, trigger.enable, ident(trigger.name))
            for trigger in on
        ),
    ]


def all_past(table: TablePlan, statements: list[Statement]) -> list[Statement]:
    """Updates of columns of ours, of which triggers that rewrite rows must not hear."""
    return [alone(table), *_between(table, statements)] if table.rewritten and statements else statements


def _create_stage(table: TablePlan) -> Sql:
    """Typed like the target's own columns, and where the row is."""
    columns = joined(", ", (ident(name) for name, _ in _settled(table)))
    part, place = _whereabouts(table)
    return compose(
        "CREATE TEMPORARY TABLE {stage_name} ON COMMIT DROP AS\n"
        "SELECT NULL::oid AS {part}, NULL::tid AS {place}, {columns} FROM {target_sql} WITH NO DATA",
        stage_name=stage_name(table), part=part, place=place, columns=columns,
        target_sql=table.into.target_sql,
    )  # fmt: skip


def _whereabouts(table: TablePlan) -> tuple[Sql, Sql]:
    """What the stage calls the columns that say where a row is."""
    taken = [name for name, _ in _settled(table)]
    return unused("__part", taken), unused("__place", taken)


def _settled(table: TablePlan) -> list[tuple[str, bool]]:
    """(column, whether it has equality) of what is filled before links are, keys left out."""
    keys = {key.column for key in table.into.target_key}
    result = [(value.target, value.has_equality) for value in table.values]
    result += [(target, True) for target, refs in table.referring.items() if not refs[0][1].deferred]
    result += [
        (name, True)
        for name in (*table.link.source_id, *([table.link.is_migrated] if table.link.is_migrated else []))
    ]
    return [(name, equality) for name, equality in result if name not in keys]


def link(
    scope: Scope, relation: Sql, *, strict: bool = True
) -> tuple[list[Statement], Statement, list[Statement]]:
    """links.link, with what has to be done before it and after it. Its row count says how many."""
    table = scope.table
    if not table.rewritten:
        filled = links.link(scope, relation, strict=strict)
        return [], firing.counted(table, filled), []
    was = [compose("o.{}", ident(name)) for name, _ in _settled(table)]
    update = links.link(scope, relation, strict=strict, before=was)
    noted = compose(
        "WITH linked AS (\n{update}\n) INSERT INTO {stage_name} SELECT * FROM linked{gate}",
        update=update, stage_name=stage_name(table), gate=firing.gate(table),
    )  # fmt: skip
    return [alone(table), _create_stage(table)], firing.gated(table, noted), _settle(table)


def _settle(table: TablePlan) -> list[Statement]:
    """Puts the noted values back wherever they are others now."""
    columns, (part, place) = _settled(table), _whereabouts(table)
    sets = joined(", ", (compose("{name} = w.{name}", name=ident(name)) for name, _ in columns))
    changed = joined(" OR ", (_changed(table, name, equality) for name, equality in columns))
    return _past(
        table,
        compose(
            "UPDATE {target_sql} AS t SET {sets}\n  FROM {stage_name} AS w\n"
            " WHERE t.tableoid = w.{part} AND t.ctid = w.{place} AND ({changed})",
            target_sql=table.into.target_sql, sets=sets, stage_name=stage_name(table), part=part, place=place,
            changed=changed,
        ),
    )  # fmt: skip


def _changed(table: TablePlan, name: str, equality: bool) -> Sql:
    """Whether a noted value is another now."""
    cast = NOTHING if equality else verbatim("::text")
    operators = {
        **{value.target: value.operators for value in table.values},
        **{ref.target: ref.operators for ref in table.references},
        **dict(zip(table.link.source_id, key_sql.kept_operators(table), strict=False)),
    }
    return unlike(
        compose("t.{}{}", ident(name), cast),
        compose("w.{}{}", ident(name), cast),
        operators.get(name, ""),
    )


def note_images(scope: Scope, chunk: Range) -> Sql:
    """Keeps the before-images of a chunk's rows, which restoring them takes away."""
    same = before_images.image_of(scope.table, scope.run, verbatim("b"), verbatim("m.target_key"))
    return compose(
        "CREATE TEMPORARY TABLE {stage_name} ON COMMIT DROP AS\n"
        "SELECT DISTINCT ON (b.target_key) b.target_key, b.old_values FROM {map} AS m\n"
        "  JOIN migrator.before_image AS b ON {same}\n WHERE {mapped}",
        stage_name=stage_name(scope.table), map=key_sql.MAP, same=same,
        mapped=removals.mapped(scope, chunk),
    )  # fmt: skip


def restore_again(table: TablePlan) -> list[Statement]:
    """Puts the old values back once more wherever they are others now."""
    columns = [
        (ident(name), place, kind) for place, (name, kind) in enumerate(before_images.imaged(table), start=1)
    ]
    sets = joined(
        ", ", (compose("{} = (w.old_values[{}])::{}", name, place, kind) for name, place, kind in columns)
    )
    changed = joined(
        " OR ",
        (
            compose(
                "{} IS DISTINCT FROM w.old_values[{}]",
                before_images.written(compose("t.{}", name), kind),
                place,
            )
            for name, place, kind in columns
        ),
    )
    return _past(
        table,
        compose(
            "UPDATE {target_sql} AS t SET {sets}\n  FROM {stage_name} AS w\n WHERE {paired} AND ({changed})",
            target_sql=table.into.target_sql, sets=sets, stage_name=stage_name(table),
            paired=before_images.paired(table, verbatim("w.target_key")), changed=changed,
        ),
    )  # fmt: skip


def remove(scope: Scope, chunk: Range) -> tuple[list[Statement], Statement, list[Statement]]:
    """removals.remove, with what has to be done before it and after it."""
    table = scope.table
    statement = removals.remove(scope, chunk)
    first: list[Statement] = [
        *remember.keep(scope, chunk),
        *removals.restored_too(scope, chunk),
    ]
    if not (table.rewritten and table.into.existing):
        return first, statement, []
    return [alone(table), *first, note_images(scope, chunk)], statement, restore_again(table)
