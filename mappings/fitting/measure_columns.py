"""Measures, on the data, whether values fit their target columns, and to what a column must be widened.

Only what the types do not promise is looked at, and all of one table in one scan of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from mappings.catalog.describe import complaint
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.target_checks import key_is_promised
from mappings.expressions.parser import parse_expression
from mappings.fitting import failing_rows, target_rules
from mappings.fitting.unique_keys import Collisions
from mappings.fitting.what_to_measure import Measured, measured_columns
from mappings.fitting.widths import size_of
from mappings.plan.keys import KeyPart
from mappings.plan.measures import Loss, Measure
from mappings.problems import Problem
from mappings.sql import Sql, compose, encoded, ident, joined, verbatim

MOST_KEYS = 20
"""How many source rows are named of those whose value does not fit."""

MOST_EXAMPLES = 3

CHEAP = 10_000.0
"""In the server's own units of cost: what is counted although an estimate would do, well under a second."""


LONG = 500_000
"""Elements of a list that are worth a warning: half of what a chunk may be at most (jobs.engine.moving.ranges)."""


@dataclass
class Finding:
    """What measuring one table found. widened: new full types by column; rows: source rows in scope; estimated: they
    were not counted; unmeasured: nor was anything else looked at."""

    rows: int = 0
    estimated: bool = False
    unmeasured: bool = False
    measures: list[Measure] = field(default_factory=list)
    widened: dict[str, Sql] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    blockers: list[Problem] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


