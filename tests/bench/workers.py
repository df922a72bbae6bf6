"""Real `manage.py worker` processes and a sweeper, as `make up` has them; what their work horses use."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connections

from jobs.processes import seats
from migrator_site.processes import end_with_parent
from tests.bench import cost
from tests.bench.servers import Servers

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0


class Workers:
    """Any number of workers, and one sweeper; all end with `end`."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self._environ = servers.environ
        self.log = servers.home / "logs" / "workers.log"
        self._workers: list[subprocess.Popen[bytes]] = []
        self._sweeper = self._start("sweeper")

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers, not of their horses."""
        return [worker.pid for worker in self._workers]

    def resize(self, count: int) -> None:
        """Starts or ends workers, and waits until exactly so many can be rung."""
        while len(self._workers) > count:
            _end(self._workers.pop())
        while len(self._workers) < count:
            self._workers.append(self._start("worker", "--name", f"bench-{len(self._workers) + 1}"))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while set(seats.live().values_list("pid", flat=True)) != set(self.pids):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the workers did not take their seats: {self.last_words()}")
            time.sleep(0.05)

    def last_words(self) -> str:
        """The end of what the processes wrote."""
        return self.log.read_text()[-3000:]

    def end(self) -> None:
        """Ends everything that was started."""
        for process in [*self._workers, self._sweeper]:
            _end(process)
        self._workers.clear()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        connections.close_all()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=self._environ,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the benchmark alone
                preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no other thread runs now
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


MEMORY_MB = 150
"""What a worker may use at the most."""


@dataclass
class Use:
    """What work horses used, by process id: the highest resident memory in MB, and seconds of CPU.

    all: the CPU that both servers and the workers had used, over time.
    """

    memory: dict[int, float] = field(default_factory=dict)
    cpu: dict[int, float] = field(default_factory=dict)
    all: cost.Course = field(default_factory=cost.Course)

    @property
    def peak(self) -> float:
        """Of the largest horse, in MB."""
        return max(self.memory.values(), default=0.0)

    @property
    def seconds(self) -> float:
        """CPU of all horses together."""
        return sum(self.cpu.values())


@contextmanager
def watched(workers: Workers) -> Iterator[Use]:
    """Looks at the work horses ten times a second; VmHWM is a high-water mark, so nothing between is missed."""
    use, ended = Use(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            use.all.note(time.time(), cost.of([*workers.servers.pids, *workers.pids]))
            for pid in workers.pids:
                for horse in _children(pid):
                    _look(horse, use)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield use
    finally:
        ended.set()
        thread.join()


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _look(horse: int, use: Use) -> None:
    with suppress(OSError, StopIteration):
        status = Path(f"/proc/{horse}/status").read_text().splitlines()
        use.memory[horse] = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
        fields = Path(f"/proc/{horse}/stat").read_text().rpartition(")")[2].split()
        use.cpu[horse] = (int(fields[11]) + int(fields[12])) / cost.TICKS
