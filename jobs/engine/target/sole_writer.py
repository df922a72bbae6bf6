"""Whether anybody but the run has written to a table since it was made, as far as the server can tell."""

from __future__ import annotations

import psycopg

from jobs.engine.feed import run_sql
from mappings.sql import Sql, compose, literal


def is_sole(conn: psycopg.Connection, relation: str, rows: int) -> bool:
    """Whether a table's statistics know of no more than these rows inserted and of none changed or deleted, and nobody
    else holds a lock on it but to read.

    They come in up to some seconds late, and rows of a chunk that failed are counted as well: it is a good guess, for
    who would have to wait, and not for what rows there are.
    """
    row = run_sql(conn, _sole(relation, rows)).fetchone()
    return bool(row and row[0])


def _sole(relation: str, rows: int) -> Sql:
    return compose(
        "SELECT s.n_tup_ins <= {rows} AND s.n_tup_upd + s.n_tup_del = 0\n"
        "  AND NOT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid\n"
        "                   WHERE l.relation = s.relid AND l.locktype = 'relation' AND a.datname = current_database()\n"
        "                     AND l.mode <> 'AccessShareLock' AND a.pid <> pg_backend_pid()\n"
        "                     AND coalesce(a.backend_type, 'client backend') = 'client backend')\n"
        "  FROM pg_stat_all_tables AS s WHERE s.relid = {relation}::regclass",
        rows=rows, relation=literal(relation),
    )  # fmt: skip
