"""A pooler that changes sessions between transactions is refused before anything is set; others are used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from mappings.connections import sessions
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.problems import Refused
from tests import pgbouncer
from tests.conftest import Databases
from tests.journeys.proxy import Proxy
from tests.journeys.world import NewWorld, execute, work

pytestmark = pytest.mark.skipif(not pgbouncer.installed(), reason=pgbouncer.MISSING)

SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE source = 'session'"
    " AND name NOT IN ('client_encoding', 'application_name', 'DateStyle', 'TimeZone', 'standard_conforming_strings')"
)  # the others are those that PgBouncer itself keeps for each client
MAPPING = """
version: 1
name: pooled
tables: [{source: item, target: thing, columns: {label: label}}]
"""


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_it_is_recognised_and_left_as_it_was(
    databases: Databases, tmp_path: Path, mode: str, in_turn: bool
) -> None:
    with pgbouncer.pooled(databases.fresh(), tmp_path, mode, in_turn) as url:
        for _ in range(3):  # alone, and with sessions in the pool
            with pytest.raises(DatabaseUnreachable, match="connection pooler") as refused:
                sessions.connect(url, purpose="test")
            assert refused.value.kind == "pooled"
        with psycopg.connect(url, autocommit=True) as conn:
            for _ in range(4):
                assert conn.execute(SETTINGS).fetchall() == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_plan_and_a_run_refuse_it_by_name(new_world: NewWorld, tmp_path: Path, side: str) -> None:
    world = new_world("two")
    world.source("CREATE TABLE item (id int PRIMARY KEY, label text); INSERT INTO item VALUES (1, 'a')")
    world.target("CREATE TABLE thing (id serial PRIMARY KEY, label text)")
    world.define(MAPPING)
    run = world.start()
    direct = getattr(world.environment, f"{side}_url")
    with pgbouncer.pooled(direct, tmp_path, "transaction", True) as url:
        setattr(world.environment, f"{side}_url", url)
        world.environment.save()
        assert work(run).status == "failed"
        with pytest.raises(Refused, match=f"{side}: The address leads to a connection pooler"):
            world.start()
    assert world.target("SELECT to_regnamespace('migrator') IS NULL, count(*) FROM thing") == [(True, 0)]


def test_a_pool_of_sessions_and_a_plain_proxy_are_as_good_as_the_server(
    new_world: NewWorld, tmp_path: Path
) -> None:
    world = new_world("two")
    world.source("CREATE TABLE item (id int PRIMARY KEY, label text); INSERT INTO item VALUES (1, 'a')")
    world.target("CREATE TABLE thing (id serial PRIMARY KEY, label text)")
    world.define(MAPPING)
    proxy = Proxy(world.pair.target)
    try:
        with pgbouncer.pooled(world.pair.source, tmp_path, "session", False) as url:
            world.environment.source_url, world.environment.target_url = url, proxy.url
            world.environment.save()
            assert world.started().status == "verified"
    finally:
        proxy.close()


SETTINGS_IGNORED = "ignore_startup_parameters = options"


@pytest.mark.parametrize(
    ("mode", "more", "said"),
    [
        ("transaction", SETTINGS_IGNORED, "gives each transaction another session"),
        ("statement", SETTINGS_IGNORED, "gives each transaction another session"),
        ("session", SETTINGS_IGNORED, "does not pass on the settings of a session"),
        ("session", "", "unsupported startup parameter: options"),
    ],
)
def test_the_control_database_is_not_reached_through_it(
    databases: Databases, tmp_path: Path, mode: str, more: str, said: str
) -> None:
    """Nothing is made in it."""
    url, home = databases.fresh(), tmp_path / "home"
    command = [sys.executable, "manage.py", "migrate", "contenttypes"]
    with pgbouncer.pooled(url, tmp_path, mode, True, more) as pooled:
        env = {**os.environ, "DATABASE_URL": pooled, "MIGRATOR_HOME": str(home)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert execute(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


@pytest.mark.parametrize("where", ["ROLE {0}", "DATABASE {1}"])
def test_silenced_triggers_are_woken_or_refused(databases: Databases, where: str) -> None:
    url = databases.fresh()
    name, role = url.rpartition("/")[2], f"quiet_{url.rpartition('/')[2]}"
    execute(url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    plain = f"postgresql://{role}:x@{url.rpartition('@')[2]}"
    try:
        execute(url, f"ALTER {where.format(role, name)} SET session_replication_role = replica")
        with pytest.raises(DatabaseUnreachable, match="session_replication_role is not origin"):
            sessions.connect(plain, purpose="test")
        with sessions.connect(url, purpose="test") as conn:
            assert conn.execute("SHOW session_replication_role").fetchone() == ("origin",)
        execute(url, f"ALTER {where.format(role, name)} RESET session_replication_role")
        sessions.connect(plain, purpose="test").close()
    finally:
        execute(url, f"DROP ROLE {role}")
