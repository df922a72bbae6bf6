"""Real servers: started, killed, started again, and closed to everybody without the password."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from migrator_site import binaries
from migrator_site.embedded import EmbeddedError, Postgres, Valkey, addresses
from migrator_site.processes import is_alive
from tests.conftest import Databases
from tests.journeys.gate import wait_for


@pytest.fixture
def home() -> Iterator[Path]:
    """A home directly under the folder for temporary files: pytest's own are closed to other accounts."""
    path = Path(tempfile.mkdtemp(prefix='migrator "home" of O\'Neil '))
    yield path
    for pointer in path.glob("*.elsewhere"):
        shutil.rmtree(pointer.read_text().strip())
    shutil.rmtree(path)


@pytest.fixture
def postgres(home: Path) -> Iterator[Postgres]:
    server = Postgres(home, fast=True)
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def running_valkey(home: Path) -> Iterator[Valkey]:
    server = Valkey(home)
    server.start()
    yield server
    server.stop()


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("version", [18, 16])
def test_starts_keeps_data_and_address_and_starts_again(home: Path, version: int) -> None:
    server = Postgres(home, version, fast=True)
    try:
        server.start()
        assert server.create_database('Weird "Name"') is True
        assert server.create_database('Weird "Name"') is False
        address = server.url("postgres")
        assert str(one(address, "SHOW server_version")).startswith(str(version))
        server.stop()
        assert server.pid is None
        server.start()
        assert server.url("postgres") == address
        assert one(address, "SELECT count(*) FROM pg_database WHERE datname = 'Weird \"Name\"'") == 1
    finally:
        server.stop("immediate")


def test_a_killed_postmaster_can_be_started_again_at_once(home: Path) -> None:
    server = Postgres(home)  # not fast: what was committed is there after the crash
    server.start()
    try:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            assert server.process is not None
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
            began = time.monotonic()
            server.start()
        assert time.monotonic() - began < 10
        assert one(server.url("postgres"), "SELECT answer FROM kept") == 42
    finally:
        server.stop("immediate")


def test_a_server_that_was_restarted_by_hand_is_taken_as_ours(postgres: Postgres) -> None:
    address, before = postgres.url("postgres"), postgres.pid
    assert before
    command = Path(f"/proc/{before}/cmdline").read_bytes().split(b"\0")[:-1]
    os.kill(before, signal.SIGQUIT)
    wait_for(lambda: not is_alive(before))
    subprocess.run(  # as pg_ctl restart does it, which cannot write to folders with quotes in their names
        ["/bin/sh", "-c", '"$@" >/dev/null 2>&1 &', "sh", *command], check=True, cwd="/",
        **postgres.account.popen_options(),
    )  # fmt: skip
    wait_for(postgres.answers)
    assert postgres.pid is None
    postgres.start()
    pid = postgres.pid
    assert pid and postgres.url("postgres") == address and one(address, "SELECT 1") == 1
    postgres.stop("immediate")
    assert not is_alive(pid)


def test_two_data_directories_at_once(home: Path, postgres: Postgres) -> None:
    other = Postgres(home / "other", fast=True)
    other.start()
    try:
        assert other.port != postgres.port
        postgres.create_database("only_here")
        assert one(other.url("postgres"), "SELECT count(*) FROM pg_database WHERE datname = 'only_here'") == 0
    finally:
        other.stop("immediate")
        for pointer in (home / "other").glob("*.elsewhere"):
            shutil.rmtree(pointer.read_text().strip())


def test_nobody_enters_without_the_password(postgres: Postgres) -> None:
    base = f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres"
    for url in (base, base.replace("postgres@", "postgres:wrong@")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url, passfile="/nonexistent")
    assert one(postgres.url("postgres"), "SHOW listen_addresses") == "127.0.0.1"
    assert one(postgres.url("postgres"), "SHOW unix_socket_directories") == ""


def test_a_password_that_does_not_fit_is_said_not_waited_for(postgres: Postgres) -> None:
    postgres.stop()
    (postgres.home / "secrets" / postgres.name).write_text("another\n")
    with pytest.raises(EmbeddedError, match="another password"):
        postgres.start()


