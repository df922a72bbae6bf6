"""Names in a mapping to live tables and columns, with every name that does not exist as a Problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import psycopg

from mappings.catalog import tables
from mappings.catalog.derived import derived
from mappings.catalog.describe import complaint
from mappings.compiling.names.bind_names import Names
from mappings.compiling.names.list_elements import elements
from mappings.expressions.parser import Expression, parse_expression, parse_ordering, parse_relation
from mappings.language.spec import Join, MappingSpec, Table
from mappings.problems import Problem
from mappings.sql import Sql, compose, ident, joined

SOURCE_KINDS = "rpvmf"
TARGET_KINDS = "rp"
STORED = "rpmf"
BIGINT = 20
"""PostgreSQL: its oid."""

OWN_SCHEMAS = ("information_schema", "migrator")
KIND_NAMES = {
    "v": "a view",
    "m": "a materialised view",
    "f": "a foreign table",
    "S": "a sequence",
    "c": "a type",
    "i": "an index",
    "I": "an index",
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """One table mapping with its live tables. aliases: source table by alias, the base table first.

    names, target_names: what the names in expressions mean in the source and in the target; itself: source and target
    are one table; unlisted: for lists that may turn out to be none (documents, texts) the SQL of their place, which is
    0 then, and of what to say.
    """

    path: str
    spec: Table
    alias: str
    aliases: dict[str, tables.Table]
    target: tables.Table
    names: Names
    target_names: Names
    itself: bool = False
    unlisted: tuple[tuple[Sql, Sql], ...] = ()

    @property
    def source(self) -> tables.Table:
        """The base source table."""
        return self.aliases[self.alias]

    def source_column(self, name: str) -> tuple[str, tables.Column] | None:
        """(alias, column) of a name as the file writes it: `column`, or `alias.column` with joins."""
        alias, dot, rest = name.partition(".")
        if dot and alias in self.aliases and (result := self.aliases[alias].column(rest)):
            return alias, result
        for candidate, table in self.aliases.items():
            if result := table.column(name):
                return candidate, result
        return None

    @property
    def key_names(self) -> tuple[str, ...]:
        """What tells source rows apart, as the file writes it: by default the primary key, and places in lists."""
        if self.spec.key or not self.source.primary_key:
            return self.spec.key or ()
        lists = tuple(f"{join.alias}.{join.ordinality}" for join in self.spec.joins if join.unnest)
        return tuple(f"{self.alias}.{name}" if lists else name for name in self.source.primary_key) + lists

    @property
    def scope(self) -> Sql:
        """All source tables side by side, as FROM has them; for asking about types."""
        return joined(
            ", ",
            (compose("{} AS {}", table.sql, ident(alias)) for alias, table in self.aliases.items()),
        )

    def bound(self, text: str) -> Expression:
        """An expression over the source's columns, with every name bound; as it is where that cannot be."""
        return self.names.bind(parse_expression(text), self.scope).expression

    def bound_ordering(self, text: str) -> Sql:
        """The same for order_by, as SQL."""
        keys = parse_ordering(text).keys
        return joined(
            ", ",
            (
                replace(key, expression=self.names.bind(key.expression, self.scope).expression).sql
                for key in keys
            ),
        )

    def bound_match(self, text: str, qualifier: str) -> Expression:
        """The same for a match, over the target's columns under an alias."""
        result = self.target_names.bind(
            parse_expression(text, "t"), compose("{} AS t", self.target.sql)
        ).expression
        return replace(result, qualifier=qualifier)

    def complaints(self, expression: Expression) -> list[str]:
        """A sentence for each column that an expression names and no source table has.

        PostgreSQL would read such a name behind an alias as a call of a function of that name.
        """
        result = []
        for column in expression.columns:
            if column.qualifier is None:
                known = any(_has(table, column.name) for table in self.aliases.values())
            else:
                table = self.aliases.get(column.qualifier)
                known = bool(table and _has(table, column.name))
            if not known:
                name = f"{column.qualifier}.{column.name}" if column.qualifier else column.name
                result.append(f"there is no source column {name}")
        return result


def _has(table: tables.Table, name: str) -> bool:
    """Whether it has such a column; of those of the system tableoid alone means something outside of the server."""
    return table.column(name) is not None or (name == "tableoid" and table.kind in STORED)


@dataclass(frozen=True, slots=True)
class Databases:
    """Two open connections, whether they lead to the same database, and the values of the environment's parameters."""

    source: psycopg.Connection
    target: psycopg.Connection
    same: bool
    parameters: Mapping[str, str] = field(default_factory=dict)


