"""Sessions on real servers: the fixed settings, what is said when there is none, and which database it is."""

from __future__ import annotations

import psycopg
import pytest

from mappings.connections.sessions import connect, identity, same_database
from mappings.connections.unreachable import DatabaseUnreachable
from tests.conftest import Databases


def kind(url: str) -> str:
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(url, purpose="test")
    return caught.value.kind


def test_a_session_has_the_fixed_settings_whatever_the_role_says(databases: Databases) -> None:
    url = databases.fresh()
    with connect(url, purpose="set-up") as session:
        session.execute("ALTER ROLE CURRENT_USER SET datestyle = 'German'")
        session.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '1s'")
        session.execute("ALTER ROLE CURRENT_USER SET transaction_timeout = '1s'")
        session.execute("ALTER ROLE CURRENT_USER SET idle_session_timeout = '1s'")
        session.execute("ALTER ROLE CURRENT_USER SET array_nulls = off")
        session.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
    try:
        with connect(url, purpose="copy") as session:
            expected = {
                "timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "extra_float_digits": "1",
                "bytea_output": "hex", "lc_monetary": "C", "standard_conforming_strings": "on", "lock_timeout": "2s",
                "client_encoding": "UTF8", "idle_in_transaction_session_timeout": "10min", "statement_timeout": "0",
                "application_name": "migrator copy", "default_transaction_read_only": "off",
                "transaction_timeout": "0", "idle_session_timeout": "0", "synchronous_commit": "on",
                "array_nulls": "on", "xmloption": "content", "transform_null_equals": "off",
                "quote_all_identifiers": "off",
            }  # fmt: skip
            row = session.execute(
                "SELECT " + ", ".join(f"current_setting('{name}')" for name in expected)
            ).fetchone()
            assert row == tuple(expected.values())
            assert session.autocommit
    finally:
        with connect(url, purpose="tidy") as session:
            session.execute("ALTER ROLE CURRENT_USER RESET ALL")


def test_read_only_timeouts_and_transactions_are_asked_for(databases: Databases) -> None:
    url = databases.fresh()
    with connect(url, purpose="look", read_only=True, autocommit=False, statement_timeout_ms=50) as session:
        assert not session.autocommit
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("SELECT pg_sleep(5)")
        session.rollback()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.execute("CREATE TABLE t ()")


def test_the_environment_of_the_process_has_no_say(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.fresh()
    with monkeypatch.context() as environment:
        environment.setenv("PGHOSTADDR", "192.0.2.1")
        environment.setenv("PGOPTIONS", "-c work_mem=1GB")
        with connect(url, purpose="test") as session:
            assert session.execute("SHOW work_mem").fetchone() != ("1GB",)


def test_a_missing_database_and_a_full_server_are_told_apart(databases: Databases) -> None:
    url = databases.fresh()
    assert kind(url + "_nowhere") == "missing"
    name = url.rpartition("/")[2]
    with connect(url, purpose="test") as session:
        session.execute("CREATE ROLE crowd LOGIN PASSWORD 'crowd' CONNECTION LIMIT 0")
        try:
            host = f"{session.info.host}:{session.info.port}"
            assert kind(f"postgresql://crowd:crowd@{host}/{name}") == "busy"
            session.execute("ALTER ROLE crowd NOLOGIN")
            assert kind(f"postgresql://crowd:crowd@{host}/{name}") == "refused"
        finally:
            session.execute("DROP ROLE crowd")


def test_two_sessions_know_whether_they_meet(databases: Databases) -> None:
    pair = databases.pair("two")
    with (
        connect(pair.source, purpose="test") as source,
        connect(pair.source.replace("127.0.0.1", "localhost"), purpose="test") as again,
        connect(pair.target, purpose="test") as target,
    ):
        assert identity(source) == identity(again) != identity(target)
        assert same_database(source, again) and not same_database(source, target)


def test_identity_does_without_the_right_to_ask_for_the_cluster(databases: Databases) -> None:
    url = databases.fresh()
    with connect(url, purpose="test") as session:
        session.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        session.execute("CREATE ROLE plain")
        try:
            known = identity(session)
            session.execute("SET ROLE plain")
            assert identity(session) != known
            assert identity(session).endswith(url.rpartition("/")[2])
        finally:
            session.execute("RESET ROLE")
            session.execute("DROP ROLE plain")
