"""What the forms offer and check: tables and columns of one environment's databases, asked for as needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import psycopg

from mappings.catalog import tables as catalog
from mappings.catalog.fingerprints import Side
from mappings.connections.sessions import DatabaseUnreachable, connect
from mappings.expressions.parser import ExpressionError, parse_relation
from mappings.models import Environment, TableMapping
from mappings.problems import Refused

STATEMENT_TIMEOUT_MS = 5000

Session: TypeAlias = "psycopg.Connection[tuple[object, ...]]"


class LiveTables:
    """The tables of an environment as a page needs them; each answer is asked for once.

    Where there is no environment or it does not answer, everything is unknown: nothing is offered,
    nothing is refused, and `note` says why.
    """

    def __init__(self, environment: Environment | None) -> None:
        self.environment = environment
        self.note = (
            "" if environment else "No environment is saved yet, so tables are neither offered nor checked."
        )
        self._tables: dict[Side, list[str]] = {}
        self._columns: dict[tuple[Side, str], list[str] | None] = {}

    def tables(self, side: Side) -> list[str]:
        """The tables to offer, quoted as in SQL."""
        if side not in self._tables:
            self._tables[side] = self._asked(side, catalog.list_tables) or []
        return self._tables[side]

    def columns(self, side: Side, relation: str) -> list[str] | None:
        """The columns of a table written as in SQL; [] if there is no such table, None if nobody knows."""
        if (side, relation) not in self._columns:
            self._columns[side, relation] = self._ask_columns(side, relation)
        return self._columns[side, relation]

    def source_columns(self, table: TableMapping) -> list[str] | None:
        """The names that `from` and `key` may use: with joins both `alias.column` and the bare column."""
        relations = [(table.alias, table.source)]
        relations += [(join.get("alias", ""), join.get("table", "")) for join in _joins(table)]
        names: list[str] = []
        for alias, relation in relations:
            columns = self.columns("source", relation)
            if columns is None:
                return None
            names += [f"{alias}.{column}" for column in columns] if len(relations) > 1 else []
            names += [column for column in columns if column not in names]
        return names

    def _ask_columns(self, side: Side, relation: str) -> list[str] | None:
        try:
            name = parse_relation(relation)
        except ExpressionError:
            return None

        def ask(session: Session) -> list[str]:
            oid = catalog.find(session, name.schema, name.name)
            return [] if oid is None else [column.name for column in catalog.read_table(session, oid).columns]

        return self._asked(side, ask)

    def _asked(self, side: Side, ask: Callable[[Session], list[str]]) -> list[str] | None:
        """The answer of one side; None, with the reason in `note`, where there is none."""
        session = self._session(side)
        if session is None:
            return None
        try:
            with session:
                return ask(session)
        except psycopg.Error as error:
            self._note(side, str(error).splitlines()[0])
            return None

    def _session(self, side: Side) -> Session | None:
        """A short look at one side; None, with the reason in `note`, where that is not possible."""
        if self.environment is None or self.note:
            return None
        try:
            url = self.environment.source_url if side == "source" else self.environment.target_url
            return connect(url, purpose="forms", read_only=True, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
        except (DatabaseUnreachable, Refused) as error:
            self._note(side, str(error))
            return None

    def _note(self, side: Side, why: str) -> None:
        self.note = f"Tables are neither offered nor checked: {side} of {self.environment}: {why}"


def _joins(table: TableMapping) -> list[dict[str, str]]:
    return [join for join in table.joins if isinstance(join, dict)] if isinstance(table.joins, list) else []
