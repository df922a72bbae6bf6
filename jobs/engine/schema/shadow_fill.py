"""Filling a shadow column, a few seconds at a time, so that a stop is heard."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from jobs.engine.errors import EngineError
from jobs.engine.feed import run_sql
from jobs.engine.schema.lock_retry import LOCK_TIMEOUT_MS, lock_timeout, patiently
from mappings.plan.schema_steps import Step
from mappings.schema.kinds.shadow_fill import FILL_SECONDS, FILLED
from mappings.sql import Sql

CALL_SECONDS = 2
"""How long a call fills before it returns, so that a pause or a cancel is heard."""

GoOn = Callable[[str], bool]
"""Told how far the filling is; whether it is to go on."""


class Interrupted(EngineError):
    """A step was left half-way because the run is to stop; it goes on from there."""


def fill(conn: psycopg.Connection, step: Step, go_on: GoOn, wait: Callable[[str], None], tries: int) -> None:
    """Fills until no row is left. Raises Interrupted where go_on says so."""
    first, call = step.sql
    run_sql(conn, first)
    _set(conn, FILL_SECONDS, f"{CALL_SECONDS}")
    while (place := _filled(conn)) != "done":
        if not go_on(_in_words(place)):
            raise Interrupted(f"{step.title}: left half-way")
        patiently(conn, step.title, lambda: _call(conn, call), wait, tries)


def _call(conn: psycopg.Connection, call: Sql) -> None:
    with lock_timeout(conn, LOCK_TIMEOUT_MS):
        run_sql(conn, call)


def _filled(conn: psycopg.Connection) -> str:
    row = conn.execute("SELECT current_setting(%s)", [FILLED]).fetchone()
    return str(row[0]) if row else ""


def _set(conn: psycopg.Connection, name: str, value: str) -> None:
    conn.execute("SELECT set_config(%s, %s, false)", [name, value])


def _in_words(place: str) -> str:
    """place: the round, the page that is next, the last page."""
    if not place:
        return ""
    _, at, end = place.split()
    return f"page {min(int(at), int(end))} of {end} is filled"
