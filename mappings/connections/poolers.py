"""Refuses a connection pooler that gives each transaction another session of the server."""

from __future__ import annotations

import select
import time
from contextlib import closing
from typing import Any

import psycopg
from psycopg import pq

from mappings.connections.unreachable import DatabaseUnreachable
from mappings.sql import encoded, verbatim

PROBES = 4
"""How often a session behind a proxy and another beside it are asked which session of the server they have."""

PROBE_SECONDS = 2.0
"""How long the other may wait for one: where the pool has none to spare, ours is not lent to it."""

BACKEND = verbatim("SELECT pg_catalog.pg_backend_pid()")


def refuse_pooled(connection: psycopg.Connection[Any], arguments: dict[str, Any]) -> None:
    """Raises DatabaseUnreachable where each transaction may get another session of the server. Nothing is set before.

    A proxy that only passes bytes on leaves the session's number as the server gave it. Behind one that does not, ours
    must stay the same, and another's must be another while ours is idle.
    arguments: with which it was opened.
    """
    mine = _backend(connection)
    if mine == connection.info.backend_pid:
        return
    if _backend(connection) != mine:
        raise DatabaseUnreachable("pooled")
    with closing(_probe(arguments)) as probe:
        for _ in range(PROBES):
            theirs = _backend_in_time(probe)
            if theirs == mine or _backend(connection) != mine:
                raise DatabaseUnreachable("pooled")
            if theirs is None:
                return


def _probe(arguments: dict[str, Any]) -> psycopg.Connection[Any]:
    own = {"application_name": "migrator looks for a pooler", "connect_timeout": str(int(PROBE_SECONDS))}
    return psycopg.connect(**{**arguments, **own}, autocommit=True)


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(encoded(BACKEND)).fetchone()
    assert row is not None
    return int(row[0])


def _backend_in_time(probe: psycopg.Connection[Any]) -> int | None:
    """The same; None where there is no answer in time, or the pooler has none."""
    until, pgconn = time.monotonic() + PROBE_SECONDS, probe.pgconn
    try:
        pgconn.send_query(encoded(BACKEND))
        pgconn.flush()
        while pgconn.is_busy():
            if not select.select([pgconn.socket], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
    except psycopg.Error:
        return None
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        return None
    answer = int(result.get_value(0, 0) or 0)
    while pgconn.get_result() is not None:
        continue
    return answer