def test_all_files_are_private(postgres: Postgres, running_valkey: Valkey) -> None:
    assert postgres.home == running_valkey.home
    for path in postgres.home.rglob("*"):
        mode = path.stat().st_mode & 0o777
        allowed = (
            0o600 if path.is_file() else 0o710
        )  # 0710: the servers' account passes through, others do not
        assert mode & ~allowed & 0o177 == 0, f"{path} {mode:o}"
    with psycopg.connect(postgres.url("postgres")) as connection:
        assert connection.info.backend_pid
    assert running_valkey.password not in Path(f"/proc/{running_valkey.pid}/cmdline").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
def test_servers_do_not_run_as_root(postgres: Postgres, running_valkey: Valkey) -> None:
    for server in (postgres, running_valkey):
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert "Groups:\t \n" in Path(f"/proc/{server.pid}/status").read_text().replace("\t\n", "\t \n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
def test_closed_folders_are_gone_round(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a wheel that the account cannot reach: data and binaries are put where it can."""
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    honest = binaries.Account.can
    monkeypatch.setattr(
        binaries.Account,
        "can",
        lambda self, mode, path: "pginstall" not in str(path) and honest(self, mode, path),
    )
    server = Postgres(closed / "inner", fast=True)
    server.start()
    place = Path((closed / "inner" / "postgres-18.elsewhere").read_text().strip())
    try:
        assert one(server.url("postgres"), "SELECT 1") == 1
        assert os.readlink(f"/proc/{server.pid}/exe").startswith(str(place / "wheel"))
        assert place.stat().st_mode & 0o777 == 0o710
        server.stop()
        server.start()
        assert server.place == place
    finally:
        server.stop("immediate")
        shutil.rmtree(place)


def test_a_stranger_on_the_port_gets_another_one_chosen(postgres: Postgres) -> None:
    before = postgres.port
    postgres.stop()
    with socket.create_server(("127.0.0.1", before)):
        postgres.start()
    assert postgres.port != before
    assert one(postgres.url("postgres"), "SELECT 1") == 1


def test_valkey_keeps_what_was_acknowledged(running_valkey: Valkey) -> None:
    client = redis.Redis.from_url(running_valkey.url)
    client.set("ring", "7")
    time.sleep(1.2)  # appendfsync everysec
    assert running_valkey.process is not None
    running_valkey.process.kill()
    running_valkey.process.wait()
    running_valkey.start()
    assert client.get("ring") == b"7"
    client.close()
    stranger = redis.Redis(port=running_valkey.port, retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    stranger.close()


def test_other_processes_find_the_servers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    assert addresses(home) is None, "never started"
    postgres, valkey = Postgres(home, fast=True), Valkey(home, fast=True)
    postgres.start()
    valkey.start()
    try:
        found = addresses(home)
        assert found is not None and found.database_runs
        assert found.database_url == postgres.url("migrator")
        assert found.admin_url == postgres.url("postgres")
        assert found.redis_url == valkey.url
        postgres.stop("immediate")
        found = addresses(home)
        assert found is not None and not found.database_runs
        monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/control")
        found = addresses(home)
        assert found is not None and (found.database_url, found.admin_url) == (
            "postgresql://elsewhere/control",
            None,
        )
    finally:
        postgres.stop("immediate")
        valkey.stop("immediate")


def test_servers_end_with_the_process_that_started_them(home: Path) -> None:
    code = (
        "import sys, pathlib; from migrator_site.embedded import Postgres, Valkey\n"
        "servers = Postgres(pathlib.Path(sys.argv[1])), Valkey(pathlib.Path(sys.argv[1]))\n"
        "[server.start() for server in servers]; print(*[server.pid for server in servers], flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pids = [int(word) for word in starter.stdout.readline().split()]
        assert len(pids) == 2 and all(is_alive(pid) for pid in pids)
        starter.kill()
    deadline = time.monotonic() + 60
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_debian_has_what_the_embedded_servers_lack(databases15: Databases) -> None:
    with psycopg.connect(databases15.fresh(), autocommit=True) as connection:
        for extension in ("citext", "hstore", "ltree"):
            connection.execute(f"CREATE EXTENSION {extension}")
        connection.execute(
            "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
        found = connection.execute(
            "SELECT 'a'::citext = 'A', nlevel('a.b'), 'x' COLLATE blind = 'X'"
        ).fetchone()
    assert found == (True, 2, True)
