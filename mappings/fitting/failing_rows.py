"""Source rows for which it cannot even be said what of them is meant: a list or the condition fails on them.

Nothing can set such a row aside, as every statement that reads the table fails with it; so they are named in the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import psycopg

from mappings.catalog.describe import complaint
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Resolved
from mappings.plan.keys import KeyPart
from mappings.problems import Problem
from mappings.sql import Sql, compose, encoded, ident, joined, verbatim

MOST_NAMED = 3


def problems(compiler: Compiler, key: tuple[KeyPart, ...], error: psycopg.Error) -> Iterator[Problem]:
    """What fails on which rows. error: what counting the rows in scope failed with."""
    path, fails = _to_blame(compiler, error)
    search = _Search(compiler, [part.column for part in key if part.in_base])
    said = "; ".join(search.named()) or complaint(error)
    text = (
        f"{fails} fails: {said}; every statement that reads the table fails there, so mend these rows, leave them out"
        " by a condition on columns of their own, or write it so that it yields NULL for them"
    )
    yield Problem(path, text)


def _to_blame(compiler: Compiler, error: psycopg.Error) -> tuple[str, str]:
    """(the path in the file, what fails): the first list that fails in this way, whatever the condition says."""
    table = compiler.table
    for number, join in enumerate(table.spec.joins):
        part = replace(table, spec=replace(table.spec, joins=table.spec.joins[: number + 1]))
        result = _error(compiler, part, None) if join.unnest else None
        if result and result.diag.message_primary == error.diag.message_primary:
            return f"{table.path}.joins[{number}].unnest", "the list"
    return f"{table.path}.where" if table.spec.where else table.path, "where"


def _error(compiler: Compiler, table: Resolved, where: Sql | None) -> psycopg.Error | None:
    """What counting the rows of a table with its joins fails with."""
    query = projection.select([verbatim("count(*)")], projection.from_clause(table), where)
    try:
        compiler.databases.source.execute(encoded(query))
    except psycopg.Error as error:
        return error
    return None


@dataclass
class _Search:
    """Halves the source table, in the order of its key, until single rows are left."""

    compiler: Compiler
    key: list[str]
    found: list[str] = field(default_factory=list)

    @property
    def source(self) -> Sql:
        return self.compiler.table.source.sql

    def named(self) -> list[str]:
        """`source row 2: invalid input syntax for type integer: "x"`; nothing where rows cannot be told apart."""
        if not self.key:
            return []
        query = compose("SELECT count(*) FROM {}", self.source)
        try:
            (rows,) = self.compiler.databases.source.execute(encoded(query)).fetchone() or (0,)
            self._through(0, rows)
        except psycopg.Error:
            pass  # it takes too long, or cannot be asked of a part: what was found is said
        return self.found

    def _through(self, start: int, rows: int) -> None:
        if not rows or len(self.found) >= MOST_NAMED:
            return
        error = _error(self.compiler, self._part(start, rows), self.compiler.where_sql)
        if isinstance(error, psycopg.errors.DataError) and rows > 1:
            self._through(start, rows // 2)
            self._through(start + rows // 2, rows - rows // 2)
        elif isinstance(error, psycopg.errors.DataError):
            self.found.append(f"source row {self._named(start)}: {complaint(error)}")
        elif error:
            raise error

    def _part(self, start: int, rows: int) -> Resolved:
        part = compose(
            "(SELECT x.* FROM {} AS x ORDER BY {} OFFSET {} LIMIT {})",
            self.source, self._columns("x"), start, rows,
        )  # fmt: skip
        source = replace(self.compiler.table.source, sql=part)
        table = self.compiler.table
        return replace(table, aliases={**table.aliases, table.alias: source})

    def _columns(self, alias: str) -> Sql:
        return joined(", ", (ident(alias, name) for name in self.key))

    def _named(self, place: int) -> str:
        texts = joined(", ", (compose("({})::text", ident("x", name)) for name in self.key))
        query = compose(
            "SELECT concat_ws(', ', {}) FROM {} AS x ORDER BY {} OFFSET {} LIMIT 1",
            texts, self.source, self._columns("x"), place,
        )  # fmt: skip
        row = self.compiler.databases.source.execute(encoded(query)).fetchone()
        return str(row[0]) if row else "?"
