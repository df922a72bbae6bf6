"""Who holds a lock that a chunk waited for in vain."""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from jobs.engine.feed import run_sql
from mappings.sql import compose, joined, literal

AGAINST_WRITING = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")


class Holders(NamedTuple):
    """who: pid, user and what they run, '' if nobody is there; shut_out: whether one locks it against all writing."""

    who: str
    shut_out: bool


def holders(conn: psycopg.Connection, relation: str) -> Holders:
    """Who locks a table against writing, else who writes to it."""
    rows = run_sql(
        conn,
        compose(
            "SELECT a.pid, a.usename, a.state, left(a.query, 80), bool_or(l.mode IN ({against})) AS shuts_out"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.relation = {relation}::regclass AND l.granted AND a.pid <> pg_backend_pid()"
            " AND l.mode <> 'AccessShareLock' GROUP BY 1, 2, 3, 4 ORDER BY shuts_out DESC, 1 LIMIT 3",
            against=joined(", ", map(literal, AGAINST_WRITING)),
            relation=literal(relation),
        ),
    ).fetchall()
    who = "; ".join(f"pid {pid}, user {user}, {state}: {query}" for pid, user, state, query, _ in rows)
    return Holders(who, any(shuts_out for *_, shuts_out in rows))
