"""A server process of our own: a kept port and password, a log, started and stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import ClassVar

from migrator_site.binaries import Account, EmbeddedError, reachable_place, server_account
from migrator_site.private import kept_secret, open_log, private_folder, write_private
from migrator_site.processes import StartedElsewhere, end_with_parent, is_alive

CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
START_SECONDS = 300  # recovery after a crash reads up to max_wal_size of log
RETRY_SECONDS = 30  # how long a server of before, still shutting down, may hold its lock
PASSING_TROUBLE = ("lock file", "still in use", "already in use", "is starting up", "shutting down")


class Server(ABC):
    """What the two have in common: a place, a kept port and password, a log, a process that is started and stopped."""

    stop_signals: ClassVar[dict[str, signal.Signals]]
    account: Account
    place: Path
    _log_start = 0

    def __init__(self, home: Path, name: str, fast: bool = False) -> None:
        """home: MIGRATOR_HOME; made where it is missing. fast: nothing survives a power cut; for tests."""
        self.home, self.name, self.fast = private_folder(home.absolute()), name, fast
        self.process: subprocess.Popen[bytes] | StartedElsewhere | None = None
        self._state = self.home / "servers" / f"{name}.json"

    @property
    def pid(self) -> int | None:
        """The process id of the running server; None when it does not run (as our child)."""
        return self.process.pid if self.process and self.process.poll() is None else None

    @property
    def port(self) -> int:
        """The port of the last start, 0 before the first."""
        return int(read_state(self._state).get("port", 0))

    @property
    def password(self) -> str:
        return kept_secret(self.home / "secrets" / self.name, lambda: token_hex(24))

    @property
    def log(self) -> Path:
        return self.home / "logs" / f"{self.name}.log"

    def start(self) -> None:
        """Start and wait until it answers. Right after a crash the old lock is in the way for a while: tries again.

        One that somebody started by hand in the meantime is taken as ours.

        Raises EmbeddedError with the end of the log when it does not start.
        """
        if self.pid:
            return
        self.account = server_account()
        self.place = reachable_place(self.home, self.name, self.account, passing=self.fast)
        self.install()
        deadline = time.monotonic() + RETRY_SECONDS
        while not (self._find() or self._try_start(self._choose_port(deadline))):
            said = self._last_words()
            if time.monotonic() > deadline or not any(trouble in said for trouble in PASSING_TROUBLE):
                raise EmbeddedError(f"{self.name} did not start; {self.log} ends with:\n{said}")
            time.sleep(0.1)

    def _find(self) -> bool:
        """Whether somebody else has started this very server, and it answers at its port."""
        pid = self.keeper()
        if pid is None or not self.answers():
            return False
        self.process = StartedElsewhere(pid)
        self._note(self.port)
        return True

    def _note(self, port: int) -> None:
        assert self.process is not None
        write_private(self._state, json.dumps({"port": port, "pid": self.process.pid}))

    def _try_start(self, port: int) -> bool:
        """False: the process ended before it answered."""
        log = open_log(self.log)
        self._log_start = os.fstat(log).st_size
        try:
            self.process = self.launch(port, log)
        finally:
            os.close(log)
        self._note(port)
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None:
            if self.answers():
                return True
            if time.monotonic() > deadline:
                self.stop("immediate")
                raise EmbeddedError(f"{self.name} did not answer within {START_SECONDS} s; see {self.log}")
            time.sleep(0.02)
        return False

    def _choose_port(self, deadline: float) -> int:
        """The port of before, so that stored addresses stay true; another one when a stranger holds it."""
        state = read_state(self._state)
        port, pid = int(state.get("port", 0)), int(state.get("pid", 0))
        while port and not is_free(port):
            if not (is_alive(pid) or self.keeper()) or time.monotonic() > deadline:
                return free_port()
            time.sleep(0.1)
        return port or free_port()

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()[-2000:].decode(errors="replace")

    def stop(self, mode: str = "fast") -> None:
        """Stop and wait, at most 14 s: what does not end in time is ended harder."""
        if self.process is None:
            return
        for how, seconds in (
            (self.stop_signals[mode], 8),
            (self.stop_signals["immediate"], 4),
            (signal.SIGKILL, 2),
        ):
            if self.process.poll() is not None:
                break
            self.process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        self.process = None

    def popen(
        self, command: list[str], log: int, orphaned: signal.Signals, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start as the account, in a session of its own (Ctrl-C is ours to handle), ending when we end."""
        return subprocess.Popen(
            command,
            **self.account.popen_options(),
            preexec_fn=end_with_parent(orphaned),  # noqa: PLW1509 - its library is loaded and it takes no lock
            start_new_session=True,
            env=CLEAN_ENVIRONMENT,
            cwd="/",
            stdin=stdin,
            stdout=log,
            stderr=log,
            umask=0o077,
        )

    def keeper(self) -> int | None:
        """The process id of whatever serves our data, whoever started it; None: nobody, or nobody can tell."""
        return None

    @abstractmethod
    def install(self) -> None:
        """Make what the first start needs, in self.place and for self.account."""

    @abstractmethod
    def launch(self, port: int, log: int) -> subprocess.Popen[bytes]:
        """Start the process."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether somebody with the password is served by now."""


def read_state(path: Path) -> dict[str, int]:
    """What the last start noted: port and pid; nothing before the first."""
    try:
        state: dict[str, int] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return state


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Below the range that outgoing connections take, so that it is still free at the next start."""
    while True:
        port = random.randint(15_000, 32_000)
        if is_free(port):
            return port
