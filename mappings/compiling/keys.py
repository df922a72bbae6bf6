"""What tells rows apart: the key of a table mapping's source rows, and that of the rows they become."""

from __future__ import annotations

from mappings.catalog import tables
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.resolve import Resolved
from mappings.plan.keys import KeyPart, TargetKey
from mappings.problems import Problem
from mappings.sql import NOTHING, Sql, compose, ident, literal, verbatim

DEFAULT_COLLATION = verbatim('pg_catalog."default"')


def source_key(compiler: Compiler) -> tuple[KeyPart, ...]:
    """The source key's parts; empty and a Problem if there is none that is unique and NOT NULL."""
    if compiler.table.spec.key_is_content:
        sql = compose(
            '{}.{} COLLATE pg_catalog."C"',
            ident(compiler.table.alias),
            projection.content(compiler.table),
        )
        return (KeyPart("content", sql, verbatim("text"), verbatim("text"), True, True),)
    names = compiler.table.key_names
    if not names:
        compiler.problems.append(
            Problem(
                f"{compiler.table.path}.key",
                f"{compiler.table.source.display} has no primary key: name a unique NOT NULL combination of"
                " columns in `key`, or write `key: content`",
            )
        )
        return ()
    unknown = [name for name in names if compiler.table.source_column(name) is None]
    for name in unknown:
        text = f"{compiler.table.source.display} has no column {name}"
        compiler.problems.append(Problem(f"{compiler.table.path}.key", text))
    return () if unknown else tuple(key_part(compiler, name) for name in names)


def key_part(compiler: Compiler, name: str) -> KeyPart:
    """One column of the key."""
    found = compiler.table.source_column(name)
    assert found is not None
    alias, column = found
    portable = compiler.databases.same or column.base_oid < tables.BUILT_IN
    kind = column.base if portable else verbatim("text")
    collatable = column.collatable or not portable
    sql = projection.name_sql(compiler.table, name)
    return KeyPart(
        column.name, sql, column.base, kind, alias == compiler.table.alias, collatable, column.operators
    )


def target_key(table: Resolved, mapped: set[str]) -> tuple[TargetKey, ...]:
    """What tells the target's rows apart, and what makes a new value of each column that is not mapped.

    An update leaves it as it is, so but for the primary key it is made of no column that one may change.
    """
    existing = table.spec.existing
    changes = mapped - set(existing.match) if existing and existing.then == "update" else set()
    columns = [table.target.column(name) for name in table.target.row_key(but=changes)]
    return tuple(
        TargetKey(
            column.name,
            column.base,
            None if column.name in mapped else _default(column),
            column.name not in mapped,
            column.operators,
            (column.collation or DEFAULT_COLLATION) if column.collatable else NOTHING,
        )
        for column in columns
        if column
    )


def _default(column: tables.Column) -> Sql | None:
    if column.generated:
        return None
    if column.identity and column.sequence:
        return compose("nextval({}::regclass)", literal(column.sequence))
    return column.default
