"""A real `make up`: it serves, starts again what dies, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from migrator_site.processes import is_alive
from migrator_site.server import free_port, read_state

UP = [sys.executable, "manage.py", "up"]
MAKE_UP = ["make", "--no-print-directory", "up"]


def eventually(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def tree(pid: int) -> dict[int, str]:
    """All descendants of a process, with their command lines."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = {}, [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            with suppress(OSError):
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
            todo.append(child)
    return found


class Up:
    """A supervisor in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
            },
            "MIGRATOR_HOME": str(home),
            "PORT": str(self.port),
            "WORKERS": "1",
            "DEMO": "0",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], **changes: str) -> subprocess.Popen[bytes]:
        with (self.home / "console").open("ab") as console:
            process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=self.environment | changes,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    @property
    def console(self) -> str:
        return (self.home / "console").read_text()

    def serves(self) -> bool:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as response,
        ):
            return bool(response.read() == b"ok\n")
        return False

    def started(self, command: list[str]) -> subprocess.Popen[bytes]:
        """The process, once it serves: on a busy machine that takes minutes, as all it has is made first."""
        process = self.start(command)
        deadline = time.monotonic() + 240
        while not self.serves():
            assert process.poll() is None, self.console
            assert time.monotonic() < deadline, f"does not serve; it said:\n{self.console}"
            time.sleep(0.05)
        return process

    def end(self) -> None:
        """End what was started, and take the home away."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(40)
        shutil.rmtree(self.home)


@pytest.fixture
def up() -> Iterator[Up]:
    home = Path(tempfile.mkdtemp(prefix="migrator-up-"))
    up = Up(home)
    yield up
    up.end()


def test_from_make_to_the_end_and_again(up: Up) -> None:
    make = up.started(MAKE_UP)
    assert f"ready at http://127.0.0.1:{up.port}/" in up.console
    password = (up.home / "secrets" / "admin-password").read_text().strip()
    assert up.console.count(password) == 1
    files = [
        path for name in ("static", "logs", "secrets", "servers") for path in (up.home / name).rglob("*")
    ]
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    descendants = tree(make.pid)
    for part in (
        "manage.py up",
        "postgres",
        "valkey-server",
        "manage.py worker --name w1",
        "sweeper",
        "gunicorn",
    ):
        assert any(part in command for command in descendants.values()), part
    make.terminate()  # only make is told
    make.wait(60)
    eventually(lambda: not any(is_alive(pid) for pid in descendants), 20)

    supervisor = up.started(UP)
    eventually(lambda: "in " + str(up.home / "secrets" / "admin-password") in up.console)
    assert up.console.count(password) == 1, "shown once"
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(60) == 0


def test_what_dies_is_started_again(up: Up) -> None:
    supervisor = up.started(UP)
    for part in ("gunicorn", "manage.py worker", "sweeper", "valkey-server"):
        victims = {pid for pid, command in tree(supervisor.pid).items() if part in command}
        direct = min(victims)
        os.kill(direct, signal.SIGKILL)
        eventually(lambda direct=direct: not is_alive(direct))  # type: ignore[misc]
        eventually(
            lambda part=part, victims=victims: any(  # type: ignore[misc]
                part in command for pid, command in tree(supervisor.pid).items() if pid not in victims
            )
        )
    eventually(up.serves)
    assert "web ended (SIGKILL)" in up.console and "web is started again" in up.console

    postmaster = read_state(up.home / "servers" / "postgres-18.json")
    os.kill(postmaster["pid"], signal.SIGKILL)
    eventually(lambda: "PostgreSQL is started again" in up.console)
    eventually(up.serves)
    assert read_state(up.home / "servers" / "postgres-18.json")["port"] == postmaster["port"]


@pytest.mark.parametrize("command", [UP, MAKE_UP], ids=["supervisor", "make"])
def test_killed_it_takes_everything_along(up: Up, command: list[str]) -> None:
    process = up.started(command)
    descendants = tree(process.pid)
    assert len(descendants) >= 6
    process.kill()
    process.wait()
    eventually(lambda: not [command for pid, command in descendants.items() if is_alive(pid)], 30)
    up.started(UP)  # at once, with the lock and the data left behind


def test_refusals_start_nothing(up: Up) -> None:
    with socket.create_server(("127.0.0.1", up.port)):
        taken = up.start(UP)
        assert taken.wait(60) == 2
    assert "Cannot listen" in up.console and "PORT" in up.console
    assert not (up.home / "postgres-18").exists()
    up.started(UP)
    second = up.start(UP, PORT=str(free_port()))
    assert second.wait(60) == 2
    assert "already runs" in up.console
    assert "Traceback" not in up.console


def test_a_command_for_its_duration(up: Up) -> None:
    """`make demo` without `make up`: servers and workers for one command, whose exit status is returned."""
    assert up.start([*UP, "--then", "migrate", "--check"]).wait(60) == 0
    assert up.start([*UP, "--then", "migrate", "no-such-app"]).wait(120) == 1
    assert up.console.count("migrator: stopped") == 2
    assert "ready at" not in up.console
    supervisor = up.started(UP)
    assert up.start([*UP, "--then", "migrate", "--check"]).wait(60) == 0
    assert supervisor.poll() is None, "the one that ran goes on"
