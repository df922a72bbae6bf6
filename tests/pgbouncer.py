"""Debian's PgBouncer before a database of a test, in any of its modes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

BINARY = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
MISSING = f"needs PgBouncer (apt-get install pgbouncer): no {BINARY}"
PATIENCE_SECONDS = 60.0


def installed() -> bool:
    """Whether the package is there; where it is not, tests that need it are skipped."""
    return Path(BINARY).exists()


@contextmanager
def pooled(url: str, folder: Path, mode: str, in_turn: bool, more: str = "") -> Iterator[str]:
    """The URL of the same database through a pool of three sessions; in_turn: each is used after the others;
    more: lines of its settings."""
    parts = urlsplit(url)
    name, port = parts.path[1:], _free_port()
    folder.chmod(0o755)
    file = folder / "pgbouncer.ini"
    file.write_text(f"""
[databases]
{name} = host={parts.hostname} port={parts.port} user={parts.username} password={unquote(parts.password or "")}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 3
server_round_robin = {int(in_turn)}
{more}
""")
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([BINARY, "-q", *user, str(file)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield urlunsplit(parts._replace(netloc=f"{parts.username}:x@127.0.0.1:{port}"))
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < until, "PgBouncer does not answer"
            time.sleep(0.05)