class Measuring:
    """The measuring of one table mapping whose compilation found no problem."""

    def __init__(self, compiler: Compiler, key: tuple[KeyPart, ...]) -> None:
        self.compiler, self.key = compiler, key
        self.columns = [*measured_columns(compiler), *target_rules.refused(compiler)]
        self.lookups = list(compiler.lookups)
        self.collisions = Collisions(compiler, key)

    @property
    def wants_scan(self) -> bool:
        """Whether something has to be looked at in every row; lists are, as they may fail, or be very long."""
        return bool(self.columns or self.lookups or self._lists)

    @property
    def _lists(self) -> list[Sql]:
        """The places of the elements of each list."""
        joins = self.compiler.table.spec.joins
        return [ident(join.alias, join.ordinality or "") for join in joins if join.unnest]

    def expected(self, columns: Sequence[Sql] = (verbatim("1"),)) -> tuple[int, float]:
        """(rows, cost) of reading the rows in scope, or aggregates of them, by the server's statistics."""
        query = projection.select(columns, self.compiler.from_sql, self.compiler.where_sql)
        row: Any = self.compiler.databases.source.execute(
            encoded(compose("EXPLAIN (FORMAT JSON) {}", query))
        ).fetchone()
        top = row[0][0]["Plan"]
        return int(top["Plan Rows"]), float(top["Total Cost"])

    def cost(self) -> float:
        """What measuring costs in all, in the server's own units."""
        scan = self.expected(self._aggregates())[1] if self.wants_scan else 0.0
        more = (
            bool(self.compiler.lookups)
            + 2 * len(self.collisions.uniques)
            + (self.compiler.table.spec.existing is not None)
            + sum(column.unique is not None for column in self.compiler.table.spec.columns)
            + (not key_is_promised(self.compiler.table, self.key))
        )
        return scan + (more * self.expected()[1] if more else 0.0)

    def _aggregates(self) -> list[Sql]:
        """All that the one scan asks for, in the order in which it is read."""
        lookups = [part for number in self.lookups for part in self._unmatched(number)]
        return [
            verbatim("count(*)"),
            *(compose("max({})", place) for place in self._lists),
            *lookups,
            *(part for column in self.columns for part in column.aggregates()),
        ]

    def measure(self, widen: bool) -> Finding:
        """Measures in one scan, if any is needed; else the rows are estimated, or counted where that is cheap.

        Where an expression fails on some row, each column is measured alone, so that only that one is not known. Where
        it takes longer than a statement may, nothing is.
        """
        finding = Finding()
        if not self.wants_scan:
            finding.rows, cost = self.expected()
            if cost < CHEAP:
                finding.rows = self._count(finding.rows, finding)
            finding.estimated = cost >= CHEAP
            return finding
        try:
            row = self._ask(self._aggregates())
        except psycopg.errors.QueryCanceled:
            return self.estimate()
        except psycopg.Error:
            self._measure_alone(widen, finding)
            return finding
        finding.rows, rest = row[0], list(row[1:])
        longest, rest = rest[: len(self._lists)], rest[len(self._lists) :]
        finding.warnings += self._long_lists(longest)
        for number in self.lookups:
            self._note_unmatched(number, rest[:2], finding)
            rest = rest[2:]
        for column in self.columns:
            size = len(column.gauge.sizes) + 3
            self._conclude(column, rest[:size], widen, finding)
            rest = rest[size:]
        return finding

    def estimate(self) -> Finding:
        """What is known without reading the table."""
        return Finding(rows=self.expected()[0], estimated=True, unmeasured=True)

    def _measure_alone(self, widen: bool, finding: Finding) -> None:
        finding.rows = self._count(self.expected()[0], finding)
        for number in self.lookups:
            try:
                self._note_unmatched(number, self._ask(self._unmatched(number)), finding)
            except psycopg.Error:
                continue  # the column itself fails on some row, which the copy reports
        for column in self.columns:
            try:
                self._conclude(column, list(self._ask(column.aggregates())), widen, finding)
            except psycopg.Error as error:
                text = f"the values could not be measured: {complaint(error)}"
                finding.warnings.append(Problem(self._path(column.column), text))

    def _count(self, expected: int, finding: Finding) -> int:
        """The rows in scope; what was expected where the condition itself fails on some row, which is a blocker."""
        try:
            return int(self._ask([verbatim("count(*)")])[0])
        except psycopg.errors.DataError as error:
            finding.blockers += failing_rows.problems(self.compiler, self.key, error)
        except psycopg.Error:
            pass  # it takes too long
        return expected

    def _long_lists(self, longest: Sequence[int | None]) -> Iterator[Problem]:
        """A warning for lists that are so long that whatever cuts a table into chunks cannot help."""
        for place, size in zip(self._lists, longest, strict=True):
            if size and size > LONG:
                text = (
                    f"the longest list has {size:,} elements: all of one row's list is one chunk, which goes in one"
                    f" transaction{self._which(compose('{} = {}', place, size), 1)}"
                )
                yield Problem(self.compiler.table.path, text)

    def _unmatched(self, number: int) -> list[Sql]:
        """How many values have no entry in their lookup table, and one of them."""
        table = self.compiler.table
        value = projection.source_sql(table, table.spec.columns[number])
        lost = compose(
            '({}) IS NOT NULL AND {}."__key" IS NULL', value, projection.lookup_alias(table, number)
        )
        return [
            compose("count(*) FILTER (WHERE {})", lost),
            compose("min(({})::text) FILTER (WHERE {})", value, lost),
        ]

    def _note_unmatched(self, number: int, row: Sequence[Any], finding: Finding) -> None:
        """A warning for a lookup that leaves values without an entry: those rows get NULL."""
        count, example = row
        column = self.compiler.table.spec.columns[number]
        if count and column.lookup:
            text = f"{count} values have no entry in {column.lookup.table} and become NULL, for example {example}"
            finding.warnings.append(Problem(self._path(column.name), text))

    def _ask(self, columns: Sequence[Sql]) -> tuple[Any, ...]:
        return ask(self.compiler, columns)

    def _path(self, column: str) -> str:
        return f"{self.compiler.table.path}.columns.{column}"

    def _conclude(self, column: Measured, row: list[Any], widen: bool, finding: Finding) -> None:
        gauge, path = column.gauge, self._path(column.column)
        *largest, over, losing, example = row
        sizes = tuple(int(size or 0) for size in largest)
        new_type = gauge.widen(sizes) if over and widen else None
        if new_type:
            finding.widened[column.column] = new_type
        elif over and gauge.over != gauge.loses and sizes[0] > gauge.limit:  # else it only loses something
            text = (
                f"{over} values do not fit: the largest has size {sizes[0]}, the column holds {gauge.limit}"
            )
            finding.warnings.append(Problem(path, f"{text}{self._which(column.over(), over)}"))
        if losing and not (new_type and gauge.loses in gauge.over):
            examples = tuple(values_of(self.compiler, column.sql, column.loses()) or [str(example)])
            loss = Loss(self.compiler.table.spec.name, column.column, losing, examples, gauge.lost)
            problem = Problem(path, f"{loss}{self._which(column.loses(), losing)}")
            (finding.blockers if gauge.blocks else finding.warnings).append(problem)
            if not gauge.refused:
                finding.losses.append(loss)
        if sizes:
            name = self.compiler.table.spec.name
            measured = Measure(name, column.column, sizes[0], gauge.limit, size_of(new_type))
            finding.measures.append(measured)

    def _which(self, condition: Sql, count: int) -> str:
        """Which rows, by their keys."""
        return rows_named(self.compiler, self.key, condition, count)


