"""Compiles the columns and the key of one table mapping against the live tables, asking the source about types."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace

import psycopg

from mappings.catalog import own_path, tables
from mappings.catalog.describe import CANNOT_COERCE, complaint, describe, types_of
from mappings.catalog.extensions import Times
from mappings.catalog.types import Kind
from mappings.compiling import clauses, hidden_rows, lists, lookups, projection, texts_read
from mappings.compiling.names.bind_names import FIELDS
from mappings.compiling.names.resolve import Databases, Resolved
from mappings.expressions import tree
from mappings.expressions.clock import guarded_sql, names_clock
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column
from mappings.plan.table_plan import Value
from mappings.problems import Problem
from mappings.sql import NOTHING, Sql, cast, compose, encoded, joined, verbatim

NO_SUCH_TYPE = ("42704", "3F000")
AT_THE_SOURCE = (
    "; expressions run in the source database, and only their last cast may name the target column's own type"
)


@dataclass
class Compiler:
    """Compiles one table mapping; problems are collected, never raised.

    expressions: the source SQL of each column that is not a reference, by its number, lookups already joined;
    kinds: what the source says of their types; lookups: the tables of those columns that have one; sound: there
    was no problem; hidden: rows of a table cannot all be read, so that no query can be tried; lookup_joins: what
    joins the lookups. All this is asked for once; `table.target` may be widened afterwards.
    """

    table: Resolved
    databases: Databases
    problems: list[Problem]
    from_sql: Sql = NOTHING
    where_sql: Sql | None = None
    expressions: dict[int, Sql] = field(default_factory=dict)
    kinds: dict[int, Kind] = field(default_factory=dict)
    lookups: dict[int, tables.Table] = field(default_factory=dict)
    lookup_joins: list[Sql] = field(default_factory=list)
    sound: bool = field(init=False)
    hidden: bool = field(init=False)

    def __post_init__(self) -> None:
        before = len(self.problems)
        self.from_sql = projection.from_clause(self.table)
        where = self.table.spec.where
        self.where_sql = lists.in_scope(self.table, where)
        self.problems += clauses.unknown_columns(self.table)
        hidden = list(hidden_rows.of_table(self.table, self.databases))
        self.hidden = bool(hidden)
        self.problems += hidden
        if len(self.problems) == before:
            self.problems += clauses.unbound(self.table)
        clear = len(self.problems) == before and self._try(f"{self.table.path}.where", verbatim("true"))
        for number, column in enumerate(self.table.spec.columns):
            if not column.parents and not column.number and (result := self._column(number, column)):
                self.expressions[number] = lists.guarded(self.table, column.name, result)
        if clear and len(self.problems) == before:
            self.problems += clauses.clocks(self.table)
            self._ask_kinds()
            self._check_rights()
        self.sound = len(self.problems) == before

    def over(self, source: tables.Table) -> Compiler:
        """The same compilation over another base table of the same columns, asking nobody again."""
        other = copy(self)
        other.table = replace(self.table, aliases={**self.table.aliases, self.table.alias: source})
        other.from_sql = _joined(projection.from_clause(other.table), *self.lookup_joins)
        other.problems = []
        return other

    def _ask_kinds(self) -> None:
        """The types of all expressions at once; where one is wrong, of each alone, and the wrong one goes."""
        for numbers in ([*self.expressions], *([number] for number in self.expressions)):
            columns = [self.expressions[number] for number in numbers]
            try:
                result = describe(self.databases.source, projection.select(columns, self.from_sql))
            except psycopg.Error as error:
                if len(numbers) == 1:
                    path = f"{self.table.path}.columns.{self.table.spec.columns[numbers[0]].name}"
                    self.problems.append(Problem(path, self._complaint(error)))
                continue
            self.kinds.update(zip(numbers, result, strict=False))
            if len(numbers) == len(self.expressions):
                break
        self.expressions = {number: sql for number, sql in self.expressions.items() if number in self.kinds}

    def _check_rights(self) -> None:
        """A Problem where this session may not read what is projected: to describe a query takes no rights."""
        spec = self.table.spec
        names = [*self.table.key_names, *(name for c in spec.columns for name in c.from_)]
        known = {projection.name_sql(self.table, name) for name in names if self.table.source_column(name)}
        columns = [*self.expressions.values(), *sorted(known)]
        query = projection.select(columns, self.from_sql, self.where_sql)
        try:
            self.databases.source.execute(encoded(compose("EXPLAIN {}", query)))
        except psycopg.errors.InsufficientPrivilege as error:
            self.problems.append(Problem(f"{self.table.path}.source", complaint(error)))
        except psycopg.Error:
            return  # a constant that cannot be computed, which the copy reports

    def _complaint(self, error: psycopg.Error) -> str:
        """The server's sentence; where it misses a type, or its schema, which server that is."""
        elsewhere = error.sqlstate in NO_SUCH_TYPE and not self.databases.same
        return complaint(error) + (AT_THE_SOURCE if elsewhere else "")

    def _try(self, path: str, column_sql: Sql) -> bool:
        """Whether the source understands a column of this projection; its complaint becomes a Problem."""
        try:
            describe(self.databases.source, projection.select([column_sql], self.from_sql, self.where_sql))
        except psycopg.Error as error:
            self.problems.append(Problem(path, complaint(error)))
            return False
        return True

    def wire_type(self, column: tables.Column) -> Sql:
        """The type in which values travel: the target's own where the source knows it, else text."""
        return column.base if self.databases.same or column.base_oid < tables.BUILT_IN else verbatim("text")

    def converted(self, path: str, expression: Sql, type_name: Sql) -> Sql | None:
        """`expression` as `type_name`, by a cast if the source has one, else through its text form."""
        for candidate in (expression, compose("({})::text", expression)):
            converted = cast(self._timeless(path, candidate, self.table.names.times_in(type_name)), type_name)
            try:
                describe(self.databases.source, projection.select([converted], self.from_sql))
            except psycopg.Error as error:
                if candidate is expression and error.sqlstate in CANNOT_COERCE:
                    continue
                self.problems.append(Problem(path, complaint(error)))
                return None
            return converted
        return None

    def _timeless(self, path: str, expression: Sql, times: Times) -> Sql:
        """The expression, kept from reading the clock where it is a text. times: those of what it becomes."""
        if times == "none":
            return expression
        try:
            (oid,) = types_of(
                self.databases.source, projection.select([compose("({})", expression)], self.from_sql)
            )
        except psycopg.Error:
            return expression  # which the conversion itself complains of
        if not self.table.names.facts(oid).is_text:
            return expression
        if times == "among others":
            self.problems.append(Problem(path, FIELDS.format(name="the column's type")))
        return guarded_sql(expression)

    def _wired(self, number: int) -> Sql:
        """A value column's expression as the type in which it travels; the target may read a time from that text."""
        column, target, sql = self.table.spec.columns[number], self._target(number), self.expressions[number]
        if not column.has_value:
            path = f"{self.table.path}.columns.{column.name}"
            sql = self._timeless(path, sql, self.table.target_names.times_in(target.base))
        return cast(sql, self.wire_type(target))

    def values(self) -> list[Value]:
        """The value columns of the feed, of the target's types as they are now; a Problem for each that cannot be."""
        numbers = [number for number in self.expressions if not self.table.spec.columns[number].unique]
        plain = [self._wired(number) for number in numbers]
        try:
            describe(self.databases.source, projection.select(plain, self.from_sql))
        except psycopg.Error:
            return [value for number in numbers if (value := self._value(number, None))]
        return [
            value for number, sql in zip(numbers, plain, strict=True) if (value := self._value(number, sql))
        ]

    def _value(self, number: int, sql: Sql | None) -> Value | None:
        """sql: the expression of the wire's type, None where that has to be found out first."""
        column, target = self.table.spec.columns[number], self._target(number)
        wire = self.wire_type(target)
        path = f"{self.table.path}.columns.{column.name}"
        sql = sql or self.converted(path, self.expressions[number], wire)
        if sql is None:
            return None
        rounded = target.full_type if target.rounds else target.base
        kind = self.kinds.get(number)  # not asked for where something else was wrong already
        source = self.databases.source
        read = texts_read.by_last_cast(self.table, column, source, self.from_sql)
        read = read or texts_read.by_type(self.expressions[number], kind, wire)
        own = target.collation or NOTHING
        return Value(
            column.name, sql, wire, target.base, rounded, target.has_equality, target.operators, read, own
        )  # fmt: skip

    def _target(self, number: int) -> tables.Column:
        result = self.table.target.column(self.table.spec.columns[number].name)
        assert result is not None
        return result

    def _column(self, number: int, column: Column) -> Sql | None:
        """The column's SQL at the source; None and a Problem if it cannot be."""
        path = f"{self.table.path}.columns.{column.name}"
        target = self.fillable(column.name, path)
        return self._expression(number, column, target, path) if target else None

    def fillable(self, name: str, path: str) -> tables.Column | None:
        """The target column of that name; None and a Problem where there is none, or it fills itself."""
        target = self.table.target.column(name)
        if target is None:
            self.problems.append(Problem(path, f"{self.table.target.display} has no column {name}"))
            return None
        if target.generated:
            self.problems.append(Problem(path, "this column is generated by the target and cannot be filled"))
            return None
        return target

    def _expression(self, number: int, column: Column, target: tables.Column, path: str) -> Sql | None:
        if column.has_value:
            return self._constant(column, target, path)
        if not self._names_exist(path, column):
            return None
        if column.lookup:
            return self._lookup(number, column, path)
        return self._cast_there(column, target, projection.source_sql(self.table, column))

    def _cast_there(self, column: Column, target: tables.Column, sql: Sql) -> Sql:
        """The expression without its last cast, if that is to the target column's own type and the source has none.

        The value then travels as text, and becomes of that type where the type is.
        """
        if column.expr is None or self.databases.same:
            return sql
        expression = self.table.bound(column.expr)
        last = expression.bound
        if len(expression.types) != 1 or not isinstance(last, tree.Cast) or last.type.user is None:
            return sql
        if not self._only_there(f"{last.type.user.sql}{last.type.bounds}", target):
            return sql
        return replace(expression, bound=tree.Cast(last.operand, tree.TEXT)).sql

    def _only_there(self, kind: str, target: tables.Column) -> bool:
        here, there = (
            own_path.type_name(side, kind) for side in (self.databases.source, self.databases.target)
        )
        return here is None and there == target.type

    def _constant(self, column: Column, target: tables.Column, path: str) -> Sql | None:
        if names_clock(str(column.value)) and self.table.target_names.times_in(target.base) != "none":
            self.problems.append(Problem(path, clauses.CLOCKED))
            return None
        constant = projection.constant_sql(column.value, target.base, target.category == "A")
        try:
            self.databases.target.execute(encoded(compose("SELECT {}", constant)))
        except psycopg.Error as error:
            self.problems.append(Problem(path, complaint(error)))
            return None
        return projection.constant_sql(column.value, self.wire_type(target), target.category == "A")

    def _names_exist(self, path: str, column: Column) -> bool:
        complaints = [
            f"{self.table.source.display} has no column {name}"
            for name in column.from_
            if self.table.source_column(name) is None
        ]
        if column.expr is not None:
            complaints += self.table.complaints(parse_expression(column.expr))
        self.problems += [Problem(path, text) for text in complaints]
        return not complaints

    def _lookup(self, number: int, column: Column, path: str) -> Sql | None:
        result = lookups.table_of(column, path, self.databases, self.problems)
        if result is None:
            return None
        ways = lookups.join_clauses(self.table, self.databases, number, column, result, self.from_sql)
        for way in ways:
            candidate = _joined(self.from_sql, way)
            try:
                describe(self.databases.source, projection.select([verbatim("1")], candidate))
            except psycopg.Error as error:
                if way is ways[0] and error.sqlstate in CANNOT_COERCE:
                    continue
                if not self.hidden:
                    self.problems.append(Problem(f"{path}.lookup", complaint(error)))
                return None
            self.from_sql = candidate
            self.lookup_joins.append(way)
            self.lookups[number] = result
            return compose('{}."__value"', projection.lookup_alias(self.table, number))
        return None


def _joined(from_sql: Sql, *joins: Sql) -> Sql:
    return joined("\n  ", [from_sql, *joins])
