"""What the last verification of a run found different, missing or extra, as the target keeps it: row by row and column
by column, filtered, in order, in parts or all of it as a stream.

A part begins behind a difference that was shown before: it costs the same however far on. Of each there is the key of
the source row (or, where it has none, of the target row), and what is known of why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from jobs.engine.sql.keep_differences import PLACE
from jobs.models import Report, Run
from mappings.connections import sessions, unreachable
from mappings.problems import Problem, Refused
from mappings.sql import Sql, compose, encoded, joined, verbatim

Kind = Literal["different", "missing", "extra"]
KINDS: tuple[Kind, ...] = ("different", "missing", "extra")

WHY = {
    "target": "the target row was written after the copy, by a transaction that is not the migration's",
    "source": "the source row changed after the copy: nobody else wrote the target row since",
    "source or trigger": "the source row changed after the copy, or a trigger of the target changed what was written",
    "taken": "the row was copied, and is gone from the target since",
    "never copied": "the row was never copied: no run has it in the map",
    "refused": "the row was never copied, or a trigger of the target refused it",
    "never or taken": "the row was never copied, or is gone from the target since; there is no map that could tell",
    "refused or taken": "a trigger of the target refused the row, or it was never copied, or is gone since",
    "source gone": "the source row is gone, or out of the mapping's scope, since the copy",
    "back-reference": "what the source names the target row by was changed or emptied since it was written",
    "not ours": "the target row claims a source row, and was written by a transaction that is not the migration's",
}
"""What is known of why, in words."""

KEY = (verbatim("table_name"), verbatim("place"), verbatim("id"))

ORDERS: Mapping[str, tuple[Sql, ...]] = {
    "key": KEY,
    "column": (verbatim("column_name"), *KEY),
    "kind": (verbatim("kind"), *KEY),
}
"""What differences can be sorted by; an index of the store leads each."""

LOOK_MS = 10_000
STREAMED_ROWS = 2_000
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of a row that differs, or a whole row that is missing or extra: then column, expected and found are
    empty. chunk: the range of the verification in which the row is."""

    id: int
    table: str
    chunk: int
    kind: Kind
    source_key: str | None
    target_key: str | None
    column: str
    expected: str | None
    found: str | None
    why: str

    @property
    def reason(self) -> str:
        """Why, in words."""
        return WHY.get(self.why, self.why)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which differences are meant; '' for all. key: the source row's, whole; target_key: the target row's."""

    table: str = ""
    column: str = ""
    kind: str = ""
    key: str = ""
    target_key: str = ""
    why: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filters:
        """From an address or a command line."""
        return cls(**{field.name: str(asked.get(field.name) or "").strip() for field in fields(cls)})

    def given(self) -> dict[str, str]:
        """Those that were set."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name))}


