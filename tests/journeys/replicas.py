"""A streaming replica of a server, to lag behind it and to take its place."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from migrator_site.embedded import Postgres, free_port
from tests.journeys.gate import wait_for
from tests.journeys.world import execute

STREAMS = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"


@dataclass(frozen=True)
class Replica:
    """A standby of a server, with all of its databases."""

    primary: Postgres
    port: int

    def url(self, primary_url: str) -> str:
        """The URL of the same database here."""
        return primary_url.replace(f":{self.primary.port}/", f":{self.port}/")

    def miss_what_follows(self) -> None:
        """Has everything up to now, and gets nothing any more."""
        ((there,),) = execute(self.primary.url("postgres"), "SELECT pg_current_wal_flush_lsn()::text")
        has_it = f"SELECT pg_last_wal_replay_lsn() >= '{there}'::pg_lsn"
        wait_for(lambda: execute(self._own(), has_it) == [(True,)])
        execute(self._own(), "ALTER SYSTEM SET primary_conninfo = ''")
        execute(self._own(), "SELECT pg_reload_conf()")
        wait_for(lambda: not execute(self.primary.url("postgres"), STREAMS))

    def take_over(self) -> None:
        """Is promoted, once its primary is gone for good."""
        self.primary.stop("immediate")
        execute(self._own(), "SELECT pg_promote()")

    def _own(self) -> str:
        return self.url(self.primary.url("postgres"))


@contextmanager
def replica_of(primary: Postgres, **more: str) -> Iterator[Replica]:
    """A replica that streams; more: settings of its server."""
    data = primary.place / "replica"
    data.mkdir(mode=0o700)
    primary.account.owns(data)
    as_server = {**primary.account.popen_options(), "cwd": "/", "stdout": subprocess.DEVNULL,
                 "stderr": subprocess.DEVNULL}  # fmt: skip
    copy = ["-d", primary.url("postgres"), "-D", str(data), "-R", "-c", "fast", "--no-sync"]
    subprocess.run([str(primary.binaries / "pg_basebackup"), *copy], check=True, **as_server)  # type: ignore[call-overload]
    port = free_port()
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
                "max_connections": 200, "shared_buffers": "16MB", "wal_receiver_status_interval": "1s",
                **more}  # fmt: skip
    command = [str(primary.binaries / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    server = subprocess.Popen(command, **as_server)  # type: ignore[call-overload]
    try:
        wait_for(lambda: execute(primary.url("postgres"), STREAMS))
        yield Replica(primary, port)
    finally:
        server.kill()
        server.wait()
