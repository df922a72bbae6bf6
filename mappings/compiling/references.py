"""References between the tables of a mapping: what they look up, what they wait for, and in which order."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Literal

import psycopg

from mappings.catalog import tables as catalog
from mappings.catalog.describe import describe
from mappings.compiling import lists, projection
from mappings.compiling.columns import Compiler
from mappings.compiling.keys import DEFAULT_COLLATION
from mappings.compiling.names.resolve import Resolved
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column, MappingSpec, Table
from mappings.plan.keys import KeyPart
from mappings.plan.references import LookupBy, Reference
from mappings.problems import Problem
from mappings.sql import NOTHING, Sql, cast, collated, compose

Edges = dict[str, set[str]]


def strong_components(edges: Edges) -> dict[str, int]:
    """Which circle each table is in, as a number: two tables with one number reach each other."""
    reach = {name: _reachable(name, edges) for name in edges}
    numbers = {name: index for index, name in enumerate(edges)}
    return {
        name: min(numbers[other] for other in {name, *reach[name]} if name == other or name in reach[other])
        for name in edges
    }


def _reachable(start: str, edges: Edges) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return seen


def deferred_columns(spec: MappingSpec, tables: dict[str, Resolved]) -> set[tuple[str, str]]:
    """(table, column) of references inside a circle that may be NULL until their parents are in."""
    edges = {
        table.name: {name for column in table.columns for name in column.points_to} for table in spec.tables
    }
    circle = strong_components(edges)
    return {
        (table.name, column.name)
        for table in spec.tables
        for column in table.columns
        if any(circle[name] == circle[table.name] for name in column.points_to)
        and not _matched_by_parent(table, column)
        and table.name in tables
        and (result := tables[table.name].target.column(column.name))
        and not result.not_null
    }


def _matched_by_parent(table: Table, column: Column) -> bool:
    """Whether rows are found in the target by where their parents of the same table went: level by level, then."""
    return table.name in column.points_to and column.name in matched_columns(table)


def matched_columns(table: Table) -> set[str]:
    """The target columns by which rows are found that are there already."""
    texts = table.existing.match if table.existing else ()
    return {column.name for text in texts for column in parse_expression(text).columns}


def order(
    spec: MappingSpec, deferred: set[tuple[str, str]], others: dict[str, set[str]], problems: list[Problem]
) -> list[str]:
    """Table names, parents first. others: as `first` has it. A circle that no NULL breaks is a Problem."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for table in spec.tables:
        sorter.add(table.name, *parents(table.name, spec, deferred, others.get(table.name, set())))
    try:
        return list(sorter.static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        problems.append(
            Problem("tables", f"these tables wait for each other: {circle}; make one reference nullable")
        )
        return [table.name for table in spec.tables]


def counting(spec: MappingSpec, tables: dict[str, Resolved]) -> dict[str, set[str]]:
    """For tables whose new rows count by a sequence: the tables that copy keys into that very column.

    Those go first, so that no key is given out that they bring; unless they wait for the counting table themselves.
    """
    edges = {
        table.name: {name for column in table.columns for name in column.points_to} | _before(table, spec)
        for table in spec.tables
    }
    result: dict[str, set[str]] = {}
    for name, table in tables.items():
        filled = {column.name for column in table.spec.columns}
        counted = {column.name for column in table.target.columns if column.counter} - filled
        for other in tables.values():
            copied = counted & {column.name for column in other.spec.columns}
            if (
                copied
                and other.target.oid == table.target.oid
                and name not in _reachable(other.spec.name, edges)
            ):
                result.setdefault(name, set()).add(other.spec.name)
                edges[name].add(other.spec.name)
    return result


def first(
    spec: MappingSpec, tables: dict[str, Resolved], copying: dict[str, set[str]]
) -> dict[str, set[str]]:
    """`copying`, and the tables to whose rows a foreign key of the target points where plain values fill it.

    Those go first as well, and are taken back last, unless they wait for the pointing table themselves.
    """
    result = {name: set(others) for name, others in copying.items()}
    edges = {
        table.name: {name for column in table.columns for name in column.points_to}
        | _before(table, spec)
        | result.get(table.name, set())
        for table in spec.tables
    }
    for name, table in tables.items():
        plain = {column.name for column in table.spec.columns if not column.points_to}
        held = {key.parent for key in table.target.foreign_keys if plain.issuperset(key.columns)}
        for other in tables.values():
            parent = other.spec.name
            if other.target.oid in held - {table.target.oid} and name not in _reachable(parent, edges):
                result.setdefault(name, set()).add(parent)
                edges[name].add(parent)
    return result


def _before(table: Table, spec: MappingSpec) -> set[str]:
    """Tables further up in the file whose rows it may find in the target that they share, or that may be found."""
    target = projection.relation_key(table.target)
    return {
        other.name
        for other in spec.tables[: spec.tables.index(table)]
        if projection.relation_key(other.target) == target and (table.existing or other.existing)
    }


def parents(
    name: str, spec: MappingSpec, deferred: set[tuple[str, str]], others: set[str]
) -> tuple[str, ...]:
    """The tables that must be copied before `name`: those it refers to, those whose rows it may find there, and
    `others`, for another reason (`first`)."""
    table = spec.table(name)
    result = {
        parent
        for column in table.columns
        if (name, column.name) not in deferred
        for parent in column.points_to - {name}
    }
    return tuple(sorted(result | _before(table, spec) | others))


def reference(
    compiler: Compiler,
    column: Column,
    parent: Resolved,
    parent_key: tuple[KeyPart, ...],
    deferred: bool,
    on_error: str,
) -> Reference | None:
    """A compiled reference; None and Problems if it cannot be looked up."""
    path = f"{compiler.table.path}.columns.{column.name}"
    target = compiler.fillable(column.name, path)
    if target is None:
        return None
    by = _looked_up_by(compiler, column, parent, parent_key, path)
    value_column = checked_value_column(compiler, column, parent, path)
    if by is None or value_column is None:
        return None
    _check_type(compiler, parent, value_column, target, path)
    missing = row_policy(column.missing, on_error)
    own = target.collation or NOTHING
    return Reference(
        column.name, target.base, parent.spec.name, value_column, by, missing, deferred, target.operators, own
    )


def row_policy(missing: str | None, on_error: str) -> Literal["stop", "quarantine", "null"]:
    """What happens to a row whose parent is missing."""
    if missing in ("null", "drop", "keep"):
        return "null"
    return "quarantine" if (missing or on_error) == "quarantine" else "stop"


def _looked_up_by(
    compiler: Compiler, column: Column, parent: Resolved, parent_key: tuple[KeyPart, ...], path: str
) -> tuple[LookupBy, ...] | None:
    """What the child gives for each part of the parent's key, of that part's type."""
    given = sources(compiler, column, path)
    if given is None:
        return None
    if len(given) != len(parent_key):
        text = f"the key of {parent.spec.name} has {len(parent_key)} columns, but {len(given)} are given"
        compiler.problems.append(Problem(path, text))
        return None
    by = [compiler.converted(path, sql, part.type) for sql, part in zip(given, parent_key, strict=True)]
    result = [
        LookupBy(_collated(sql, part), part.type, part.kept_operators)
        for sql, part in zip(by, parent_key, strict=True)
        if sql
    ]
    return tuple(result) if len(result) == len(parent_key) else None


def _collated(sql: Sql, part: KeyPart) -> Sql:
    """In the collation of the parent's key, where that is one of its own and the source has it."""
    own = part.collatable_there and part.collation not in ("", DEFAULT_COLLATION)
    return collated(sql, part.collation if own else NOTHING)


def checked_value_column(compiler: Compiler, column: Column, parent: Resolved, path: str) -> str | None:
    """The parent's column whose value is taken; None and a Problem if there is no such column."""
    name = value_column(compiler.table, column, parent)
    if name is None:
        example = f"ref: {{table: {parent.spec.name}, column: …}}"
        text = f"{parent.target.display} has no single key column: name one, {example}"
        compiler.problems.append(Problem(path, text))
    elif parent.target.column(name) is None:
        compiler.problems.append(Problem(path, f"{parent.target.display} has no column {name}"))
        return None
    return name


def _check_type(compiler: Compiler, parent: Resolved, name: str, target: catalog.Column, path: str) -> None:
    """A Problem where the parent's value never becomes one of the referring column's type."""
    value = parent.target.column(name)
    assert value is not None
    converted = cast(compose("NULL::{}", value.base), target.base)
    try:
        describe(compiler.databases.target, compose("SELECT {}", converted))
    except psycopg.Error:
        text = f"{parent.target.display}.{name} is {value.type}, which does not become {target.type}"
        compiler.problems.append(Problem(path, text))


def sources(compiler: Compiler, column: Column, path: str) -> list[Sql] | None:
    """What a reference looks up, as the source's own SQL; None and Problems where names do not exist."""
    table = compiler.table
    if column.expr is not None:
        complaints = table.complaints(parse_expression(column.expr))
        compiler.problems.extend(Problem(path, text) for text in complaints)
        sql = projection.source_sql(table, column)
        return None if complaints else [lists.guarded(table, column.name, sql)]
    unknown = [name for name in column.from_ if table.source_column(name) is None]
    compiler.problems.extend(
        Problem(path, f"{table.source.display} has no column {name}") for name in unknown
    )
    result = [projection.name_sql(table, name) for name in column.from_] if not unknown else []
    return [lists.guarded(table, column.name, result[0]), *result[1:]] if result else None


def value_column(table: Resolved, column: Column, parent: Resolved) -> str | None:
    """The parent's column to copy: the named one, what the foreign key points to, or the single key."""
    assert column.ref is not None
    if column.ref.column:
        return column.ref.column
    for key in table.target.foreign_keys:
        if column.name in key.columns and key.parent == parent.target.oid:
            return key.parent_columns[key.columns.index(column.name)]
    own = parent.target.row_key()
    return own[0] if len(own) == 1 else None
