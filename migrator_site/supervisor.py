"""`make up`: servers, control database, web, workers, sweeper; what dies is started again; all end together.

Single-threaded on purpose: the kernel ends a child when the thread that started it ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from migrator_site import presence
from migrator_site.embedded import EmbeddedError, Postgres, Valkey
from migrator_site.processes import end_with_parent
from migrator_site.server import Server
from migrator_site.watching import Process, Watched, end_all, spawn

LOOK_SECONDS = 0.2
GRACE_SECONDS = 15  # for a worker to end its slice at a chunk boundary
WORKERS_SECONDS = 20


class Stopped(BaseException):
    """SIGTERM, SIGINT or SIGHUP: end everything in order."""


class Refusal(Exception):
    """Nothing was started; the sentence says why and what to do."""


class Failed(Exception):
    """A step of the start failed; the sentence says which, and where to read more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to start. web: False for a command's duration only (`then`)."""

    base: Path
    home: Path
    host: str
    port: int
    workers: int
    demo: bool
    own_database: bool
    own_redis: bool
    web: bool = True


def say(sentence: str) -> None:
    """To the console, which may be gone by now."""
    with suppress(OSError, ValueError):
        print(f"migrator: {sentence}", file=sys.stderr, flush=True)


class Supervisor:
    """Starts what is wanted, watches it, ends it."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.servers: list[Server] = []
        self.watched: list[Watched] = []
        self.passing: list[Process] = []

    def run(self, then: list[str] | None = None) -> int:
        """Until told to stop, or until the command `then` has ended: its exit status is returned.

        0: stopped in order. 1: the start failed. Raises Refusal before anything was started.
        """
        self._refuse_early()
        listen()
        try:
            self._start()
            if then:
                return self._passing(then).wait()
            self._watch()
        except Stopped:
            say("stopping …")
        except (EmbeddedError, Failed) as error:
            say(str(error))
            return 1
        finally:
            deafen()
            self._stop()
        return 0

    def _refuse_early(self) -> None:
        wanted = self.wanted
        if wanted.web and not 0 < wanted.port < 65536:
            raise Refusal(f"PORT must be between 1 and 65535, not {wanted.port}.")
        there = presence.take(wanted.home)
        if there is not None:
            raise Refusal(
                f"`make up` already runs for MIGRATOR_HOME {wanted.home} (process {there}). Use that one, stop it, "
                "or set another MIGRATOR_HOME and PORT."
            )
        if wanted.web:
            refuse_taken_port(wanted.host, wanted.port)

    def _start(self) -> None:
        wanted = self.wanted
        if wanted.own_database:
            postgres = Postgres(wanted.home)
            self._serve("PostgreSQL", postgres)
            postgres.create_database("migrator")
        if wanted.own_redis:
            self._serve("Valkey", Valkey(wanted.home))
        password = wanted.home / "secrets" / "admin-password"
        first = not password.exists()
        self._do("prepare the control database", "prepare")
        workers = [
            self._keep(f"worker-w{n}", "worker", "--name", f"w{n}") for n in range(1, wanted.workers + 1)
        ]
        self._keep("sweeper", "sweeper")
        if wanted.demo:
            self._load_demo()
        pids = [str(worker.process.pid) for worker in workers if worker.process]
        if self._passing(["await_workers", "--seconds", str(WORKERS_SECONDS), *pids]).wait():
            say(f"not all workers are at work after {WORKERS_SECONDS} s; see {wanted.home / 'logs'}")
        if wanted.web:
            self._start_web()
            self._greet(password, first)

    def _serve(self, title: str, server: Server) -> None:
        self.servers.append(server)
        watched = Watched(title, lambda: started(server), server.log)
        watched.begin()
        self.watched.append(watched)
        say(f"{title} runs on 127.0.0.1:{server.port}")

    def _keep(self, name: str, *arguments: str) -> Watched:
        return self._keep_command(name, [sys.executable, "manage.py", *arguments])

    def _keep_command(self, name: str, command: list[str]) -> Watched:
        log = self.wanted.home / "logs" / f"{name}.log"
        watched = Watched(name, lambda: spawn(command, self.wanted.base, log), log)
        watched.begin()
        self.watched.append(watched)
        return watched

    def _do(self, what: str, *arguments: str) -> None:
        code = self._passing(list(arguments)).wait()
        if code:
            raise Failed(f"Could not {what} (exit status {code}); the reason is above.")

    def _passing(self, arguments: list[str]) -> Process:
        """A command that ends by itself, on our console and in our session: Ctrl-C reaches it too."""
        command = [sys.executable, "manage.py", *arguments]
        process = subprocess.Popen(
            command,
            cwd=self.wanted.base,
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 (one thread)
        )
        self.passing.append(process)
        return process

    def _load_demo(self) -> None:
        if not self.wanted.own_database:
            say("no demo: its databases are made on the embedded PostgreSQL only, and DATABASE_URL is set")
        elif code := self._passing(["demo", "load"]).wait():
            say(f"the demo could not be loaded (exit status {code}); everything else runs")

    def _start_web(self) -> None:
        wanted = self.wanted
        web = self._keep_command("web", web_command(wanted.host, wanted.port))
        deadline = time.monotonic() + 30
        while not answers(wanted.host, wanted.port):
            if time.monotonic() > deadline:
                raise Failed(f"The web server does not answer; see {web.log}")
            self._look()
            time.sleep(0.05)

    def _greet(self, password: Path, first: bool) -> None:
        say(f"ready at {address(self.wanted.host, self.wanted.port)}")
        if first and password.exists():
            say(
                f"sign in as admin with the password {password.read_text().strip()} (shown once; kept in {password})"
            )
        elif password.exists():
            say(f"sign in as admin; the password is in {password}")
        say("Ctrl-C stops everything")

    def _look(self) -> None:
        for watched in self.watched:
            if sentence := watched.look():
                say(sentence)

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(LOOK_SECONDS)

    def _stop(self) -> None:
        """Web, workers and sweeper together; then Valkey; then PostgreSQL, when nobody writes any more."""
        serving = {id(server.process) for server in self.servers}
        ours = [watched.process for watched in self.watched if watched.process]
        end_all(self.passing + [process for process in ours if id(process) not in serving], GRACE_SECONDS)
        for server in reversed(self.servers):
            server.stop()
        if self.servers:
            say("stopped")


def started(server: Server) -> Process:
    server.start()
    assert server.process is not None
    return server.process


def web_command(host: str, port: int) -> list[str]:
    """gunicorn on that address. Threads: a page waits for databases more than it computes.

    The connections are fewer than the files that a process may open, commonly 1,024.
    """
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    module = "python:migrator_site.serving.gunicorn_hooks"
    options = ["--bind", bind, "--config", module, "--workers", "1", "--threads", "8", "--no-control-socket"]
    options += [
        "--worker-class",
        "migrator_site.serving.patient_worker.PatientWorker",
        "--worker-connections",
        "400",
    ]
    options += ["--no-sendfile"]
    options += ["--timeout", "60", "--graceful-timeout", "8", "--access-logfile", "-"]
    return [sys.executable, "-m", "gunicorn", "migrator_site.wsgi", *options]


def refuse_taken_port(host: str, port: int) -> None:
    """Find out before anything is started. Raises Refusal."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise Refusal(
            f"Cannot listen on {host}:{port}: {reason}. Set PORT (or HOST) to another one."
        ) from error


def reachable_host(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def address(host: str, port: int) -> str:
    name = reachable_host(host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def answers(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((reachable_host(host), port), 1):
        return True
    return False


def listen() -> None:
    """Turn the signals that mean `stop` into Stopped; a SIGHUP that nohup ignores stays ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop_now)


def deafen() -> None:
    """Stopping is under way: asking again changes nothing."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _stop_now(number: int, frame: FrameType | None) -> NoReturn:
    deafen()
    raise Stopped
