"""How the product reaches a source or a target: one way to connect, with settings that nobody else decides."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq

from mappings.connections import state
from mappings.connections.addresses import check_url, taken_apart
from mappings.connections.poolers import refuse_pooled
from mappings.connections.unreachable import DatabaseUnreachable, kind_of
from mappings.problems import Problem, Refused
from mappings.sql import FIXED_PATH, Sql, compose, encoded, joined, literal, verbatim

__all__ = ["DatabaseUnreachable", "check_url", "connect", "identity", "same_database"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5


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
    arguments = _connect_arguments(address.parts, purpose)
    try:
        connection = psycopg.connect(**arguments, autocommit=True)
    except psycopg.Error as error:
        log.warning("connecting for %s failed: %s", purpose, error)  # the log may know the address, pages not
        raise DatabaseUnreachable(kind_of(str(error))) from error
    try:
        refuse_pooled(connection, arguments)
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
    result = connection.execute(
        "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
    ).fetchone()
    assert result is not None
    return f"{result[0]}/{oid}/{name}"


def same_database(one: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool:
    """Whether two open sessions are in the same database of the same server, whatever their addresses.

    A restored copy of a server keeps its system identifier; the start time of the running server tells
    the copy from the original, and two routes to one server from two servers.
    """
    question = verbatim(
        "SELECT pg_catalog.pg_postmaster_start_time()::text, d.oid::text, d.datname"
        " FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()"
    )
    return one.execute(encoded(question)).fetchone() == other.execute(encoded(question)).fetchone()


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


def _settle(
    connection: psycopg.Connection[Any],
    read_only: bool,
    statement_timeout_ms: int | None,
    lock_timeout_ms: int,
) -> None:
    """Fixes what a role's or a database's own settings could change about values and waiting: all at once, but for
    what only some platforms have."""
    settings = {
        **state.VALUES,
        "lock_timeout": f"{lock_timeout_ms}ms",
        "statement_timeout": f"{statement_timeout_ms or 0}ms",
        "idle_in_transaction_session_timeout": "10min",
        "default_transaction_read_only": "on" if read_only else "off",
        **UNHURRIED,
    }
    fixed = [*state.fixed(local=False), _given(settings), KEPT_IN_A_CRASH]
    if _try(connection, [*fixed, *NOTICING_A_LOST_CLIENT]):
        return
    connection.execute(encoded(joined(";", fixed)))
    for statement in NOTICING_A_LOST_CLIENT:
        _try(connection, [statement])


def _given(settings: dict[str, str]) -> Sql:
    """Sets these for the session, but for those that came with later versions."""
    pairs = (compose("({}, {})", literal(name), literal(value)) for name, value in settings.items())
    return compose(
        "SELECT set_config(name, value, false) FROM (VALUES {}) AS s(name, value)"
        " WHERE current_setting(name, true) IS NOT NULL",
        joined(", ", pairs),
    )


def _try(connection: psycopg.Connection[Any], statements: Sequence[Sql]) -> bool:
    """Executes statements, all or none; False where the server refuses one."""
    try:
        connection.execute(encoded(joined(";", statements)))
    except psycopg.Error:
        if connection.pgconn.status != pq.ConnStatus.OK:
            raise
        return False
    return True


def _assert_settled(connection: psycopg.Connection[Any]) -> None:
    """Looks once more, in a transaction of its own, whether what was set is there, and has triggers and foreign keys
    fire."""
    path, security, role, settled, backend = _state(connection)
    if role != "origin":
        _fire(connection)
        path, security, role, settled, backend = _state(connection)
    if (path, security, role, settled) != (FIXED_PATH, "off", "origin", str(backend)):
        raise DatabaseUnreachable("unsettled")


def _state(connection: psycopg.Connection[Any]) -> tuple[str, str, str, str, int]:
    row = connection.execute(
        "SELECT pg_catalog.current_setting('search_path'), pg_catalog.current_setting('row_security'),"
        " pg_catalog.current_setting('session_replication_role'),"
        " pg_catalog.current_setting('migrator.backend', true), pg_catalog.pg_backend_pid()"
    ).fetchone()
    assert row is not None
    path, security, role, settled, backend = row
    return path, security, role, settled, backend


def _fire(connection: psycopg.Connection[Any]) -> None:
    """Has triggers and foreign keys fire. Raises DatabaseUnreachable where it may not say so."""
    try:
        connection.execute("SET session_replication_role = origin")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnreachable("silenced") from error


UNHURRIED = {"transaction_timeout": "0", "idle_session_timeout": "0"}
"""A chunk takes as long as its statements may, and one side waits for the other."""

KEPT_IN_A_CRASH = verbatim(
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', false)"
    " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
)
"""What a target has acknowledged must be there after a crash: the control database takes it as done."""

NOTICING_A_LOST_CLIENT = (
    verbatim("SET client_connection_check_interval = '5s'"),
    verbatim(
        "SELECT set_config(name, value, false) FROM (VALUES ('tcp_keepalives_idle', '30'),"
        " ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '60000'))"
        " AS s(name, value)"
    ),
)
