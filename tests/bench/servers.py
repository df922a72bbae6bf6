"""Servers of the benchmark's own, with the settings of production; Django is set up on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from migrator_site.embedded import Postgres, Valkey

NOT_OURS = ("DEBUG", "HTTPS", "ALLOWED_HOSTS", "SECRET_KEY", "CREDENTIALS_KEY", "RING_SECONDS")


@dataclass(frozen=True, slots=True)
class Servers:
    """near: control database, source, and the target of the layout `one`; far: the target of the layout `two`."""

    home: Path
    near: Postgres
    far: Postgres
    valkey: Valkey

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the product's processes."""
        urls = {"DATABASE_URL": self.near.url("migrator"), "REDIS_URL": self.valkey.url}
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        return kept | urls | {"MIGRATOR_HOME": str(self.home), "DEMO": "0"}

    @property
    def pids(self) -> list[int]:
        """Of the two PostgreSQL servers; their sessions are their children."""
        return [server.pid for server in (self.near, self.far) if server.pid]

    def restart(self, settings: dict[str, str]) -> None:
        """Starts both servers again with other settings than `make up` gives them; with these where there are none."""
        from django.db import connections

        for server in (self.near, self.far):
            changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
            execute(server.url("bench"), *(changes or ["ALTER SYSTEM RESET ALL"]))
            connections.close_all()
            server.stop("fast")
            server.start()

    def settle(self) -> None:
        """Writes out what is dirty, so that nobody pays for what was done before."""
        for server in (self.near, self.far):
            execute(server.url("bench"), "CHECKPOINT")


@contextmanager
def started() -> Iterator[Servers]:
    """Starts the servers, makes the control database and sets Django up; ends all and removes the data."""
    home = Path(tempfile.mkdtemp(prefix="migrator-bench-"))
    servers = Servers(home, Postgres(home), Postgres(home / "far"), Valkey(home))
    running = (servers.near, servers.far, servers.valkey)
    try:
        for server in running:
            server.start()
        for postgres in (servers.near, servers.far):
            postgres.create_database("bench")
        servers.near.create_database("migrator")
        _set_up_django(servers)
        yield servers
    finally:
        for server in running:
            server.stop("immediate")
        for pointer in home.rglob("*.elsewhere"):
            shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _set_up_django(servers: Servers) -> None:
    for name in NOT_OURS:
        os.environ.pop(name, None)
    os.environ.update(servers.environ, DJANGO_SETTINGS_MODULE="migrator_site.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Executes statements one by one, each committed; returns the rows of the last, if it has any."""
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            cursor = conn.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def timed(url: str, *statements: str) -> float:
    """Seconds that the statements take in one session, one transaction each, without the time to connect."""
    with psycopg.connect(url, autocommit=True) as conn:
        began = time.perf_counter()
        for statement in statements:
            conn.execute(statement.encode())
        return time.perf_counter() - began


def about(servers: Servers, rows: int, rounds: int) -> list[str]:
    """What a reader of the figures has to know."""
    (version,) = execute(servers.near.url("bench"), "SHOW server_version")[0]
    names = "fsync, synchronous_commit, full_page_writes, shared_buffers, wal_buffers, max_wal_size, wal_compression"
    found = [execute(servers.near.url("bench"), f"SHOW {name}")[0][0] for name in names.split(", ")]
    settings = ", ".join(f"{name} {value}" for name, value in zip(names.split(", "), found, strict=True))
    psql = shutil.which("psql")
    client = "no psql: its part is played by psycopg"
    if psql:
        client = subprocess.run([psql, "--version"], check=True, capture_output=True, text=True).stdout
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{rows:,} rows of 10 columns, {rounds} round(s), medians; {os.cpu_count()} cores, load before {load}",
        f"PostgreSQL {version}: {settings}; {client.strip()}",
        "one database: source and target in one; two databases: on two servers of this machine",
    ]
