"""The rows that were set aside, as the target database keeps them, for the page that lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from jobs.models import Run
from mappings import databases
from mappings.problems import Problem, Refused

MOST_ROWS = 200
LOOK_MS = 10_000


@dataclass(frozen=True, slots=True)
class SetAside:
    """One source row that is not in the target: where it is from, which column, what the database said."""

    table: str
    key: str
    column: str
    sqlstate: str
    message: str
    row: Mapping[str, object]


def rows_set_aside(run: Run) -> tuple[SetAside, ...]:
    """The first MOST_ROWS rows of the run's mapping in quarantine. Raises Refused where the target is closed."""
    try:
        with databases.connect(
            run.environment.target_url,
            purpose="quarantine page",
            read_only=True,
            statement_timeout_ms=LOOK_MS,
        ) as target:
            found = target.execute(
                "SELECT table_name, source_key, column_name, sqlstate, message, source_row::text"
                " FROM migrator.quarantine WHERE mapping = %s ORDER BY table_name, source_key LIMIT %s",
                [run.mapping.name, MOST_ROWS],
            ).fetchall()
    except psycopg.errors.UndefinedTable:
        return ()
    except (databases.DatabaseUnreachable, psycopg.Error) as error:
        raise Refused([Problem("target", str(error).splitlines()[0])]) from error
    return tuple(
        SetAside(table, key, column, sqlstate, message, json.loads(row or "{}"))
        for table, key, column, sqlstate, message, row in found
    )
