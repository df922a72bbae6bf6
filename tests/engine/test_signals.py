"""Stop signals asked of servers of both versions, and by a role that may not see other sessions."""

from __future__ import annotations

import psycopg
import pytest

from jobs.engine.target import load_signals
from tests.conftest import Databases


@pytest.mark.parametrize("version", ["databases", "databases16"])
def test_a_quiet_server_holds_nobody(version: str, request: pytest.FixtureRequest) -> None:
    made: Databases = request.getfixturevalue(version)
    with psycopg.connect(made.fresh(), autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE parted (id integer) PARTITION BY RANGE (id); CREATE TABLE plain (id integer)"
        )
        assert load_signals.replication_lag(conn, 0, 0) == ""
        assert load_signals.active_sessions(conn, 0) == ""
        assert load_signals.lock_queue(conn, ["parted", "public.plain"], 0) == ""


def test_a_role_that_sees_no_other_session_waits_and_says_what_it_lacks(databases: Databases) -> None:
    url = databases.fresh()
    with psycopg.connect(url, autocommit=True) as other, psycopg.connect(url, autocommit=True) as conn:
        other.execute("DROP ROLE IF EXISTS shortsighted")
        other.execute("CREATE ROLE shortsighted")
        try:
            conn.execute("SET ROLE shortsighted")
            assert "needs pg_read_all_stats" in load_signals.active_sessions(conn, 5)
            other.execute("GRANT pg_read_all_stats TO shortsighted")
            assert load_signals.active_sessions(conn, 5) == ""
            conn.execute("RESET ROLE")
        finally:
            other.execute("DROP ROLE shortsighted")
