"""A column of ours: the source row's key and the flag in a target, the target row's id in a source."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from mappings.catalog import tables
from mappings.catalog.fingerprints import Side
from mappings.plan.keys import KeyPart
from mappings.plan.schema_steps import Step
from mappings.schema.applied import Applied
from mappings.schema.kinds.indexes import index_name
from mappings.schema.kinds.kind import Kind, Look, column_shows, column_type
from mappings.schema.lock_cost import of_new_column
from mappings.sql import NOTHING, Sql, compose, ident, verbatim

FLAG = verbatim("boolean NOT NULL DEFAULT false")


class AddColumn(Kind):
    """ADD COLUMN, which changes the catalog only."""

    name = "add_column"
    gives = "column"

    def shows(self, step: Step) -> Sql:
        return column_shows(step)

    def holds(self, step: Step) -> Sql:
        """The flag is NOT NULL with its default; a back-reference that is a foreign key is one."""
        if step.after == FLAG:
            kept = verbatim(
                " AND attnotnull AND (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d"
                " WHERE (d.adrelid, d.adnum) = (attrelid, attnum)) = 'false'"
            )
            return column_shows(step, kept)
        if any(" FOREIGN KEY " in statement for statement in step.sql):
            is_key = verbatim(
                " AND EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = attrelid"
                " AND k.conkey = ARRAY[attnum])"
            )
            return column_shows(step, is_key)
        return self.shows(step)

    def in_force(self, conn: psycopg.Connection, step: Step) -> Look:
        return Look(done=column_type(conn, step.relation, step.name) is not None)

    def is_gone(self, conn: psycopg.Connection, applied: Applied) -> bool:
        return column_type(conn, applied.relation, applied.name) is None


def add_source_id(table: str, target: tables.Table, name: str, part: KeyPart, collation: Sql | None) -> Step:
    """The column that holds one part of the source row's key."""
    kind = compose("{} COLLATE {}", part.type, collation) if collation else part.type
    return _add_column(
        table, target, name, kind, f"Add {target.display}.{name}, the source row's key", "target"
    )


def add_flag(table: str, target: tables.Table, name: str) -> Step:
    """The is_migrated flag. Another mapping into the same table may use it too: it goes with the last flagged row.

    Where nobody has anything in the ledger any more, there is no such mapping, and the table need not be read.
    """
    title = f"Add {target.display}.{name}, the flag of migrated rows"
    step = _add_column(table, target, name, FLAG, title, "target")
    flagged = compose("SELECT FROM {} WHERE {}", target.sql, ident(name))
    return replace(
        step,
        fits=compose(
            "SELECT NOT EXISTS (SELECT FROM migrator.ledger) OR NOT EXISTS ({flagged})", flagged=flagged
        ),
    )


def add_backref(table: str, source: tables.Table, name: str, kind: Sql) -> Step:
    """The source's column that receives the target's id."""
    return _add_column(
        table, source, name, kind, f"Add {source.display}.{name}, the target row's id", "source"
    )


def as_foreign_key(step: Step, source: tables.Table, target: tables.Table, key: str, constraint: str) -> Step:
    """The same with its index and a foreign key, which is validated once all ids are written; with the column all of it
    goes. The column is new, so that nothing has to be read yet."""
    index = ident(index_name(source.name, (step.name,), "idx"))
    column = ident(step.name)
    return replace(
        step,
        title=f"{step.title}, and a foreign key to {target.display}",
        sql=(
            *step.sql,
            compose(
                "CREATE INDEX {index} ON {source} ({column}) WHERE {column} IS NOT NULL",
                index=index,
                source=source.sql,
                column=column,
            ),
            compose(
                "ALTER TABLE {source} ADD CONSTRAINT {constraint} FOREIGN KEY ({column})"
                " REFERENCES {target_sql} ({key}) NOT VALID",
                source=source.sql,
                constraint=ident(constraint),
                column=column,
                target_sql=target.sql,
                key=ident(key),
            ),
        ),
    )


def _add_column(table: str, relation: tables.Table, name: str, kind: Sql, title: str, side: Side) -> Step:
    return Step(
        kind=AddColumn.name,
        table=table,
        relation=relation.sql,
        side=side,
        name=name,
        title=title,
        sql=(
            compose(
                "ALTER TABLE {} ADD COLUMN {} {}",
                relation.sql,
                ident(name),
                kind,
            ),
        ),
        undo=(compose("ALTER TABLE {} DROP COLUMN IF EXISTS {}", relation.sql, ident(name)),),
        weight="catalog only",
        lock="ACCESS EXCLUSIVE",
        alone=False,
        before=NOTHING,
        after=kind,
        fits=NOTHING,
        heaviness=of_new_column(),
    )
