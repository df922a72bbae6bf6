"""What the ledger has of a run: to be held against what the control database has as done."""

from __future__ import annotations

import psycopg

from jobs.engine.target.ledger import Done


def counted(conn: psycopg.Connection, run: int) -> dict[tuple[str, str], int]:
    """By table and phase, how many chunks of a run were committed."""
    rows = conn.execute(
        "SELECT table_name, phase, count(*) FROM migrator.ledger WHERE run = %s GROUP BY table_name, phase",
        [run],
    )
    return {(table, phase): count for table, phase, count in rows}


def committed(conn: psycopg.Connection, run: int, table: str, phase: str) -> dict[int, Done]:
    """By the number of each chunk of a phase, what it did to a table."""
    rows = conn.execute(
        "SELECT chunk, inserted, updated, kept, quarantined FROM migrator.ledger"
        " WHERE run = %s AND table_name = %s AND phase = %s",
        [run, table, phase],
    )
    return {chunk: Done(*did) for chunk, *did in rows}
