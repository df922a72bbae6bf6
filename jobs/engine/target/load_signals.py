"""Stop signals: what is looked up in the databases to know whether a run should wait. Each answers why, or ''."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from jobs.engine.target import stop_query
from mappings.sql import Sql, compose, encoded, verbatim

TIMEOUT_MS = 2_000
"""How long one look may take."""

OTHERS = verbatim("a.pid <> pg_backend_pid() AND coalesce(a.application_name, '') NOT LIKE 'migrator %%'")

REPLICAS = verbatim("""
SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8,
       coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint,
       count(*) FILTER (WHERE state IS NULL)
  FROM pg_stat_replication WHERE state IS NULL OR state IN ('streaming', 'catchup')
""")

SESSIONS = compose(
    """
SELECT count(*) FILTER (WHERE a.state IN ('active', 'fastpath function call')),
       count(*) FILTER (WHERE a.query = '<insufficient privilege>')
  FROM pg_stat_activity AS a
 WHERE a.datname = current_database() AND coalesce(a.backend_type, 'client backend') = 'client backend' AND {others}
""",
    others=OTHERS,
)

LOCK_QUEUE = compose(
    """
WITH written AS (
  SELECT coalesce(p.relid::oid, t.name::regclass::oid) AS relation
    FROM unnest(%(tables)s::text[]) AS t(name) LEFT JOIN pg_partition_tree(t.name::regclass) AS p ON true)
SELECT w.pid, coalesce(a.usename, 'somebody'), extract(epoch FROM clock_timestamp() - w.waitstart)::float8,
       h.relation::regclass::text
  FROM pg_locks AS w JOIN pg_stat_activity AS a ON a.pid = w.pid
  JOIN pg_locks AS h ON h.pid = w.pid AND h.relation IN (SELECT relation FROM written)
   AND h.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 WHERE NOT w.granted AND w.waitstart < clock_timestamp() - make_interval(secs => %(longest)s) AND {others}
 ORDER BY w.waitstart LIMIT 1
""",
    others=OTHERS,
)


def replication_lag(conn: psycopg.Connection, seconds: float | None, number_of_bytes: int | None) -> str:
    """Whether the slowest replica of this server lags more than either limit."""
    lag, behind, hidden = _row(conn, REPLICAS)
    if hidden:
        return "the lag of the target's replicas cannot be seen: the role needs pg_read_all_stats"
    if seconds is not None and lag > seconds:
        return f"a replica of the target lags {lag:.1f} s, more than {seconds:g}"
    if number_of_bytes is not None and behind > number_of_bytes:
        return f"a replica of the target lags {behind:,} bytes, more than {number_of_bytes:,}"
    return ""


def active_sessions(conn: psycopg.Connection, most: int) -> str:
    """Whether more sessions of others are active in this database."""
    active, hidden = _row(conn, SESSIONS)
    if active > most:
        return f"{active} other sessions are active in the target, more than {most}"
    if hidden:
        return "the sessions in the target cannot be seen: the role needs pg_read_all_stats"
    return ""


def lock_queue(conn: psycopg.Connection, tables: Sequence[str], longest: float) -> str:
    """Whether somebody has waited longer than that for a lock on one of these tables, or on a row of it."""
    row = _some(conn, LOCK_QUEUE, {"tables": list(tables), "longest": longest})
    if row is None:
        return ""
    pid, user, seconds, relation = row
    return f"session {pid} of {user} has waited {seconds:.0f} s for a lock on {relation}, longer than {longest:g} s"


def answer(conn: psycopg.Connection, query: str, side: str) -> str:
    """Whether the operator's query says wait. conn: a read-only session of its own, with a timeout.

    Whatever stops the query makes the run wait, and is said.
    """
    try:
        said = stop_query.ask(conn, query)
    except stop_query.NotOneSelect:
        return f"the query on the {side} is not one SELECT: it may only read"
    except stop_query.TooMuchRight as error:
        return (
            f"the query on the {side} is not asked with such rights: {error}; name a role in the environment's address"
            " that is not"
        )
    except psycopg.Error as error:
        return f"the query on the {side} failed: {error.diag.message_primary or str(error).strip()}"
    if isinstance(said, str):
        return said.strip()[:300]
    if said is None or isinstance(said, bool):
        return f"the query on the {side} says so" if said else ""
    return f"the query on the {side} answers {str(said)[:40]}; it must answer a boolean or a text"


def _row(conn: psycopg.Connection, query: Sql) -> tuple[float, ...]:
    row = _some(conn, query, {})
    assert row is not None
    return row


def _some(
    conn: psycopg.Connection, query: Sql, parameters: dict[str, object] | None = None
) -> TupleRow | None:
    with conn.transaction():
        conn.execute(encoded(compose("SET LOCAL statement_timeout = {}", TIMEOUT_MS)))
        return conn.execute(encoded(query), parameters).fetchone()
