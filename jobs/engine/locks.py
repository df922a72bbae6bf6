"""Who holds a lock that a chunk waited for in vain."""

from __future__ import annotations

import psycopg

from jobs.engine.feed import run_sql
from mappings.projection import literal

AGAINST_WRITING = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")


def holders(conn: psycopg.Connection, relation: str) -> str:
    """Who locks a table against writing, else who writes to it: pid, user and what they run; '' if nobody does."""
    found = run_sql(
        conn,
        "SELECT a.pid, a.usename, a.state, left(a.query, 80) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
        f" WHERE l.relation = {literal(relation)}::regclass AND l.granted AND a.pid <> pg_backend_pid()"
        " AND l.mode <> 'AccessShareLock' GROUP BY 1, 2, 3, 4"
        f" ORDER BY min((l.mode NOT IN {AGAINST_WRITING!r})::int), 1 LIMIT 3",
    ).fetchall()
    return "; ".join(f"pid {pid}, user {user}, {state}: {query}" for pid, user, state, query in found)


def shut_out(conn: psycopg.Connection, relation: str) -> bool:
    """Whether somebody else locks a table against writing."""
    found = run_sql(
        conn,
        f"SELECT EXISTS (SELECT FROM pg_locks WHERE relation = {literal(relation)}::regclass AND granted"
        f" AND pid <> pg_backend_pid() AND mode IN {AGAINST_WRITING!r})",
    ).fetchone()
    return bool(found and found[0])
