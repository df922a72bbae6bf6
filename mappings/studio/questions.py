"""The other questions about a table, with their effect counted on the live rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from mappings.catalog.describe import complaint
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.keys import source_key
from mappings.compiling.names.resolve import Databases, resolve
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Existing
from mappings.models import Mapping, TableMapping
from mappings.plan.table_plan import Value
from mappings.problems import Problem, Refused
from mappings.sql import Sql, compose, encoded, joined, verbatim
from mappings.studio.live import Live
from mappings.studio.looking.sound import sound_part
from mappings.studio.sessions import both_sides

COUNTED_UP_TO = 2_000_000
"""Rows that are counted while somebody waits; of larger tables the planner's estimate is told."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What the answers come to, in words; '' where it could not be told."""

    rows: str = ""
    key: str = ""
    existing: str = ""
    note: str = ""

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """(question, what its answer comes to)."""
        return (("rows", self.rows or self.note), ("key", self.key), ("existing", self.existing))


def effects(mapping: Mapping, table: TableMapping, live: Live) -> Effects:
    """The effect of the table's answers on the rows that are there now."""
    sound = sound_part(mapping, table)
    source, target = live.source.find(table.source), live.target.find(table.target)
    if sound.spec is None or live.environment is None or source is None or target is None:
        return Effects()
    if max(source.rows, target.rows) > COUNTED_UP_TO:
        return Effects(rows=f"about {source.rows:,} rows", note="Counted by the plan: the table is large.")
    problems: list[Problem] = []
    try:
        with both_sides(live.environment) as databases:
            resolved = resolve(sound.spec, databases, problems)
            if not resolved or resolved[0].spec.name != sound.spec.tables[0].name:
                return Effects()
            compiler = Compiler(resolved[0], databases, problems)
            return Effects(_rows(compiler), _key(compiler), _existing(compiler, databases))
    except (DatabaseUnreachable, Refused) as error:
        return Effects(note=str(error))
    except psycopg.Error as error:
        return Effects(note=f"Not counted: {complaint(error)}.")


def _rows(compiler: Compiler) -> str:
    """How many of the source's rows are meant."""
    everything = compose("SELECT count(*) FROM {}", compiler.table.source.sql)
    total = _number(compiler, everything)
    if not compiler.where_sql and not compiler.table.spec.joins:
        return f"all {total:,} rows"
    meant = _number(
        compiler, projection.select([verbatim("count(*)")], compiler.from_sql, compiler.where_sql)
    )
    return f"{meant:,} of {total:,} rows" if meant <= total else f"{meant:,} rows from {total:,}"


def _key(compiler: Compiler) -> str:
    """Whether the key tells all rows apart."""
    key = source_key(compiler)
    if not key:
        return ""
    if (
        compiler.table.spec.key is None
        and not compiler.table.spec.joins
        and not compiler.table.spec.key_is_content
    ):
        return "the primary key tells all rows apart"
    names = joined(", ", (part.sql for part in key))
    grouped = projection.select(
        [names], compiler.from_sql, compiler.where_sql, compose("\n GROUP BY {}", names)
    )
    apart = _number(compiler, compose("SELECT count(*) FROM ({}) AS k", grouped))
    every = _number(
        compiler, projection.select([verbatim("count(*)")], compiler.from_sql, compiler.where_sql)
    )
    if apart == every:
        return f"tells all {every:,} rows apart"
    if compiler.table.spec.distinct:
        return f"{every:,} rows become {apart:,}"
    return f"does not tell rows apart: {every:,} rows have {apart:,} different keys"


def _are(count: int) -> str:
    return f"{count:,} row{' is' if count == 1 else 's are'}"


def _existing(compiler: Compiler, databases: Databases) -> str:
    """How many of the source's rows are in the target already, where both are one database; else of the target's."""
    existing = compiler.table.spec.existing
    target = compiler.table.target
    (there,) = databases.target.execute(
        encoded(compose("SELECT count(*) FROM {}", target.sql))
    ).fetchone() or (0,)
    if existing is None:
        return "the target is empty" if there == 0 else f"{_are(there)} in the target; none is matched"
    values = compiler.values()
    matches = list(_matches(existing, values))
    if not databases.same or len(matches) < len(existing.match):
        return f"{_are(there)} in the target"
    matched = joined(
        " AND ",
        (compose("({}) = {}", expression, value) for expression, value in matches),
    )
    result = (
        compose("EXISTS (SELECT FROM {} WHERE {})", target.sql, matched)
        if len(target.columns)
        else verbatim("false")
    )
    inner = projection.select(
        [compose("{} AS v{}", value.sql, number) for number, value in enumerate(values)],
        compiler.from_sql,
        compiler.where_sql,
    )
    count = _number(compiler, compose("SELECT count(*) FROM ({}) AS f WHERE {}", inner, result))
    return f"{count:,} of the source's rows are there already"


def _matches(existing: Existing, values: Sequence[Value]) -> Iterator[tuple[Sql, Sql]]:
    """(expression over the target, value of the feed) of each match that is a bare mapped column."""
    numbers = {value.target: number for number, value in enumerate(values)}
    for text in existing.match:
        names = parse_expression(text).columns
        if len(names) == 1 and names[0].name in numbers:
            yield parse_expression(text).sql, compose("f.v{}", numbers[names[0].name])


def _number(compiler: Compiler, query: Sql) -> int:
    row = compiler.databases.source.execute(encoded(query)).fetchone()
    return int(row[0]) if row else 0
