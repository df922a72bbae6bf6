"""The embedded PostgreSQL and Valkey: start them, stop them, find the running ones.

Both listen on 127.0.0.1 only, on a port that stays the same, and let nobody in without the generated
password. Under root they run as an unprivileged account. They end with the process that started them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mappings.sql import encoded
from migrator_site.binaries import EmbeddedError, postgres_bin, valkey_binary
from migrator_site.private import write_private
from migrator_site.processes import is_alive
from migrator_site.server import CLEAN_ENVIRONMENT, Server, free_port, read_state

__all__ = ["Addresses", "EmbeddedError", "Postgres", "Valkey", "addresses", "free_port"]

POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    "effective_cache_size": "2GB",
    "random_page_cost": "1.1",
    "wal_buffers": "64MB",  # 8 would follow from shared_buffers: two who write at once then wait for each other
    "min_wal_size": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "client_connection_check_interval": "10s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "logging_collector": "off",
}
FAST_SETTINGS = {
    "wal_buffers": "-1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
# A client computes 4,096 hashes for each connection by default: 3 ms, and a test opens fifty.
FEW_HASHES = ["-c", "scram_iterations=1"]


class Postgres(Server):
    """An embedded PostgreSQL of that major version (18 or 16) with its data under home; superuser `postgres`."""

    stop_signals: ClassVar = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

    def __init__(self, home: Path, version: int = 18, fast: bool = False) -> None:
        super().__init__(home, f"postgres-{version}", fast)
        self.version = version

    def url(self, database: str) -> str:
        """The URL of a superuser's connection to that database."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> bool:
        """Create the database unless it exists; whether it was created."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return False
            statement = connection.execute(
                "SELECT format('CREATE DATABASE %%I', %s::text)", [name]
            ).fetchone()
            assert statement is not None
            connection.execute(encoded(statement[0]))
        return True

    def find_binaries(self) -> Path:
        """The folder with initdb and postgres."""
        return postgres_bin(self.version, self.account, self.place)

    def install(self) -> None:
        """Find the binaries; initialise the data, in a folder that gets its name when it is complete."""
        self.binaries = self.find_binaries()
        self.data = self.place / "data"
        if self.data.exists():
            return
        unfinished, password = self.place / "data.new", self.place / "password"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        write_private(password, self.password)
        self.account.owns(unfinished)
        self.account.owns(password)
        try:
            self._initdb(unfinished, password)
        finally:
            password.unlink()
        unfinished.rename(self.data)

    def _initdb(self, data: Path, password: Path) -> None:
        # PostgreSQL's own C.UTF-8 (from 17 on) knows the letters of all languages and no operating system changes it.
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if self.version >= 17 else ["--locale=C"]
        quick = self._quick() if self.fast else []
        command = [
            str(self.binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-E",
            "UTF8",
            *locale,
            *quick,
        ]
        command += ["--auth=scram-sha-256", f"--pwfile={password}"]
        done = subprocess.run(
            command,
            env=CLEAN_ENVIRONMENT,
            cwd="/",
            check=False,
            capture_output=True,
            text=True,
            **self.account.popen_options(),
        )
        if done.returncode:
            raise EmbeddedError(f"initdb failed: {(done.stderr or done.stdout)[-2000:]}")

    def _quick(self) -> list[str]:
        """What saves a test time that initdb takes, as far as this version has it."""
        checksums = ["--no-data-checksums"] if self.version >= 18 else []
        return ["--no-sync", *(FEW_HASHES if self.version >= 16 else []), *checksums]

    def launch(self, port: int, log: int) -> subprocess.Popen[bytes]:
        settings = POSTGRES_SETTINGS | (FAST_SETTINGS if self.fast else {}) | shared_memory_setting()
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-c", f"port={port}"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # An orphan shuts down in order, so that the next start needs no recovery; a test's need not.
        return self.popen(command, log, orphaned=self.stop_signals["immediate" if self.fast else "fast"])

    def keeper(self) -> int | None:
        with suppress(OSError, IndexError, ValueError):
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            return pid if is_alive(pid) else None
        return None

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                self.stop()
                raise EmbeddedError(
                    f"{self.data} has another password than the one kept in {self.home}."
                ) from error
            return False
        return True


def shared_memory_setting() -> dict[str, str]:
    """Containers have 64 MB in /dev/shm, which a parallel join of large tables exceeds."""
    try:
        state = os.statvfs("/dev/shm")
    except OSError:
        return {}
    return {"dynamic_shared_memory_type": "sysv"} if state.f_blocks * state.f_frsize < 2**30 else {}


class Valkey(Server):
    """An embedded Valkey with its data under home; what was acknowledged a second ago survives a crash."""

    stop_signals: ClassVar = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    def __init__(self, home: Path, fast: bool = False) -> None:
        super().__init__(home, "valkey", fast)

    @property
    def url(self) -> str:
        """The URL that clients use."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def install(self) -> None:
        self.binary = valkey_binary(self.account, self.place)
        self.data = self.place / "data"
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            self.account.owns(self.data)

    def launch(self, port: int, log: int) -> subprocess.Popen[bytes]:
        settings = {
            "port": port,
            "bind": "127.0.0.1",
            "requirepass": self.password,
            "dir": self.data,
            "appendonly": "no" if self.fast else "yes",
            "save": "",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        # By standard input: on the command line the password would be there for everybody to read.
        process = self.popen([str(self.binary), "-"], log, orphaned=signal.SIGTERM, stdin=subprocess.PIPE)
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as config:
            config.write("".join(f"{name} {quoted(value)}\n" for name, value in settings.items()).encode())
        return process

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):  # not yet, or still loading its data
            return False


def quoted(value: object) -> str:
    """A value as Valkey's configuration takes it, blanks and quotes in it included."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Addresses:
    """URLs of the servers; admin_url: a superuser on the embedded PostgreSQL, None where the server is not ours.

    database_runs: false when the embedded PostgreSQL is down; it will have the same address when it is up again.
    redis_url: None when there never was an embedded Valkey.
    """

    database_url: str
    redis_url: str | None
    admin_url: str | None
    database_runs: bool


def addresses(home: Path, patience: float = 0) -> Addresses | None:
    """Where the servers are: DATABASE_URL and REDIS_URL, else the embedded ones of this home.

    None when there is no database: neither variable nor a start before. A database that is down is given
    `patience` seconds (one that crashed is started again meanwhile). Nobody waits for Redis, a doorbell.
    """
    valkey = Valkey(home)
    redis_url = os.environ.get("REDIS_URL") or (valkey.url if valkey.port else None)
    if database_url := os.environ.get("DATABASE_URL"):
        return Addresses(database_url, redis_url, None, database_runs=True)
    server, deadline = Postgres(home), time.monotonic() + patience
    while server.port:
        there = runs(home, server.name)
        if there or time.monotonic() > deadline:
            return Addresses(server.url("migrator"), redis_url, server.url("postgres"), there)
        time.sleep(0.1)
    return None


def runs(home: Path, name: str) -> bool:
    """Whether that server of this home runs, started by whichever process."""
    state = read_state(home / "servers" / f"{name}.json")
    if not state or not is_alive(state["pid"]):
        return False
    with suppress(OSError), socket.create_connection(("127.0.0.1", state["port"]), 2):
        return True
    return False