def ask(compiler: Compiler, columns: Sequence[Sql]) -> tuple[Any, ...]:
    """Aggregates over the source rows in scope."""
    query = projection.select(columns, compiler.from_sql, compiler.where_sql)
    row = compiler.databases.source.execute(encoded(query)).fetchone()
    assert row is not None
    return row


def values_of(compiler: Compiler, sql: Sql, condition: Sql) -> list[str]:
    """The first different values for which the condition holds, as texts."""
    where = compose("{} AND ({})", compiler.where_sql, condition) if compiler.where_sql else condition
    tail = compose("\n ORDER BY 1 LIMIT {}", MOST_EXAMPLES)
    query = projection.select([compose("DISTINCT ({})::text", sql)], compiler.from_sql, where, tail)
    try:
        return [str(value) for (value,) in compiler.databases.source.execute(encoded(query))]
    except psycopg.Error:
        return []


def rows_named(compiler: Compiler, key: tuple[KeyPart, ...], condition: Sql, count: int) -> str:
    """`; rows 1, 2 and 7 more`: the first source keys for which the condition holds; '' where there is no key."""
    if not key:
        return ""
    text = projection.key_text([(part.sql, part.native) for part in key])
    where = compose("{} AND ({})", compiler.where_sql, condition) if compiler.where_sql else condition
    order = joined(", ", (part.sql for part in key))
    query = projection.select(
        [text], compiler.from_sql, where, compose("\n ORDER BY {} LIMIT {}", order, MOST_KEYS)
    )
    try:
        names = [str(name) for (name,) in compiler.databases.source.execute(encoded(query))]
    except psycopg.Error:
        return ""
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return f"; source {'row' if count == 1 else 'rows'} {', '.join(names)}{more}" if names else ""


def doubled_lookups(compiler: Compiler) -> Iterator[Problem]:
    """Two rows for one key would double source rows, so they block. Where an index is unique nobody is asked."""
    for number, result in compiler.lookups.items():
        column = compiler.table.spec.columns[number]
        assert column.lookup is not None
        key = compiler.table.names.bind(parse_expression(column.lookup.key), result.sql).expression.sql
        if any(len(unique.columns) == 1 and key == ident(*unique.columns) for unique in result.keys):
            continue
        twice = compiler.databases.source.execute(
            encoded(
                compose(
                    "SELECT ({key})::text FROM {found} WHERE ({key}) IS NOT NULL"
                    " GROUP BY {key} HAVING count(*) > 1 LIMIT 3",
                    key=key,
                    found=result.sql,
                )
            )
        ).fetchall()
        if twice:
            keys = ", ".join(repr(row[0]) for row in twice)
            path = f"{compiler.table.path}.columns.{column.name}.lookup.key"
            yield Problem(path, f"the lookup has several rows for {keys}")
