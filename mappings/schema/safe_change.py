"""A shadow column: the one of the wider type beside a column of a table in use, and what stands against having one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from mappings.catalog import tables
from mappings.catalog.column_dependents import Bound, ColumnDependents
from mappings.catalog.views import Views
from mappings.plan.schema_steps import Shadow, Step
from mappings.sql import Sql, compose, literal


@dataclass(frozen=True, slots=True)
class Change:
    """The widening of one column: what it would be the plain way, and what hangs on the column."""

    target: tables.Table
    column: tables.Column
    plain: Step
    dependents: ColumnDependents
    over: Views

    @property
    def shadow(self) -> Shadow:
        """The column beside it; its name tells of the same change in any environment, and of no other."""
        return Shadow(self.column.name, shadow_name(self.target, self.column.name, self.plain.after))

    def name(self, one: Bound) -> str:
        """What an index or constraint is called until the swap."""
        return f"{self.shadow.name}_{self.dependents.bound.index(one) + 1}"


def shadow_name(target: tables.Table, column: str, new_type: str) -> str:
    """column_shadow_hash, at most 56 bytes."""
    digest = hashlib.sha256(f"{target.sql} {column} {new_type}".encode()).hexdigest()[:8]
    return f"{column.encode()[:40].decode(errors='ignore')}_shadow_{digest}"


def trigger(shadow: str) -> str:
    """The trigger that keeps a shadow in step: it fires after all others, which may change the row."""
    return f"~{shadow}"


def swapped(change: Change) -> Sql:
    """SQL: whether the column is of its new type, so that nothing is left to prepare."""
    return compose(
        "EXISTS (SELECT FROM pg_attribute WHERE attrelid = {target}::regclass"
        " AND attname = {name}"
        " AND format_type(atttypid, atttypmod) = {after})",
        target=literal(change.target.sql),
        name=literal(change.column.name),
        after=literal(change.plain.after),
    )


def kept_in_step(change: Change) -> Sql:
    """SQL: whether the trigger is there, and fires whoever writes."""
    return compose(
        "EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {target}::regclass"
        " AND tgname = {trigger} AND tgenabled = 'A')",
        target=literal(change.target.sql),
        trigger=literal(trigger(change.shadow.name)),
    )


def not_ready(change: Change) -> Sql:
    """PL/pgSQL: stops with a sentence."""
    text = f"{change.shadow.name} is not filled, or not kept in step: execute what comes before, or roll back"
    return compose("RAISE EXCEPTION USING MESSAGE = {};", literal(text))


def not_null_check(change: Change) -> str:
    """The check that spares the swap the scan of SET NOT NULL."""
    return f"{change.shadow.name}_0"


def costs(change: Change) -> str:
    """What the safe way costs instead of a long lock, in a sentence's second half."""
    cost = change.plain.heaviness
    return (
        "its locks are held for a moment each; meanwhile the table grows by up to its own size, and shows one column"
        " more; afterwards the column is the table's last. A rollback brings back its type, not its place, by a"
        f" {cost.undo_weight} under an ACCESS EXCLUSIVE lock, for {cost.undo_held}"
    )


BESIDE = {
    "generated column": "{} is made from it",
    "row type": "{} is of the table's row type",
}
"""What else depends on the column, and cannot be made over two columns for a while."""


def reasons(change: Change) -> Iterator[str]:
    """What stands against the safe way, each as a sentence without its end; nothing if it can be had."""
    target, column = change.target, change.column
    if target.kind == "p" or target.is_partition:
        yield "the table is partitioned"
    elif target.kind != "r" or target.inherits or target.has_children:
        yield "the table inherits, or is inherited"
    for one in target.dependents:
        if one.kind in BESIDE and one.column in ("", column.name):
            yield BESIDE[one.kind].format(f"{one.kind} {one.name}")
    made = change.dependents.of("index") or change.dependents.statistics or change.dependents.identity
    if made and not target.may_index:
        yield f"this role may not create anything in schema {target.schema}"
    yield from change.dependents.problems
