"""What tells rows apart: the key of a table mapping's source rows, and that of the rows they become."""

from __future__ import annotations

from mappings.catalog import tables
from mappings.catalog.tables import Column as TableColumn
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Resolved
from mappings.language.spec import MappingSpec
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
    result = compiler.table.source_column(name)
    assert result is not None
    alias, column = result
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


def collation(table: Resolved, part: KeyPart, there: TableColumn | None, same: bool) -> Sql:
    """Of a source id that is there its own; else the source's where both sides are one database, or one that is the
    same everywhere."""
    if there:
        return there.collation or DEFAULT_COLLATION
    if table.spec.key_is_content or not same:
        return verbatim('pg_catalog."C"')
    result = table.source_column(part.column)
    return (result[1].collation if result else None) or DEFAULT_COLLATION


def range_parts(key: tuple[KeyPart, ...]) -> int:
    """How many leading key parts are the source table's own, so that ranges of them cut it into chunks."""
    count = 0
    for part in key:
        if not part.in_base:
            break
        count += 1
    return count


def source_id_names(spec: MappingSpec, name: str, key: tuple[KeyPart, ...]) -> tuple[str, ...]:
    """The source-id columns of one table mapping, by the rules of the mapping file; () for none."""
    table = spec.table(name)
    if table.link.source_id is not None:
        return table.link.source_id
    target = projection.relation_key(table.target)
    shared = sum(projection.relation_key(other.target) == target for other in spec.tables) > 1
    stem = name if shared else "table"
    if len(key) == 1:
        return (f"source_{stem}_id",)
    columns = [part.column for part in key]
    if len(set(columns)) < len(columns):  # joined tables may call them alike: a.id and b.id
        columns = [name.replace(".", "_", 1) for name in table.key or columns]
    return tuple(f"source_{stem}_{column}" for column in columns)