@dataclass(frozen=True, slots=True)
class Part:
    """Some differences in their order. earlier, later: whether there are more before and behind them."""

    rows: tuple[Difference, ...]
    earlier: bool = False
    later: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """The differences of a run's verification in the target. tables: of the mapping, in its order."""

    conn: psycopg.Connection[Any]
    run: int
    comparison: int
    tables: tuple[str, ...]

    def part(
        self,
        filters: Filters,
        sort: str = "key",
        size: int = 100,
        after: int | None = None,
        before: int | None = None,
    ) -> Part:
        """Those behind the difference with the id `after`, or before that with `before`; else the first ones."""
        falls, names = _order(sort)
        back = before is not None
        edge = before if back else after
        where, values = self._meant(filters)
        if edge is not None:
            sign = verbatim("<") if back != falls else verbatim(">")
            names_sql, asked = joined(", ", names), joined(", ", (compose("x.{}", name) for name in names))
            edge_row = compose("(SELECT {} FROM migrator.difference AS x WHERE x.id = %(edge)s)", asked)
            where, values = (
                compose(
                    "{where} AND ({names_sql}) {sign} {edge_row}",
                    where=where,
                    names_sql=names_sql,
                    sign=sign,
                    edge_row=edge_row,
                ),
                {**values, "edge": edge},
            )
        result = self._ask(where, names, back != falls, values, size + 1)
        more, rows = len(result) > size, result[:size]
        if back:
            rows.reverse()
        earlier, later = (more, True) if back else (edge is not None, more)
        return Part(tuple(rows), earlier and bool(rows), later and bool(rows))

    def stream(self, filters: Filters, sort: str = "key") -> Iterator[Difference]:
        """All of them, from the server in pieces, so that memory holds few of them at a time."""
        falls, names = _order(sort)
        where, values = self._meant(filters)
        with self.conn.transaction():
            cursor = psycopg.ServerCursor(self.conn, "differences", row_factory=class_row(Difference))
            with cursor:
                cursor.itersize = STREAMED_ROWS
                cursor.execute(encoded(_select(where, names, falls)), values)
                yield from cursor

    def rows(self, filters: Filters, ids: Sequence[int], most: int) -> list[tuple[str, int, Kind, list[str]]]:
        """(table, range of the verification, kind, source keys) of the rows of these differences, else of all that are
        meant; not many more than `most`."""
        where, values = self._meant(filters)
        if ids:
            where, values = compose("{} AND id = ANY (%(ids)s)", where), {**values, "ids": list(ids)}
        some = compose(
            "SELECT DISTINCT table_name, chunk, kind, source_key FROM migrator.difference{where}"
            " AND source_key IS NOT NULL LIMIT {most}",
            where=where,
            most=most + 1,
        )
        query = compose(
            "SELECT table_name, chunk, kind, array_agg(source_key) FROM ({}) AS x GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            some,
        )
        return self.conn.execute(encoded(query), values).fetchall()

    def of_rows(self, filters: Filters, ids: Sequence[int], most: int) -> tuple[Difference, ...]:
        """All that differs in the first rows a repair of these could mend, by their keys; `most` of both at most."""
        where, values = self._meant(filters)
        if ids:
            where, values = compose("{} AND id = ANY (%(ids)s)", where), {**values, "ids": list(ids)}
        mended = verbatim(" AND kind <> 'extra' AND source_key IS NOT NULL")
        rows = compose(
            "SELECT table_name, place, source_key FROM migrator.difference{}{} ORDER BY {} LIMIT {}",
            where, mended, joined(", ", KEY), most,
        )  # fmt: skip
        run, own = self._meant(Filters())
        same = compose("{}{} AND (table_name, place, source_key) IN ({})", run, mended, rows)
        return tuple(self._ask(same, KEY, False, {**own, **values}, most))

    def count(self, filters: Filters) -> tuple[int, bool]:
        """How many are meant, and whether there are more than that: no more than MOST_COUNTED are counted."""
        where, values = self._meant(filters)
        some = compose("SELECT FROM migrator.difference{} LIMIT {}", where, MOST_COUNTED + 1)
        row = self.conn.execute(encoded(compose("SELECT count(*) FROM ({}) AS x", some)), values).fetchone()
        result = row[0] if row else 0
        return min(result, MOST_COUNTED), result > MOST_COUNTED

    def _ask(
        self, where: Sql, names: Sequence[Sql], falls: bool, values: Mapping[str, Any], size: int
    ) -> list[Difference]:
        with self.conn.cursor(row_factory=class_row(Difference)) as cursor:
            query = compose("{} LIMIT {}", _select(where, names, falls), size)
            return cursor.execute(encoded(query), values).fetchall()

    def _meant(self, filters: Filters) -> tuple[Sql, dict[str, Any]]:
        conditions = [verbatim("run = %(run)s"), verbatim("comparison = %(comparison)s")]
        values: dict[str, Any] = {"run": self.run, "comparison": self.comparison, "tables": list(self.tables)}
        exact = {
            verbatim("table_name"): filters.table,
            verbatim("column_name"): filters.column,
            verbatim("kind"): filters.kind,
            verbatim("why"): filters.why,
            verbatim("target_key"): filters.target_key,
        }
        for column, value in exact.items():
            if value:
                conditions.append(compose("{0} = %({0})s", column))
                values[column] = value
        if filters.key:
            place = compose(PLACE, verbatim("%(key)s::text"))
            conditions.append(
                compose(
                    "table_name = ANY (%(tables)s) AND place = {place} AND source_key = %(key)s", place=place
                )
            )
            values["key"] = filters.key
        return compose(" WHERE {}", joined(" AND ", conditions)), values


def _select(where: Sql, names: Sequence[Sql], falls: bool) -> Sql:
    order = joined(", ", (compose("{} DESC", name) if falls else name for name in names))
    return compose(
        'SELECT id, table_name AS "table", chunk, kind, source_key, target_key, column_name AS "column", expected,'
        " found, why FROM migrator.difference{where} ORDER BY {order}",
        where=where,
        order=order,
    )


def _order(sort: str) -> tuple[bool, tuple[Sql, ...]]:
    """(whether it falls, the columns); the first order for a name that is none."""
    return sort.startswith("-"), ORDERS.get(sort.removeprefix("-"), ORDERS["key"])


def comparison_of(report: Report) -> int:
    """Which verification of its run a report is of; 0 for those of before differences were kept."""
    return max((int(table.get("comparison") or 0) for table in report.tables), default=0)


def is_kept(run: Run, report: Report) -> bool:
    """Whether the target keeps the differences that this report speaks of: those of the last one that has ended."""
    last = run.reports.values_list("pk", flat=True).first()
    return report.pk == last and comparison_of(report) > 0


@contextmanager
def opened(run: Run, report: Report, statement_timeout_ms: int = LOOK_MS) -> Iterator[Store]:
    """The differences of a report. Refused where the target is closed or where they were replaced."""
    if not is_kept(run, report):
        raise Refused(
            [Problem("", "the differences of this verification are not kept: a later one replaced them")]
        )
    try:
        with sessions.connect(
            run.environment.target_url, purpose="differences", read_only=True,
            statement_timeout_ms=statement_timeout_ms,
        ) as conn:  # fmt: skip
            tables = tuple(str(table["name"]) for table in report.tables)
            yield Store(conn, run.pk, comparison_of(report), tables)
    except psycopg.errors.UndefinedTable as error:
        raise Refused(
            [Problem("", "the target has no schema migrator any more, in which they were kept")]
        ) from error
    except (unreachable.DatabaseUnreachable, psycopg.Error) as error:
        raise Refused([Problem("target", str(error).splitlines()[0])]) from error