def resolve(spec: MappingSpec, databases: Databases, problems: list[Problem]) -> list[Resolved]:
    """Every table whose names exist; the others are explained in `problems`."""
    source = Names(databases.source, databases.parameters)
    names = source, source if databases.same else Names(databases.target, databases.parameters)
    result = [_resolve_table(n, table, databases, names, problems) for n, table in enumerate(spec.tables)]
    return [table for table in result if table]


def find_table(
    conn: psycopg.Connection, text: str, kinds: str, path: str, problems: list[Problem]
) -> tables.Table | None:
    """The live table that `text` names, or None and a Problem at `path`."""
    name = parse_relation(text)
    oid = tables.find(conn, name.schema, name.name)
    if oid is None:
        problems.append(Problem(path, f"there is no table {text} in this database"))
        return None
    table = tables.read_table(conn, oid)
    if table.kind not in kinds:
        what = KIND_NAMES.get(table.kind, f"of kind {table.kind!r}")
        problems.append(Problem(path, f"{table.display} is {what}; a table is needed"))
        return None
    problems += [Problem(path, _without_rows(table, view)) for view in table.unfilled]
    return None if table.unfilled else table


def _without_rows(table: tables.Table, view: str) -> str:
    text = f"{view} is a materialised view that holds no rows yet; REFRESH MATERIALIZED VIEW it first"
    return text if view == table.display else f"{table.display} reads {text}"


def _resolve_table(
    index: int, spec: Table, databases: Databases, names: tuple[Names, Names], problems: list[Problem]
) -> Resolved | None:
    path = f"tables[{index}]"
    before = len(problems)
    source = find_table(databases.source, spec.source, SOURCE_KINDS, f"{path}.source", problems)
    target = find_table(databases.target, spec.target, TARGET_KINDS, f"{path}.target", problems)
    joined = [
        find_table(databases.source, join.table, SOURCE_KINDS, f"{path}.joins[{number}].table", problems)
        if join.unnest is None
        else None
        for number, join in enumerate(spec.joins)
    ]
    if target and (target.schema in OWN_SCHEMAS or target.schema.startswith("pg_")):
        text = f"{target.display} belongs to the server or to the migrator itself"
        problems.append(Problem(f"{path}.target", text))
    if source is None or target is None or len(problems) > before:
        return None
    itself = databases.same and source.oid == target.oid
    if itself and (wrong := _cannot_copy_itself(spec, source)):
        problems.append(Problem(path, wrong))
        return None
    alias = spec.alias or source.name
    aliases = {alias: source}
    unlisted: list[tuple[Sql, Sql]] = []
    for number, (join, table) in enumerate(zip(spec.joins, joined, strict=True)):
        scope = Resolved(path, spec, alias, aliases, target, *names)
        result = table or _list(scope, join, f"{path}.joins[{number}].unnest", problems, unlisted)
        if result is None:
            return None
        aliases = {**aliases, join.alias: result}
    return Resolved(path, spec, alias, aliases, target, *names, itself, tuple(unlisted))


def _cannot_copy_itself(spec: Table, source: tables.Table) -> str | None:
    """Copies within a table are told from their originals by their source id, which is theirs alone."""
    if not spec.where:
        return f"{source.display} is its own target: say by where which of its rows are copied"
    if spec.existing or spec.distinct or spec.joins or spec.key_is_content:
        return f"{source.display} is its own target: existing, distinct, joins and key: content are not possible then"
    if spec.link.source_id == ():
        return (
            f"{source.display} is its own target: its copies need a source_id, by which they are told apart"
        )
    return None


def _list(
    table: Resolved, join: Join, path: str, problems: list[Problem], unlisted: list[tuple[Sql, Sql]]
) -> tables.Table | None:
    """The elements of a list of the row, with their places, as a table; None and a Problem where it is none.

    unlisted: takes what may turn out to be no list.
    """
    expression = parse_expression(join.unnest or "")
    if complaints := table.complaints(expression):
        problems += [Problem(path, text) for text in complaints]
        return None
    conn = table.names.conn
    try:
        result = elements(table.names, table.scope, table.names.bind(expression, table.scope).expression)
    except psycopg.Error as error:
        problems.append(Problem(path, complaint(error)))
        return None
    if result is None:
        problems.append(Problem(path, "this is no list: an array or a jsonb array is needed"))
        return None
    value, place = ident(join.alias), ident(join.ordinality or "")
    if result.no_list:
        unlisted.append((compose("{}.{}", ident(join.alias), place), result.no_list))
    rows = compose("LATERAL (SELECT x.value AS {}, x.place AS {} FROM ({}) AS x)", value, place, result.rows)
    return derived(table.source, conn, rows, {join.alias: result.element, join.ordinality or "": BIGINT})
