"""Real worker and sweeper processes on the test's databases, and what is done to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from django.conf import settings
from django.db import connection, connections

from jobs.models import Run, Seat
from migrator_site.embedded import Postgres, Valkey
from tests.journeys.gate import wait_for
from tests.journeys.world import fresh, said

ROOT = Path(__file__).parents[2]


class Processes:
    """Starts `manage.py worker` and `manage.py sweeper`; ends all that it started."""

    def __init__(self, postgres: Postgres, valkey: Valkey, log: Path) -> None:
        database = postgres.url(connection.settings_dict["NAME"])
        self.environ = {**os.environ, "DATABASE_URL": database, "REDIS_URL": valkey.url}
        self.environ["MIGRATOR_HOME"] = str(settings.MIGRATOR_HOME)
        self.log = log
        self.started: list[subprocess.Popen[bytes]] = []

    def slice_shortly(self) -> None:
        """Workers that are started from now on have slices of a second."""
        self.environ["DJANGO_SETTINGS_MODULE"] = "tests.journeys.short_slices"

    def worker(self, name: str = "one") -> subprocess.Popen[bytes]:
        """A worker that has taken its seat."""
        process = self._start("worker", "--name", name)
        wait_for(lambda: Seat.objects.filter(name=name, pid=process.pid).exists())
        return process

    def sweeper(self) -> subprocess.Popen[bytes]:
        """A sweeper."""
        return self._start("sweeper")

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        connections.close_all()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environ, stdout=log, stderr=log
            )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Ends every process, frozen ones as well."""
        for process in self.started:
            process.kill()
        for process in self.started:
            process.wait()


def ended(run: Run) -> str:
    """The status in which the run comes to rest, once it does. What it said is shown with a failure."""
    try:
        return wait_for(lambda: "" if (found := fresh(run)).is_active else found.status)
    finally:
        print(*said(run), sep="\n")


def horse_of(worker: subprocess.Popen[bytes]) -> int:
    """The process id of the work horse that a worker has forked."""
    return wait_for(lambda: children(worker))[0]


def children(worker: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of what a worker has forked: one work horse or none."""
    try:
        return [
            int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    """Kills one process without a chance to tidy up."""
    os.kill(pid, signal.SIGKILL)


def freeze(pid: int) -> None:
    """Stops one process where it is."""
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Lets a frozen process go on."""
    os.kill(pid, signal.SIGCONT)
