"""What must run, and is started again when it ends, less and less eagerly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from migrator_site.binaries import EmbeddedError
from migrator_site.private import open_log
from migrator_site.processes import StartedElsewhere, end_with_parent

FIRST_DELAY, LONGEST_DELAY, PROVEN_AFTER = 0.5, 5.0, 10.0
"""Seconds before the first and, doubling, the last restart; seconds up after which it begins anew. Runs are promised
to go on within 15 s, also where a worker is killed again and again."""

Process = subprocess.Popen[bytes] | StartedElsewhere


class Watched:
    """One process under watch. `start` starts it and returns it, or raises EmbeddedError."""

    def __init__(self, name: str, start: Callable[[], Process], log: Path) -> None:
        self.name, self.log, self.process = name, log, None
        self._start = start
        self._delay, self._since, self._due = FIRST_DELAY, 0.0, 0.0

    process: Process | None

    def begin(self) -> None:
        self.process, self._since = self._start(), time.monotonic()

    def look(self) -> str | None:
        """Start it again where that is due; a sentence when something happened that the operator should know."""
        now = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            return None if code is None else self._ended(how_it_ended(code), now)
        if now < self._due:
            return None
        try:
            self.begin()
        except EmbeddedError as error:
            return self._ended(str(error), now)
        return f"{self.name} is started again."

    def _ended(self, how: str, now: float) -> str:
        if self.process is not None and now - self._since > PROVEN_AFTER:
            self._delay = FIRST_DELAY
        wait, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        self.process, self._due = None, now + wait
        return f"{self.name} ended ({how}); starting it again in {wait:g} s. Its log: {self.log}"


def how_it_ended(code: int) -> str:
    """An exit status of Popen in words."""
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def spawn(command: list[str], folder: Path, log: Path) -> Process:
    """Start in a session of its own (Ctrl-C is the supervisor's to handle), ending when we end."""
    output = open_log(log)
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 (one thread)
        )
    finally:
        os.close(output)


def end_all(processes: list[Process], seconds: float) -> None:
    """Ask all to end, at once; what has not ended in time is killed."""
    deadline = time.monotonic() + seconds
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
