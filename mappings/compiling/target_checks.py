"""What stands against a table mapping by its target and its key alone, before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import psycopg

from mappings.catalog import tables
from mappings.catalog.triggers import Trigger
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Resolved
from mappings.plan.keys import KeyPart, TargetKey
from mappings.plan.references import Reference
from mappings.problems import Problem
from mappings.schema import register
from mappings.sql import Sql, compose, encoded, joined, verbatim


def of_table(
    table: Resolved, refs: Sequence[Reference], target_key: Sequence[TargetKey]
) -> Iterator[Problem]:
    """Columns of the target that nothing fills, references that cannot be filled, rights that lack."""
    filled = {column.name for column in table.spec.columns}
    for column in table.target.columns:
        if column.not_null and column.name not in filled and not column.fills_itself:
            text = f"{table.target.display}.{column.name} is NOT NULL, has no default and is not mapped"
            yield Problem(f"{table.path}.columns", text)
    made = filled | {key.column for key in target_key if key.default}
    for ref in refs:
        known_late = ref.value_column not in made and not table.spec.existing  # those go in level by level
        if ref.parent == table.spec.name and not ref.deferred and known_late:
            text = f"{ref.value_column} is known only after its row is in, so a NOT NULL self-reference cannot use it"
            yield Problem(f"{table.path}.columns.{ref.target}", text)
    yield from _of_identities(table, filled - {key.column for key in target_key})
    if table.spec.existing and not target_key:
        text = (
            f"{table.target.display} has no primary key, nor a unique one that stays, to keep rows apart by"
        )
        yield Problem(f"{table.path}.existing", text)
    if table.target.is_partition:
        yield Problem(f"{table.path}.target", "this is a partition; name the partitioned table")
    yield from _of_partitions(table)
    for rule in table.target.rules:
        yield Problem(
            f"{table.path}.target",
            f"the target has a rule that may rewrite what is written or deleted: {rule}",
        )


def _of_partitions(table: Resolved) -> Iterator[Problem]:
    """Whether a row has a place here, and the columns that are added are everywhere."""
    if table.target.holds_nothing:
        text = f"{table.target.display} has no partition yet that could take a row; make its partitions first"
        yield Problem(f"{table.path}.target", text)
    for name in table.target.foreign:
        text = f"{name} is a foreign table, which columns cannot be added to from here; DETACH it first"
        yield Problem(f"{table.path}.target", f"of {table.target.display}, {text}")


def _of_identities(table: Resolved, filled: AbstractSet[str]) -> Iterator[Problem]:
    """filled: the mapped columns that are no key, which an update therefore overwrites."""
    updates = table.spec.existing is not None and table.spec.existing.then == "update"
    for column in table.target.columns:
        if updates and column.identity == "a" and column.name in filled:
            text = "this column is GENERATED ALWAYS AS IDENTITY, so an update of rows that are there cannot fill it"
            yield Problem(f"{table.path}.columns.{column.name}", text)


def hushed(table: Resolved) -> tuple[Trigger, ...]:
    """The triggers that are left off while the table's rows are written."""
    names = table.spec.triggers
    if names is None:
        return ()
    return tuple(trigger for trigger in table.target.triggers if not names or trigger.name in names)


def of_triggers(table: Resolved) -> Iterator[Problem]:
    """Blockers: triggers that are not there, and rights that lack to leave them off."""
    path, there = f"{table.path}.triggers", {trigger.name for trigger in table.target.triggers}
    for name in table.spec.triggers or ():
        if name not in there:
            yield Problem(path, f"{table.target.display} has no trigger {name} that is on")
    if hushed(table) and not table.target.is_owned:
        text = (
            f"only the owner of {table.target.display} may leave its triggers off; let the target's role be a member of"
            " the owner's, or leave them on"
        )
        yield Problem(path, text)


def about_triggers(table: Resolved) -> Iterator[Problem]:
    """A warning that says which triggers fire while the table's rows are written, and which do not."""
    off = hushed(table)
    if table.spec.triggers is None or not table.target.is_owned:
        return
    on = ", ".join(trigger.name for trigger in table.target.triggers if trigger not in off) or "none"
    names = ", ".join(trigger.name for trigger in off) or "none"
    text = (
        f"off while rows of {table.target.display} are written and taken back: {names}; they fire: {on}. Foreign keys"
        " and other constraints are checked as always; others who write to the table wait for each chunk"
    )
    yield Problem(f"{table.path}.triggers", text)


def key_is_promised(table: Resolved, key: tuple[KeyPart, ...]) -> bool:
    """Whether nobody has to look at the rows to know that the key tells them apart."""
    return not key or (table.spec.key_is_content and not table.spec.joins) or _promised(table, key)


def of_key(compiler: Compiler, key: tuple[KeyPart, ...]) -> Iterator[Problem]:
    """A key must tell source rows apart; where no index promises it, the data is asked."""
    table, source = compiler.table, compiler.databases.source
    if key_is_promised(table, key):
        return
    parts = [part.sql for part in key]
    nulls = joined(" OR ", (compose("{} IS NULL", part) for part in parts))
    path = f"{table.path}.key"
    try:
        if source.execute(encoded(_some(compiler, compose("({})", nulls)))).fetchone():
            yield Problem(path, "some source rows in scope have NULL in their key")
        if not table.spec.distinct:
            twice = projection.select(parts, compiler.from_sql, compiler.where_sql)
            grouped = compose(
                "{}\n GROUP BY {} HAVING count(*) > 1 LIMIT 3",
                twice,
                joined(", ", parts),
            )
            rows = source.execute(encoded(grouped)).fetchall()
            if rows:
                keys = ", ".join(str(tuple(str(item) for item in row)) for row in rows)
                yield Problem(path, f"several source rows in scope have one key, for example {keys}")
    except psycopg.Error:
        return  # the projection itself is wrong, and that is a Problem of its own already


def _some(compiler: Compiler, condition: Sql) -> Sql:
    where = compose("{} AND {}", compiler.where_sql, condition) if compiler.where_sql else condition
    return projection.select([verbatim("1")], compiler.from_sql, where, verbatim(" LIMIT 1"))


def _promised(table: Resolved, key: Iterable[KeyPart]) -> bool:
    """Whether a unique index over NOT NULL columns of the only source table is part of the key."""
    if table.spec.joins or (table.source.kind == "r" and table.source.has_children):
        return False  # what inherits a table has keys of its own
    names = {part.column for part in key}
    not_null = {column.name for column in table.source.columns if column.not_null}
    return any(set(unique.columns) <= names for unique in table.source.keys) and names <= not_null


def foreign_source_id(target: tables.Table, names: Sequence[str], conn: psycopg.Connection) -> bool:
    """Whether a source id column is the owner's own, so that rows may have values in it that no migration brought."""
    there = [name for name in names if target.column(name)]
    return any(register.owner(conn, target.sql, name) is None for name in there)
