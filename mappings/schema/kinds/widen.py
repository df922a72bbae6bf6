"""A column that is widened by one ALTER, with all that goes along: generated columns, views over it, its sequence."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from mappings.catalog import tables, views
from mappings.catalog.types import numeric_size, of_array
from mappings.catalog.views import Views
from mappings.plan.schema_steps import Affected, Step
from mappings.schema.applied import Applied
from mappings.schema.kinds.kind import Back, Kind, Look, column_shows, column_type, not_as_planned
from mappings.schema.lock_cost import of_widening
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim

INTEGERS = {"smallint": verbatim("-32768 AND 32767"), "integer": verbatim("-2147483648 AND 2147483647")}

ANYTHING = {"N": "0", "S": "", "B": "false", "D": "2000-01-01 00:00:00"}
"""A value that every type of a category takes (pg_type.typcategory)."""


class Widen(Kind):
    """ALTER COLUMN TYPE, or the swap at the end of the safe way, which leaves the same."""

    name = "widen"
    gives = "type"
    repeats = True

    def shows(self, step: Step) -> Sql:
        return column_shows(
            step, compose(" AND format_type(atttypid, atttypmod) <> {}", literal(step.before))
        )

    def in_force(self, conn: psycopg.Connection, step: Step) -> Look:
        kind = column_type(conn, step.relation, step.name)
        if kind == step.after:
            return Look(done=True)
        if kind != step.before:
            return not_as_planned(step, kind)
        if views.over(conn, step.relation, step.name).without_views(()) != step.of_views:
            return Look(against="views over the column were changed since; plan again")
        return Look()

    def is_gone(self, conn: psycopg.Connection, applied: Applied) -> bool:
        return column_type(conn, applied.relation, applied.name) is None

    def back(self, conn: psycopg.Connection, applied: Applied) -> Back:
        """Views over the column come back as they are now, not as they were when it was widened."""
        over = views.over(conn, applied.relation, applied.name)
        return Back(over.without_views(applied.undo_but_views), "; ".join(over.problems))


def widen(
    table: str,
    target: tables.Table,
    column: tables.Column,
    new_type: Sql,
    set_expression: bool,
    over: Views,
) -> Step:
    """ALTER COLUMN TYPE to a type that holds all that the old one did.

    set_expression: whether the server can replace a generated column's expression (PostgreSQL 17); over: the views
    that read the column, which go for the moment of the change.
    """
    stored = sum(result.generated == "s" for result, _ in _generated(target, column))
    weight, heaviness, affected = of_widening(
        target, column, new_type, 2 * stored if set_expression else min(stored, 1)
    )
    return Step(
        kind=Widen.name,
        table=table,
        relation=target.sql,
        side="target",
        name=column.name,
        title=f"Widen {target.display}.{column.name} from {column.type} to {new_type}",
        sql=over.without_views(_to_type(target, column, new_type, new_type, set_expression)),
        undo=over.without_views(_to_type(target, column, column.type, column.base, set_expression)),
        views_first=len(over.drop),
        views_last=len(over.make),
        weight=weight,
        lock="ACCESS EXCLUSIVE",
        alone=False,
        before=column.type,
        after=new_type,
        fits=_fits(target, column),
        heaviness=heaviness,
        affected=(*affected, *_sequence_affected(column)),
    )


def _to_type(
    target: tables.Table, column: tables.Column, kind: Sql, counts: Sql, set_expression: bool
) -> tuple[Sql, ...]:
    """The column with all that goes along to a type; counts: the type of its sequence."""
    through = _expressions_off if set_expression else _columns_off
    return (
        *through(target, column.name, kind, _generated(target, column)),
        *_storage_too(target, column),
        *sequence_too(column, counts),
    )


def _generated(target: tables.Table, column: tables.Column) -> Generated:
    """The generated columns that depend on the column, with their expressions."""
    return [
        (result, dependent.definition)
        for dependent in target.dependents
        if dependent.kind == "generated column" and dependent.column == column.name
        if (result := target.column(dependent.name))
    ]


def _storage_too(target: tables.Table, column: tables.Column) -> tuple[Sql, ...]:
    """How values are stored, which PostgreSQL forgets whenever the type changes."""
    return (compose("ALTER TABLE {} {}", target.sql, column.storage),) if column.storage else ()


def sequence_too(column: tables.Column, kind: Sql) -> tuple[Sql, ...]:
    """A serial's sequence stays behind when its column is widened; an identity's goes along by itself."""
    if not column.sequence or column.identity or column.sequence_type != column.base:
        return ()
    return (compose("ALTER SEQUENCE {} AS {}", column.sequence, kind),)


def _sequence_affected(column: tables.Column) -> tuple[Affected, ...]:
    if not column.sequence or column.sequence_type != column.base:
        return ()
    definition = f"{column.sequence} AS {column.sequence_type}, owned by the column"
    return (Affected("sequence", column.sequence, definition, "is widened as well"),)


def _fits(target: tables.Table, column: tables.Column) -> Sql:
    """SQL that says whether every value fits the old type."""
    name = ident(column.name)
    condition = _does_not_fit(name, column)
    if column.category == "A":
        element = replace(column, base=of_array(column.base), full_type=of_array(column.full_type))
        condition = compose(
            "EXISTS (SELECT FROM unnest({}) AS e(v) WHERE {})",
            name,
            _does_not_fit(verbatim("e.v"), element),
        )
    sequence = NOTHING
    if column.sequence and column.base in INTEGERS:  # which must be able to count on in the old type
        sequence = compose(
            " AND (SELECT last_value BETWEEN {} FROM {})",
            INTEGERS[column.base],
            column.sequence,
        )
    return compose(
        "SELECT NOT EXISTS (SELECT FROM {} WHERE {}){}",
        target.sql,
        condition,
        sequence,
    )


def _does_not_fit(name: Sql, column: tables.Column) -> Sql:
    """The condition of values that the old type would cut, round or refuse."""
    kind = column.full_type
    precision, scale = numeric_size(column.modifier) if column.base == "numeric" else (0, 0)
    wrong = {
        "character varying": compose("length({}) > {}", name, column.modifier - 4),
        "bpchar": compose("length({}) > {}", name, column.modifier - 4),
        "bit varying": compose("length({}) > {}", name, column.modifier),
        **{kind: compose("{} NOT BETWEEN {}", name, bounds) for kind, bounds in INTEGERS.items()},
        "numeric": compose(
            "{0} <> round({0}, {1}) OR abs({0}) >= 1e{2}::numeric", name, scale, precision - scale
        ),
    }
    return wrong.get(column.base, compose("{0} <> {0}::{1}", name, kind))


Generated = list[tuple[tables.Column, Sql]]


def _alter(target: tables.Table, name: str, new_type: Sql) -> Sql:
    return compose(
        "ALTER TABLE {} ALTER COLUMN {} TYPE {}",
        target.sql,
        ident(name),
        new_type,
    )


def _expressions_off(target: tables.Table, name: str, new_type: Sql, generated: Generated) -> tuple[Sql, ...]:
    """Generated columns that depend on the column lose their expression for a moment and keep their place."""
    set_ = [
        compose(
            "ALTER TABLE {} ALTER COLUMN {} SET EXPRESSION AS",
            target.sql,
            ident(result.name),
        )
        for result, _ in generated
    ]
    off = [
        compose("{} ({})", prefix, _nothing(result))
        for prefix, (result, _) in zip(set_, generated, strict=True)
    ]
    on = [
        compose("{} ({})", prefix, definition)
        for prefix, (_, definition) in zip(set_, generated, strict=True)
    ]
    return (*off, _alter(target, name, new_type), *on)


def _nothing(column: tables.Column) -> Sql:
    """What a generated column holds for a moment: NULL, or some value of its type where it may not be NULL."""
    return (
        compose("{}::{}", literal(ANYTHING[column.category]), column.type)
        if column.not_null
        else compose("NULL::{}", column.type)
    )


def _columns_off(target: tables.Table, name: str, new_type: Sql, generated: Generated) -> tuple[Sql, ...]:
    """Before PostgreSQL 17 they are dropped and added again, at the end of the table, with their indexes."""
    if not generated:
        return (_alter(target, name, new_type),)
    names = {result.name for result, _ in generated}
    drops = [compose("DROP COLUMN {}", ident(result.name)) for result, _ in generated]
    adds = [
        joined(
            "",
            [
                compose(
                    "ADD COLUMN {} {} GENERATED ALWAYS AS ({}) STORED",
                    ident(result.name),
                    result.type,
                    definition,
                ),
                verbatim(" NOT NULL") if result.not_null else NOTHING,
            ],
        )
        for result, definition in generated
    ]
    change = compose("ALTER COLUMN {} TYPE {}", ident(name), new_type)
    indexes = [index.definition for index in target.index_definitions if names & set(index.columns)]
    return (
        compose("ALTER TABLE {} {}", target.sql, joined(", ", [*drops, change, *adds])),
        *indexes,
    )
