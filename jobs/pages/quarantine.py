"""The rows that were set aside, as the target database keeps them, for the page that lists them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from jobs.models import Run
from mappings.connections import sessions, unreachable
from mappings.problems import Problem, Refused
from mappings.sql import encoded, verbatim

MOST_ROWS = 200
LOOK_MS = 10_000


@dataclass(frozen=True, slots=True)
class SetAside:
    """One source row that is not in the target: where it is from, which column, what the database said.

    row: its columns in order, each with its text or None; of joined tables, several may have one name.
    """

    table: str
    key: str
    column: str
    sqlstate: str
    message: str
    row: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """What rows of a table have in common, and one of their messages."""

    table: str
    column: str
    sqlstate: str
    rows: int
    message: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """All rows of a mapping that are set aside: by reason, the most first, and the first MOST_ROWS of them."""

    reasons: tuple[Reason, ...] = ()
    rows: tuple[SetAside, ...] = ()

    @property
    def total(self) -> int:
        return sum(reason.rows for reason in self.reasons)


REASONS = verbatim(
    "SELECT table_name, column_name, sqlstate, count(*), min(message) FROM migrator.quarantine WHERE mapping = %s"
    " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
)
ROWS = verbatim(
    "SELECT table_name, source_key, column_name, sqlstate, message, (SELECT json_agg(json_build_array(key,"
    " CASE WHEN length(value) > 2000 THEN left(value, 2000) || '…' ELSE value END))"  # all of it is in the target
    " FROM json_each_text(source_row) WHERE key NOT IN ('__key', '__value')) FROM migrator.quarantine"  # of lookups
    " WHERE mapping = %s ORDER BY table_name, length(source_key), source_key LIMIT %s"
)


def quarantine_of(run: Run) -> Quarantine:
    """What the run's mapping has in quarantine. Raises Refused where the target is closed."""
    try:
        with sessions.connect(
            run.environment.target_url,
            purpose="quarantine page",
            read_only=True,
            statement_timeout_ms=LOOK_MS,
        ) as target:
            reasons = target.execute(encoded(REASONS), [run.mapping.name]).fetchall()
            rows = target.execute(encoded(ROWS), [run.mapping.name, MOST_ROWS]).fetchall()
    except psycopg.errors.UndefinedTable:
        return Quarantine()
    except (unreachable.DatabaseUnreachable, psycopg.Error) as error:
        raise Refused([Problem("target", str(error).splitlines()[0])]) from error
    return Quarantine(
        tuple(Reason(*reason) for reason in reasons),
        tuple(
            SetAside(table, key, column, sqlstate, message, tuple((name, value) for name, value in row or ()))
            for table, key, column, sqlstate, message, row in rows
        ),
    )
