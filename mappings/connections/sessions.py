"""How the product reaches a source or a target: one way to connect, with settings that nobody else decides."""

from __future__ import annotations

import logging
import os
import re
import select
import time
from contextlib import closing
from typing import Any, Literal

import psycopg
from psycopg import pq

from mappings.connections import state
from mappings.connections.addresses import check_url, taken_apart
from mappings.problems import Problem, Refused
from mappings.sql import FIXED_PATH

__all__ = ["DatabaseUnreachable", "check_url", "connect", "identity", "same_database"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5

UnreachableKind = Literal[
    "unanswered", "refused", "missing", "busy", "starting", "pooled", "silenced", "unsettled"
]
UNFIT: tuple[UnreachableKind, ...] = ("pooled", "silenced", "unsettled")
"""Kinds that do not pass by waiting."""

SENTENCES: dict[UnreachableKind, str] = {
    "unanswered": (
        "The database does not answer. Check host, port and TLS mode, "
        "and that it accepts connections from here."
    ),
    "refused": "The database refuses the user or the password.",
    "missing": "The database server has no database of that name.",
    "busy": "The database has no free connection left. Wait for others to leave, or raise max_connections.",
    "starting": "The database is starting, stopping or recovering. Try again in a moment.",
    "pooled": (
        "The address leads to a connection pooler that gives each transaction another session of the server"
        " (PgBouncer: pool_mode = transaction or statement), where no setting holds. Name the server itself,"
        " or a pool with pool_mode = session."
    ),
    "silenced": (
        "Triggers and foreign keys would not fire in this session: session_replication_role is not origin, by"
        " ALTER ROLE or ALTER DATABASE ... SET, and this role may not change it. RESET it there, or"
        " GRANT SET ON PARAMETER session_replication_role to the role."
    ),
    "unsettled": "The session does not keep the settings that were made in it. Name the server itself in the address.",
}
# The server says these before a connection exists, so there is no SQLSTATE to go by.
SIGNS: tuple[tuple[str, UnreachableKind], ...] = (
    ("too many clients already", "busy"),
    ("remaining connection slots", "busy"),
    ("too many connections for", "busy"),
    ("is starting up", "starting"),
    ("is shutting down", "starting"),
    ("is in recovery mode", "starting"),
    ("is not yet accepting connections", "starting"),
    ("authentication failed", "refused"),
    ("no password supplied", "refused"),
    ("no pg_hba.conf entry", "refused"),
    ("is not permitted to log in", "refused"),
    ("permission denied for database", "refused"),
)


class DatabaseUnreachable(Exception):
    """No session could be opened; the text says which kind of reason, and nothing about the address."""

    def __init__(self, kind: UnreachableKind) -> None:
        self.kind = kind
        super().__init__(SENTENCES[kind])


def connect(
    url: str,
    *,
    purpose: str,
    read_only: bool = False,
    autocommit: bool = True,
    statement_timeout_ms: int | None = None,
    lock_timeout_ms: int = 2000,
) -> psycopg.Connection[Any]:
    """An open session with the fixed settings; Refused for a bad address, DatabaseUnreachable otherwise."""
    address = taken_apart(url)
    if address.problems:
        raise Refused([Problem("", problem) for problem in address.problems])
    try:
        connection = psycopg.connect(**_connect_arguments(address.parts, purpose), autocommit=True)
    except psycopg.Error as error:
        log.warning("connecting for %s failed: %s", purpose, error)  # the log may know the address, pages not
        raise DatabaseUnreachable(_kind(str(error))) from error
    try:
        _refuse_pooled(connection, address.parts)
        _settle(connection, read_only, statement_timeout_ms, lock_timeout_ms)
        _assert_settled(connection)
        connection.autocommit = autocommit
    except psycopg.Error as error:
        connection.close()
        raise DatabaseUnreachable("unanswered") from error
    except DatabaseUnreachable:
        connection.close()
        raise
    return connection


def identity(connection: psycopg.Connection[Any]) -> str:
    """Which database this is, stable over restarts: cluster, oid and name; without the right to ask for the
    cluster, the server's address and port instead. To tell whether two sessions meet, use same_database."""
    row = connection.execute(
        "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'execute'), d.oid::text, d.datname,"
        " coalesce(host(inet_server_addr()), 'local'), coalesce(inet_server_port(), 0)"
        " FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()"
    ).fetchone()
    assert row is not None
    allowed, oid, name, host, port = row
    if not allowed:
        return f"{host}:{port}/{oid}/{name}"
    found = connection.execute(
        "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
    ).fetchone()
    assert found is not None
    return f"{found[0]}/{oid}/{name}"


def same_database(one: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool:
    """Whether two open sessions are in the same database of the same server, whatever their addresses.

    A restored copy of a server keeps its system identifier; the start time of the running server tells
    the copy from the original, and two routes to one server from two servers.
    """
    question = (
        "SELECT pg_catalog.pg_postmaster_start_time()::text, d.oid::text, d.datname"
        " FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()"
    )
    return one.execute(question).fetchone() == other.execute(question).fetchone()


def _connect_arguments(parts: dict[str, str], purpose: str) -> dict[str, Any]:
    """Everything libpq would otherwise take from its environment or from files is given here."""
    return {
        "password": "",
        **parts,
        "application_name": f"migrator {purpose}"[:63],
        "connect_timeout": parts.get("connect_timeout", str(CONNECT_TIMEOUT_S)),
        "hostaddr": "",
        "options": "",
        "passfile": os.path.join(os.devnull, "none"),
        "client_encoding": "UTF8",
        "keepalives": "1",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
    }


PROBES = 4
"""How often a session behind a proxy and another beside it are asked which session of the server they have."""

PROBE_SECONDS = 2.0
"""How long the other may wait for one: where the pool has none to spare, ours is not lent to it."""


def _refuse_pooled(connection: psycopg.Connection[Any], parts: dict[str, str]) -> None:
    """Raises DatabaseUnreachable where each transaction may get another session of the server. Nothing is set before.

    A proxy that only passes bytes on leaves the session's number as the server gave it. Behind one that does not, ours
    must stay the same, and another's must be another while ours is idle.
    """
    mine = _backend(connection)
    if _backend(connection) != mine:
        raise DatabaseUnreachable("pooled")
    if mine == connection.info.backend_pid:
        return
    with closing(_probe(parts)) as probe:
        for _ in range(PROBES):
            theirs = _backend_in_time(probe)
            if theirs == mine or _backend(connection) != mine:
                raise DatabaseUnreachable("pooled")
            if theirs is None:
                return


def _probe(parts: dict[str, str]) -> psycopg.Connection[Any]:
    arguments = {
        **_connect_arguments(parts, "looks for a pooler"),
        "connect_timeout": str(int(PROBE_SECONDS)),
    }
    return psycopg.connect(**arguments, autocommit=True)


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(BACKEND).fetchone()
    assert row is not None
    return int(row[0])


def _backend_in_time(probe: psycopg.Connection[Any]) -> int | None:
    """The same; None where there is no answer in time, or the pooler has none."""
    until, pgconn = time.monotonic() + PROBE_SECONDS, probe.pgconn
    try:
        pgconn.send_query(BACKEND)
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
    found = int(result.get_value(0, 0) or 0)
    while pgconn.get_result() is not None:
        continue
    return found


BACKEND = b"SELECT pg_catalog.pg_backend_pid()"


def _settle(
    connection: psycopg.Connection[Any],
    read_only: bool,
    statement_timeout_ms: int | None,
    lock_timeout_ms: int,
) -> None:
    """Fixes what a role's or a database's own settings could change about values and waiting."""
    for statement in state.fixed(local=False):
        connection.execute(statement.encode())
    _fire(connection)
    settings = {
        **state.VALUES,
        "lock_timeout": f"{lock_timeout_ms}ms",
        "statement_timeout": f"{statement_timeout_ms or 0}ms",
        "idle_in_transaction_session_timeout": "10min",
        "default_transaction_read_only": "on" if read_only else "off",
        **UNHURRIED,
    }
    connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s(name, value)"
        " WHERE current_setting(name, true) IS NOT NULL",  # some came with later versions
        [list(settings), list(settings.values())],
    )
    connection.execute(KEPT_IN_A_CRASH)
    for statement in NOTICING_A_LOST_CLIENT:
        try:  # only some platforms can
            connection.execute(statement)
        except psycopg.Error:
            if connection.pgconn.status != pq.ConnStatus.OK:
                raise


def _fire(connection: psycopg.Connection[Any]) -> None:
    """Has triggers and foreign keys fire. Raises DatabaseUnreachable where it may not say so."""
    row = connection.execute("SELECT current_setting('session_replication_role')").fetchone()
    if row == ("origin",):
        return
    try:
        connection.execute("SET session_replication_role = origin")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnreachable("silenced") from error


def _assert_settled(connection: psycopg.Connection[Any]) -> None:
    """Looks once more, in a transaction of its own, whether what was set is there."""
    row = connection.execute(
        "SELECT pg_catalog.current_setting('search_path'), pg_catalog.current_setting('row_security'),"
        " pg_catalog.current_setting('session_replication_role'),"
        " pg_catalog.current_setting('migrator.backend', true), pg_catalog.pg_backend_pid()"
    ).fetchone()
    assert row is not None
    if tuple(row) != (FIXED_PATH, "off", "origin", str(row[4]), row[4]):
        raise DatabaseUnreachable("unsettled")


UNHURRIED = {"transaction_timeout": "0", "idle_session_timeout": "0"}
"""A chunk takes as long as its statements may, and one side waits for the other."""

KEPT_IN_A_CRASH = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', false)"
    " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
)
"""What a target has acknowledged must be there after a crash: the control database takes it as done."""

NOTICING_A_LOST_CLIENT = (
    "SET client_connection_check_interval = '5s'",
    "SELECT set_config(name, value, false) FROM (VALUES ('tcp_keepalives_idle', '30'),"
    " ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '60000'))"
    " AS s(name, value)",
)


def _kind(text: str) -> UnreachableKind:
    """What stood in the way, by what the server said; other servers' words all mean `unanswered`."""
    if "FATAL:" not in text:
        return "refused" if "no password supplied" in text else "unanswered"
    if re.search(r'FATAL:  database ".*" does not exist', text):
        return "missing"
    if re.search(r'FATAL:  role ".*" does not exist', text):
        return "refused"
    return next((kind for sign, kind in SIGNS if sign in text), "unanswered")
